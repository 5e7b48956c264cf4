//! Clusters given out and taken back, in every copy of the table.

use super::{FatWriter, narrow, wide};
use crate::clusters::{Chain, Run};
use crate::table::Width;
use h2k_block::{Class, Error, Meter, Result};

/// Entries written at once.
const BATCH: usize = 4096;

/// What is known of the free clusters.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// How many there are.
    pub(super) free: u32,
    /// The cluster that was given out last: the next search begins behind it.
    pub(super) last: u32,
    /// Where the tables lie that are kept up to date, in bytes.
    pub(super) tables: Vec<u64>,
}

impl FatWriter {
    fn width(&self) -> Width {
        self.fs.geometry.width
    }

    /// Writes the entries of neighbouring clusters, from `first` on, in every table.
    fn set_links(&mut self, first: u32, values: &[u32]) -> Result<()> {
        let width = self.width();
        let bit = |n: u64| n.saturating_mul(width.bits());
        let first = u64::from(first);
        let (start, end) = (
            bit(first) / 8,
            bit(first.saturating_add(wide(values.len()))).div_ceil(8),
        );
        let Some(table) = self.space.tables.first() else {
            return Err(Error::new(Class::Invalid, "a volume without a table"));
        };
        // All tables are equal, so what stays of one stays of each.
        let mut bytes = vec![0; narrow(end.saturating_sub(start))];
        self.over.read_at(table.saturating_add(start), &mut bytes)?;
        for (n, value) in values.iter().enumerate() {
            let at = bit(first.saturating_add(wide(n))).saturating_sub(start.saturating_mul(8));
            patch(&mut bytes, at, *value, width);
        }
        for table in self.space.tables.clone() {
            self.put(table.saturating_add(start), &bytes)?;
        }
        for table in &self.fs.clusters.tables {
            table.forget(start..end);
        }
        Ok(())
    }

    /// Finds `count` free clusters, from behind `near` on where that is one. They are not marked yet.
    fn find_free(&self, count: u32, near: Option<u32>) -> Result<Vec<u32>> {
        let full = || {
            let what = format!("{count} clusters are needed, {} are free", self.space.free);
            Error::new(Class::NoSpace, what)
        };
        if count > self.space.free {
            return Err(full());
        }
        let clusters = self.fs.clusters.count;
        let near = near.unwrap_or(self.space.last);
        let start = near.saturating_sub(1).checked_rem(clusters).unwrap_or(0);
        let mut held = None;
        let mut found = Vec::new();
        for n in (start..clusters).chain(0..start) {
            if found.len() >= narrow(count.into()) {
                break;
            }
            let cluster = n.saturating_add(2);
            if self.fs.is_free(cluster, &mut held)? {
                found.push(cluster);
            }
        }
        if found.len() < narrow(count.into()) {
            return Err(full());
        }
        Ok(found)
    }

    /// Adds `count` free clusters at the end of a chain.
    pub(super) fn extend(&mut self, chain: &mut Chain, count: u32) -> Result<()> {
        let mut meter = Meter::new(self.fs.clusters.limits);
        let last = chain.last();
        let found = self.find_free(count, last)?;
        let Some(first) = found.first() else {
            return Ok(());
        };
        if let Some(last) = last {
            self.set_links(last, &[*first])?;
        }
        let end = self.width().end();
        let mut done = 0_usize;
        for run in found.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            for part in run.chunks(BATCH) {
                done = done.saturating_add(part.len());
                let after = found.get(done).copied().unwrap_or(end);
                let links: Vec<u32> = part.iter().skip(1).copied().chain([after]).collect();
                if let Some(first) = part.first() {
                    self.set_links(*first, &links)?;
                }
            }
        }
        for cluster in &found {
            chain.push(*cluster, &mut meter)?;
        }
        self.space.free = self.space.free.saturating_sub(count);
        self.space.last = found.last().copied().unwrap_or(self.space.last);
        self.fs.clusters.forget_chains();
        Ok(())
    }

    /// Gives back what of a chain comes after the first `keep` clusters.
    pub(super) fn shorten(&mut self, chain: &mut Chain, keep: u32) -> Result<()> {
        let gone = chain.cut(keep);
        if gone.is_empty() {
            return Ok(());
        }
        if let Some(last) = chain.last() {
            let end = self.width().end();
            self.set_links(last, &[end])?;
        }
        for Run { first, count, .. } in gone {
            let mut done = 0;
            while done < count {
                let n = count.saturating_sub(done).min(4096);
                let zeros = vec![0; narrow(n.into())];
                self.set_links(first.saturating_add(done), &zeros)?;
                done = done.saturating_add(n);
            }
            self.space.free = self.space.free.saturating_add(count);
        }
        self.fs.clusters.forget_chains();
        Ok(())
    }
}

/// Writes the entry at `bit` of `bytes`.
fn patch(bytes: &mut [u8], bit: u64, value: u32, width: Width) {
    let Some(rest) = bytes.get_mut(narrow(bit / 8)..) else {
        return;
    };
    let [a, b, ..] = value.to_le_bytes();
    match width {
        Width::Fat12 => {
            let Some([low, high]) = rest.first_chunk_mut::<2>() else {
                return;
            };
            if bit.is_multiple_of(8) {
                *low = a;
                *high = *high & 0xf0 | b & 0x0f;
            } else {
                *low = *low & 0x0f | a << 4;
                *high = b << 4 | a >> 4;
            }
        }
        Width::Fat16 => {
            if let Some(to) = rest.first_chunk_mut::<2>() {
                *to = [a, b];
            }
        }
        Width::Fat32 | Width::Exfat => {
            // The upper four bits are not ours (section 4).
            if let Some(to) = rest.first_chunk_mut::<4>() {
                let kept = u32::from_le_bytes(*to) & 0xf000_0000;
                *to = (kept | value & 0x0fff_ffff).to_le_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_twelve_bits_leave_their_neighbours_alone() {
        let mut bytes = [0xff; 6];
        patch(&mut bytes, 12, 0x123, Width::Fat12);
        assert_eq!(bytes, [0xff, 0x3f, 0x12, 0xff, 0xff, 0xff]);
        patch(&mut bytes, 24, 0x456, Width::Fat12);
        assert_eq!(bytes, [0xff, 0x3f, 0x12, 0x56, 0xf4, 0xff]);
    }

    #[test]
    fn the_upper_four_bits_of_an_entry_stay() {
        let mut bytes = [0, 0, 0, 0xa0];
        patch(&mut bytes, 0, 0x0fff_ffff, Width::Fat32);
        assert_eq!(bytes, [0xff, 0xff, 0xff, 0xaf]);
    }
}
