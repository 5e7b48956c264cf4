//! Files of a guest that topics read as text, whatever the bytes are; the first byte chooses which.
#![no_main]

#[path = "../../crates/inspect/tests/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((kind, rest)) = bytes.split_first() {
        door::knock(usize::from(*kind), rest);
    }
});
