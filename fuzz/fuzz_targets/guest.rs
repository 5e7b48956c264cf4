//! A disk with a guest on it, whatever the bytes are; and an fstab that is the bytes.
#![no_main]

#[path = "../../crates/guest/tests/door.rs"]
mod door;

use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    door::knock_fstab(bytes);
    door::knock(Arc::new(Sparse::unpack("volume", bytes)));
});
