//! A description of a machine of any kind, whatever the bytes are.
#![no_main]

#[path = "../../crates/machine/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes));
