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

mod assembly;
mod calls;
mod damage;
mod door;
mod look;
mod systems;
mod tree;
mod writer;
