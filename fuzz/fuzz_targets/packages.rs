//! A package database of any kind, whatever the bytes are.
#![no_main]

#[path = "../../crates/packages/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes));
