//! A systemd journal file, whatever the bytes are.
#![no_main]

#[path = "../../crates/journal/tests/door.rs"]
mod door;

use h2k_block::MemDisk;
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    door::knock(Arc::new(MemDisk::new(bytes.to_vec())));
});
