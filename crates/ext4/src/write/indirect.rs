//! Block maps of ext2 and ext3, read and written as runs (ifork.rst, "Direct/Indirect Block Addressing").

use super::Ext4Writer;
use super::inode::Record;
use super::map::Map;
use super::raw::{get32, low32, narrow, put32, wide};
use crate::extent::Piece;
use crate::inode::Inode;
use h2k_block::{Class, Error, Meter, Result};

const DIRECT: u64 = 12;
/// What visiting a block of numbers costs, in steps.
const BLOCK_STEPS: u64 = 64;

impl Ext4Writer {
    /// Numbers in a block.
    fn per_block(&self) -> u64 {
        self.fs.geo.block_size() >> 2
    }

    /// Logical blocks below a pointer of a level (0: the block itself).
    fn span(&self, level: u32) -> u64 {
        let bits = self.fs.geo.block_bits.saturating_sub(2).saturating_mul(level);
        1_u64.checked_shl(bits).unwrap_or(u64::MAX)
    }

    pub(super) fn load_block_map(&self, inode: &Inode, map: &mut Map, meter: &mut Meter) -> Result<()> {
        let mut start = 0;
        for slot in 0..15_u32 {
            let level = slot.saturating_sub(11);
            let number = get32(&inode.block, narrow(u64::from(slot).saturating_mul(4)));
            if number != 0 {
                self.load_pointer(inode, u64::from(number), start, level, map, meter)?;
            }
            start = start.saturating_add(self.span(level));
        }
        Ok(())
    }

    fn load_pointer(
        &self,
        inode: &Inode,
        number: u64,
        start: u64,
        level: u32,
        map: &mut Map,
        meter: &mut Meter,
    ) -> Result<()> {
        if !self.fs.blocks.holds(number, 1) || self.zone.touches(number, 1) {
            return Err(inode.corrupt(format!("has block {number} in its map, which is no file's")));
        }
        if level == 0 {
            let piece = Piece {
                start,
                len: 1,
                at: number,
                unwritten: false,
            };
            return self.add_piece(inode, map, piece, meter);
        }
        meter.steps(BLOCK_STEPS, "indirect block")?;
        meter.bytes(8, "indirect block")?;
        map.nodes.push(number);
        let below = level.saturating_sub(1);
        let span = self.span(below);
        let held = self.fs.blocks.get(number, "indirect block")?;
        for n in 0..self.per_block() {
            let next = get32(&held, narrow(n.saturating_mul(4)));
            if next != 0 {
                let at = start.saturating_add(n.saturating_mul(span));
                self.load_pointer(inode, u64::from(next), at, below, map, meter)?;
            }
        }
        Ok(())
    }

    /// Blocks of numbers that `pieces` need in the tree of `level` that begins at `start`.
    fn needed(&self, pieces: &[Piece], start: u64, level: u32) -> u64 {
        let end = start.saturating_add(self.span(level));
        let mut sum = 0_u64;
        for below in 1..=level {
            let span = self.span(below);
            let mut last = None;
            for piece in pieces {
                let (a, b) = (
                    piece.start.max(start),
                    piece.start.saturating_add(piece.len).min(end),
                );
                if a >= b {
                    continue;
                }
                let first = a.saturating_sub(start).checked_div(span).unwrap_or(0);
                let until = b
                    .saturating_sub(start)
                    .saturating_sub(1)
                    .checked_div(span)
                    .unwrap_or(0);
                let first = match last {
                    Some(l) if l >= first => first.saturating_add(1),
                    _ => first,
                };
                sum = sum.saturating_add(until.saturating_add(1).saturating_sub(first));
                last = Some(until);
            }
        }
        sum
    }

    pub(super) fn store_block_map(&mut self, record: &mut Record, map: &mut Map) -> Result<()> {
        let end = map.pieces.last().map_or(0, |p| p.start.saturating_add(p.len));
        let reach = DIRECT
            .saturating_add(self.span(1))
            .saturating_add(self.span(2))
            .saturating_add(self.span(3));
        if end > reach || self.fs.geo.cluster_bits > 0 {
            return Err(Error::new(
                Class::Limit,
                format!(
                    "inode {} has a block map, which cannot hold {end} blocks",
                    record.number
                ),
            ));
        }
        let mut trees = Vec::new();
        let mut start = DIRECT;
        let mut count = 0_u64;
        for level in 1..=3_u32 {
            let needed = self.needed(&map.pieces, start, level);
            trees.push((start, level, needed));
            count = count.saturating_add(needed);
            start = start.saturating_add(self.span(level));
        }
        self.size_nodes(record, map, narrow(count), true)?;
        let mut free = map.nodes.clone().into_iter();
        let mut area = [0; 60];
        for n in 0..DIRECT {
            put32(&mut area, narrow(n.saturating_mul(4)), number_at(&map.pieces, n));
        }
        for (start, level, needed) in trees {
            if needed > 0 {
                let root = self.store_level(&map.pieces, start, level, &mut free)?;
                let slot = wide(11).saturating_add(u64::from(level));
                put32(&mut area, narrow(slot.saturating_mul(4)), low32(root));
            }
        }
        record.set_area(&area);
        Ok(())
    }

    /// Writes the tree of `level` over the logical blocks from `start`; answers with its root.
    fn store_level(
        &mut self,
        pieces: &[Piece],
        start: u64,
        level: u32,
        free: &mut dyn Iterator<Item = u64>,
    ) -> Result<u64> {
        let Some(block) = free.next() else {
            return Err(Error::new(
                Class::Invalid,
                "a block map has fewer blocks than it needs",
            ));
        };
        let mut bytes = vec![0; self.block_size()];
        let span = self.span(level.saturating_sub(1));
        for n in 0..self.per_block() {
            let from = start.saturating_add(n.saturating_mul(span));
            let to = from.saturating_add(span);
            let number = if level == 1 {
                number_at(pieces, from)
            } else {
                let first = pieces.partition_point(|p| p.start.saturating_add(p.len) <= from);
                if pieces.get(first).is_some_and(|p| p.start < to) {
                    low32(self.store_level(pieces, from, level.saturating_sub(1), free)?)
                } else {
                    0
                }
            };
            put32(&mut bytes, narrow(n.saturating_mul(4)), number);
        }
        self.put(block, &bytes)?;
        Ok(block)
    }
}

/// Where logical block `block` lies, 0 for nowhere.
fn number_at(pieces: &[Piece], block: u64) -> u32 {
    let n = pieces.partition_point(|p| p.start.saturating_add(p.len) <= block);
    pieces
        .get(n)
        .filter(|p| p.start <= block)
        .map_or(0, |p| low32(p.at.saturating_add(block.saturating_sub(p.start))))
}
