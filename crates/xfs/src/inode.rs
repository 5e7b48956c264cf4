//! Inodes: found by number, checked, and split into their forks.

use crate::bmap::Fork;
use crate::feature::incompat;
use crate::layout::{
    DINODE_CRC, Dinode, DinodeV3, FLAG2_BIGTIME, FLAG2_NREXT64, Timestamp, crc_agrees, fork,
};
use crate::tree::Volume;
use h2k_block::{Error, Result};
use h2k_fs::{FileKind, Time};
use zerocopy::FromBytes;

const NAME: &str = "inode";

/// An inode after validation.
pub(crate) struct Inode {
    pub(crate) number: u64,
    /// Byte offset on the volume: where errors point.
    pub(crate) at: u64,
    pub(crate) kind: FileKind,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) blocks: u64,
    pub(crate) atime: Time,
    pub(crate) mtime: Time,
    pub(crate) ctime: Time,
    pub(crate) created: Option<Time>,
    pub(crate) flags: u16,
    pub(crate) device: Option<(u32, u32)>,
    pub(crate) data: Fork,
    pub(crate) attributes: Option<Fork>,
}

/// Reads inode `number`.
pub(crate) fn read(volume: &Volume, number: u64) -> Result<Inode> {
    let sb = &volume.geometry;
    let Some(at) = sb.inode_byte(number) else {
        return Err(Error::corrupt(
            NAME,
            0,
            format!("number {number} lies outside the volume"),
        ));
    };
    let block_at = at & !u64::from(sb.block.saturating_sub(1));
    let block = volume.block(block_at, sb.block, "inode block", None)?;
    let from = usize::try_from(at.saturating_sub(block_at)).unwrap_or(usize::MAX);
    let size = usize::try_from(sb.inode).unwrap_or(usize::MAX);
    let bytes = block.get(from..).and_then(|b| b.get(..size));
    let bytes = bytes.ok_or_else(|| Error::corrupt(NAME, at, "the inode block is too short"))?;
    parse(volume, number, at, bytes)
}

fn parse(volume: &Volume, number: u64, at: u64, bytes: &[u8]) -> Result<Inode> {
    let sb = &volume.geometry;
    let bad = |what: String| Error::corrupt(NAME, at, format!("inode {number}: {what}"));
    let (core, rest) = Dinode::ref_from_prefix(bytes).map_err(|_| bad("is too short".to_owned()))?;
    if core.magic != *b"IN" {
        return Err(bad(format!("magic is {:02x?}, expected \"IN\"", core.magic)));
    }
    let v3 = match (core.version, sb.v5) {
        (1 | 2, false) => None,
        (3, true) => {
            let (v3, _) = DinodeV3::ref_from_prefix(rest).map_err(|_| bad("is too short".to_owned()))?;
            if !crc_agrees(bytes, DINODE_CRC) {
                return Err(bad("the checksum does not agree with the content".to_owned()));
            }
            if v3.ino.get() != number {
                return Err(bad(format!("says it is inode {}", v3.ino.get())));
            }
            Some(v3)
        }
        (version, _) => {
            return Err(bad(format!(
                "has version {version}, which this volume cannot have"
            )));
        }
    };
    let mode = core.mode.get();
    if mode == 0 {
        return Err(bad("is free".to_owned()));
    }
    let kind =
        FileKind::from_mode(mode.into()).ok_or_else(|| bad(format!("mode {mode:#o} is of no kind")))?;
    let literal = if v3.is_some() { 176 } else { 100 };
    let area = bytes.get(literal..).unwrap_or_default();
    let flags2 = v3.map_or(0, |v| v.flags2.get());
    let wide = flags2 & FLAG2_NREXT64 != 0 && sb.allows(incompat::NREXT64);
    let (data_extents, attr_extents) = if wide {
        (core.big_nextents.get(), u64::from(core.nextents.get()))
    } else {
        (core.nextents.get().into(), core.anextents.get().into())
    };
    let split = usize::from(core.forkoff).saturating_mul(8);
    if split > area.len() {
        return Err(bad(format!(
            "the attribute fork begins at {split} of {} bytes",
            area.len()
        )));
    }
    let (data, attr) = if split == 0 {
        (area, &[][..])
    } else {
        area.split_at(split)
    };
    let size = core.size.get();
    let device = (core.format == fork::DEV).then(|| device(data)).flatten();
    let data = match core.format {
        fork::DEV => Fork::Local(Box::default()),
        fork::LOCAL => {
            let len = usize::try_from(size).ok().filter(|n| *n <= data.len());
            let len = len.ok_or_else(|| bad(format!("{size} bytes lie in a fork of {}", data.len())))?;
            Fork::Local(data.get(..len).unwrap_or_default().into())
        }
        format => Fork::parse(format, data, data_extents).map_err(bad)?,
    };
    let attributes = match (split, core.aformat) {
        (0, _) => None,
        (_, fork::LOCAL) => Some(Fork::Local(attr.into())),
        (_, format) => Some(Fork::parse(format, attr, attr_extents).map_err(bad)?),
    };
    let big = flags2 & FLAG2_BIGTIME != 0 && sb.allows(incompat::BIGTIME);
    Ok(Inode {
        number,
        at,
        kind,
        mode: mode & 0o7777,
        uid: core.uid.get(),
        gid: core.gid.get(),
        // Version 1 keeps its count where later versions have padding.
        links: if core.version == 1 {
            core.onlink.get().into()
        } else {
            core.nlink.get()
        },
        size,
        blocks: core.nblocks.get(),
        atime: time(core.atime, big),
        mtime: time(core.mtime, big),
        ctime: time(core.ctime, big),
        created: v3.map(|v| time(v.crtime, big)),
        flags: core.flags.get(),
        device,
        data,
        attributes,
    })
}

/// Nanoseconds since the smallest 32-bit second, or seconds and nanoseconds.
fn time(stamp: Timestamp, big: bool) -> Time {
    if !big {
        return Time {
            seconds: stamp.seconds.get().into(),
            nanos: stamp.nanos.get().min(999_999_999),
        };
    }
    let high = u64::from(u32::from_ne_bytes(stamp.seconds.get().to_ne_bytes()));
    let all = high << 32 | u64::from(stamp.nanos.get());
    let seconds = i64::try_from(all / 1_000_000_000).unwrap_or(i64::MAX);
    Time {
        seconds: seconds.saturating_sub(1 << 31),
        nanos: u32::try_from(all % 1_000_000_000).unwrap_or(0),
    }
}

/// Device numbers are stored as IRIX did: 14 bits of major over 18 bits of minor.
fn device(fork: &[u8]) -> Option<(u32, u32)> {
    let both = crate::layout::be32(fork, 0)?;
    Some((both >> 18, both & 0x3_ffff))
}
