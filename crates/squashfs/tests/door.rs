//! The doors hostile images come through: the same functions serve the mutation tests and the fuzz targets.

use h2k_block::{BlockRead, Limits, Meter};
use h2k_fs::{FileKind, FsRead, walk};
use std::ops::ControlFlow;
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
        ask(&fs, len);
    }
}

/// Asks everything of the first entries of `fs`, on a volume of `len` bytes.
pub fn ask(fs: &dyn FsRead, len: u64) {
    let _ = (fs.facts(), fs.usage());
    let mut left = 24;
    let mut meter = Meter::new(LIMITS);
    let mut buf = vec![0; 8192];
    let _ = walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            left -= 1;
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
    for _ in 0..8 {
        if at >= len {
            break;
        }
        let Ok(extent) = fs.used_at(at, len) else { break };
        assert!(extent.len > 0 && extent.end() <= len);
        at = extent.end();
    }
}
