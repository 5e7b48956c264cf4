//! Free space: the B+tree by block number of each allocation group.

use crate::layout::{AGF_CRC, Agf, SHORT_CRC, SHORT_V5, ShortBlock, be32, magic};
use crate::tree::Volume;
use h2k_block::{Error, Extent, Kind, Result};
use zerocopy::FromBytes;

const NAME: &str = "free space B+tree block";
const LEVELS: u32 = 9;

/// What the volume holds at byte `offset`, up to `end`.
pub(crate) fn used_at(volume: &Volume, offset: u64, end: u64) -> Result<Extent> {
    let sb = &volume.geometry;
    let number = offset >> sb.block_log;
    let data = |until: u64| Extent::new(offset, until.min(end).saturating_sub(offset).max(1), Kind::Data);
    if number >= sb.blocks {
        // Behind the filesystem: not ours to call free.
        return Ok(data(end));
    }
    let blocks = u64::from(sb.ag_blocks);
    let (Some(ag), Some(block)) = (number.checked_div(blocks), number.checked_rem(blocks)) else {
        return Ok(data(end));
    };
    let (ag, block) = (
        u32::try_from(ag).unwrap_or(u32::MAX),
        u32::try_from(block).unwrap_or(u32::MAX),
    );
    let base = u64::from(ag).saturating_mul(blocks);
    let byte = |block: u32| base.saturating_add(block.into()) << sb.block_log;
    Ok(match free_at(volume, ag, block)? {
        Some((start, count)) if start <= block => {
            let until = byte(start.saturating_add(count)).min(end);
            Extent::new(offset, until.saturating_sub(offset).max(1), Kind::Hole)
        }
        Some((start, _)) => data(byte(start)),
        None => data(base.saturating_add(blocks) << sb.block_log),
    })
}

/// The free run that holds `block` of a group, or the next one after it.
fn free_at(volume: &Volume, ag: u32, block: u32) -> Result<Option<(u32, u32)>> {
    let agf = header(volume, ag)?;
    let (mut at, mut level) = (agf.bno_root.get(), agf.bno_level.get());
    if level == 0 || level > LEVELS {
        return Err(Error::corrupt(
            "AGF",
            0,
            format!("group {ag}: the free space tree has {level} levels"),
        ));
    }
    let mut right = None;
    loop {
        level = level.saturating_sub(1);
        let bytes = node(volume, ag, at, level)?;
        let (body, count) = bytes.table();
        let room = if level == 0 {
            body.len() / 8
        } else {
            body.len() / 12
        };
        if count > room {
            return Err(Error::corrupt(
                NAME,
                bytes.at,
                format!("{count} records, room for {room}"),
            ));
        }
        // Records and keys are the same eight bytes: first block, count.
        let key = |i: usize| be32(body, i.saturating_mul(8)).unwrap_or(u32::MAX);
        let (mut low, mut high) = (0_usize, count);
        while low < high {
            let middle = low.midpoint(high);
            if key(middle) <= block {
                low = middle.saturating_add(1)
            } else {
                high = middle
            }
        }
        let record = |i: usize| Some((key(i), be32(body, i.checked_mul(8)?.checked_add(4)?)?));
        if level == 0 {
            let here = low
                .checked_sub(1)
                .and_then(record)
                .filter(|(s, n)| s.saturating_add(*n) > block);
            let next = (low < count).then(|| record(low)).flatten();
            return Ok(here.or(next).or(right));
        }
        let pointer = |i: usize| be32(body, room.checked_mul(8)?.checked_add(i.checked_mul(4)?)?);
        if low < count {
            // The next subtree begins with a free run: nothing between is free if this one ends before.
            right = Some((key(low), 1));
        }
        let child = low.saturating_sub(1);
        at = pointer(child).ok_or_else(|| Error::corrupt(NAME, bytes.at, "has no children"))?;
    }
}

/// The header of group `ag`.
pub(crate) fn header(volume: &Volume, ag: u32) -> Result<Agf> {
    let sb = &volume.geometry;
    let at = sb.ag_byte(ag, 0).and_then(|b| b.checked_add(sb.sector.into()));
    let at = at.ok_or_else(|| Error::corrupt("AGF", 0, format!("there is no group {ag}")))?;
    let bytes = volume.block(at, sb.sector, "AGF", Some(AGF_CRC))?;
    let (agf, _) = Agf::read_from_prefix(&bytes).map_err(|_| Error::corrupt("AGF", at, "is too short"))?;
    if agf.magicnum != *b"XAGF" || agf.seqno.get() != ag {
        return Err(Error::corrupt(
            "AGF",
            at,
            format!("is not the header of group {ag}"),
        ));
    }
    Ok(agf)
}

struct Node {
    bytes: std::sync::Arc<[u8]>,
    at: u64,
    header: usize,
    count: usize,
}

impl Node {
    fn table(&self) -> (&[u8], usize) {
        (self.bytes.get(self.header..).unwrap_or_default(), self.count)
    }
}

fn node(volume: &Volume, ag: u32, block: u32, level: u32) -> Result<Node> {
    let sb = &volume.geometry;
    let at = sb.ag_byte(ag, block);
    let at =
        at.ok_or_else(|| Error::corrupt(NAME, 0, format!("block {block} of group {ag} does not exist")))?;
    let bytes = volume.block(at, sb.block, NAME, Some(SHORT_CRC))?;
    let (head, _) =
        ShortBlock::ref_from_prefix(&bytes).map_err(|_| Error::corrupt(NAME, at, "is too short"))?;
    let (want, header) = if sb.has_crc {
        (magic::BNO_V5, SHORT_V5)
    } else {
        (magic::BNO, size_of::<ShortBlock>())
    };
    if head.magic != want || u32::from(head.level.get()) != level {
        let what = format!(
            "magic {:02x?} and level {}, expected {want:02x?} and {level}",
            head.magic, head.level
        );
        return Err(Error::corrupt(NAME, at, what));
    }
    let count = usize::from(head.numrecs.get());
    Ok(Node {
        bytes,
        at,
        header,
        count,
    })
}
