//! Registry text, whatever the bytes are.
#![no_main]

#[path = "../../crates/hive/tests/door.rs"]
#[allow(dead_code)]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock_text(bytes));
