//! A FAT volume that is written to, whatever the bytes are.
#![no_main]

#[path = "../../crates/fat/tests/write_door.rs"]
mod door;

use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    door::knock(Arc::new(Sparse::unpack("volume", bytes)));
});
