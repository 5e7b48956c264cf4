//! An ext2, ext3 or ext4 volume, whatever the bytes are.
#![no_main]

#[path = "../../crates/ext4/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes.to_vec()));
