//! An image of format qcow, whatever the bytes are.
#![no_main]

#[path = "../../crates/image/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(bytes.to_vec(), h2k_image::Format::Qcow1));
