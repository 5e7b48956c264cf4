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
mod cloud;
mod command_lines;
mod configuration;
mod consoles;
mod damage;
mod door;
mod draft;
mod first_boot;
mod initramfs;
mod lab;
mod labels;
mod loaders;
mod names;
mod network;
mod report;
mod tables;
mod users;
