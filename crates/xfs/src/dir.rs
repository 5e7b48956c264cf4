//! Directories: names in the inode, in one block, or in data blocks with a hash tree beside them.

use crate::bmap::{Fork, Found};
use crate::inode::Inode;
use crate::layout::{DA_CRC, DIR_DATA_CRC, be16, be32, be64, magic};
use crate::tree::Volume;
use h2k_block::{Error, Result};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Directory offsets below this hold names, above it the hash tree.
const LEAF_OFFSET: u64 = 32 << 30;
/// Levels a hash tree can have (XFS_DA_NODE_MAXDEPTH).
const LEVELS: usize = 5;
const FREE: u16 = 0xffff;

/// A name and what it stands for.
pub(crate) struct Name<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) inode: u64,
    /// `XFS_DIR3_FT_*`, where the directory keeps it.
    pub(crate) ftype: Option<u8>,
}

pub(crate) type Each<'a> = dyn FnMut(Name<'_>) -> ControlFlow<()> + 'a;

/// Shows every name but `.` and `..` until `each` breaks.
pub(crate) fn list(volume: &Volume, dir: &Inode, each: &mut Each<'_>) -> Result<()> {
    if let Fork::Local(bytes) = &dir.data {
        let _shown = short_form(volume, dir, bytes, each)?;
        return Ok(());
    }
    let step = u64::from(volume.geometry.dir_block);
    let mut at = 0;
    while at < dir.size.min(LEAF_OFFSET) {
        match data_block(volume, dir, at)? {
            Ok(block) => {
                if entries(volume, &block, each)?.is_break() {
                    return Ok(());
                }
                at = at.saturating_add(step);
            }
            // Data blocks that were freed leave holes.
            Err(next) => at = floor(next.max(at.saturating_add(step)), step),
        }
    }
    Ok(())
}

/// The inode that `name` stands for.
pub(crate) fn lookup(volume: &Volume, dir: &Inode, name: &[u8]) -> Result<Option<u64>> {
    let ci = volume.geometry.ascii_ci;
    let equal = |other: &[u8]| other == name || (ci && other.eq_ignore_ascii_case(name));
    let mut found = None;
    if let Fork::Local(bytes) = &dir.data {
        let _shown = short_form(volume, dir, bytes, &mut |entry| {
            if equal(entry.name) {
                found = Some(entry.inode);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        return Ok(found);
    }
    if dir.size == 0 {
        return Ok(None);
    }
    let hash = if ci {
        hash(&name.to_ascii_lowercase())
    } else {
        hash(name)
    };
    for address in addresses(volume, dir, hash)? {
        let byte = u64::from(address).saturating_mul(8);
        let step = u64::from(volume.geometry.dir_block);
        let Ok(block) = data_block(volume, dir, floor(byte, step))? else {
            continue;
        };
        let within = usize::try_from(byte.saturating_sub(floor(byte, step))).unwrap_or(usize::MAX);
        let entry = entry(volume, &block, within).ok_or_else(|| {
            Error::corrupt(
                "directory entry",
                block.at,
                format!("the hash tree points at {byte:#x}, where no entry is"),
            )
        })?;
        if equal(entry.0.name) {
            return Ok(Some(entry.0.inode));
        }
    }
    Ok(None)
}

/// The multiple of `step` at or below `at`.
fn floor(at: u64, step: u64) -> u64 {
    at.saturating_sub(at.checked_rem(step).unwrap_or(0))
}

/// XFS's hash of a name.
fn hash(name: &[u8]) -> u32 {
    let (fours, rest) = name.as_chunks::<4>();
    let [a, b, c, d] = [21, 14, 7, 0];
    let word = |byte: u8, shift: u32| u32::from(byte) << shift;
    let sum = fours.iter().fold(0_u32, |h, [w, x, y, z]| {
        word(*w, a) ^ word(*x, b) ^ word(*y, c) ^ word(*z, d) ^ h.rotate_left(28)
    });
    match rest {
        [x, y, z] => word(*x, 14) ^ word(*y, 7) ^ word(*z, 0) ^ sum.rotate_left(21),
        [x, y] => word(*x, 7) ^ word(*y, 0) ^ sum.rotate_left(14),
        [x] => word(*x, 0) ^ sum.rotate_left(7),
        _ => sum,
    }
}

fn short_form(volume: &Volume, dir: &Inode, bytes: &[u8], each: &mut Each<'_>) -> Result<ControlFlow<()>> {
    let bad = |what: &str| {
        Error::corrupt(
            "short form directory",
            dir.at,
            format!("inode {}: {what}", dir.number),
        )
    };
    let [count, wide, rest @ ..] = bytes else {
        return Err(bad("has no header"));
    };
    let number = if *wide > 0 { 8 } else { 4 };
    let mut rest = rest.get(number..).ok_or_else(|| bad("ends in its header"))?;
    for _ in 0..*count {
        let entry = || -> Option<(Name<'_>, &[u8])> {
            let (len, after) = rest.split_first()?;
            let after = after.get(2..)?;
            let (name, after) = after.split_at_checked(usize::from(*len))?;
            let (ftype, after) = if volume.geometry.ftype {
                after.split_first().map(|(t, a)| (Some(*t), a))?
            } else {
                (None, after)
            };
            let (inode, after) = after.split_at_checked(number)?;
            let inode = if number == 8 {
                be64(inode, 0)?
            } else {
                be32(inode, 0)?.into()
            };
            Some((Name { name, inode, ftype }, after))
        };
        let (name, after) = entry().ok_or_else(|| bad("an entry runs past the end"))?;
        check_name(name.name).map_err(|what| bad(&what))?;
        if each(name).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        rest = after;
    }
    Ok(ControlFlow::Continue(()))
}

/// A directory block in memory.
struct Block {
    bytes: Arc<[u8]>,
    /// Byte offset on the volume.
    at: u64,
}

/// The data block at directory offset `at`; `Err` holds the next offset that may have one.
fn data_block(volume: &Volume, dir: &Inode, at: u64) -> Result<std::result::Result<Block, u64>> {
    let block = match dir_block(volume, dir, at, "directory data block", DIR_DATA_CRC)? {
        Ok(block) => block,
        Err(next) => return Ok(Err(next)),
    };
    let (data, single) = if volume.geometry.has_crc {
        (magic::DIR_DATA_V5, magic::DIR_BLOCK_V5)
    } else {
        (magic::DIR_DATA, magic::DIR_BLOCK)
    };
    let found = block.bytes.first_chunk::<4>().copied().unwrap_or_default();
    if found != data && found != single {
        let what = format!("magic is {found:02x?}, expected {data:02x?} or {single:02x?}");
        return Err(Error::corrupt("directory data block", block.at, what));
    }
    Ok(Ok(block))
}

/// The block of the directory's own size at directory offset `at`, put together if it lies in pieces.
fn dir_block(
    volume: &Volume,
    dir: &Inode,
    at: u64,
    what: &'static str,
    crc: usize,
) -> Result<std::result::Result<Block, u64>> {
    let sb = &volume.geometry;
    let first = at >> sb.block_log;
    let need = u64::from(sb.dir_block >> sb.block_log);
    let record = match dir.data.find(volume, dir.at, first)? {
        Found::Extent(record) => record,
        Found::Hole(next) => return Ok(Err(next.saturating_mul(sb.block.into()))),
    };
    let place = |record: &crate::bmap::Record, from: u64, count: u64| {
        let block = record.block.checked_add(from.checked_sub(record.start)?)?;
        sb.byte(block, count)
    };
    let outside = || {
        Error::corrupt(
            what,
            dir.at,
            format!("inode {}: an extent lies outside the volume", dir.number),
        )
    };
    let byte = place(&record, first, 1).ok_or_else(outside)?;
    if record.end().saturating_sub(first) >= need {
        place(&record, first, need).ok_or_else(outside)?;
        let bytes = volume.block(byte, sb.dir_block, what, Some(crc))?;
        return Ok(Ok(Block { bytes, at: byte }));
    }
    let mut whole = Vec::new();
    for n in 0..need {
        let here = first.saturating_add(n);
        let Found::Extent(record) = dir.data.find(volume, dir.at, here)? else {
            return Err(Error::corrupt(
                what,
                byte,
                "a directory block is only partly there",
            ));
        };
        let from = place(&record, here, 1).ok_or_else(outside)?;
        let mut piece = vec![0; usize::try_from(sb.block).unwrap_or(0)];
        volume
            .disk
            .read_at(from, &mut piece)
            .map_err(|e| e.at(what, from))?;
        whole.extend_from_slice(&piece);
    }
    if sb.has_crc && !crate::layout::crc_agrees(&whole, crc) {
        return Err(Error::corrupt(
            what,
            byte,
            "the checksum does not agree with the content",
        ));
    }
    Ok(Ok(Block {
        bytes: whole.into(),
        at: byte,
    }))
}

/// Bytes of a data block's header, and where its entries end.
fn bounds(volume: &Volume, block: &Block) -> (usize, usize) {
    let header = if volume.geometry.has_crc { 64 } else { 16 };
    let len = block.bytes.len();
    let single = matches!(
        block.bytes.first_chunk::<4>(),
        Some(&magic::DIR_BLOCK | &magic::DIR_BLOCK_V5)
    );
    if !single {
        return (header, len);
    }
    let tail = len.saturating_sub(8);
    let count = be32(&block.bytes, tail)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0);
    (header, tail.saturating_sub(count.saturating_mul(8)).max(header))
}

/// The entry at byte `at` of a data block, and its length; `None` where no entry can be.
fn entry<'a>(volume: &Volume, block: &'a Block, at: usize) -> Option<(Name<'a>, usize)> {
    let (header, end) = bounds(volume, block);
    if at < header || at >= end || be16(&block.bytes, at)? == FREE {
        return None;
    }
    let bytes = block.bytes.get(at..end)?;
    let inode = be64(bytes, 0)?;
    let len = usize::from(*bytes.get(8)?);
    let name = bytes.get(9..)?.get(..len)?;
    let ftype = volume
        .geometry
        .ftype
        .then(|| bytes.get(len.saturating_add(9)).copied())
        .flatten();
    // Inode number, length, name, type, and a tag of two bytes at the end, rounded up to eight.
    let used = len
        .saturating_add(11)
        .saturating_add(volume.geometry.ftype.into())
        .next_multiple_of(8);
    (used <= bytes.len()).then_some((Name { name, inode, ftype }, used))
}

fn entries(volume: &Volume, block: &Block, each: &mut Each<'_>) -> Result<ControlFlow<()>> {
    let (mut at, end) = bounds(volume, block);
    let place = |at: usize| block.at.saturating_add(u64::try_from(at).unwrap_or(0));
    while at < end {
        if be16(&block.bytes, at) == Some(FREE) {
            let len = usize::from(be16(&block.bytes, at.saturating_add(2)).unwrap_or(0));
            if len < 8 || len % 8 != 0 || len > end.saturating_sub(at) {
                return Err(Error::corrupt(
                    "directory data block",
                    place(at),
                    format!("free space of {len} bytes"),
                ));
            }
            at = at.saturating_add(len);
            continue;
        }
        let Some((name, used)) = entry(volume, block, at) else {
            return Err(Error::corrupt(
                "directory entry",
                place(at),
                "runs past the end of its block",
            ));
        };
        if name.name != b"." && name.name != b".." {
            check_name(name.name).map_err(|what| Error::corrupt("directory entry", place(at), what))?;
            if each(name).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        at = at.saturating_add(used);
    }
    Ok(ControlFlow::Continue(()))
}

fn check_name(name: &[u8]) -> std::result::Result<(), String> {
    if name.is_empty() || name.contains(&b'/') || name.contains(&0) || name == b"." || name == b".." {
        return Err(format!("the name {:?} cannot be", String::from_utf8_lossy(name)));
    }
    Ok(())
}

/// Where the names with `hash` are, in units of eight bytes of the directory.
fn addresses(volume: &Volume, dir: &Inode, hash: u32) -> Result<Vec<u32>> {
    if let Ok(block) = data_block(volume, dir, 0)?
        && matches!(
            block.bytes.first_chunk::<4>(),
            Some(&magic::DIR_BLOCK | &magic::DIR_BLOCK_V5)
        )
    {
        let tail = block.bytes.len().saturating_sub(8);
        let (_, from) = bounds(volume, &block);
        let table = block.bytes.get(from..tail).unwrap_or_default();
        return Ok(equal_range(table, hash).0);
    }
    let mut at = LEAF_OFFSET;
    for _ in 0..=LEVELS {
        let Ok(block) = dir_block(volume, dir, at, "directory leaf", DA_CRC)? else {
            return Err(Error::corrupt(
                "directory leaf",
                dir.at,
                format!("inode {}: no block at {at:#x}", dir.number),
            ));
        };
        let kind = be16(&block.bytes, 8).unwrap_or(0);
        match kind {
            magic::NODE | magic::NODE_V5 => at = child(volume, &block, hash)?,
            magic::LEAF1 | magic::LEAFN | magic::LEAF1_V5 | magic::LEAFN_V5 => {
                return leaves(volume, dir, block, hash);
            }
            _ => {
                return Err(Error::corrupt(
                    "directory leaf",
                    block.at,
                    format!("magic is {kind:#x}"),
                ));
            }
        }
    }
    Err(Error::corrupt(
        "directory node",
        dir.at,
        format!("inode {}: the hash tree is too deep", dir.number),
    ))
}

/// Directory offset of the child of a node that `hash` belongs to.
fn child(volume: &Volume, block: &Block, hash: u32) -> Result<u64> {
    let (count_at, table) = if volume.geometry.has_crc {
        (56, 64)
    } else {
        (12, 16)
    };
    let count = usize::from(be16(&block.bytes, count_at).unwrap_or(0));
    let (pairs, _) = block.bytes.get(table..).unwrap_or_default().as_chunks::<8>();
    let pairs = pairs.get(..count).ok_or_else(|| {
        Error::corrupt(
            "directory node",
            block.at,
            format!("{count} children, room for {}", pairs.len()),
        )
    })?;
    let key = |pair: &[u8; 8]| be32(pair, 0).unwrap_or(0);
    // A child's key is its largest hash; equal hashes may begin in the first child that reaches it.
    let first = pairs.partition_point(|p| key(p) < hash);
    let pair = pairs.get(first).or(pairs.last());
    let number = pair
        .and_then(|p| be32(p, 4))
        .ok_or_else(|| Error::corrupt("directory node", block.at, "has no children"))?;
    Ok(u64::from(number) << volume.geometry.block_log)
}

/// Collects from the leaf where `hash` begins, and from those to its right while they go on with it.
fn leaves(volume: &Volume, dir: &Inode, mut block: Block, hash: u32) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    loop {
        let (count_at, table) = if volume.geometry.has_crc {
            (56, 64)
        } else {
            (12, 16)
        };
        let count = usize::from(be16(&block.bytes, count_at).unwrap_or(0));
        let bytes = block
            .bytes
            .get(table..)
            .and_then(|t| t.get(..count.saturating_mul(8)));
        let bytes = bytes.ok_or_else(|| {
            Error::corrupt("directory leaf", block.at, format!("{count} entries do not fit"))
        })?;
        let (some, goes_on) = equal_range(bytes, hash);
        all.extend(some);
        let right = be32(&block.bytes, 0).unwrap_or(0);
        if !goes_on || right == 0 {
            return Ok(all);
        }
        let at = u64::from(right) << volume.geometry.block_log;
        if !seen.insert(at) {
            return Err(Error::corrupt(
                "directory leaf",
                block.at,
                "the leaves go round in a circle",
            ));
        }
        match dir_block(volume, dir, at, "directory leaf", DA_CRC)? {
            Ok(next) => block = next,
            Err(_) => {
                return Err(Error::corrupt(
                    "directory leaf",
                    block.at,
                    format!("no block at {at:#x}"),
                ));
            }
        }
    }
}

/// The addresses of `hash` in a table of (hash, address), and whether the next table may go on with it.
fn equal_range(table: &[u8], hash: u32) -> (Vec<u32>, bool) {
    let (pairs, _) = table.as_chunks::<8>();
    let key = |pair: &[u8; 8]| be32(pair, 0).unwrap_or(0);
    let first = pairs.partition_point(|p| key(p) < hash);
    let rest = pairs.get(first..).unwrap_or_default();
    let equal = rest.iter().take_while(|p| key(p) == hash);
    let found: Vec<u32> = equal.filter_map(|p| be32(p, 4)).collect();
    let goes_on = found.len() == rest.len();
    // Address 0 marks an entry that was removed.
    (found.into_iter().filter(|a| *a != 0).collect(), goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_the_specification_says() {
        assert_eq!(hash(b"."), 0x2e);
        assert_eq!(hash(b".."), 0x172e);
    }
}
