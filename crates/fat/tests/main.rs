//! FAT and exFAT against the corpus, against mtools, and against damage.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub
)]

mod check;
mod corpus;
mod damage;
mod door;
mod exfat;
mod mtools;
mod write;
mod write_door;
mod written;
