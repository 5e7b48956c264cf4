//! Volumes made of pieces of others: segments, stripes, mirrors, snapshots.
//!
//! Everything above partitions is one idea: a [`Geometry`] says where a byte of the volume lies, on which of
//! several targets, and in how many copies; [`Mapped`] reads and writes through it. A geometry is plain numbers, so
//! the same one serves a volume over the untouched disks and one over an overlay that takes writes.

mod copies;
mod cow;
mod mapped;
mod parity;
mod raid10;
mod stripes;
mod zones;

pub(crate) use copies::Mirrored;
pub(crate) use cow::{Cow, Origin};
pub(crate) use mapped::{Mapped, Target};
pub(crate) use parity::{Layout, Parity};
pub(crate) use raid10::Raid10;
pub(crate) use stripes::{Linear, Nothing, Segments, Stripe, Striped};
pub(crate) use zones::Zones;

use std::sync::Arc;

/// Where a run of bytes of a volume lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// On a target, at this byte of it.
    On { target: usize, offset: u64 },
    /// Nowhere: it reads as zero.
    Zero,
}

/// A run of bytes that lies in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) spot: Spot,
    /// Bytes; never zero.
    pub(crate) len: u64,
}

/// Where the bytes of a volume lie.
pub(crate) trait Geometry: Send + Sync + std::fmt::Debug {
    /// Size of the volume in bytes.
    fn len(&self) -> u64;

    /// How many copies of the byte at `offset` there are; at least one.
    fn copies(&self, _offset: u64) -> usize {
        1
    }

    /// Where copy number `copy` (below [`copies`](Self::copies)) of the bytes from `offset` lies: a run that ends
    /// at `end` or before. `offset < end <= len()`.
    fn place(&self, offset: u64, end: u64, copy: usize) -> Run;

    /// Where a copy cannot be read: runs of equal length whose exclusive or is the bytes from `offset`.
    fn rebuild(&self, _offset: u64, _end: u64) -> Option<Vec<Run>> {
        None
    }

    /// Why the volume must not be written through this map; `None` when it may.
    fn read_only(&self) -> Option<&'static str> {
        None
    }
}

/// A geometry behind the pointer that volumes share.
pub(crate) fn shared(geometry: impl Geometry + 'static) -> Arc<dyn Geometry> {
    Arc::new(geometry)
}

impl Run {
    pub(crate) fn on(target: usize, offset: u64, len: u64) -> Self {
        Self {
            spot: Spot::On { target, offset },
            len,
        }
    }
}
