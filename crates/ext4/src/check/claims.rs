//! Who uses which cluster: one bit each, for the groups where any is used.

use crate::geometry::Geometry;
use crate::write::raw::narrow;
use h2k_block::{Meter, Result};
use std::collections::BTreeMap;

/// The clusters in use, by group.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<u32, Box<[u8]>>);

impl Claims {
    /// Marks the clusters of `len` blocks from `first` on, which lie inside the filesystem. Says how many of them were
    /// marked already.
    pub(super) fn take(&mut self, geo: &Geometry, first: u64, len: u64, meter: &mut Meter) -> Result<u64> {
        let mut twice = 0_u64;
        let mut at = first.saturating_sub(geo.first_block);
        let end = at.saturating_add(len);
        // Each turn goes on to the next group.
        while at < end {
            let group = at.checked_div(geo.group_blocks).unwrap_or(0);
            let start = group.saturating_mul(geo.group_blocks);
            let last = end.min(start.saturating_add(geo.group_blocks));
            let from = at.saturating_sub(start) >> geo.cluster_bits;
            let to = last.saturating_sub(start).saturating_sub(1) >> geo.cluster_bits;
            meter.steps(1_u64.saturating_add(to.saturating_sub(from) >> 9), "block in use")?;
            let bits = self.page(geo, u32::try_from(group).unwrap_or(u32::MAX), meter)?;
            twice = twice.saturating_add(mark_counting(bits, from, to.saturating_add(1)));
            at = last.max(at.saturating_add(1));
        }
        Ok(twice)
    }

    fn page(&mut self, geo: &Geometry, group: u32, meter: &mut Meter) -> Result<&mut [u8]> {
        Ok(match self.0.entry(group) {
            std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let len = geo.group_clusters.div_ceil(8).saturating_add(64);
                let bits = meter.buffer(len, "map of the blocks in use")?;
                place.insert(bits.into_boxed_slice())
            }
        })
    }

    /// The bits of `group`, if any of them is set.
    pub(super) fn group(&self, group: u32) -> Option<&[u8]> {
        self.0.get(&group).map(AsRef::as_ref)
    }
}

/// Sets the bits `start..end`; says how many were set already.
fn mark_counting(bits: &mut [u8], start: u64, end: u64) -> u64 {
    let mut twice = 0_u64;
    let mut n = start;
    while n < end {
        let Some(byte) = bits.get_mut(narrow(n >> 3)) else {
            break;
        };
        let (mask, step) = if n & 7 == 0 && end.saturating_sub(n) >= 8 {
            (0xff_u8, 8)
        } else {
            (1_u8.rotate_left(u32::try_from(n & 7).unwrap_or(0)), 1)
        };
        twice = twice.saturating_add(u64::from((*byte & mask).count_ones()));
        *byte |= mask;
        n = n.saturating_add(step);
    }
    twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_twice_is_counted() {
        let mut bits = [0; 8];
        assert_eq!(mark_counting(&mut bits, 3, 30), 0);
        assert_eq!(mark_counting(&mut bits, 29, 40), 1);
        assert_eq!(mark_counting(&mut bits, 0, 64), 37);
        assert_eq!(bits, [0xff; 8]);
    }
}
