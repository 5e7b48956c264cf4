//! The door hostile images come through when they are written to: for the mutation tests and the fuzz target.
#![allow(dead_code)]

use h2k_block::{BlockRead, Limits, Meter, Overlay};
use h2k_fs::{Attributes, FileKind, FsRead, FsWrite, Node, Time, walk};
use h2k_testkit::twins::remove_some;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 100_000,
    depth: 16,
};

/// Opens `bytes` for writing and does one of everything with what is found there. Whatever happens, it has to end
/// soon, without a panic and in bounded memory; after a refused operation the volume reads as before.
pub fn knock(disk: Arc<dyn BlockRead>) {
    let over = Arc::new(Overlay::with_limit(disk, 16 << 20));
    let now = Time {
        seconds: 1_790_000_000,
        nanos: 1,
    };
    let Ok(mut fs) = h2k_ext4::open_writer(over.clone(), &LIMITS, now) else {
        return;
    };
    let mut found: Vec<(Node, FileKind)> = vec![(fs.root(), FileKind::Dir)];
    let mut meter = Meter::new(Limits { steps: 60, ..LIMITS });
    let _ = walk(
        &fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            if let Ok(stat) = visit.stat {
                found.push((visit.node, stat.kind));
            }
            ControlFlow::Continue(())
        },
        &mut |_, _| {},
    );
    // One of each kind is enough, and the directory that comes last: it is the deepest one.
    let pick = |kind: FileKind, n: usize| {
        let all: Vec<Node> = found
            .iter()
            .filter(|(_, k)| *k == kind)
            .map(|(n, _)| *n)
            .collect();
        all.get(n.min(all.len().saturating_sub(1))).copied()
    };
    let root = fs.root();
    let dirs = [
        root,
        pick(FileKind::Dir, 1).unwrap_or(root),
        pick(FileKind::Dir, 9).unwrap_or(root),
    ];
    for (n, dir) in dirs.into_iter().enumerate() {
        let name = format!("{n}{}", "long".repeat(n * 30));
        let before = pages(&over, n);
        let made = fs.create(dir, name.as_bytes(), 0o644);
        unchanged(&over, n, &before, made.is_err());
        if let Ok(file) = made {
            let _ = fs.write_at(file, 5000, &[7; 3000]);
            let _ = fs.set_xattr(file, b"user.x", &[1; 300]);
            let _ = fs.rename(dir, name.as_bytes(), root, b"moved");
        }
        let _ = fs.mkdir(dir, b"made", 0o755);
        let _ = fs.symlink(dir, b"link to", &[b'x'; 70]);
        let _ = fs.rmdir(dir, b"sub");
        let _ = fs.rename(dir, b"sub", root, b"sub moved");
    }
    for n in 0..3 {
        let Some(file) = pick(FileKind::File, n * 5) else {
            break;
        };
        let before = pages(&over, n);
        let done = fs.append(file, &[9; 2000]);
        unchanged(&over, n, &before, done.is_err());
        let _ = fs.truncate(file, 700);
        let _ = fs.replace(file, b"replaced");
        let _ = fs.set_xattr(file, b"security.selinux", b"label");
        let _ = fs.remove_xattr(file, b"user.large");
        let _ = fs.set_attributes(
            file,
            &Attributes {
                mode: Some(0o600),
                ..Attributes::default()
            },
        );
        let _ = fs.add_name(root, b"other name", file);
    }
    for dir in dirs {
        remove_some(&mut fs, dir, 6);
    }
    let _ = fs.settle();
}

/// Superblock and descriptors, now and then. Not more: a lying bitmap may have made a file's block a free one, and
/// what lies in free blocks is nobody's loss.
fn pages(over: &Overlay, n: usize) -> Vec<u8> {
    if n > 0 {
        return Vec::new();
    }
    let mut bytes = vec![0; usize::try_from(over.len().min(3072)).unwrap_or(0)];
    let _ = over.read_at(0, &mut bytes);
    bytes
}

/// What a failed operation touched of them is as it was.
fn unchanged(over: &Overlay, n: usize, before: &[u8], failed: bool) {
    if failed && n == 0 {
        let now = pages(over, n);
        for (a, b) in before.chunks(1024).zip(now.chunks(1024)) {
            assert!(
                a == b || h2k_block::is_zero(a),
                "a failed operation left something behind"
            );
        }
    }
}
