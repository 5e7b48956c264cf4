use super::geometry::Geometry;
use super::header::Header;
use super::layout::{MAX_REFCOUNT_TABLE_BYTES, REFCOUNT_RESERVED};
use h2k_block::Cache;
use h2k_block::{BlockRead, Error, Meter, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many reference counts are kept together.
const CHUNK: u64 = 4096;
/// Blocks are read in slices of at most this many bytes.
const SLICE: u64 = 65536;

/// Why an entry of the refcount table cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Reserved,
    Unaligned,
    Outside,
}

/// The reference counts an image has written down.
pub(super) struct Stored<'a> {
    file: &'a dyn BlockRead,
    geometry: Geometry,
    order: u32,
    /// Where each block lies; 0 where there is none or the entry cannot be followed.
    pub(super) blocks: Vec<u64>,
    /// Entries that cannot be followed, by number.
    pub(super) flaws: BTreeMap<u64, (u64, Flaw)>,
    slices: Cache<[u8]>,
}

impl<'a> Stored<'a> {
    /// Reads the refcount table.
    ///
    /// # Errors
    /// [`h2k_block::Class::Corrupt`] when the table itself is not in the file.
    pub(super) fn read(file: &'a dyn BlockRead, header: &Header, meter: &mut Meter) -> Result<Self> {
        let geometry = header.geometry;
        let offset = header.refcount_table_offset;
        let len = u64::from(header.refcount_table_clusters).saturating_mul(geometry.cluster());
        let bad = |what: String| Error::corrupt("refcount table", offset, what);
        if len > MAX_REFCOUNT_TABLE_BYTES {
            return Err(Error::unsupported(format!(
                "it has {len} bytes; tables of more than 8 MiB are read by nobody"
            ))
            .at("refcount table", offset));
        }
        if len == 0 || offset == 0 || geometry.within(offset) != 0 {
            return Err(bad("is empty or not aligned to a cluster".to_owned()));
        }
        let end = offset.checked_add(len);
        let file_end = geometry.ceil(file.len()).unwrap_or(u64::MAX);
        if end.is_none_or(|end| end > file_end) {
            return Err(bad(format!("is {len} bytes long, past the end of the file")));
        }
        let bytes = read_padded(file, offset, meter.bytes(len, "refcount table")?)?;
        let (words, _) = bytes.as_chunks::<8>();
        let mut flaws = BTreeMap::new();
        let mut blocks = Vec::with_capacity(words.len());
        for (number, word) in (0_u64..).zip(words) {
            let entry = u64::from_be_bytes(*word);
            let flaw = if entry & REFCOUNT_RESERVED != 0 {
                Some(Flaw::Reserved)
            } else if geometry.within(entry) != 0 {
                Some(Flaw::Unaligned)
            } else if entry >= file_end {
                Some(Flaw::Outside)
            } else {
                None
            };
            if let Some(flaw) = flaw {
                flaws.insert(number, (entry, flaw));
            }
            blocks.push(if flaw.is_some() { 0 } else { entry });
        }
        Ok(Self {
            file,
            geometry,
            order: header.refcount_order,
            blocks,
            flaws,
            slices: Cache::new(2 << 20, SLICE.min(geometry.cluster())),
        })
    }

    /// Clusters a block counts, as a power of two.
    pub(super) fn block_bits(&self) -> u32 {
        block_bits(self.geometry, self.order)
    }

    /// The block that counts `cluster`, if there is one.
    pub(super) fn block(&self, cluster: u64) -> Option<u64> {
        let number = usize::try_from(cluster.wrapping_shr(self.block_bits())).ok()?;
        self.blocks.get(number).copied().filter(|offset| *offset != 0)
    }

    /// The count of `cluster`; 0 where no block counts it.
    pub(super) fn get(&self, cluster: u64) -> Result<u64> {
        let Some(block) = self.block(cluster) else {
            return Ok(0);
        };
        let within = cluster & 1_u64.wrapping_shl(self.block_bits()).wrapping_sub(1);
        let bit = within.wrapping_shl(self.order);
        let byte = bit >> 3;
        let slice_bytes = SLICE.min(self.geometry.cluster());
        let start = byte & !slice_bytes.wrapping_sub(1);
        let slice = self.slices.get(block.saturating_add(start), || {
            let len = usize::try_from(slice_bytes).unwrap_or(0);
            read_padded(self.file, block.saturating_add(start), len).map(Arc::from)
        })?;
        let at = usize::try_from(byte.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = slice.get(at..).unwrap_or_default();
        Ok(load(bytes, bit & 7, self.order))
    }
}

/// Clusters a refcount block counts, as a power of two.
pub(super) fn block_bits(geometry: Geometry, order: u32) -> u32 {
    geometry.cluster_bits().saturating_add(3).saturating_sub(order)
}

/// The largest count of `1 << order` bits.
pub(super) fn largest(order: u32) -> u64 {
    u64::MAX.wrapping_shr(64_u32.saturating_sub(1_u32.wrapping_shl(order)))
}

/// A count of `1 << order` bits at the beginning of `bytes`; narrower ones begin at `bit`.
fn load(bytes: &[u8], bit: u64, order: u32) -> u64 {
    match order {
        0..=2 => {
            let byte = u64::from(bytes.first().copied().unwrap_or(0));
            byte.wrapping_shr(u32::try_from(bit).unwrap_or(0)) & largest(order)
        }
        _ => {
            let width = 1_usize.wrapping_shl(order.saturating_sub(3));
            let bytes = bytes.get(..width).unwrap_or_default();
            bytes.iter().fold(0, |all, b| all << 8 | u64::from(*b))
        }
    }
}

/// Sets count number `index` of a block.
pub(super) fn store(block: &mut [u8], index: u64, order: u32, count: u64) {
    let bit = index.wrapping_shl(order);
    let at = usize::try_from(bit >> 3).unwrap_or(usize::MAX);
    if order < 3 {
        if let Some(byte) = block.get_mut(at) {
            let shift = u32::try_from(bit & 7).unwrap_or(0);
            let mask = u8::try_from(largest(order) & 0xff).unwrap_or(0);
            let count = u8::try_from(count & 0xff).unwrap_or(0) & mask;
            *byte = (*byte & !mask.wrapping_shl(shift)) | count.wrapping_shl(shift);
        }
        return;
    }
    let width = 1_usize.wrapping_shl(order.saturating_sub(3));
    let bytes = count.to_be_bytes();
    let from = bytes.len().saturating_sub(width);
    if let (Some(to), Some(from)) = (
        block.get_mut(at..).and_then(|b| b.get_mut(..width)),
        bytes.get(from..),
    ) {
        to.copy_from_slice(from);
    }
}

/// Reads `len` bytes; what lies past the end of the file is zero.
pub(super) fn read_padded(file: &dyn BlockRead, offset: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let there = usize::try_from(file.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    if let Some(head) = bytes.get_mut(..there.min(len))
        && !head.is_empty()
    {
        file.read_at(offset, head)?;
    }
    Ok(bytes)
}

/// References found by walking the tables. Memory grows with the clusters that are referred to, not with the file.
#[derive(Default)]
pub(super) struct Counted {
    chunks: BTreeMap<u64, Box<[u16]>>,
    /// What goes beyond 16 bits.
    more: BTreeMap<u64, u64>,
}

impl Counted {
    /// One more reference to `cluster`.
    pub(super) fn add(&mut self, cluster: u64, meter: &mut Meter) -> Result<()> {
        let chunk = match self.chunks.entry(cluster / CHUNK) {
            std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
            std::collections::btree_map::Entry::Vacant(slot) => {
                meter.bytes(CHUNK.saturating_mul(2), "reference counts")?;
                slot.insert(vec![0; usize::try_from(CHUNK).unwrap_or(0)].into_boxed_slice())
            }
        };
        let within = usize::try_from(cluster % CHUNK).unwrap_or(usize::MAX);
        if let Some(count) = chunk.get_mut(within) {
            match count.checked_add(1) {
                Some(more) => *count = more,
                None => {
                    if !self.more.contains_key(&cluster) {
                        meter.bytes(64, "reference counts")?;
                    }
                    let more = self.more.entry(cluster).or_default();
                    *more = more.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// How many references `cluster` has.
    pub(super) fn get(&self, cluster: u64) -> u64 {
        let within = usize::try_from(cluster % CHUNK).unwrap_or(usize::MAX);
        let count = self.chunks.get(&(cluster / CHUNK)).and_then(|c| c.get(within));
        match count.copied() {
            Some(u16::MAX) => self
                .more
                .get(&cluster)
                .copied()
                .unwrap_or(0)
                .saturating_add(u16::MAX.into()),
            count => count.unwrap_or(0).into(),
        }
    }

    /// Whether any of `from .. to` could be referred to.
    pub(super) fn any(&self, from: u64, to: u64) -> bool {
        from < to
            && self
                .chunks
                .range(from / CHUNK..=to.saturating_sub(1) / CHUNK)
                .next()
                .is_some()
    }

    /// The last cluster that is referred to.
    pub(super) fn last(&self) -> Option<u64> {
        self.chunks.iter().rev().find_map(|(chunk, counts)| {
            let within = counts.iter().rposition(|count| *count != 0)?;
            let first = chunk.saturating_mul(CHUNK);
            Some(first.saturating_add(u64::try_from(within).unwrap_or(0)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width_are_kept_apart_from_their_neighbours() {
        for order in 0..=6 {
            let mut block = vec![0; 64];
            store(&mut block, 3, order, largest(order));
            store(&mut block, 4, order, 1);
            store(&mut block, 3, order, largest(order) ^ 1);
            let get = |index: u64| {
                let bit = index << order;
                load(&block[usize::try_from(bit >> 3).unwrap()..], bit & 7, order)
            };
            assert_eq!(
                [2, 3, 4, 5].map(get),
                [0, largest(order) ^ 1, 1, 0],
                "order {order}"
            );
        }
        assert_eq!(largest(4), 0xffff);
        assert_eq!(largest(6), u64::MAX);
    }

    #[test]
    fn counts_go_beyond_16_bits() {
        let mut meter = Meter::new(h2k_block::Limits::default());
        let mut counted = Counted::default();
        for _ in 0..70_000 {
            counted.add(5, &mut meter).unwrap();
        }
        assert_eq!([4, 5, 6].map(|c| counted.get(c)), [0, 70_000, 0]);
        assert_eq!(counted.last(), Some(5));
    }
}
