//! From file blocks to volume blocks: the extent records of a fork, in the inode or in a B+tree.

use crate::layout::{LONG_CRC, LONG_V5, LongBlock, be16, be64, fork, magic};
use crate::tree::Volume;
use h2k_block::{Error, Result};
use std::sync::Arc;
use zerocopy::FromBytes;

/// Levels a B+tree of extents can have: 2^63 file blocks at the smallest block size stay far below.
const LEVELS: u16 = 16;
const RECORD: usize = 16;
const NAME: &str = "extent B+tree block";

/// What an inode's fork holds.
pub(crate) enum Fork {
    /// The content itself.
    Local(Box<[u8]>),
    /// Extent records, ascending.
    Extents(Box<[Record]>),
    /// The root of a B+tree of extent records.
    Tree(Root),
}

/// The root of a B+tree in the inode: first file block and fsblock number of each child.
pub(crate) struct Root {
    level: u16,
    children: Box<[(u64, u64)]>,
}

/// One extent of a fork, all in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// First block in the file.
    pub(crate) start: u64,
    /// fsblock number of the first block.
    pub(crate) block: u64,
    /// How many blocks.
    pub(crate) count: u64,
    /// Allocated but never written: reads as zero.
    pub(crate) unwritten: bool,
}

impl Record {
    /// The packed 128 bits: 1 flag, 54 file block, 52 fsblock, 21 count.
    fn unpack(bytes: &[u8; RECORD]) -> Self {
        let all = u128::from_be_bytes(*bytes);
        let field = |shift: u32, bits: u32| {
            let mask = 1_u128.checked_shl(bits).unwrap_or(0).saturating_sub(1);
            u64::try_from(all.checked_shr(shift).unwrap_or(0) & mask).unwrap_or(0)
        };
        Self {
            unwritten: field(127, 1) == 1,
            start: field(73, 54),
            block: field(21, 52),
            count: field(0, 21),
        }
    }

    /// First file block after the extent.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.count)
    }
}

/// What lies at a file block.
pub(crate) enum Found {
    /// An extent that covers it.
    Extent(Record),
    /// Nothing, at least up to this file block.
    Hole(u64),
}

impl Fork {
    /// Takes apart a fork of `format` that says it has `count` extents.
    pub(crate) fn parse(format: u8, bytes: &[u8], count: u64) -> std::result::Result<Self, String> {
        match format {
            fork::EXTENTS => {
                let (records, _) = bytes.as_chunks::<RECORD>();
                let count = usize::try_from(count).ok().filter(|n| *n <= records.len());
                let count = count
                    .ok_or_else(|| format!("more extents than the {} a fork has room for", records.len()))?;
                let records: Box<[Record]> = records.iter().take(count).map(Record::unpack).collect();
                if !records.is_sorted_by(|a, b| a.end() <= b.start) {
                    return Err("its extents overlap or do not ascend".to_owned());
                }
                Ok(Self::Extents(records))
            }
            fork::BTREE => Root::parse(bytes).map(Self::Tree),
            other => Err(format!("the fork has format {other}, which is not known")),
        }
    }

    /// What lies at file block `at`. `owner` is where errors point.
    pub(crate) fn find(&self, volume: &Volume, owner: u64, at: u64) -> Result<Found> {
        match self {
            Self::Local(_) => Ok(Found::Hole(u64::MAX)),
            Self::Extents(records) => Ok(search(records.len(), |i| records.get(i).copied(), at, u64::MAX)),
            Self::Tree(root) => root.find(volume, owner, at),
        }
    }
}

/// The record that covers `at` among `count` ascending ones, or the hole up to the next (at most `limit`).
fn search(count: usize, record: impl Fn(usize) -> Option<Record>, at: u64, limit: u64) -> Found {
    let (mut low, mut high) = (0_usize, count);
    // The first record that ends after `at`.
    while low < high {
        let middle = low.midpoint(high);
        if record(middle).is_some_and(|r| r.end() <= at) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    match record(low).filter(|_| low < count) {
        Some(found) if found.start <= at && found.end() > at => Found::Extent(found),
        Some(next) if next.start > at => Found::Hole(next.start.min(limit)),
        _ => Found::Hole(limit),
    }
}

impl Root {
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let level = be16(bytes, 0).unwrap_or(0);
        let count = usize::from(be16(bytes, 2).unwrap_or(0));
        let room = bytes.len().saturating_sub(4) / 16;
        if level == 0 || level > LEVELS || count == 0 || count > room {
            return Err(format!(
                "the B+tree root has level {level} and {count} children, room for {room}"
            ));
        }
        let children = (0..count).filter_map(|i| child(bytes, 4, room, i)).collect();
        Ok(Self { level, children })
    }

    fn find(&self, volume: &Volume, owner: u64, at: u64) -> Result<Found> {
        let sb = &volume.geometry;
        let after = self.children.partition_point(|(start, _)| *start <= at);
        let mut limit = self.children.get(after).map_or(u64::MAX, |(start, _)| *start);
        let Some((_, mut next)) = after.checked_sub(1).and_then(|i| self.children.get(i)).copied() else {
            return Ok(Found::Hole(limit));
        };
        let mut level = self.level;
        loop {
            level = level.saturating_sub(1);
            let Some(byte) = sb.byte(next, 1) else {
                return Err(Error::corrupt(
                    NAME,
                    owner,
                    format!("block {next:#x} lies outside the volume"),
                ));
            };
            let block = node(volume, byte, level)?;
            let (header, count) = (block.header, block.count);
            if level == 0 {
                let record = |i: usize| {
                    let from = header.checked_add(i.checked_mul(RECORD)?)?;
                    block.bytes.get(from..)?.first_chunk().map(Record::unpack)
                };
                return Ok(search(count, record, at, limit));
            }
            let room = block.bytes.len().saturating_sub(header) / 16;
            let start = |i: usize| child(&block.bytes, header, room, i);
            let (mut low, mut high) = (0_usize, count);
            while low < high {
                let middle = low.midpoint(high);
                if start(middle).is_some_and(|(s, _)| s <= at) {
                    low = middle.saturating_add(1);
                } else {
                    high = middle;
                }
            }
            if low < count
                && let Some((s, _)) = start(low)
            {
                limit = limit.min(s);
            }
            match low.checked_sub(1).and_then(start) {
                Some((_, below)) => next = below,
                None => return Ok(Found::Hole(limit)),
            }
        }
    }
}

/// Key and pointer number `i` of a node whose arrays have `room` places each and begin at `header`.
fn child(bytes: &[u8], header: usize, room: usize, i: usize) -> Option<(u64, u64)> {
    let keys = header.checked_add(i.checked_mul(8)?)?;
    Some((
        be64(bytes, keys)?,
        be64(bytes, keys.checked_add(room.checked_mul(8)?)?)?,
    ))
}

struct NodeBlock {
    bytes: Arc<[u8]>,
    header: usize,
    count: usize,
}

fn node(volume: &Volume, at: u64, level: u16) -> Result<NodeBlock> {
    let sb = &volume.geometry;
    let bytes = volume.block(at, sb.block, NAME, Some(LONG_CRC))?;
    let (head, _) =
        LongBlock::ref_from_prefix(&bytes).map_err(|_| Error::corrupt(NAME, at, "is too short"))?;
    let (want, header) = if sb.has_crc {
        (magic::BMAP_V5, LONG_V5)
    } else {
        (magic::BMAP, size_of::<LongBlock>())
    };
    if head.magic != want {
        return Err(Error::corrupt(
            NAME,
            at,
            format!("magic is {:02x?}, expected {want:02x?}", head.magic),
        ));
    }
    if head.level.get() != level {
        return Err(Error::corrupt(
            NAME,
            at,
            format!("level is {}, expected {level}", head.level),
        ));
    }
    let count = usize::from(head.numrecs.get());
    let room = bytes.len().saturating_sub(header) / 16;
    if count > room {
        return Err(Error::corrupt(
            NAME,
            at,
            format!("{count} records, room for {room}"),
        ));
    }
    Ok(NodeBlock { bytes, header, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_unpacks_to_its_four_fields() {
        let all: u128 = 1 << 127 | 5 << 73 | 0x1234 << 21 | 7;
        let r = Record::unpack(&all.to_be_bytes());
        assert_eq!(
            r,
            Record {
                start: 5,
                block: 0x1234,
                count: 7,
                unwritten: true
            }
        );
    }

    #[test]
    fn search_finds_extents_and_the_holes_between_them() {
        let records = [(2, 3), (10, 1)].map(|(start, count)| Record {
            start,
            block: 100,
            count,
            unwritten: false,
        });
        let at = |n| match search(2, |i| records.get(i).copied(), n, 50) {
            Found::Extent(r) => (r.start, true),
            Found::Hole(end) => (end, false),
        };
        assert_eq!(
            [0, 2, 4, 5, 10, 11].map(at),
            [
                (2, false),
                (2, true),
                (2, true),
                (10, false),
                (10, true),
                (50, false)
            ]
        );
    }
}
