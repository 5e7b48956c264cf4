//! The door hostile images come through: the same function serves the mutation tests and the fuzz target.
#![allow(dead_code)]

use h2k_block::{BlockRead, Limits, MemDisk};
use h2k_ext4::Journal;
use h2k_fs::FsRead;
use h2k_testkit::door::ask;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 100_000,
    depth: 16,
};

/// Opens `bytes` as a filesystem and asks it everything there is to ask. Whatever happens, it has to end soon,
/// without a panic and in bounded memory; errors are the expected answer.
pub fn knock(bytes: Vec<u8>) {
    knock_disk(Arc::new(MemDisk::new(bytes)));
}

/// As [`knock`], for a disk that lasts longer than the knock.
pub fn knock_disk(disk: Arc<dyn BlockRead>) {
    let _ = h2k_ext4::probe(&*disk);
    for journal in [Journal::Replay, Journal::Ignore] {
        if let Ok(fs) = h2k_ext4::open_with(disk.clone(), &LIMITS, journal) {
            let few = Limits { steps: 100, ..LIMITS };
            ask(&fs, fs.root(), disk.len(), few, usize::MAX, &mut |_| {});
            if fs.facts().warnings.iter().all(|w| !w.contains("journal")) {
                // Without a journal in play the second round would be the first one again.
                break;
            }
        }
    }
}

/// Checks the structure of what is on `disk`. A clean answer has to be a filesystem that opens.
pub fn check_disk(disk: Arc<dyn BlockRead>) {
    let found = h2k_ext4::check(disk.clone(), &LIMITS);
    if found.is_ok_and(|found| found.is_clean()) {
        assert!(h2k_ext4::open(disk, &LIMITS).is_ok());
    }
}
