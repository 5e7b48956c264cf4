//! The copier against models: what arrives, in which order, whatever the number of workers.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic
)]

mod compare;
mod digest;
mod failing;
mod model;
mod passing;
