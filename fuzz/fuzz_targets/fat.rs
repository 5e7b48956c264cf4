//! A FAT volume, whatever the bytes are.
#![no_main]

#[path = "../../crates/fat/tests/door.rs"]
#[allow(dead_code)]
mod door;

use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::knock(Arc::new(Sparse::unpack("volume", bytes))));
