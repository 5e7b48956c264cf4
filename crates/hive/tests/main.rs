//! Hives against the corpus, against hivex and reglookup, against a model, and against damage.
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

mod check;
mod corpus;
mod damage;
mod door;
mod dump;
mod edit;
mod fixture;
mod model;
mod names;
mod oracle;
mod text;
