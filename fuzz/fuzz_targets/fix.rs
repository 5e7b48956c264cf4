//! A file of a guest that a fix looks at, whatever the bytes are.
#![no_main]

#[path = "../../crates/fix/tests/door.rs"]
mod door;
#[path = "../../crates/fix/tests/lab.rs"]
#[allow(dead_code)]
mod lab;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes));
