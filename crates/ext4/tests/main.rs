//! ext2, ext3 and ext4 against the corpus, against the kernel, and against damage.
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

mod check;
mod corpus;
mod crash;
mod door;
mod hostile;
mod kernel;
mod live;
mod tree;
mod write;
mod write_door;
mod written;
