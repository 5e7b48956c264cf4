//! A hive and a transaction log, whatever the bytes are: the first byte says how many pages belong to the hive.
#![no_main]

#[path = "../../crates/hive/tests/door.rs"]
#[allow(dead_code)]
mod door;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((pages, rest)) = bytes.split_first() else { return };
    let (hive, log) = rest.split_at(rest.len().min((1 + usize::from(*pages)) * 4096));
    door::knock(hive.to_vec(), &[log]);
});
