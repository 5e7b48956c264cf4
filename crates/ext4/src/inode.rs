//! Inodes: one record of the inode table, checked and with its halves put together.

use crate::bytes::{at, le32, wide};
use crate::feature::{incompat, ro_compat};
use crate::geometry::Geometry;
use crate::layout::{InodeBase, InodeExtra, inode_flag};
use h2k_block::{Error, Result};
use h2k_fs::{FileKind, Time};
use zerocopy::{FromBytes, IntoBytes};

/// An inode in memory.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Byte offset of its record on the volume, for messages.
    pub(crate) place: u64,
    /// The record, `inode_size` bytes.
    pub(crate) raw: Box<[u8]>,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Bytes of content.
    pub(crate) size: u64,
    pub(crate) links: u16,
    /// Bytes occupied on the volume.
    pub(crate) allocated: u64,
    /// `i_blocks` as it stands.
    pub(crate) blocks: u64,
    pub(crate) flags: u32,
    pub(crate) generation: u32,
    /// Block of extended attributes, 0 for none.
    pub(crate) file_acl: u64,
    /// `i_block`: extent root, block map, link target or inline data.
    pub(crate) block: [u8; 60],
    /// Bytes of the record after the first 128 that fields occupy; attributes follow.
    pub(crate) extra_isize: u16,
    pub(crate) atime: Time,
    pub(crate) ctime: Time,
    pub(crate) mtime: Time,
    pub(crate) crtime: Option<Time>,
    /// Project id, 0 where there is none.
    pub(crate) project: u32,
    /// `i_atime`, `i_mtime` and `i_version` as they stand: `ea_inode` keeps other things there.
    pub(crate) atime_raw: u32,
    pub(crate) mtime_raw: u32,
}

impl Inode {
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn kind(&self) -> Option<FileKind> {
        FileKind::from_mode(u32::from(self.mode))
    }

    /// An error about this inode.
    pub(crate) fn corrupt(&self, what: impl AsRef<str>) -> Error {
        Error::corrupt(
            "inode",
            self.place,
            format!("inode {}: {}", self.number, what.as_ref()),
        )
    }

    /// Refuses content or names that need a key.
    pub(crate) fn readable(&self) -> Result<()> {
        if self.has(inode_flag::ENCRYPT) {
            return Err(Error::unsupported(format!(
                "inode {} is encrypted (fscrypt); its content cannot be read without its key",
                self.number
            ))
            .at("inode", self.place));
        }
        Ok(())
    }

    /// Parses and checks the record of inode `number`, found at byte `place`.
    pub(crate) fn parse(geo: &Geometry, number: u32, place: u64, raw: &[u8]) -> Result<Self> {
        let cut = || Error::corrupt("inode", place, format!("inode {number} is cut off"));
        let base: &InodeBase = at(raw, 0).ok_or_else(cut)?;
        let extra = extra(raw).ok_or_else(|| {
            Error::corrupt(
                "inode",
                place,
                format!(
                    "inode {number}: i_extra_isize {:?} does not fit a record of {} bytes",
                    raw.get(128..130),
                    raw.len()
                ),
            )
        })?;
        let flags = base.flags.get();
        let kind = u32::from(base.mode.get()) & 0o170_000;
        let regular = kind == 0o100_000;
        let wide_size = regular || (kind == 0o040_000 && geo.has_incompat(incompat::LARGEDIR));
        let size = wide(
            base.size_lo.get(),
            if wide_size { base.size_high.get() } else { 0 },
        );
        let huge = geo.has_ro(ro_compat::HUGE_FILE);
        let blocks = wide(
            base.blocks_lo.get(),
            if huge {
                u32::from(base.blocks_high.get())
            } else {
                0
            },
        );
        let unit = if huge && flags & inode_flag::HUGE_FILE != 0 {
            geo.block_size()
        } else {
            512
        };
        let acl_hi = if geo.hurd || !geo.has_incompat(incompat::BIT64) {
            0
        } else {
            u32::from(base.file_acl_high.get())
        };
        let inode = Self {
            number,
            place,
            mode: base.mode.get(),
            uid: u32::from(base.uid.get()) | u32::from(base.uid_high.get()).rotate_left(16),
            gid: u32::from(base.gid.get()) | u32::from(base.gid_high.get()).rotate_left(16),
            size,
            links: base.links_count.get(),
            allocated: blocks.saturating_mul(unit),
            blocks,
            flags,
            generation: base.generation.get(),
            file_acl: wide(base.file_acl_lo.get(), acl_hi),
            block: base.block,
            extra_isize: extra.extra_isize.get(),
            atime: time(base.atime.get(), extra.atime_extra.get()),
            ctime: time(base.ctime.get(), extra.ctime_extra.get()),
            mtime: time(base.mtime.get(), extra.mtime_extra.get()),
            crtime: (extra.extra_isize.get() >= 24)
                .then(|| time(extra.crtime.get(), extra.crtime_extra.get())),
            project: extra.projid.get(),
            atime_raw: base.atime.get(),
            mtime_raw: base.mtime.get(),
            raw: raw.into(),
        };
        inode.check_sum(geo, base, &extra)?;
        // An extent names logical blocks with 32 bits, a block map fewer: no file can be longer.
        let longest = geo.block_size().saturating_mul(1 << 32);
        if inode.size > longest {
            return Err(inode.corrupt(format!("size {size} is more than a file can have ({longest})")));
        }
        Ok(inode)
    }

    fn check_sum(&self, geo: &Geometry, base: &InodeBase, extra: &InodeExtra) -> Result<()> {
        let Some(seed) = geo.seed else {
            return Ok(());
        };
        // `i_checksum_hi` exists when the extra fields reach past it.
        let has_hi = self.raw.len() > 128 && extra.extra_isize.get() >= 4;
        let computed = seed
            .inode(self.number, self.generation)
            .inode_record(&self.raw, has_hi);
        let found = u32::from(base.checksum_lo.get())
            | if has_hi {
                u32::from(extra.checksum_hi.get()).rotate_left(16)
            } else {
                0
            };
        let expected = crate::group::kept(computed, has_hi);
        // A record of zeros was never written and has no checksum.
        if found == expected || self.raw.iter().all(|b| *b == 0) {
            return Ok(());
        }
        Err(self.corrupt(format!("checksum {found:#010x}, computed {expected:#010x}")))
    }

    /// Major and minor number, in the old form (one word of 16 bits) or the new one.
    pub(crate) fn device(&self) -> Option<(u32, u32)> {
        if !matches!(self.kind(), Some(FileKind::CharDevice | FileKind::BlockDevice)) {
            return None;
        }
        let old = le32(&self.block, 0)?;
        if old != 0 {
            return Some(((old >> 8) & 0xff, old & 0xff));
        }
        let new = le32(&self.block, 4)?;
        Some(((new & 0xf_ff00) >> 8, (new & 0xff) | ((new >> 12) & 0xf_ff00)))
    }

    /// Whether the target of a link lies in `i_block` itself (ifork.rst, "Symbolic Links").
    pub(crate) fn is_fast_link(&self, geo: &Geometry) -> bool {
        if self.has(inode_flag::INLINE_DATA) || self.size >= 60 {
            return false;
        }
        if geo.has_incompat(incompat::EA_INODE) {
            return true;
        }
        // A link whose only block is its attributes keeps its target in the inode.
        let acl = if self.file_acl == 0 {
            0
        } else {
            let cluster = geo.block_size().checked_shl(geo.cluster_bits).unwrap_or(0);
            cluster >> 9
        };
        self.blocks <= acl
    }

    /// Where attributes inside the record begin, if there is room for any.
    pub(crate) fn xattrs_at(&self) -> Option<usize> {
        let start = usize::from(self.extra_isize).checked_add(128)?;
        (start.checked_add(4)? <= self.raw.len() && self.extra_isize > 0).then_some(start)
    }
}

/// The extra fields, as zeros from where `i_extra_isize` ends them; `None` if that lies outside the record.
fn extra(raw: &[u8]) -> Option<InodeExtra> {
    let rest = raw.get(128..)?;
    let mut fields = [0; size_of::<InodeExtra>()];
    if let Some(size) = rest.first_chunk::<2>() {
        let size = usize::from(u16::from_le_bytes(*size));
        if size % 4 != 0 || size > rest.len() {
            return None;
        }
        let n = size.min(fields.len());
        fields.get_mut(..n)?.copy_from_slice(rest.get(..n)?);
    }
    InodeExtra::read_from_bytes(&fields).ok()
}

/// Seconds with their two extra bits, and nanoseconds (inodes.rst, "Inode Timestamps").
fn time(seconds: u32, extra: u32) -> Time {
    let base = i64::from(i32::from_le_bytes(seconds.to_le_bytes()));
    let epoch = i64::from(extra & 3).saturating_mul(1 << 32);
    let nanos = extra >> 2;
    Time {
        seconds: base.saturating_add(epoch),
        nanos: if nanos < 1_000_000_000 { nanos } else { 0 },
    }
}

/// A record built from the journal inode's copy in the superblock (`s_jnl_blocks`).
pub(crate) fn from_backup(
    geo: &Geometry,
    number: u32,
    words: &[zerocopy::little_endian::U32; 17],
) -> Result<Inode> {
    let mut raw = vec![0; usize::from(geo.inode_size)];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = raw.get_mut(at..).and_then(|r| r.get_mut(..bytes.len())) {
            to.copy_from_slice(bytes);
        }
    };
    let [map @ .., size_high, size] = words;
    put(0, &0o100_600_u16.to_le_bytes());
    put(4, size.as_bytes());
    put(0x1a, &1_u16.to_le_bytes());
    put(0x28, map.as_bytes());
    put(0x6c, size_high.as_bytes());
    if map
        .first()
        .is_some_and(|w| w.get() & 0xffff == u32::from(crate::layout::EXTENT_MAGIC))
    {
        put(0x20, &inode_flag::EXTENTS.to_le_bytes());
    }
    let unchecked = Geometry {
        seed: None,
        ..geo.clone()
    };
    Inode::parse(&unchecked, number, crate::layout::SUPER_AT, &raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_reach_from_1901_to_2446() {
        // The table of inodes.rst: extra epoch bits and the sign bit of the seconds.
        let secs = |s, e| time(s, e).seconds;
        assert_eq!(secs(0x8000_0000, 0), -0x8000_0000);
        assert_eq!(secs(0x7fff_ffff, 0), 0x7fff_ffff);
        assert_eq!(secs(0x8000_0000, 1), 0x8000_0000);
        assert_eq!(secs(0x7fff_ffff, 1), 0x1_7fff_ffff);
        assert_eq!(secs(0x8000_0000, 2), 0x1_8000_0000);
        assert_eq!(secs(0x7fff_ffff, 3), 0x3_7fff_ffff);
        assert_eq!(time(0, 999_999_999 << 2).nanos, 999_999_999);
        assert_eq!(time(0, 0x3fff_ffff << 2).nanos, 0);
    }
}
