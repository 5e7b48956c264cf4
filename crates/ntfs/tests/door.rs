//! The door hostile volumes come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits, Meter};
use h2k_fs::{FileKind, FsRead, walk};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 20_000,
    depth: 16,
};

/// Opens `disk` as an NTFS volume and asks everything of its first entries. Errors are the expected answer.
pub fn knock(disk: Arc<dyn BlockRead>) {
    let len = disk.len();
    let Ok(fs) = h2k_ntfs::open(disk, &LIMITS) else {
        return;
    };
    let _ = (fs.facts(), fs.usage());
    let mut left = 40;
    let mut meter = Meter::new(LIMITS);
    let mut buf = vec![0; 8192];
    let _ = walk(
        &fs,
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
            let mut streams = Vec::new();
            let _ = fs.streams(visit.node, &mut |s| {
                streams.push(s.node);
                ControlFlow::Continue(())
            });
            for stream in streams.into_iter().take(4) {
                let _ = fs.read_at(stream, 0, &mut buf);
            }
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
}
