//! Journal files against journalctl, against fixtures and against damage.
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

mod codecs;
mod common;
mod damage;
mod door;
mod facts;
mod fixture;
mod journalctl;
mod show;
mod units;
