//! An ext2, ext3 or ext4 volume whose structure is checked, whatever the bytes are.
#![no_main]

#[path = "../../crates/ext4/tests/door.rs"]
mod door;

use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| door::check_disk(Arc::new(Sparse::unpack("volume", bytes))));
