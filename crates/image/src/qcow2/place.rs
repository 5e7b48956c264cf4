use super::geometry::Geometry;
use super::layout::{COMPRESSED, COPIED, MAX_REFCOUNT_TABLE_BYTES, ZERO};
use h2k_block::{Body, Error, HostFile, Piece, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// What becomes of guest bytes that are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// Both kinds stay unallocated: nothing lies underneath.
    Absent,
    /// Holes stay unallocated, zeros get the zero flag: something lies underneath.
    Marked,
    /// Every cluster gets a place, and the zero flag.
    Kept,
}

/// Gives every cluster its place, in the order of the guest's disk, and writes tables when they are complete.
///
/// The file is filled from its beginning without gaps: a table of the second level stands before the first cluster it
/// maps, a refcount block behind the first cluster it counts. In memory are the L1 table, one L2 table, two refcount
/// blocks and the refcount table, whatever the size of the disk.
pub(super) struct Placer {
    file: Arc<dyn HostFile>,
    geometry: Geometry,
    empty: Empty,
    l1: Vec<u64>,
    l1_offset: u64,
    l2: Option<L2>,
    /// First host cluster that is free.
    next: u64,
    /// Where the refcount blocks lie.
    blocks: Vec<u64>,
    /// Counts of the last two blocks, and the number of the first of them.
    counts: VecDeque<Vec<u16>>,
    first_block: u64,
    /// Where the next compressed cluster could go, and where its room ends.
    coded: Option<(u64, u64)>,
    /// Length of the file so far.
    grown: u64,
}

struct L2 {
    index: usize,
    offset: u64,
    bytes: Vec<u8>,
}

/// What [`Placer::finish`] leaves for the header.
pub(super) struct Finished {
    pub(super) l1_offset: u64,
    pub(super) l1_entries: u64,
    pub(super) refcount_table_offset: u64,
    pub(super) refcount_table_clusters: u64,
}

impl Placer {
    /// Sets the header's cluster and the L1 table aside.
    pub(super) fn new(file: Arc<dyn HostFile>, geometry: Geometry, len: u64, empty: Empty) -> Result<Self> {
        // A table without entries is nothing readers agree on.
        let entries = geometry.l1_entries(len).max(1);
        let mut placer = Self {
            file,
            geometry,
            empty,
            l1: vec![0; usize::try_from(entries).map_err(|_| full())?],
            l1_offset: 0,
            l2: None,
            next: 0,
            blocks: Vec::new(),
            counts: VecDeque::new(),
            first_block: 0,
            coded: None,
            grown: 0,
        };
        placer.allocate(1)?;
        placer.l1_offset = placer.allocate(geometry.clusters(entries.saturating_mul(8)))?;
        placer.grow()?;
        Ok(placer)
    }

    /// Places the pieces of a batch. Where empty clusters are kept, their pieces are split as their places are.
    pub(super) fn place(&mut self, pieces: &mut Vec<Piece>) -> Result<()> {
        if self.empty == Empty::Kept {
            let mut split = Vec::with_capacity(pieces.len());
            for piece in pieces.drain(..) {
                match piece.body {
                    Body::Hole | Body::Zero => self.keep(piece, &mut split)?,
                    _ => split.push(piece),
                }
                if let Some(last) = split.last_mut()
                    && !matches!(last.body, Body::Hole | Body::Zero)
                {
                    self.place_one(last)?;
                }
            }
            *pieces = split;
        } else {
            for piece in pieces {
                self.place_one(piece)?;
            }
        }
        self.grow()
    }

    fn place_one(&mut self, piece: &mut Piece) -> Result<()> {
        let guest = self.geometry.index(piece.start);
        match piece.body {
            Body::Hole => {}
            Body::Zero if self.empty == Empty::Absent => {}
            Body::Zero => {
                let end = self.geometry.clusters(piece.start.saturating_add(piece.len));
                for guest in guest..end {
                    self.set(guest, ZERO)?;
                }
            }
            Body::Plain => {
                self.table(guest)?;
                piece.host = self.allocate(1)?;
                self.set(guest, piece.host | COPIED)?;
            }
            Body::Coded { len, .. } => {
                self.table(guest)?;
                let len = u64::try_from(len).unwrap_or(u64::MAX);
                piece.host = self.coded(len)?;
                let entry = self.coded_entry(piece.host, len)?;
                self.set(guest, entry)?;
            }
        }
        Ok(())
    }

    /// Gives the clusters of an empty piece places, as many together as one table maps.
    fn keep(&mut self, piece: Piece, split: &mut Vec<Piece>) -> Result<()> {
        let piece_end = piece.start.saturating_add(piece.len);
        let mut start = piece.start;
        while start < piece_end {
            self.table(self.geometry.index(start))?;
            let span = self.geometry.span();
            let table_end = (start | span.wrapping_sub(1)).saturating_add(1);
            let end = table_end.min(piece_end);
            let (first, last) = (self.geometry.index(start), self.geometry.clusters(end));
            let host = self.allocate(last.saturating_sub(first))?;
            let mut at = host;
            for guest in first..last {
                self.set(guest, at | COPIED | ZERO)?;
                at = at.saturating_add(self.geometry.cluster());
            }
            split.push(Piece {
                start,
                len: end.saturating_sub(start),
                body: piece.body,
                host,
            });
            start = end;
        }
        Ok(())
    }

    /// Makes the table that maps guest cluster `guest` the one in memory. Tables are visited in ascending order.
    fn table(&mut self, guest: u64) -> Result<&mut L2> {
        let index = usize::try_from(guest.wrapping_shr(self.geometry.l2_bits())).map_err(|_| full())?;
        if self.l2.as_ref().is_none_or(|l2| l2.index != index) {
            self.write_l2()?;
            let offset = self.allocate(1)?;
            let slot = self.l1.get_mut(index).filter(|slot| **slot == 0);
            let slot = slot.ok_or_else(|| {
                Error::new(
                    h2k_block::Class::Invalid,
                    "pieces have to be placed in ascending order",
                )
            })?;
            *slot = offset | COPIED;
            self.l2 = Some(L2 {
                index,
                offset,
                bytes: vec![0; usize::try_from(self.geometry.cluster()).unwrap_or(0)],
            });
        }
        self.l2.as_mut().ok_or_else(full)
    }

    fn set(&mut self, guest: u64, entry: u64) -> Result<()> {
        let mask = 1_u64.wrapping_shl(self.geometry.l2_bits()).wrapping_sub(1);
        let at = usize::try_from((guest & mask).wrapping_shl(3)).unwrap_or(usize::MAX);
        let l2 = self.table(guest)?;
        if let Some(slot) = l2.bytes.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
            *slot = entry.to_be_bytes();
        }
        Ok(())
    }

    fn write_l2(&mut self) -> Result<()> {
        match self.l2.take() {
            Some(l2) => {
                self.grow()?;
                self.file.write_at(l2.offset, &l2.bytes)
            }
            None => Ok(()),
        }
    }

    /// Sets `n` clusters aside that lie together, and says where.
    fn allocate(&mut self, n: u64) -> Result<u64> {
        self.reserve(n, true)
    }

    /// The same, with a reference to each counted or not yet.
    fn reserve(&mut self, n: u64, counted: bool) -> Result<u64> {
        let start = self.next;
        self.next = start.saturating_add(n);
        for cluster in start..self.next {
            if counted {
                self.count(cluster)?;
            }
        }
        // Every block counts half a cluster's bytes of clusters; the last one must exist too.
        while u64::try_from(self.blocks.len()).unwrap_or(u64::MAX)
            < self.next.div_ceil(self.geometry.cluster() >> 1)
        {
            let block = self.next;
            self.next = block.saturating_add(1);
            self.blocks.push(block.saturating_mul(self.geometry.cluster()));
            self.count(block)?;
        }
        while self.counts.len() > 2 {
            self.write_counts()?;
        }
        start.checked_mul(self.geometry.cluster()).ok_or_else(full)
    }

    /// Counts one more reference to `cluster`.
    fn count(&mut self, cluster: u64) -> Result<()> {
        let bits = self.geometry.cluster_bits().saturating_sub(1);
        let block = cluster.wrapping_shr(bits).saturating_sub(self.first_block);
        let block = usize::try_from(block).map_err(|_| full())?;
        while self.counts.len() <= block {
            let each = usize::try_from(self.geometry.cluster() >> 1).unwrap_or(0);
            self.counts.push_back(vec![0; each]);
        }
        let within = usize::try_from(cluster & 1_u64.wrapping_shl(bits).wrapping_sub(1));
        let count = self
            .counts
            .get_mut(block)
            .and_then(|c| c.get_mut(within.unwrap_or(usize::MAX)));
        let count = count.ok_or_else(full)?;
        *count = count.checked_add(1).ok_or_else(full)?;
        Ok(())
    }

    fn count_of(&self, cluster: u64) -> Option<u16> {
        let bits = self.geometry.cluster_bits().saturating_sub(1);
        let block = cluster.wrapping_shr(bits).checked_sub(self.first_block)?;
        let within = cluster & 1_u64.wrapping_shl(bits).wrapping_sub(1);
        self.counts
            .get(usize::try_from(block).ok()?)?
            .get(usize::try_from(within).ok()?)
            .copied()
    }

    /// Writes the first block of counts that is in memory: no cluster it counts changes any more.
    fn write_counts(&mut self) -> Result<()> {
        let Some(counts) = self.counts.pop_front() else {
            return Ok(());
        };
        let number = usize::try_from(self.first_block).unwrap_or(usize::MAX);
        let offset = self.blocks.get(number).copied().ok_or_else(full)?;
        self.first_block = self.first_block.saturating_add(1);
        self.grow()?;
        let bytes: Vec<u8> = counts.iter().flat_map(|c| c.to_be_bytes()).collect();
        self.file.write_at(offset, &bytes)
    }

    /// Room for `len` compressed bytes: directly behind the last ones where that is possible.
    fn coded(&mut self, len: u64) -> Result<u64> {
        let geometry = self.geometry;
        let free = self.next.checked_mul(geometry.cluster()).ok_or_else(full)?;
        // Room in a cluster whose count has been written, or is at its limit, is given up; so is room that is too
        // small when the cluster behind it is taken.
        let (at, mut end) = self
            .coded
            .filter(|(at, end)| at < end && self.may_share(*at))
            .filter(|(at, end)| at.saturating_add(len) <= *end || *end == free)
            .unwrap_or((free, free));
        let after = at.saturating_add(len);
        if after > end {
            let more = geometry.clusters(after.saturating_sub(end));
            self.reserve(more, false)?;
            end = end.saturating_add(more.saturating_mul(geometry.cluster()));
        }
        for cluster in geometry.index(at)..geometry.clusters(after) {
            self.count(cluster)?;
        }
        self.coded = Some((after, end));
        Ok(at)
    }

    fn may_share(&self, at: u64) -> bool {
        self.count_of(self.geometry.index(at))
            .is_some_and(|count| count < u16::MAX)
    }

    /// The L2 entry of a compressed cluster: see the section "Cluster mapping".
    fn coded_entry(&self, at: u64, len: u64) -> Result<u64> {
        let x = 70_u32.saturating_sub(self.geometry.cluster_bits()).min(62);
        let last = at.saturating_add(len).saturating_sub(1);
        let further = last.wrapping_shr(9).saturating_sub(at.wrapping_shr(9));
        if at.wrapping_shr(x.min(56)) != 0 {
            return Err(full());
        }
        Ok(COMPRESSED | further.wrapping_shl(x) | at)
    }

    /// Makes the file long enough for everything placed so far. Rarely: a quarter more than needed each time.
    fn grow(&mut self) -> Result<()> {
        let needed = self.next.saturating_mul(self.geometry.cluster());
        // A file that was set aside for the image is longer already.
        self.grown = self.grown.max(self.file.len());
        if needed > self.grown {
            let more = (needed >> 2).clamp(1 << 20, 1 << 30);
            self.grown = needed.checked_add(more).ok_or_else(full)?;
            self.file.set_len(self.grown)?;
        }
        Ok(())
    }

    /// Writes every table that is still in memory and gives the file its length.
    pub(super) fn finish(mut self) -> Result<Finished> {
        self.write_l2()?;
        let geometry = self.geometry;
        let per_block = geometry.cluster() >> 1;
        // The table's own clusters are counted too, by at most so many further blocks.
        let blocks = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let mut clusters = 1_u64;
        loop {
            let more = clusters.div_ceil(per_block).saturating_add(1);
            let needed = geometry.clusters(blocks.saturating_add(more).saturating_mul(8));
            if needed <= clusters {
                break;
            }
            clusters = needed;
        }
        if clusters.saturating_mul(geometry.cluster()) > MAX_REFCOUNT_TABLE_BYTES {
            return Err(full());
        }
        let refcount_table_offset = self.reserve(clusters, true)?;
        self.grow()?;
        while !self.counts.is_empty() {
            self.write_counts()?;
        }
        self.file.write_at(refcount_table_offset, &words(&self.blocks))?;
        self.file.write_at(self.l1_offset, &words(&self.l1))?;
        self.file.set_len(self.next.saturating_mul(geometry.cluster()))?;
        Ok(Finished {
            l1_offset: self.l1_offset,
            l1_entries: u64::try_from(self.l1.len()).unwrap_or(u64::MAX),
            refcount_table_offset,
            refcount_table_clusters: clusters,
        })
    }
}

fn words(all: &[u64]) -> Vec<u8> {
    all.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn full() -> Error {
    Error::unsupported("the image outgrows what qcow2 can address with clusters of this size")
        .advise("choose larger clusters")
}
