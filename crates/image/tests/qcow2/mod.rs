//! qcow2: known answers, differential tests, damage.

mod bench;
mod check;
mod corpus;
mod mutate;
mod reader;
mod repair;
mod resize;
mod sink;
