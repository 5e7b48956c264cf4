//! The extent tree (ifork.rst, "Extent Tree"): nodes of at most 12-byte entries, the root in `i_block`.

use crate::blocks::{Block, Blocks};
use crate::bytes::{at, le32, wide};
use crate::geometry::Geometry;
use crate::inode::Inode;
use crate::layout::{EXTENT_MAGIC, EXTENT_MAX_DEPTH, EXTENT_MAX_LEN, ExtentHeader, ExtentIndex, ExtentLeaf};
use crate::map::{Run, Target};
use h2k_block::{Error, Result};

/// Logical blocks are 32 bits wide.
const LOGICAL_END: u64 = 1 << 32;

/// One node, checked: entries ascend and do not overlap, extents lie on the volume.
pub(crate) struct Node<'a> {
    entries: &'a [u8],
    pub(crate) depth: u16,
}

/// A leaf entry with its halves put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) at: u64,
    pub(crate) unwritten: bool,
}

fn piece(leaf: &ExtentLeaf) -> Piece {
    let len = leaf.len.get();
    let unwritten = len > EXTENT_MAX_LEN;
    Piece {
        start: u64::from(leaf.block.get()),
        len: u64::from(if unwritten {
            len.saturating_sub(EXTENT_MAX_LEN)
        } else {
            len
        }),
        at: wide(leaf.start_lo.get(), u32::from(leaf.start_hi.get())),
        unwritten,
    }
}

impl<'a> Node<'a> {
    /// Checks a node. `depth` is what its parent promises, `None` for the root.
    pub(crate) fn new(blocks: &Blocks, bytes: &'a [u8], place: u64, depth: Option<u16>) -> Result<Self> {
        let bad = |what: String| Err(Error::corrupt("extent node", place, what));
        let Some(header) = at::<ExtentHeader>(bytes, 0) else {
            return bad("is cut off".to_owned());
        };
        if header.magic.get() != EXTENT_MAGIC {
            return bad(format!(
                "magic {:#06x}, expected {EXTENT_MAGIC:#06x}",
                header.magic.get()
            ));
        }
        let (count, max, found) = (header.entries.get(), header.max.get(), header.depth.get());
        if depth.is_some_and(|d| d != found) || found > EXTENT_MAX_DEPTH {
            return bad(format!(
                "depth {found}, expected {}",
                depth.unwrap_or(EXTENT_MAX_DEPTH)
            ));
        }
        let rest = bytes.get(12..).unwrap_or_default();
        let room = rest.len().checked_div(12).unwrap_or(0);
        if count > max || usize::from(max) > room {
            return bad(format!("{count} of {max} entries, there is room for {room}"));
        }
        let len = usize::from(count).saturating_mul(12);
        let node = Self {
            entries: rest.get(..len).unwrap_or_default(),
            depth: found,
        };
        node.check(blocks, place)?;
        Ok(node)
    }

    fn check(&self, blocks: &Blocks, place: u64) -> Result<()> {
        let mut free = 0_u64;
        for (n, raw) in self.entries.as_chunks::<12>().0.iter().enumerate() {
            let bad = |what: &str| Err(Error::corrupt("extent node", place, format!("entry {n} {what}")));
            let (start, next) = if self.depth == 0 {
                let Some(leaf) = at::<ExtentLeaf>(raw, 0).map(piece) else {
                    break;
                };
                if leaf.len == 0 {
                    return bad("is empty");
                }
                if !blocks.holds(leaf.at, leaf.len) {
                    return bad(&format!(
                        "lies at blocks {}+{} of {}",
                        leaf.at,
                        leaf.len,
                        blocks.count()
                    ));
                }
                (leaf.start, leaf.start.saturating_add(leaf.len))
            } else {
                let start = u64::from(le32(raw, 0).unwrap_or(0));
                (start, start.saturating_add(1))
            };
            if start < free || next > LOGICAL_END {
                return bad(&format!(
                    "begins at logical block {start}, the one before ends at {free}"
                ));
            }
            free = next;
        }
        Ok(())
    }

    /// Index of the last entry that begins at or before `block`.
    fn last_before(&self, block: u64) -> Option<usize> {
        let entries = self.entries.as_chunks::<12>().0;
        entries
            .partition_point(|raw| le32(raw, 0).is_some_and(|start| u64::from(start) <= block))
            .checked_sub(1)
    }

    /// Where the entry at `n` begins.
    pub(crate) fn start_of(&self, n: usize) -> Option<u64> {
        le32(self.entries.as_chunks::<12>().0.get(n)?, 0).map(u64::from)
    }

    pub(crate) fn leaf(&self, n: usize) -> Option<Piece> {
        at::<ExtentLeaf>(self.entries.as_chunks::<12>().0.get(n)?, 0).map(piece)
    }

    pub(crate) fn child(&self, n: usize) -> Option<u64> {
        let index: &ExtentIndex = at(self.entries.as_chunks::<12>().0.get(n)?, 0)?;
        Some(wide(index.leaf_lo.get(), u32::from(index.leaf_hi.get())))
    }
}

/// A node's block with its checksum verified.
pub(crate) fn load(geo: &Geometry, blocks: &Blocks, inode: &Inode, number: u64) -> Result<Block> {
    let place = blocks.offset(number);
    let block = blocks.get(number, "extent node")?;
    let Some(seed) = geo.seed else {
        return Ok(block);
    };
    // The checksum lies behind the last entry there is room for.
    let max = at::<ExtentHeader>(&block, 0).map_or(0, |h| h.max.get());
    let tail = usize::from(max).saturating_mul(12).saturating_add(12);
    let (Some(covered), Some(found)) = (block.get(..tail), le32(&block, tail)) else {
        return Err(Error::corrupt(
            "extent node",
            place,
            format!("room for {max} entries leaves none for the checksum"),
        ));
    };
    let expected = seed.inode(inode.number, inode.generation).covered(covered);
    if found != expected {
        return Err(Error::corrupt(
            "extent node",
            place,
            format!("checksum {found:#010x}, computed {expected:#010x}"),
        )
        .through(format!("inode {}", inode.number)));
    }
    Ok(block)
}

/// The run that begins at logical `block`, as far as one leaf tells.
pub(crate) fn find(geo: &Geometry, blocks: &Blocks, inode: &Inode, block: u64) -> Result<Run> {
    let hole = |end: u64| Run {
        start: block,
        len: end.saturating_sub(block).max(1),
        target: Target::Hole,
    };
    // Everything from here on belongs to the next entry of some node on the way.
    let mut limit = LOGICAL_END.max(block.saturating_add(1));
    let mut held: Block;
    let mut bytes: &[u8] = &inode.block;
    let mut place = inode.place.saturating_add(0x28);
    let mut depth = None;
    // The depth falls by one each turn, and starts at five at most.
    loop {
        let node = Node::new(blocks, bytes, place, depth)
            .map_err(|e| e.through(format!("inode {}", inode.number)))?;
        let found = node.last_before(block);
        let next = found.map_or(0, |n| n.saturating_add(1));
        if let Some(start) = node.start_of(next) {
            limit = limit.min(start).max(block.saturating_add(1));
        }
        let Some(n) = found else {
            return Ok(hole(limit));
        };
        if node.depth == 0 {
            let Some(piece) = node.leaf(n) else {
                return Ok(hole(limit));
            };
            if block >= piece.start.saturating_add(piece.len) {
                return Ok(hole(limit));
            }
            let run = Run {
                start: piece.start,
                len: piece.len,
                target: if piece.unwritten {
                    Target::Unwritten
                } else {
                    Target::At(piece.at)
                },
            };
            return Ok(run.from(block));
        }
        let Some(child) = node.child(n) else {
            return Ok(hole(limit));
        };
        depth = node.depth.checked_sub(1);
        if !blocks.holds(child, 1) {
            return Err(Error::corrupt(
                "extent node",
                place,
                format!("entry {n} points to block {child} of {}", blocks.count()),
            )
            .through(format!("inode {}", inode.number)));
        }
        held = load(geo, blocks, inode, child)?;
        bytes = &held;
        place = blocks.offset(child);
    }
}
