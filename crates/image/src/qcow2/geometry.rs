/// How an image cuts its bytes into clusters and its tables into entries. All sizes are powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// 9 to 21.
    cluster_bits: u32,
    extended: bool,
}

impl Geometry {
    /// For a number of bits that was checked.
    pub(super) fn new(cluster_bits: u32, extended: bool) -> Self {
        Self {
            cluster_bits: cluster_bits.clamp(9, super::layout::MAX_CLUSTER_BITS),
            extended,
        }
    }

    /// `cluster_bits` of the header.
    pub(super) fn cluster_bits(self) -> u32 {
        self.cluster_bits
    }

    /// Bytes in a cluster.
    pub(super) fn cluster(self) -> u64 {
        1_u64.wrapping_shl(self.cluster_bits)
    }

    /// Whether L2 entries have a bitmap of subclusters.
    pub(super) fn extended(self) -> bool {
        self.extended
    }

    /// Bytes in an L2 entry, as a power of two.
    pub(super) fn entry_bits(self) -> u32 {
        if self.extended { 4 } else { 3 }
    }

    /// Entries in an L2 table, as a power of two.
    pub(super) fn l2_bits(self) -> u32 {
        self.cluster_bits.saturating_sub(self.entry_bits())
    }

    /// Guest bytes an L2 table covers, as a power of two: at most 39.
    pub(super) fn span_bits(self) -> u32 {
        self.cluster_bits.saturating_add(self.l2_bits())
    }

    /// Guest bytes an L2 table covers.
    pub(super) fn span(self) -> u64 {
        1_u64.wrapping_shl(self.span_bits())
    }

    /// Bytes in a subcluster, as a power of two; a whole cluster where there are none.
    pub(super) fn unit_bits(self) -> u32 {
        self.cluster_bits
            .saturating_sub(if self.extended { 5 } else { 0 })
    }

    /// The cluster that `offset` lies in, by number.
    pub(super) fn index(self, offset: u64) -> u64 {
        offset.wrapping_shr(self.cluster_bits)
    }

    /// How far into its cluster `offset` lies.
    pub(super) fn within(self, offset: u64) -> u64 {
        offset & self.cluster().wrapping_sub(1)
    }

    /// `offset` down to its cluster's first byte.
    pub(super) fn floor(self, offset: u64) -> u64 {
        offset & !self.cluster().wrapping_sub(1)
    }

    /// `offset` up to a cluster border; `None` past 2^64.
    pub(super) fn ceil(self, offset: u64) -> Option<u64> {
        offset.checked_next_multiple_of(self.cluster())
    }

    /// Clusters that `bytes` need.
    pub(super) fn clusters(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.cluster())
    }

    /// Entries of the L1 table for a disk of `size` bytes.
    pub(super) fn l1_entries(self, size: u64) -> u64 {
        size.div_ceil(self.span())
    }
}
