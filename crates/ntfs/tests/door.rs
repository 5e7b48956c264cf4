//! The door hostile volumes come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits};
use h2k_fs::FsRead;
use h2k_testkit::door::ask;
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
    let mut buf = vec![0; 8192];
    ask(&fs, fs.root(), len, LIMITS, 40, &mut |node| {
        let mut streams = Vec::new();
        let _ = fs.streams(node, &mut |s| {
            streams.push(s.node);
            ControlFlow::Continue(())
        });
        for stream in streams.into_iter().take(4) {
            let _ = fs.read_at(stream, 0, &mut buf);
        }
    });
}
