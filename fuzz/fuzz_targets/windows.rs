//! A Windows guest with one damaged hive or file: the first byte chooses it. A hive may come whole; else three bytes each
//! set one byte of a sound one.
#![no_main]

#[path = "../../crates/inspect/tests/hives.rs"]
#[allow(dead_code)]
mod hives;
#[path = "../../crates/inspect/tests/windows_door.rs"]
mod windows_door;
#[path = "../../crates/inspect/tests/windows_text.rs"]
#[allow(dead_code)]
mod windows_text;

use std::sync::LazyLock;

static SEEDS: LazyLock<Vec<windows_door::Seed>> = LazyLock::new(windows_door::seeds);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((chosen, hive)) if hive.starts_with(b"regf") => {
            let (path, _) = SEEDS[usize::from(*chosen) % SEEDS.len()];
            windows_door::knock(&[(path, hive.to_vec())]);
        }
        _ => windows_door::patched(&SEEDS, bytes),
    }
});
