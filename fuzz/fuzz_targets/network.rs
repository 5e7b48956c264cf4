//! A file of configuration of a Linux system, whatever the bytes are: the first one says which file it is.
#![no_main]

#[path = "../../crates/inspect/tests/text_door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes));
