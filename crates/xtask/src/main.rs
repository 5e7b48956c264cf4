//! The chores of this repository.
#![allow(clippy::disallowed_methods)]

fn main() {
    eprintln!("usage: cargo xtask <setup|test|bench|fuzz|ready>");
    std::process::exit(2);
}
