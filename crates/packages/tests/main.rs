//! Package databases against the programs that write them, against fixtures and against damage.
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

mod common;
mod damage;
mod directories;
mod door;
mod dpkg;
mod rpm;
mod rpm_live;
mod version;
