//! The door hostile images come through: the same function serves the mutation tests and the fuzz target.
#![allow(dead_code)]

use h2k_block::{BlockRead, Limits, MemDisk, Meter};
use h2k_ext4::Journal;
use h2k_fs::{FileKind, FsRead, walk};
use std::ops::ControlFlow;
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
            ask(&fs, disk.len());
            if fs.facts().warnings.iter().all(|w| !w.contains("journal")) {
                // Without a journal in play the second round would be the first one again.
                break;
            }
        }
    }
}

fn ask(fs: &dyn FsRead, len: u64) {
    let _ = fs.facts();
    let _ = fs.usage();
    let mut meter = Meter::new(Limits { steps: 100, ..LIMITS });
    let mut buf = vec![0; 3000];
    let _ = walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let Ok(stat) = visit.stat else {
                return ControlFlow::Continue(());
            };
            let _ = fs.xattrs(visit.node, &mut |_, _| ControlFlow::Continue(()));
            match stat.kind {
                FileKind::File => {
                    let _ = fs.read_at(visit.node, 0, &mut buf);
                    let _ = fs.read_at(visit.node, stat.len / 2, &mut buf);
                    let _ = fs.read_at(visit.node, stat.len.saturating_sub(1), &mut buf);
                    let mut at = 0;
                    for _ in 0..8 {
                        match fs.file_extent_at(visit.node, at, stat.len.max(1)) {
                            Ok(extent) => {
                                assert!(extent.run.start == at && extent.run.len > 0);
                                at = extent.run.end();
                            }
                            Err(_) => break,
                        }
                        if at >= stat.len {
                            break;
                        }
                    }
                }
                FileKind::Link => {
                    let _ = fs.target(visit.node);
                }
                FileKind::Dir => {
                    let _ = fs.lookup(visit.node, b"lost+found");
                    let _ = fs.lookup(visit.node, b"no such name");
                }
                _ => {}
            }
            ControlFlow::Continue(())
        },
        &mut |_, _| {},
    );
    let mut at = 0;
    for _ in 0..16 {
        match fs.used_at(at, len) {
            Ok(extent) => {
                assert!(extent.start == at && extent.len > 0 && extent.end() <= len);
                at = extent.end();
            }
            Err(_) => break,
        }
    }
}
