//! Which blocks are in use (bitmaps.rst), and how full the filesystem is.

use crate::blocks::Block;
use crate::bytes::wide;
use crate::feature::ro_compat;
use crate::group::{Group, kept};
use crate::volume::Ext4;
use h2k_block::{Class, Error, Extent, Kind, Meter, Result};
use h2k_fs::Usage;

/// Groups joined into one answer at most, so that one call stays short.
const JOINED: u32 = 256;

/// Marks `len` bits from `start` in a bitmap.
pub(crate) fn mark(bits: &mut [u8], start: u64, len: u64) {
    for n in start..start.saturating_add(len) {
        let byte = usize::try_from(n >> 3).ok().and_then(|at| bits.get_mut(at));
        let Some(byte) = byte else {
            return;
        };
        *byte |= 1_u8.rotate_left(u32::try_from(n & 7).unwrap_or(0));
    }
}

/// The value of bit `start`, and how many bits from there to `end` have it.
pub(crate) fn equal_bits(bits: &[u8], start: u64, end: u64) -> (bool, u64) {
    let get = |n: u64| {
        let byte = usize::try_from(n >> 3)
            .ok()
            .and_then(|at| bits.get(at))
            .copied()
            .unwrap_or(0xff);
        byte.rotate_right(u32::try_from(n & 7).unwrap_or(0)) & 1 != 0
    };
    let value = get(start);
    let full: u8 = if value { 0xff } else { 0 };
    let mut n = start.saturating_add(1);
    while n < end {
        if n & 7 == 0 {
            let from = usize::try_from(n >> 3).unwrap_or(usize::MAX);
            let same = bits
                .get(from..)
                .unwrap_or_default()
                .iter()
                .take_while(|b| **b == full)
                .count();
            let skip = u64::try_from(same).unwrap_or(0).saturating_mul(8);
            n = n.saturating_add(skip);
            if n >= end {
                break;
            }
        }
        if get(n) != value {
            break;
        }
        n = n.saturating_add(1);
    }
    (value, n.min(end).saturating_sub(start))
}

impl Ext4 {
    /// The block bitmap of a group, one bit a cluster; computed for groups whose bitmap was never written.
    pub(crate) fn bitmap(&self, group: &Group) -> Result<Block> {
        if group.block_uninit {
            return Ok(self.fresh_bitmap(group));
        }
        let place = self.blocks.offset(group.block_bitmap);
        if !self.blocks.holds(group.block_bitmap, 1) {
            return Err(Error::corrupt(
                "block bitmap",
                place,
                format!(
                    "of group {} lies at block {} of {}",
                    group.number,
                    group.block_bitmap,
                    self.blocks.count()
                ),
            ));
        }
        let block = self.blocks.get(group.block_bitmap, "block bitmap")?;
        if let Some(seed) = self.geo.seed {
            let len = usize::try_from(self.geo.group_clusters >> 3).unwrap_or(usize::MAX);
            let bits = block.get(..len).unwrap_or(&block);
            let expected = kept(seed.bitmap(bits), group.wide_csum);
            let found = kept(group.block_bitmap_csum, group.wide_csum);
            if found != expected {
                return Err(Error::corrupt(
                    "block bitmap",
                    place,
                    format!(
                        "of group {} has checksum {found:#x}, computed {expected:#x}",
                        group.number
                    ),
                ));
            }
        }
        Ok(block)
    }

    /// What the bitmap of a group holds before anything is allocated in it (blockgroup.rst, "Lazy Block Group
    /// Initialization"): copies of superblock and descriptors, and its own bitmaps and inode table if they lie in it.
    fn fresh_bitmap(&self, group: &Group) -> Block {
        let mut bits = vec![0; usize::try_from(self.geo.block_size()).unwrap_or(0)];
        let start = self.geo.group_start(group.number);
        let end = start.saturating_add(self.geo.group_len(group.number));
        let cluster = |block: u64| block.checked_shr(self.geo.cluster_bits).unwrap_or(0);
        let mut own = |first: u64, len: u64| {
            let last = first.saturating_add(len).saturating_sub(1);
            if len > 0 && first >= start && last < end {
                let from = cluster(first.saturating_sub(start));
                let to = cluster(last.saturating_sub(start));
                mark(&mut bits, from, to.saturating_sub(from).saturating_add(1));
            }
        };
        own(start, self.groups.base_blocks(&self.geo, group.number));
        own(group.block_bitmap, 1);
        own(group.inode_bitmap, 1);
        own(group.inode_table, self.geo.table_blocks());
        Block::from(bits)
    }

    /// Whether `block` is used, and how many blocks from there on, within its group, are alike.
    fn used_in_group(&self, block: u64) -> Result<(bool, u64)> {
        let since = block.saturating_sub(self.geo.first_block);
        let number = u32::try_from(since.checked_div(self.geo.group_blocks).unwrap_or(0)).unwrap_or(u32::MAX);
        let group = self.group(number)?;
        let within = since.checked_rem(self.geo.group_blocks).unwrap_or(0);
        let bits = self.geo.cluster_bits;
        let len = self.geo.group_len(number);
        if !group.current {
            return Ok((true, len.saturating_sub(within).max(1)));
        }
        let bitmap = self.bitmap(&group)?;
        let clusters = len.checked_shr(bits).unwrap_or(0).max(1);
        // The last cluster of a filesystem may be cut off: it counts as the one before.
        let first = within
            .checked_shr(bits)
            .unwrap_or(0)
            .min(clusters.saturating_sub(1));
        let (used, run) = equal_bits(&bitmap, first, clusters);
        let end = first.saturating_add(run);
        let end = if end >= clusters {
            len
        } else {
            end.checked_shl(bits).unwrap_or(len)
        };
        Ok((used, end.saturating_sub(within).max(1)))
    }

    /// See `FsRead::used_at`.
    pub(crate) fn used(&self, offset: u64, end: u64) -> Result<Extent> {
        let volume = self.blocks.disk().len();
        if offset >= end || end > volume {
            return Err(Error::new(
                Class::OutOfBounds,
                format!("{offset:#x}..{end:#x} asked, the volume has {volume} bytes"),
            ));
        }
        let all = end.saturating_sub(offset);
        let block = offset.checked_shr(self.geo.block_bits).unwrap_or(0);
        let answer = |until: u64, used: bool| {
            let len = self.blocks.offset(until).saturating_sub(offset).clamp(1, all);
            Ok(Extent::new(
                offset,
                len,
                if used { Kind::Data } else { Kind::Hole },
            ))
        };
        // Behind the last group lies whatever others keep there; and where the bitmaps may be wrong, nothing counts as
        // free.
        if block >= self.geo.blocks || !self.maps_hold {
            return Ok(Extent::new(offset, all, Kind::Data));
        }
        // Before the first group lies the boot block.
        if block < self.geo.first_block {
            return answer(self.geo.first_block, true);
        }
        let last = end.div_ceil(self.geo.block_size()).min(self.geo.blocks);
        let (mut used, len) = self.used_in_group(block)?;
        let mut until = block.saturating_add(len);
        for _ in 0..JOINED {
            if until >= last {
                break;
            }
            let (same, len) = self.used_in_group(until)?;
            if same != used {
                break;
            }
            until = until.saturating_add(len);
        }
        if !used {
            // Fast commits use blocks that the bitmaps do not know yet.
            for (first, len) in self.fast.added() {
                let after = first.saturating_add(*len);
                if after <= block {
                    continue;
                }
                if *first <= block {
                    used = true;
                    until = after;
                } else {
                    until = until.min(*first);
                }
                break;
            }
        }
        answer(until, used)
    }

    /// Blocks that hold no files by design, as `statfs` leaves them out.
    fn overhead(&self, meter: &mut Meter) -> Result<u64> {
        let sb = self.groups.superblock();
        let stored = u64::from(sb.overhead_clusters.get())
            .checked_shl(self.geo.cluster_bits)
            .unwrap_or(0);
        if stored > 0 && stored < self.geo.blocks {
            return Ok(stored);
        }
        let mut sum = self.geo.first_block;
        for group in 0..self.geo.groups {
            meter.step("block group")?;
            sum = sum
                .saturating_add(self.groups.base_blocks(&self.geo, group))
                .saturating_add(self.geo.table_blocks())
                .saturating_add(2);
        }
        let journal = match sb.journal_inum.get() {
            0 => 0,
            number => self
                .any_inode(number)
                .map_or(0, |i| i.size.div_ceil(self.geo.block_size())),
        };
        Ok(sum.saturating_add(journal).min(self.geo.blocks))
    }

    /// See `FsRead::usage`: free space is the sum over all groups, which stays right when the superblock's own
    /// counters were not written.
    pub(crate) fn count_usage(&self) -> Result<Usage> {
        let sb = self.groups.superblock();
        let mut meter = self.meter();
        let (mut clusters, mut nodes) = (0_u64, 0_u64);
        let mut known = true;
        for number in 0..self.geo.groups {
            // Reading one is dearer than a step.
            meter.steps(8, "group descriptor")?;
            match self.group(number) {
                Ok(group) => {
                    clusters = clusters.saturating_add(u64::from(group.free_clusters));
                    nodes = nodes.saturating_add(u64::from(group.free_inodes));
                }
                Err(e) if e.class() == Class::Corrupt => {
                    known = false;
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        if !known {
            let hi = if self.geo.desc_size >= 64 {
                sb.free_blocks_count_hi.get()
            } else {
                0
            };
            clusters = wide(sb.free_blocks_count_lo.get(), hi);
            if self.geo.has_ro(ro_compat::BIGALLOC) {
                clusters = clusters.checked_shr(self.geo.cluster_bits).unwrap_or(0);
            }
            nodes = u64::from(sb.free_inodes_count.get());
        }
        let size = self.geo.block_size();
        let total = self.geo.blocks.saturating_sub(self.overhead(&mut meter)?);
        let free = clusters
            .checked_shl(self.geo.cluster_bits)
            .unwrap_or(0)
            .min(self.geo.blocks);
        Ok(Usage {
            block: size,
            total: total.saturating_mul(size),
            free: free.saturating_mul(size),
            nodes: Some(u64::from(self.geo.inodes)),
            nodes_free: Some(nodes.min(u64::from(self.geo.inodes))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_equal_bits_are_found_across_bytes() {
        let mut bits = vec![0; 64];
        mark(&mut bits, 3, 200);
        assert_eq!(equal_bits(&bits, 0, 512), (false, 3));
        assert_eq!(equal_bits(&bits, 3, 512), (true, 200));
        assert_eq!(equal_bits(&bits, 100, 150), (true, 50));
        assert_eq!(equal_bits(&bits, 203, 512), (false, 309));
        assert_eq!(equal_bits(&bits, 203, 204), (false, 1));
        assert_eq!(equal_bits(&bits, 202, 512), (true, 1));
    }
}
