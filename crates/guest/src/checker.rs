//! Which filesystem's structure is checked by whom: one line each, as in `open.rs`.

use h2k_block::{BlockRead, Error, Findings, Limits, Result};
use std::sync::Arc;

struct Checker {
    /// As `blkid` (and `h2k_volume::identify`) spells it.
    kinds: &'static [&'static str],
    check: fn(Arc<dyn BlockRead>, &Limits) -> Result<Findings>,
}

/// Adding a filesystem is adding a line.
const CHECKERS: &[Checker] = &[
    Checker {
        kinds: &["ext2", "ext3", "ext4"],
        check: h2k_ext4::check,
    },
    Checker {
        kinds: &["vfat"],
        check: h2k_fat::check,
    },
];

fn checker(kind: &str) -> Option<&'static Checker> {
    CHECKERS.iter().find(|checker| checker.kinds.contains(&kind))
}

/// Whether the structure of filesystems of this kind, as `blkid` spells it, is checked.
#[must_use]
pub fn can_check(kind: &str) -> bool {
    checker(kind).is_some()
}

/// Checks the filesystem of that kind on `disk`.
pub(crate) fn check(kind: &str, disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Findings> {
    let Some(checker) = checker(kind) else {
        return Err(Error::unsupported(format!(
            "the structure of {kind} is not checked"
        )));
    };
    (checker.check)(disk, limits)
}
