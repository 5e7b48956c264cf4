//! The promises about the repository itself, as tests: which room sees which, what may be linked where, how long
//! a file may be, what a document must have.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod tidy {
    pub mod edges;
    pub mod licences;
    pub mod text;
}
