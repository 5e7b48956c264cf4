//! The ground floor against the host: files, links, locks, crashes. One binary, one module a subject.
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

mod commit;
mod file;
mod gate;
mod locks;
mod output;
mod overlay;
