//! The room from outside.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub
)]

mod checks;
mod common;
mod ctl;
mod damage;
mod door;
mod graph;
mod security;
mod states;
mod times;
