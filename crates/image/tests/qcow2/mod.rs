//! qcow2: known answers, differential tests, damage.

mod check;
mod common;
mod corpus;
mod mutate;
mod overwrite;
mod reader;
mod repair;
mod resize;
mod sink;
