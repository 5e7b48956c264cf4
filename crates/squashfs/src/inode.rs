//! Inodes.

use crate::metadata::Metadata;
use h2k_block::{Error, Meter, Result};
use h2k_fs::FileKind;

pub(crate) const NAME: &str = "inode";
/// Longest target of a link.
const MOST_TARGET: u32 = 65_536;

/// A stored block of a file: where it lies, and its size with the bit that says it is not compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) at: u64,
    pub(crate) size: u32,
}

/// What kind of thing an inode is, with what only that kind has.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Dir {
        block: u32,
        offset: u16,
        len: u32,
    },
    /// Blocks, and the fragment that holds the end with its offset there.
    File {
        blocks: Vec<Stored>,
        fragment: Option<(u32, u32)>,
    },
    Link(Vec<u8>),
    Other(FileKind, Option<u32>),
}

/// An inode.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) at: u64,
    pub(crate) mode: u16,
    pub(crate) uid: u16,
    pub(crate) gid: u16,
    pub(crate) mtime: u32,
    pub(crate) number: u32,
    pub(crate) links: u32,
    pub(crate) len: u64,
    pub(crate) xattr: u32,
    pub(crate) body: Body,
}

/// Reads the inode that `reference` names: a block of the table at byte `table`, and a byte in it.
pub(crate) fn read(
    metadata: &Metadata,
    table: u64,
    reference: u64,
    block: u32,
    meter: &mut Meter,
) -> Result<Inode> {
    let at = table.saturating_add(reference >> 16);
    let offset = u16::try_from(reference & 0xffff).unwrap_or(0);
    let mut cursor = metadata.cursor(at, offset);
    let bad = |what: String| Error::corrupt(NAME, at, what);
    let kind = cursor.u16()?;
    let mut inode = Inode {
        at,
        mode: cursor.u16()?,
        uid: cursor.u16()?,
        gid: cursor.u16()?,
        mtime: cursor.u32()?,
        number: cursor.u32()?,
        links: 1,
        len: 0,
        xattr: u32::MAX,
        body: Body::Link(Vec::new()),
    };
    match kind {
        1 => {
            let first = cursor.u32()?;
            inode.links = cursor.u32()?;
            let len = u32::from(cursor.u16()?);
            let offset = cursor.u16()?;
            inode.body = Body::Dir {
                block: first,
                offset,
                len,
            };
            inode.len = len.into();
        }
        8 => {
            inode.links = cursor.u32()?;
            let len = cursor.u32()?;
            let first = cursor.u32()?;
            let (_parent, _indexes) = (cursor.u32()?, cursor.u16()?);
            let offset = cursor.u16()?;
            inode.xattr = cursor.u32()?;
            inode.body = Body::Dir {
                block: first,
                offset,
                len,
            };
            inode.len = len.into();
        }
        2 | 9 => {
            let first;
            let fragment;
            if kind == 2 {
                first = u64::from(cursor.u32()?);
                fragment = (cursor.u32()?, cursor.u32()?);
                inode.len = cursor.u32()?.into();
            } else {
                first = cursor.u64()?;
                inode.len = cursor.u64()?;
                let _sparse = cursor.u64()?;
                inode.links = cursor.u32()?;
                fragment = (cursor.u32()?, cursor.u32()?);
                inode.xattr = cursor.u32()?;
            }
            let fragment = Some(fragment).filter(|f| f.0 != u32::MAX);
            let whole = inode.len.checked_div(block.into()).unwrap_or(0);
            let rest = inode.len.checked_rem(block.into()).unwrap_or(0);
            let count = whole.saturating_add(u64::from(rest != 0 && fragment.is_none()));
            // A list is as long as the file says; it is paid for before it is believed.
            meter.bytes(count.saturating_mul(16), "block list")?;
            let (mut blocks, mut next) = (Vec::new(), first);
            for _ in 0..count {
                meter.step("block list")?;
                let size = cursor.u32()?;
                blocks.push(Stored { at: next, size });
                next = next.saturating_add(u64::from(size & 0x00ff_ffff));
            }
            inode.body = Body::File {
                blocks,
                fragment: fragment.filter(|_| rest != 0),
            };
        }
        3 | 10 => {
            inode.links = cursor.u32()?;
            let len = cursor.u32()?;
            if len > MOST_TARGET {
                return Err(bad(format!(
                    "a link of {len} bytes, at most {MOST_TARGET} are read"
                )));
            }
            let mut target = vec![0; usize::try_from(len).unwrap_or(0)];
            cursor.fill(&mut target)?;
            if kind == 10 {
                inode.xattr = cursor.u32()?;
            }
            inode.len = len.into();
            inode.body = Body::Link(target);
        }
        4 | 5 | 11 | 12 => {
            inode.links = cursor.u32()?;
            let device = cursor.u32()?;
            if kind > 10 {
                inode.xattr = cursor.u32()?;
            }
            let kind = if matches!(kind, 4 | 11) {
                FileKind::BlockDevice
            } else {
                FileKind::CharDevice
            };
            inode.body = Body::Other(kind, Some(device));
        }
        6 | 7 | 13 | 14 => {
            inode.links = cursor.u32()?;
            if kind > 12 {
                inode.xattr = cursor.u32()?;
            }
            let kind = if matches!(kind, 6 | 13) {
                FileKind::Fifo
            } else {
                FileKind::Socket
            };
            inode.body = Body::Other(kind, None);
        }
        other => return Err(bad(format!("is of the unknown type {other}"))),
    }
    Ok(inode)
}

impl Inode {
    pub(crate) fn kind(&self) -> FileKind {
        match &self.body {
            Body::Dir { .. } => FileKind::Dir,
            Body::File { .. } => FileKind::File,
            Body::Link(_) => FileKind::Link,
            Body::Other(kind, _) => *kind,
        }
    }

    /// Major and minor number, as Linux packs them into 32 bits.
    pub(crate) fn device(&self) -> Option<(u32, u32)> {
        match self.body {
            Body::Other(_, Some(d)) => Some((d >> 8 & 0xfff, d & 0xff | d >> 12 & 0xf_ff00)),
            _ => None,
        }
    }
}
