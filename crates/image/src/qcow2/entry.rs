use super::geometry::Geometry;
use super::layout::{COMPRESSED, COPIED, L1_RESERVED, L2_RESERVED, OFFSET_MASK, ZERO};

/// What an L2 entry says of a guest cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cluster {
    /// Unallocated: the backing file shows through.
    Hole,
    /// Reads as zero; a host cluster may be kept for it.
    Zero { host: Option<u64> },
    /// The bytes are at `host`.
    Data { host: u64 },
    /// At most `len` bytes at `at` decode to the cluster.
    Coded { at: u64, len: u64 },
    /// Subclusters: bit n of `data` is set where the n-th is stored, of `zero` where it reads as zero.
    Parts { host: Option<u64>, data: u32, zero: u32 },
}

/// What decides how entries are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) geometry: Geometry,
    /// 2 or 3.
    pub(super) version: u32,
    /// Guest clusters lie in an external data file.
    pub(super) external: bool,
}

impl Dialect {
    /// The offset of the L2 table in an L1 entry, `None` where there is no table.
    pub(super) fn l1(&self, entry: u64) -> Result<Option<u64>, &'static str> {
        if entry & L1_RESERVED != 0 {
            return Err("has reserved bits set");
        }
        let offset = entry & OFFSET_MASK;
        if self.geometry.within(offset) != 0 {
            return Err("points to a place that is not aligned to a cluster");
        }
        Ok((offset != 0).then_some(offset))
    }

    /// What an L2 entry says; `bitmap` is the second half of an extended entry, else 0.
    pub(super) fn l2(&self, entry: u64, bitmap: u64) -> Result<Cluster, &'static str> {
        if entry & COMPRESSED != 0 {
            return self.coded(entry);
        }
        if entry & L2_RESERVED != 0 {
            return Err("has reserved bits set");
        }
        let zero = entry & ZERO != 0;
        if zero && (self.version < 3 || self.geometry.extended()) {
            return Err("has the zero flag set, which this kind of image does not have");
        }
        let host = entry & OFFSET_MASK;
        if self.geometry.within(host) != 0 {
            return Err("points to a place that is not aligned to a cluster");
        }
        // Offset 0 is a place only in an external data file, and then bit 63 says so.
        let host = (host != 0 || (self.external && entry & COPIED != 0)).then_some(host);
        if self.geometry.extended() {
            return parts(host, bitmap);
        }
        Ok(match host {
            _ if zero => Cluster::Zero { host },
            Some(host) => Cluster::Data { host },
            None => Cluster::Hole,
        })
    }

    fn coded(&self, entry: u64) -> Result<Cluster, &'static str> {
        if self.external {
            return Err("is compressed, which an image with an external data file cannot be");
        }
        // Bits 0 to x-1 are the offset, x to 61 the number of further sectors.
        let count_bits = self.geometry.cluster_bits().saturating_sub(8);
        let x = 62_u32.saturating_sub(count_bits);
        let at = entry & 1_u64.wrapping_shl(x).wrapping_sub(1);
        if at.wrapping_shr(56) != 0 {
            return Err("has reserved bits set");
        }
        let further = entry.wrapping_shr(x) & 1_u64.wrapping_shl(count_bits).wrapping_sub(1);
        let len = further
            .saturating_add(1)
            .saturating_mul(512)
            .saturating_sub(at & 511);
        Ok(Cluster::Coded { at, len })
    }
}

fn parts(host: Option<u64>, bitmap: u64) -> Result<Cluster, &'static str> {
    let data = u32::try_from(bitmap & 0xffff_ffff).unwrap_or(0);
    let zero = u32::try_from(bitmap >> 32).unwrap_or(0);
    if data & zero != 0 {
        return Err("says of a subcluster that it is stored and that it reads as zero");
    }
    if data != 0 && host.is_none() {
        return Err("has subclusters stored nowhere");
    }
    Ok(match (data, zero, host) {
        (0, 0, None) => Cluster::Hole,
        (_, u32::MAX, _) => Cluster::Zero { host },
        (u32::MAX, _, Some(host)) => Cluster::Data { host },
        _ => Cluster::Parts { host, data, zero },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(bits: u32, extended: bool) -> Dialect {
        Dialect {
            geometry: Geometry::new(bits, extended),
            version: 3,
            external: false,
        }
    }

    #[test]
    fn the_border_in_a_compressed_entry_moves_with_the_cluster_size() {
        // 64 KiB clusters: x = 54. 512 byte clusters: x = 61. 2 MiB clusters: x = 49.
        for (bits, x) in [(16, 54), (9, 61), (21, 49)] {
            let entry = COMPRESSED | (1 << x) | 0x5_0123;
            assert_eq!(
                dialect(bits, false).l2(entry, 0),
                Ok(Cluster::Coded {
                    at: 0x5_0123,
                    len: 1024 - 0x123
                })
            );
        }
        assert!(dialect(9, false).l2(COMPRESSED | 1 << 56, 0).is_err());
    }

    #[test]
    fn subclusters_cannot_be_two_things_or_nowhere() {
        let d = dialect(16, true);
        assert!(d.l2(0x1_0000, 0x1_0000_0001).is_err());
        assert!(d.l2(0, 1).is_err());
        assert!(d.l2(0x1_0001, 1).is_err());
        assert_eq!(d.l2(0, 0xffff_ffff << 32), Ok(Cluster::Zero { host: None }));
        assert_eq!(d.l2(0x1_0000, 0xffff_ffff), Ok(Cluster::Data { host: 0x1_0000 }));
        assert_eq!(
            d.l2(0x1_0000, 0x4_0000_0001),
            Ok(Cluster::Parts {
                host: Some(0x1_0000),
                data: 1,
                zero: 4
            })
        );
    }

    #[test]
    fn offset_zero_is_a_place_only_in_a_data_file() {
        let mut d = dialect(16, false);
        assert_eq!(d.l2(COPIED, 0), Ok(Cluster::Hole));
        d.external = true;
        assert_eq!(d.l2(COPIED, 0), Ok(Cluster::Data { host: 0 }));
        assert!(d.l2(COMPRESSED | 0x1_0000, 0).is_err());
    }

    #[test]
    fn version_2_has_no_zero_flag() {
        let mut d = dialect(16, false);
        assert_eq!(d.l2(ZERO, 0), Ok(Cluster::Zero { host: None }));
        d.version = 2;
        assert!(d.l2(ZERO, 0).is_err());
    }
}
