//! The doors hostile images come through: the same functions serve the mutation tests and the fuzz targets.

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

/// Opens `disk` as a SquashFS image and asks everything of its first entries. Errors are the expected answer.
pub fn knock(disk: Arc<dyn BlockRead>) {
    let len = disk.len();
    if let Ok(fs) = h2k_squashfs::open(disk, &LIMITS) {
        door::ask(&fs, fs.root(), len, LIMITS, 24, &mut |_| {});
    }
}
