//! Inodes.

use crate::layout::{InodeItem, Key, Timespec, kind};
use crate::tree::Root;
use crate::volume::Volume;
use h2k_block::{Error, Result};
use h2k_fs::{FileKind, Time};
use zerocopy::FromBytes;

/// What a file, directory or link is.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    /// Number within its subvolume.
    pub(crate) number: u64,
    pub(crate) kind: FileKind,
    pub(crate) mode: u16,
    pub(crate) size: u64,
    /// Bytes that its extents occupy, inline ones included.
    pub(crate) nbytes: u64,
    pub(crate) links: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) device: Option<(u32, u32)>,
    pub(crate) flags: u64,
    pub(crate) atime: Time,
    pub(crate) ctime: Time,
    pub(crate) mtime: Time,
    pub(crate) otime: Option<Time>,
    /// Logical address of its leaf, for errors.
    pub(crate) at: u64,
}

/// The inode `number` of the subvolume whose tree is `root`.
pub(crate) fn read(volume: &Volume, root: &Root, number: u64) -> Result<Inode> {
    let Some(cursor) = root.get(volume, Key::new(number, kind::INODE, 0))? else {
        // Numbers come from directory entries, so somebody's entry leads nowhere.
        let what = format!("there is no inode {number}, to which a directory leads");
        return Err(Error::corrupt("inode item", root.at, what));
    };
    let at = cursor.at();
    let bad = |what: String| Error::corrupt("inode item", at, format!("inode {number}: {what}"));
    let bytes = cursor.item().map_or(&[][..], |(_, bytes)| bytes);
    let (item, _) = InodeItem::ref_from_prefix(bytes).map_err(|_| {
        bad(format!(
            "has {} bytes, {} were expected",
            bytes.len(),
            size_of::<InodeItem>()
        ))
    })?;
    let mode = item.mode.get();
    let kind = FileKind::from_mode(mode).ok_or_else(|| bad(format!("mode {mode:#o} is of no type")))?;
    if item.size.get() > i64::MAX.unsigned_abs() {
        return Err(bad(format!("size {:#x} is above 2^63", item.size)));
    }
    let device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice).then(|| {
        // 12 bits of major above 20 bits of minor.
        let number = u32::try_from(item.rdev.get()).unwrap_or(u32::MAX);
        (number >> 20, number & 0xf_ffff)
    });
    Ok(Inode {
        number,
        kind,
        mode: u16::try_from(mode & 0o7777).unwrap_or(0),
        size: item.size.get(),
        nbytes: item.nbytes.get(),
        links: item.nlink.get(),
        uid: item.uid.get(),
        gid: item.gid.get(),
        device,
        flags: item.flags.get(),
        atime: time(&item.atime),
        ctime: time(&item.ctime),
        mtime: time(&item.mtime),
        // Inodes from before Linux 3.17 have none.
        otime: Some(time(&item.otime)).filter(|t| *t != Time::default()),
        at,
    })
}

pub(crate) fn time(t: &Timespec) -> Time {
    Time {
        seconds: t.sec.get(),
        nanos: t.nsec.get().min(999_999_999),
    }
}
