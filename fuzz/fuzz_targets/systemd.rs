//! Units of a guest and its table of mounts, whatever the bytes are: files are parted by zeros.
#![no_main]

#[path = "../../crates/systemd/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes));
