//! Hash trees, changed (directory.rst, "Hash Tree Directories"): one block splits at a time, and then the way down is
//! walked again.

use super::Ext4Writer;
use super::dir::{BLOCK_STEPS, Named, insert, stored_len};
use super::raw::{get32, low32, put, put16, put32, wide};
use crate::feature::{compat, incompat};
use crate::hash::Hasher;
use crate::htree::{Index, ROOT_INFO, index_of};
use crate::inode::Inode;
use crate::layout::{DxRootInfo, inode_flag};
use h2k_block::{Class, Error, Result};

/// Blocks that may split for one name: a leaf, and every level above it, a few times over.
const SPLITS: u32 = 16;

/// One index block on the way down.
struct Level {
    number: u64,
    block: u64,
    bytes: Vec<u8>,
    index: Index,
    taken: usize,
}

impl Level {
    fn is_full(&self) -> bool {
        self.index.count >= self.index.limit
    }

    fn child(&self) -> u64 {
        self.index.child(&self.bytes, self.taken)
    }

    fn entry_at(&self, n: usize) -> usize {
        self.index.start.saturating_add(n.saturating_mul(8))
    }

    fn set_count(&mut self, count: usize) {
        self.index.count = count;
        let at = self.index.start.saturating_add(2);
        put16(&mut self.bytes, at, stored_len(count));
    }

    /// Puts an entry behind the one that was taken.
    fn add(&mut self, hash: u32, child: u64) {
        let n = self.taken.saturating_add(1);
        let (from, end) = (self.entry_at(n), self.entry_at(self.index.count));
        if let Some(room) = self.bytes.get_mut(from..end.saturating_add(8)) {
            room.rotate_right(8);
        }
        put32(&mut self.bytes, from, hash);
        put32(&mut self.bytes, from.saturating_add(4), low32(child));
        self.set_count(self.index.count.saturating_add(1));
    }
}

impl Ext4Writer {
    fn tail_len(&self) -> usize {
        if self.fs.geo.seed.is_some() { 8 } else { 0 }
    }

    /// Writes a block that carries an index, with its checksum.
    pub(super) fn put_index(&mut self, dir: &Inode, number: u64, block: u64, bytes: &mut [u8]) -> Result<()> {
        if let Some(seed) = self.fs.inode_seed(dir) {
            let Some(index) = index_of(number, bytes) else {
                return Err(dir.corrupt(format!("has no index in block {number}")));
            };
            index.check(bytes, self.fs.blocks.offset(block))?;
            let used = index.start.saturating_add(index.count.saturating_mul(8));
            let tail = index.start.saturating_add(index.limit.saturating_mul(8));
            let sum = seed.index(
                bytes.get(..used).unwrap_or_default(),
                bytes.get(tail..tail.saturating_add(4)).unwrap_or_default(),
            );
            put32(bytes, tail.saturating_add(4), sum);
        }
        self.put(block, bytes)
    }

    fn level(&self, dir: &Inode, number: u64, hash: u32) -> Result<Level> {
        let count = self.blocks_of(dir);
        let found = if number < count {
            self.fs.dir_block(dir, number)?
        } else {
            None
        };
        let Some((bytes, place)) = found else {
            return Err(dir.corrupt(format!("has an index that leads to block {number} of {count}")));
        };
        let Some(index) = index_of(number, &bytes) else {
            return Err(dir.corrupt(format!("has no index in block {number}")));
        };
        index.check(&bytes, place)?;
        let block = place.checked_shr(self.fs.geo.block_bits).unwrap_or(0);
        if self.zone.touches(block, 1) {
            return Err(dir.corrupt(format!("has block {block}, where the filesystem itself lies")));
        }
        let taken = index.last_before(&bytes, hash);
        Ok(Level {
            number,
            block,
            bytes: bytes.to_vec(),
            index,
            taken,
        })
    }

    fn most_levels(&self) -> u8 {
        if self.fs.geo.has_incompat(incompat::LARGEDIR) {
            3
        } else {
            2
        }
    }

    /// The hash of names in an indexed directory and how many levels lie below its root.
    fn index_info(&self, dir: &Inode) -> Result<(Hasher, u8)> {
        if !self.fs.geo.has_compat(compat::DIR_INDEX) {
            return Err(Error::unsupported(format!(
                "directory inode {} has an index, but the filesystem does not have the dir_index feature",
                dir.number
            )));
        }
        let Some((root, place)) = self.fs.dir_block(dir, 0)? else {
            return Err(dir.corrupt("has no first block"));
        };
        let bad =
            |what: &str| Error::corrupt("directory index", place, format!("inode {}: {what}", dir.number));
        let info: &DxRootInfo = crate::bytes::at(&root, ROOT_INFO).ok_or_else(|| bad("is cut off"))?;
        if info.info_length != 8
            || info.reserved_zero.get() != 0
            || info.indirect_levels >= self.most_levels()
        {
            return Err(bad("has an impossible root"));
        }
        let hasher = self.fs.hasher(Some(info.hash_version)).ok_or_else(|| {
            Error::unsupported(format!(
                "directory inode {} hashes names in a way ({}) that is not written",
                dir.number, info.hash_version
            ))
        })?;
        Ok((hasher, info.indirect_levels))
    }

    fn way(&self, dir: &Inode, hash: u32, below: u8) -> Result<Vec<Level>> {
        let mut way = vec![self.level(dir, 0, hash)?];
        for _ in 0..below {
            let child = way.last().map_or(0, Level::child);
            if child == 0 {
                return Err(dir.corrupt("has an index that leads back to its root"));
            }
            way.push(self.level(dir, child, hash)?);
        }
        Ok(way)
    }

    /// The leaves that can hold a name: the one its hash leads to, and those that continue it.
    pub(super) fn leaves_for(&self, dir: &Inode, name: &[u8]) -> Result<Vec<u64>> {
        let (hasher, below) = self.index_info(dir)?;
        let (hash, _) = hasher.hash(name);
        let way = self.way(dir, hash, below)?;
        let Some(last) = way.last() else {
            return Ok(Vec::new());
        };
        let mut found = vec![last.child()];
        for n in last.taken.saturating_add(1)..last.index.count {
            if get32(&last.bytes, last.entry_at(n)) & !1 != hash {
                return Ok(found);
            }
            found.push(last.index.child(&last.bytes, n));
        }
        // Names with one hash may go on in the next index block: rare enough to look everywhere.
        if below > 0 {
            let all = self.blocks_of(dir);
            let head = found.clone();
            let mut meter = self.fs.meter();
            for n in 1..all {
                meter.steps(BLOCK_STEPS, "directory block")?;
                let is_leaf = self
                    .fs
                    .dir_block(dir, n)?
                    .is_some_and(|(bytes, _)| index_of(n, &bytes).is_none());
                if is_leaf && !head.contains(&n) {
                    found.push(n);
                }
            }
        }
        Ok(found)
    }

    /// Puts a name into an indexed directory.
    pub(super) fn add_indexed(&mut self, number: u32, named: Named<'_>) -> Result<()> {
        let usable = self.usable();
        // Each turn makes room in one block, until the leaf has some.
        for _ in 0..SPLITS {
            let dir = self.fs.any_inode(number)?;
            let (hasher, below) = self.index_info(&dir)?;
            let (hash, _) = hasher.hash(named.name);
            let mut way = self.way(&dir, hash, below)?;
            let leaf = way.last().map_or(0, Level::child);
            let found = if leaf == 0 || leaf >= self.blocks_of(&dir) {
                None
            } else {
                self.leaf(&dir, leaf)?
            };
            let Some((block, mut bytes)) = found else {
                return Err(dir.corrupt(format!("has an index that leads to block {leaf}")));
            };
            let form = self.fs.form(&dir);
            if let Some(area) = bytes.get_mut(..usable)
                && insert(&form, area, named)
            {
                return self.put_leaf(&dir, block, &mut bytes);
            }
            let full = way.iter().rposition(|l| !l.is_full());
            match full.and_then(|n| n.checked_add(1)) {
                // The index has room for one more leaf.
                Some(n) if n == way.len() => self.split_leaf(&dir, &mut way, hasher, block, &bytes)?,
                // Some level above has room for one more index block.
                Some(n) => self.split_index(&dir, &mut way, n)?,
                None => self.deepen(&dir, &mut way)?,
            }
        }
        Err(Error::new(
            Class::NoSpace,
            format!("directory inode {number} has too many names with one hash"),
        ))
    }

    /// Moves the upper half of a leaf, by hash, to a new one.
    fn split_leaf(
        &mut self,
        dir: &Inode,
        way: &mut [Level],
        hasher: Hasher,
        block: u64,
        bytes: &[u8],
    ) -> Result<()> {
        let mut all: Vec<_> = self
            .entries(dir, bytes)
            .into_iter()
            .map(|e| (hasher.hash(&e.0).0, e))
            .collect();
        all.sort_by_key(|(hash, _)| *hash);
        let total: u64 = all
            .iter()
            .map(|(_, e)| Self::entry_len(&e.0))
            .fold(0, u64::saturating_add);
        let mut sum = 0_u64;
        let half = all
            .iter()
            .position(|(_, e)| {
                sum = sum.saturating_add(Self::entry_len(&e.0));
                sum.saturating_mul(2) > total
            })
            .unwrap_or(0)
            .clamp(1, all.len().saturating_sub(1).max(1));
        let upper = all.split_off(half.min(all.len()));
        let (Some((before, _)), Some((hash, _))) = (all.last(), upper.first()) else {
            return Err(dir.corrupt("has a block that is full with one name"));
        };
        let hash = *hash | u32::from(before == hash);
        let (number, at) = self.grow(dir.number)?;
        let all: Vec<_> = all.into_iter().map(|(_, e)| e).collect();
        let upper: Vec<_> = upper.into_iter().map(|(_, e)| e).collect();
        let mut low = self.packed(&all);
        let mut high = self.packed(&upper);
        self.put_leaf(dir, block, &mut low)?;
        self.put_leaf(dir, at, &mut high)?;
        if let Some(last) = way.last_mut() {
            last.add(hash, number);
            self.put_index(dir, last.number, last.block, &mut last.bytes)?;
        }
        Ok(())
    }

    /// An index block without entries of its own.
    fn empty_node(&self) -> Vec<u8> {
        let size = self.block_size();
        let mut bytes = vec![0; size];
        put16(&mut bytes, 4, stored_len(size));
        let room = size.saturating_sub(8).saturating_sub(self.tail_len());
        put16(&mut bytes, 8, stored_len(room.checked_div(8).unwrap_or(0)));
        bytes
    }

    /// Moves the upper half of the index block at level `n` to a new one; the level above has room.
    fn split_index(&mut self, dir: &Inode, way: &mut [Level], n: usize) -> Result<()> {
        let (number, at) = self.grow(dir.number)?;
        let (above, rest) = way.split_at_mut_checked(n).unwrap_or_default();
        let (Some(parent), Some(level)) = (above.last_mut(), rest.first_mut()) else {
            return Err(dir.corrupt("has an index without a root"));
        };
        let half = level.index.count / 2;
        let (from, end) = (level.entry_at(half), level.entry_at(level.index.count));
        let moved = level.bytes.get(from..end).unwrap_or_default().to_vec();
        let hash = get32(&moved, 0);
        let mut node = self.empty_node();
        let limit = node.get(8..10).unwrap_or_default().to_vec();
        put(&mut node, 8, &moved);
        put(&mut node, 8, &limit);
        let count = level.index.count.saturating_sub(half);
        put16(&mut node, 10, stored_len(count));
        level.set_count(half);
        parent.add(hash, number);
        self.put_index(dir, number, at, &mut node)?;
        self.put_index(dir, level.number, level.block, &mut level.bytes)?;
        self.put_index(dir, parent.number, parent.block, &mut parent.bytes)
    }

    /// Puts one more level between the root and what lies below it.
    fn deepen(&mut self, dir: &Inode, way: &mut [Level]) -> Result<()> {
        if way.len() >= usize::from(self.most_levels()) {
            return Err(Error::new(
                Class::NoSpace,
                format!("the index of directory inode {} is full", dir.number),
            ));
        }
        let (number, at) = self.grow(dir.number)?;
        let Some(root) = way.first_mut() else {
            return Err(dir.corrupt("has an index without a root"));
        };
        let (from, end) = (root.entry_at(0), root.entry_at(root.index.count));
        let moved = root.bytes.get(from..end).unwrap_or_default().to_vec();
        let mut node = self.empty_node();
        let limit = node.get(8..10).unwrap_or_default().to_vec();
        put(&mut node, 8, &moved);
        put(&mut node, 8, &limit);
        put16(&mut node, 10, stored_len(root.index.count));
        root.set_count(1);
        put32(&mut root.bytes, from.saturating_add(4), low32(number));
        let levels = root.bytes.get(ROOT_INFO.saturating_add(6)).copied().unwrap_or(0);
        put(
            &mut root.bytes,
            ROOT_INFO.saturating_add(6),
            &[levels.saturating_add(1)],
        );
        self.put_index(dir, number, at, &mut node)?;
        self.put_index(dir, 0, root.block, &mut root.bytes)
    }

    /// Gives a directory of one block an index. `false` when its names cannot be hashed.
    pub(super) fn make_index(&mut self, dir: &Inode) -> Result<bool> {
        let sb = self.fs.groups.superblock();
        let version = sb.def_hash_version;
        if version > 5 || self.fs.hasher(None).is_none() {
            return Ok(false);
        }
        let parent = self.parent(dir)?;
        let Some((block, bytes)) = self.leaf(dir, 0)? else {
            return Err(dir.corrupt("has no first block"));
        };
        let mut entries = self.entries(dir, &bytes);
        entries.retain(|(name, ..)| name != b"." && name != b"..");
        let (number, at) = self.grow(dir.number)?;
        let mut record = self.record(&self.fs.any_inode(dir.number)?);
        record.set_flag(inode_flag::INDEX, true);
        self.save(&mut record)?;
        let dir = self.fs.any_inode(dir.number)?;
        let mut leaf = self.packed(&entries);
        self.put_leaf(&dir, at, &mut leaf)?;
        let size = self.block_size();
        let mut root = vec![0; size];
        if let Some(own) = bytes.get(..24) {
            put(&mut root, 0, own);
        }
        put16(&mut root, 4, 12);
        put32(&mut root, 12, parent);
        put16(&mut root, 16, stored_len(size.saturating_sub(12)));
        put(&mut root, ROOT_INFO.saturating_add(4), &[version, 8, 0, 0]);
        let start = ROOT_INFO.saturating_add(8);
        let room = size.saturating_sub(start).saturating_sub(self.tail_len());
        put16(&mut root, start, stored_len(room.checked_div(8).unwrap_or(0)));
        put16(&mut root, start.saturating_add(2), 1);
        put32(&mut root, start.saturating_add(4), low32(number));
        debug_assert!(wide(start) < wide(size));
        self.put_index(&dir, 0, block, &mut root)?;
        Ok(true)
    }
}
