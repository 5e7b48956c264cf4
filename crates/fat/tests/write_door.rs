//! The door hostile volumes come through when they are written to: for the mutation tests and the fuzz target.
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

/// Everything that is not content: tables and, where it has a place of its own, the root directory.
fn head(over: &Overlay) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(over.len().min(8 << 10)).unwrap_or(0)];
    let _ = over.read_at(0, &mut bytes);
    bytes
}

/// Opens `disk` for writing and does one of everything with what is found there; says whether it was opened. Whatever
/// happens, it has to end soon, without a panic and in bounded memory; after a refused operation the volume reads as
/// before.
pub fn knock(disk: Arc<dyn BlockRead>) -> bool {
    let over = Arc::new(Overlay::with_limit(disk, 16 << 20));
    let now = Time {
        seconds: 1_790_000_000,
        nanos: 1,
    };
    let Ok(mut fs) = h2k_fat::open_writer(over.clone(), &LIMITS, now) else {
        return false;
    };
    let root = fs.root();
    let (mut dirs, mut files) = (vec![root], Vec::new());
    let _ = walk(
        &fs,
        root,
        &mut Meter::new(Limits { steps: 40, ..LIMITS }),
        &mut |visit| {
            match visit.stat {
                Ok(s) if s.kind == FileKind::Dir => dirs.push(visit.node),
                Ok(_) => files.push(visit.node),
                Err(_) => {}
            }
            ControlFlow::Continue(())
        },
        &mut |_, _| {},
    );
    let last = dirs.last().copied().unwrap_or(root);
    for (n, dir) in [root, last].into_iter().enumerate() {
        in_dir(&mut fs, &over, dir, n);
    }
    for (n, file) in files.into_iter().step_by(4).take(2).enumerate() {
        in_file(&mut fs, &over, file, n);
    }
    for dir in [last, root] {
        remove_some(&mut fs, dir, 4);
    }
    let _ = fs.settle();
    true
}

fn in_dir(fs: &mut dyn FsWrite, over: &Overlay, dir: Node, n: usize) {
    let root = fs.root();
    let name = format!("{n} {}", "long".repeat(1 + n * 30));
    let before = head(over);
    let made = fs.create(dir, name.as_bytes(), 0o644);
    assert!(
        made.is_ok() || before == head(over),
        "a failed operation left something behind"
    );
    if let Ok(file) = made {
        let _ = fs.write_at(file, 1500, &[7; 900]);
        let _ = fs.rename(dir, name.as_bytes(), root, b"moved");
    }
    if let Ok(made) = fs.mkdir(dir, b"made", 0o755) {
        let _ = fs.create(made, b"INSIDE", 0o444);
    }
    let _ = fs.rmdir(dir, b"sub");
    let before = head(over);
    let moved = fs.rename(dir, b"sub", root, b"sub moved");
    assert!(
        moved.is_ok() || before == head(over),
        "a failed operation left something behind"
    );
}

fn in_file(fs: &mut dyn FsWrite, over: &Overlay, file: Node, n: usize) {
    let before = head(over);
    let done = fs.append(file, &vec![9; 2000 << (n * 5)]);
    assert!(
        done.is_ok() || before == head(over),
        "a failed operation left something behind"
    );
    let _ = fs.truncate(file, 700);
    let _ = fs.replace(file, b"replaced");
    let attributes = Attributes {
        mode: Some(0o400),
        ..Attributes::default()
    };
    let _ = fs.set_attributes(file, &attributes);
}
