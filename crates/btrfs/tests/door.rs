//! The door hostile volumes come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits, Result};
use h2k_fs::FsRead;
use h2k_testkit::door;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 20_000,
    depth: 16,
};

/// Opens `disks` as the devices of a btrfs filesystem and asks everything of its first entries. Errors are the expected
/// answer. Says how many entries could be asked, or why none.
pub fn knock(disks: Vec<Arc<dyn BlockRead>>) -> Result<usize> {
    let len = disks.first().map_or(0, |d| d.len());
    for disk in &disks {
        let _ = h2k_btrfs::member(&**disk);
    }
    let fs = h2k_btrfs::open(disks, &LIMITS)?;
    let _ = (fs.subvolumes(), fs.subvolume_at(b"some/name"));
    let top = fs.subvolume(5).unwrap_or(fs.root());
    Ok(door::ask(&fs, top, len, LIMITS, 40, &mut |_| {}))
}
