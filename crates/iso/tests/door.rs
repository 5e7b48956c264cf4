//! The doors hostile discs come through: the same functions serve the mutation tests and the fuzz targets.

use h2k_block::{BlockRead, Limits};
use h2k_fs::FsRead;
use h2k_iso::iso9660::{self, Options, View};
use h2k_testkit::door;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    steps: 4_000,
    depth: 16,
};

/// Opens `disk` in every view and asks everything of its first entries. Errors are the expected answer.
pub fn knock(disk: Arc<dyn BlockRead>) {
    for view in [View::Best, View::Joliet] {
        knock_in(disk.clone(), view);
    }
}

/// The same for UDF.
pub fn knock_udf(disk: Arc<dyn BlockRead>) {
    let len = disk.len();
    if let Ok(fs) = h2k_iso::udf::open(disk, &LIMITS) {
        ask(&fs, len);
    }
}

/// The same in one view.
pub fn knock_in(disk: Arc<dyn BlockRead>, view: View) {
    let len = disk.len();
    let options = Options {
        view,
        ..Options::default()
    };
    if let Ok(fs) = iso9660::open_with(disk, &LIMITS, options) {
        ask(&fs, len);
    }
}

/// Asks everything of the first entries of `fs`, on a volume of `len` bytes.
fn ask(fs: &dyn FsRead, len: u64) {
    door::ask(fs, fs.root(), len, LIMITS, 24, &mut |node| {
        let _ = fs.streams(node, &mut |_| ControlFlow::Continue(()));
    });
}
