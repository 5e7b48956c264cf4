//! Which filesystem is written by whom: one line each, as in `open.rs`.

use crate::open::can_open;
use h2k_block::{Error, Limits, Overlay, Result};
use h2k_fs::{FsWrite, Time};
use std::sync::Arc;

/// Opens a filesystem for writing into an overlay.
type Open = fn(Arc<Overlay>, &Limits, Time) -> Result<Box<dyn FsWrite>>;

struct Writer {
    /// As `blkid` (and `h2k_volume::identify`) spells it.
    kinds: &'static [&'static str],
    open: Open,
}

/// Adding a filesystem is adding a line.
const WRITERS: &[Writer] = &[
    Writer {
        kinds: &["ext2", "ext3", "ext4"],
        open: |over, limits, now| boxed(h2k_ext4::open_writer(over, limits, now)?),
    },
    Writer {
        kinds: &["vfat"],
        open: |over, limits, now| boxed(h2k_fat::open_writer(over, limits, now)?),
    },
];

fn boxed(fs: impl FsWrite + 'static) -> Result<Box<dyn FsWrite>> {
    Ok(Box::new(fs))
}

fn writer(kind: &str) -> Option<&'static Writer> {
    WRITERS.iter().find(|writer| writer.kinds.contains(&kind))
}

/// Whether filesystems of this kind, as `blkid` spells it, are written.
#[must_use]
pub fn can_write(kind: &str) -> bool {
    writer(kind).is_some()
}

/// Opens the filesystem of that kind, as `blkid` spells it, for writing into `over`. Operations are stamped with `now`
/// until [`FsWrite::set_clock`] says otherwise; [`FsWrite::settle`] has to be the last one.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`], with the kind's name, for kinds that are read but not written and for those that
/// are not even read; else as the filesystem's own `open_writer`.
pub fn open_writer(kind: &str, over: Arc<Overlay>, limits: &Limits, now: Time) -> Result<Box<dyn FsWrite>> {
    let Some(writer) = writer(kind) else {
        return Err(Error::unsupported(if can_open(kind) {
            format!("{kind} is read but not written")
        } else {
            format!("{kind} is recognised; its files are neither read nor written")
        }));
    };
    (writer.open)(over, limits, now)
}
