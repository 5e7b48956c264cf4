//! The doors hostile volumes come through: the same functions serve the mutation tests and the fuzz targets.

use h2k_block::{BlockRead, Limits};
use h2k_fs::FsRead;
use h2k_testkit::door;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 4_000,
    depth: 16,
};

/// Checks `disk` as a FAT volume, opens it, and asks everything of its first entries. Errors are the expected answer.
pub fn knock(disk: Arc<dyn BlockRead>) {
    let len = disk.len();
    let _ = h2k_fat::check(disk.clone(), &LIMITS);
    if let Ok(fs) = h2k_fat::open(disk, &LIMITS) {
        ask(&fs, len);
    }
}

/// The same for exFAT.
pub fn knock_exfat(disk: Arc<dyn BlockRead>) {
    let len = disk.len();
    if let Ok(fs) = h2k_fat::exfat::open(disk, &LIMITS) {
        ask(&fs, len);
    }
}

/// Asks everything of the first entries of `fs`, on a volume of `len` bytes.
fn ask(fs: &dyn FsRead, len: u64) {
    door::ask(fs, fs.root(), len, LIMITS, 40, &mut |_| {});
}
