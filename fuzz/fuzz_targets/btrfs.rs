//! A btrfs device, whatever the bytes are.
#![no_main]

#[path = "../../crates/btrfs/tests/door.rs"]
mod door;

use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = door::knock(vec![Arc::new(Sparse::unpack("volume", bytes))]);
});
