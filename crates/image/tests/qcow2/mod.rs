//! qcow2: known answers, differential tests, damage.

mod bench;
mod corpus;
mod reader;
mod sink;
