//! An ext2, ext3 or ext4 volume that is written to, whatever the bytes are.
#![no_main]

#[path = "../../crates/ext4/tests/write_door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    door::knock(std::sync::Arc::new(h2k_block::MemDisk::new(bytes.to_vec())));
});
