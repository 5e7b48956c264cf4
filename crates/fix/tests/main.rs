//! Fixes on guests in memory: each changes what it should, leaves what it should and says why, and asked twice leaves.
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

mod agents;
mod caches;
mod command_lines;
mod consoles;
mod draft;
mod lab;
mod labels;
mod loaders;
mod names;
mod network;
mod tables;
