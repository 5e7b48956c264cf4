//! What hostile filesystems are asked, by mutation tests and fuzz targets alike.

use h2k_block::{Limits, Meter};
use h2k_fs::{FileKind, FsRead, Node, walk};
use std::ops::ControlFlow;

/// Asks everything of the first `most` entries below `top`, and what is used on the volume of `len` bytes. Whatever
/// happens, it has to end soon, without a panic and in bounded memory; errors are the expected answer. `also` is
/// called for each entry, for what only one filesystem has. Says how many entries could be asked.
///
/// # Panics
/// When an answer breaks the promises of [`FsRead`]: runs that are empty, do not begin where asked, or go too far.
pub fn ask(
    fs: &dyn FsRead,
    top: Node,
    len: u64,
    limits: Limits,
    most: usize,
    also: &mut dyn FnMut(Node),
) -> usize {
    let _ = (fs.facts(), fs.usage());
    let mut left = most;
    let mut asked = 0;
    let mut buf = vec![0; 8192];
    let _ = walk(
        fs,
        top,
        &mut Meter::new(limits),
        &mut |visit| {
            left = left.saturating_sub(1);
            if let Ok(stat) = visit.stat {
                asked += 1;
                one(fs, visit.node, stat.kind, stat.len, &mut buf);
                also(visit.node);
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
        assert!(extent.start == at && extent.len > 0 && extent.end() <= len);
        at = extent.end();
    }
    asked
}

fn one(fs: &dyn FsRead, node: Node, kind: FileKind, len: u64, buf: &mut [u8]) {
    let _ = fs.xattrs(node, &mut |_, _| ControlFlow::Continue(()));
    match kind {
        FileKind::Dir => {
            let _ = fs.lookup(node, b"some name");
            let _ = fs.lookup(node, b"lost+found");
        }
        FileKind::Link => drop(fs.target(node)),
        FileKind::File if len > 0 => {
            for offset in [0, len / 2, len - 1] {
                let _ = fs.read_at(node, offset, buf);
            }
            let mut at = 0;
            for _ in 0..8 {
                let Ok(extent) = fs.file_extent_at(node, at, len) else {
                    break;
                };
                assert!(extent.run.start == at && extent.run.len > 0);
                at = extent.run.end();
                if at >= len {
                    break;
                }
            }
        }
        _ => {}
    }
}
