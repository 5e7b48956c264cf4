//! Hash trees: finding the leaf blocks that can hold a name (directory.rst, "Hash Tree Directories").

use crate::blocks::Block;
use crate::bytes::{at, le32};
use crate::checksum::Seed;
use crate::dir::Raw;
use crate::feature::incompat;
use crate::inode::Inode;
use crate::layout::{DirEntry, DxCountLimit, DxEntry, DxRootInfo};
use crate::volume::Ext4;
use h2k_block::{Error, Result};
use std::ops::ControlFlow;

/// What searching a leaf costs, in steps.
const LEAF_STEPS: u64 = 64;

/// Where `dx_root.info` begins: behind the entries for `.` and `..`.
pub(crate) const ROOT_INFO: usize = 24;

/// The place of the index inside a block that carries one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// Where the `dx_entry` array begins.
    pub(crate) start: usize,
    /// Entries in use, the first one with its limit and count included.
    pub(crate) count: usize,
    /// Entries there is room for.
    pub(crate) limit: usize,
}

/// The index in directory block `number`, if it carries one: the first block does, and blocks that look like one
/// empty entry.
pub(crate) fn index_of(number: u64, block: &[u8]) -> Option<Index> {
    let start = if number == 0 {
        let info: &DxRootInfo = at(block, ROOT_INFO)?;
        ROOT_INFO.checked_add(usize::from(info.info_length))?
    } else {
        let fake: &DirEntry = at(block, 0)?;
        let whole = usize::from(fake.rec_len.get());
        // With blocks of 64 KiB the length of a whole block does not fit and is written as 65535 or 0.
        let whole = if block.len() >= 65536 && (whole == 0 || whole == 65535) {
            block.len()
        } else {
            whole
        };
        if fake.inode.get() != 0 || whole != block.len() {
            return None;
        }
        8
    };
    let head: &DxCountLimit = at(block, start)?;
    Some(Index {
        start,
        count: usize::from(head.count.get()),
        limit: usize::from(head.limit.get()),
    })
}

impl Index {
    /// Checks the counts against the block.
    pub(crate) fn check(&self, block: &[u8], place: u64) -> Result<()> {
        let room = block.len().saturating_sub(self.start) / 8;
        if self.count == 0 || self.count > self.limit || self.limit > room {
            return Err(Error::corrupt(
                "directory index",
                place,
                format!(
                    "{} of {} entries, there is room for {room}",
                    self.count, self.limit
                ),
            ));
        }
        Ok(())
    }

    /// Checks the checksum behind the last entry there is room for.
    pub(crate) fn check_sum(&self, seed: Seed, block: &[u8], place: u64) -> Result<()> {
        self.check(block, place)?;
        let used = self.start.saturating_add(self.count.saturating_mul(8));
        let tail = self.start.saturating_add(self.limit.saturating_mul(8));
        let parts = block
            .get(..used)
            .zip(block.get(tail..).and_then(|t| t.get(..4)))
            .zip(le32(block, tail.saturating_add(4)));
        let Some(((covered, reserved), found)) = parts else {
            return Err(Error::corrupt(
                "directory index",
                place,
                "has no room for its checksum",
            ));
        };
        let expected = seed.index(covered, reserved);
        if found != expected {
            return Err(Error::corrupt(
                "directory index",
                place,
                format!("checksum {found:#010x}, computed {expected:#010x}"),
            ));
        }
        Ok(())
    }

    /// Hash of entry `n`; the first one has none and counts from zero.
    pub(crate) fn hash(&self, block: &[u8], n: usize) -> u32 {
        if n == 0 {
            return 0;
        }
        self.entry(block, n).map_or(0, |e| e.hash.get())
    }

    pub(crate) fn child(&self, block: &[u8], n: usize) -> u64 {
        // The upper four bits are reserved.
        self.entry(block, n)
            .map_or(0, |e| u64::from(e.block.get() & 0x0fff_ffff))
    }

    fn entry<'a>(&self, block: &'a [u8], n: usize) -> Option<&'a DxEntry> {
        at(block, self.start.checked_add(n.checked_mul(8)?)?)
    }

    /// The last entry whose hash is not above `hash`.
    pub(crate) fn last_before(&self, block: &[u8], hash: u32) -> usize {
        let (mut low, mut high) = (1, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.hash(block, middle) <= hash {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }
}

/// One level on the way down: the block, its index, and the entry that was taken.
struct Level {
    block: Block,
    index: Index,
    taken: usize,
}

impl Level {
    fn child(&self) -> u64 {
        self.index.child(&self.block, self.taken)
    }
}

impl Ext4 {
    /// Looks for the entry that `is` among those with the hash of `name`. The outer `None` means that this index
    /// cannot be used.
    pub(crate) fn find_hashed(
        &self,
        dir: &Inode,
        name: &[u8],
        is: &mut dyn FnMut(Raw<'_>) -> bool,
    ) -> Result<Option<Option<u32>>> {
        let count = dir.size.div_ceil(self.geo.block_size());
        let Some((root, place)) = self.dir_block(dir, 0)? else {
            return Ok(None);
        };
        let info: &DxRootInfo =
            at(&root, ROOT_INFO).ok_or_else(|| Error::corrupt("directory index", place, "is cut off"))?;
        let most = if self.geo.has_incompat(incompat::LARGEDIR) {
            3
        } else {
            2
        };
        if info.info_length != 8 || info.reserved_zero.get() != 0 || info.indirect_levels >= most {
            return Err(Error::corrupt(
                "directory index",
                place,
                format!(
                    "info of {} bytes with {} levels",
                    info.info_length, info.indirect_levels
                ),
            ));
        }
        let Some(hasher) = self.hasher(Some(info.hash_version)) else {
            return Ok(None);
        };
        let (hash, _) = hasher.hash(name);
        let below = info.indirect_levels;
        let mut way = vec![Self::level(0, root, place, hash)?];
        for _ in 0..below {
            let child = way.last().map_or(0, Level::child);
            way.push(self.inner(dir, child, count, hash)?);
        }
        let mut meter = self.meter();
        // A leaf is visited once for each index entry that leads to it: more than there are blocks is a lie.
        for _ in 0..count {
            meter.steps(LEAF_STEPS, "directory block")?;
            let leaf = way.last().map_or(0, Level::child);
            if let Some(found) = self.find_in_leaf(dir, leaf, count, is)? {
                return Ok(Some(Some(found)));
            }
            if !self.next_leaf(dir, &mut way, count, hash)? {
                return Ok(Some(None));
            }
        }
        Err(dir.corrupt("has an index that goes round in circles"))
    }

    fn level(number: u64, block: Block, place: u64, hash: u32) -> Result<Level> {
        let index = index_of(number, &block).ok_or_else(|| {
            Error::corrupt("directory index", place, format!("block {number} carries none"))
        })?;
        index.check(&block, place)?;
        let taken = index.last_before(&block, hash);
        Ok(Level { block, index, taken })
    }

    fn inner(&self, dir: &Inode, number: u64, count: u64, hash: u32) -> Result<Level> {
        let (block, place) = self.indexed_block(dir, number, count)?;
        Self::level(number, block, place, hash)
    }

    fn indexed_block(&self, dir: &Inode, number: u64, count: u64) -> Result<(Block, u64)> {
        let found = if number == 0 || number >= count {
            None
        } else {
            self.dir_block(dir, number)?
        };
        found.ok_or_else(|| dir.corrupt(format!("has an index that leads to block {number} of {count}")))
    }

    fn find_in_leaf(
        &self,
        dir: &Inode,
        number: u64,
        count: u64,
        is: &mut dyn FnMut(Raw<'_>) -> bool,
    ) -> Result<Option<u32>> {
        let (block, place) = self.indexed_block(dir, number, count)?;
        let mut found = None;
        let _shown = self.form(dir).each(&block, place, &mut |raw| {
            if is(raw) {
                found = Some(raw.inode);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Moves on to the next leaf, if names with this hash continue there: the lowest bit of its hash says so.
    fn next_leaf(&self, dir: &Inode, way: &mut [Level], count: u64, hash: u32) -> Result<bool> {
        let Some(turn) = way
            .iter()
            .rposition(|l| l.taken.saturating_add(1) < l.index.count)
        else {
            return Ok(false);
        };
        let Some(level) = way.get_mut(turn) else {
            return Ok(false);
        };
        level.taken = level.taken.saturating_add(1);
        if level.index.hash(&level.block, level.taken) & !1 != hash {
            return Ok(false);
        }
        let mut child = level.child();
        for level in way.iter_mut().skip(turn.saturating_add(1)) {
            // Its first entry, whatever its hash.
            *level = self.inner(dir, child, count, 0)?;
            child = level.child();
        }
        Ok(true)
    }
}
