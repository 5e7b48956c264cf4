//! The room from outside.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub
)]

mod common;
mod damage;
mod door;
mod initramfs;
mod kmod;
mod loaders;
mod segment;
