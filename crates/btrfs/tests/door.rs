//! The door hostile volumes come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, walk};
use std::ops::ControlFlow;
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
    let _ = (
        fs.facts(),
        fs.usage(),
        fs.subvolumes(),
        fs.subvolume_at(b"some/name"),
    );
    let top = fs.subvolume(5).unwrap_or(fs.root());
    let mut asked = 0;
    let mut left = 40;
    let mut meter = Meter::new(LIMITS);
    let mut buf = vec![0; 8192];
    let _ = walk(
        &fs,
        top,
        &mut meter,
        &mut |visit| {
            left -= 1;
            asked += usize::from(visit.stat.is_ok());
            let Ok(stat) = visit.stat else {
                return ControlFlow::Continue(());
            };
            match stat.kind {
                FileKind::Dir => drop(fs.lookup(visit.node, b"some name")),
                FileKind::Link => drop(fs.target(visit.node)),
                FileKind::File if stat.len > 0 => {
                    let _ = fs.read_at(visit.node, 0, &mut buf);
                    let _ = fs.read_at(visit.node, stat.len - 1, &mut buf);
                    let _ = fs.file_extent_at(visit.node, 0, stat.len);
                }
                _ => {}
            }
            let _ = fs.xattrs(visit.node, &mut |_, _| ControlFlow::Continue(()));
            if left > 0 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
        &mut |_, _| {},
    );
    let mut at = 0;
    for _ in 0..32 {
        if at >= len {
            break;
        }
        let Ok(extent) = fs.used_at(at, len) else { break };
        assert!(extent.len > 0 && extent.end() <= len);
        at = extent.end();
    }
    Ok(asked)
}
