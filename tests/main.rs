//! The real binary on real files: what it prints, what it leaves, how it ends.
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

mod busy;
mod chain;
mod convert;
mod ends;
mod guest;
mod look;
mod manual;
mod matrix;
mod memory;
mod mend;
mod reg;
mod run;
