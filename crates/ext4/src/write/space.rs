//! Blocks: finding free clusters near a goal, and giving them back.

use super::Ext4Writer;
use super::group::{BLOCK_CSUM, BLOCK_UNINIT, Desc, FREE_CLUSTERS};
use super::raw::{bit, count_free, narrow, pad, set_bit};
use crate::used::{equal_bits, mark};
use h2k_block::{Class, Error, Result};
use std::collections::BTreeMap;

/// Groups whose bitmaps are searched for a run that is long enough before a shorter one is taken.
const CHOOSY: u32 = 8;

/// Blocks that hold the filesystem itself: never given to a file, never given back.
#[derive(Debug, Default)]
pub(super) struct Zone(BTreeMap<u64, u64>);

impl Zone {
    pub(super) fn add(&mut self, first: u64, len: u64) {
        if len > 0 {
            let end = self.0.entry(first).or_insert(0);
            *end = (*end).max(first.saturating_add(len));
        }
    }

    /// Whether any of `len` blocks from `first` belongs to the filesystem itself.
    pub(super) fn touches(&self, first: u64, len: u64) -> bool {
        let end = first.saturating_add(len);
        self.0.range(..end).next_back().is_some_and(|(_, e)| *e > first)
    }

    /// Joins what overlaps, so that looking at one neighbour is enough.
    pub(super) fn join(&mut self) {
        let mut joined: BTreeMap<u64, u64> = BTreeMap::new();
        for (first, end) in &self.0 {
            match joined.last_entry() {
                Some(mut last) if *last.get() >= *first => {
                    let longer = (*last.get()).max(*end);
                    last.insert(longer);
                }
                _ => {
                    joined.insert(*first, *end);
                }
            }
        }
        self.0 = joined;
    }
}

/// What a file may be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The block it would like best.
    pub(super) goal: u64,
    /// Clusters.
    pub(super) clusters: u64,
    /// Block numbers have to fit 32 bits (block maps).
    pub(super) narrow: bool,
}

/// A run of free clusters in one group.
#[derive(Clone, Copy)]
struct Found {
    first: u64,
    len: u64,
}

impl Ext4Writer {
    /// Blocks in a cluster.
    pub(super) fn ratio(&self) -> u64 {
        1_u64.checked_shl(self.fs.geo.cluster_bits).unwrap_or(1)
    }

    /// The group of a block and its cluster within it.
    fn locate(&self, block: u64) -> (u32, u64) {
        let geo = &self.fs.geo;
        let since = block.saturating_sub(geo.first_block);
        let group = since.checked_div(geo.group_blocks).unwrap_or(0);
        let within = since.checked_rem(geo.group_blocks).unwrap_or(0);
        (
            u32::try_from(group).unwrap_or(u32::MAX),
            within.checked_shr(geo.cluster_bits).unwrap_or(0),
        )
    }

    /// Clusters of a group, with the one that may be cut off at the end.
    fn clusters(&self, group: u32) -> u64 {
        self.fs.geo.group_len(group).div_ceil(self.ratio())
    }

    /// The block bitmap of a group, checked against the descriptor; made up if it was never written.
    pub(super) fn block_bits(&self, desc: &Desc) -> Result<Vec<u8>> {
        let group = self.fs.group(desc.number)?;
        let mut bits = self.fs.bitmap(&group)?.to_vec();
        let clusters = self.clusters(desc.number);
        if desc.has_flag(BLOCK_UNINIT) {
            pad(&mut bits, clusters);
        }
        let (free, said) = (count_free(&bits, clusters), u64::from(desc.get(FREE_CLUSTERS)));
        if free != said {
            return Err(desc
                .corrupt(format!(
                    "its block bitmap has {free} free clusters, the descriptor says {said}"
                ))
                .advise("fsck has to be run before this filesystem can be written to"));
        }
        Ok(bits)
    }

    pub(super) fn save_block_bits(&mut self, desc: &mut Desc, bits: &[u8]) -> Result<()> {
        let place = desc.block_bitmap();
        if !self.fs.blocks.holds(place, 1) {
            return Err(desc.corrupt(format!("its block bitmap lies at block {place}")));
        }
        self.put(place, bits)?;
        let free = count_free(bits, self.clusters(desc.number));
        desc.set(FREE_CLUSTERS, u32::try_from(free).unwrap_or(u32::MAX));
        desc.clear_flag(BLOCK_UNINIT);
        if let Some(seed) = self.fs.geo.seed {
            let len = narrow(self.fs.geo.group_clusters >> 3);
            let sum = seed.bitmap(bits.get(..len).unwrap_or(bits));
            desc.set(BLOCK_CSUM, sum);
        }
        self.save_desc(desc)
    }

    /// The best run of free clusters in a group: at the goal if that is free, else the first one that is long enough,
    /// else the longest.
    fn best(&self, desc: &Desc, from: u64, want: u64) -> Result<Option<Found>> {
        if desc.get(FREE_CLUSTERS) == 0 {
            return Ok(None);
        }
        let bits = self.block_bits(desc)?;
        // Whole clusters only: the last one may be cut off.
        let end = self
            .fs
            .geo
            .group_len(desc.number)
            .checked_shr(self.fs.geo.cluster_bits)
            .unwrap_or(0);
        if from < end && !bit(&bits, from) {
            let (_, len) = equal_bits(&bits, from, end);
            return Ok(Some(Found { first: from, len }));
        }
        let mut best: Option<Found> = None;
        // First behind the goal, then from the beginning; `at` grows in both.
        for (start, stop) in [(from.min(end), end), (0, from.min(end))] {
            let mut at = start;
            while at < stop {
                let (used, len) = equal_bits(&bits, at, stop);
                if !used {
                    if len >= want {
                        return Ok(Some(Found { first: at, len }));
                    }
                    if best.is_none_or(|b| len > b.len) {
                        best = Some(Found { first: at, len });
                    }
                }
                at = at.saturating_add(len.max(1));
            }
        }
        Ok(best)
    }

    /// Takes a run of clusters, as near to the goal and as long as there is: its first block and its length in
    /// clusters, at most as many as wished for. The reserve is there for root, and so it is for us.
    pub(super) fn allocate(&mut self, wish: Wish) -> Result<(u64, u64)> {
        let groups = self.fs.geo.groups;
        let (home, near) = self.locate(wish.goal.min(self.fs.geo.blocks.saturating_sub(1)));
        let want = wish.clusters.max(1);
        let mut second: Option<(u32, Found)> = None;
        for turn in 0..groups {
            let number = home.saturating_add(turn).checked_rem(groups).unwrap_or(0);
            if second.is_some() && turn > CHOOSY {
                break;
            }
            let start = self.fs.geo.group_start(number);
            if wish.narrow && start.saturating_add(self.fs.geo.group_blocks) > 1 << 32 {
                continue;
            }
            let desc = self.desc(number)?;
            let from = if turn == 0 { near } else { 0 };
            let Some(found) = self.best(&desc, from, want)? else {
                continue;
            };
            if found.len >= want || (turn == 0 && found.first == from) {
                second = Some((number, found));
                break;
            }
            if second.is_none_or(|(_, s)| found.len > s.len) {
                second = Some((number, found));
            }
        }
        let Some((number, found)) = second else {
            let error = Error::new(Class::NoSpace, "the filesystem has no free blocks left");
            return Err(error.advise("remove files inside the guest that are not needed, or make it larger"));
        };
        let len = found.len.min(want);
        let mut desc = self.desc(number)?;
        let mut bits = self.block_bits(&desc)?;
        mark(&mut bits, found.first, len);
        let geo = &self.fs.geo;
        let first = geo
            .group_start(number)
            .saturating_add(found.first.checked_shl(geo.cluster_bits).unwrap_or(u64::MAX));
        if self
            .zone
            .touches(first, len.checked_shl(geo.cluster_bits).unwrap_or(0))
        {
            return Err(desc.corrupt(format!(
                "its block bitmap says that block {first} is free, but the filesystem itself lies there"
            )));
        }
        self.save_block_bits(&mut desc, &bits)?;
        Ok((first, len))
    }

    /// Gives clusters back: `len` of them, from the one that holds `block`.
    pub(super) fn release(&mut self, block: u64, len: u64) -> Result<()> {
        let mut left = len;
        let mut at = block;
        // Every turn gives back at least one cluster of some group.
        while left > 0 {
            let (number, first) = self.locate(at);
            let end = self.clusters(number);
            let n = left.min(end.saturating_sub(first)).max(1);
            let blocks = n.checked_shl(self.fs.geo.cluster_bits).unwrap_or(u64::MAX);
            if at < self.fs.geo.first_block || at >= self.fs.geo.blocks || self.zone.touches(at, 1) {
                return Err(Error::corrupt(
                    "block map",
                    self.fs.blocks.offset(at),
                    format!("block {at} belongs to the filesystem itself, not to a file"),
                ));
            }
            let mut desc = self.desc(number)?;
            let mut bits = self.block_bits(&desc)?;
            for cluster in first..first.saturating_add(n) {
                if !bit(&bits, cluster) || cluster >= end {
                    return Err(desc.corrupt(format!(
                        "cluster {cluster} is in use, but its block bitmap says that it is free"
                    )));
                }
                set_bit(&mut bits, cluster, false);
            }
            self.save_block_bits(&mut desc, &bits)?;
            left = left.saturating_sub(n);
            at = at.saturating_add(blocks);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_the_filesystem_itself_are_known_wherever_a_run_touches_them() {
        let mut zone = Zone::default();
        for (first, len) in [(10, 5), (12, 1), (15, 2), (30, 1), (5, 0)] {
            zone.add(first, len);
        }
        zone.join();
        assert!(!zone.touches(0, 10) && zone.touches(0, 11) && zone.touches(16, 1));
        assert!(!zone.touches(17, 13) && zone.touches(17, 14) && !zone.touches(31, 100));
    }
}
