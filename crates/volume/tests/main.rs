//! Volumes against the corpus, against the tools that make them, and against damage. One binary.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub
)]

mod common;
mod door;
mod fixture;
mod identify;
#[cfg(feature = "crypt")]
mod luks;
mod lvm;
mod md;
mod partitions;
mod tables;
