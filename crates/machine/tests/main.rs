//! Descriptions of machines against fixtures, libvirt's schema, other programs' archives and damage.
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

mod archive;
mod common;
mod damage;
mod domain;
mod door;
mod known;
