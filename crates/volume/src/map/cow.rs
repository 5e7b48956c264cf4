use super::{Geometry, Run};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A volume that snapshots were taken of: they show it wherever they have nothing of their own.
#[derive(Debug)]
pub(crate) struct Origin(pub(crate) Arc<dyn Geometry>);

impl Geometry for Origin {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn copies(&self, offset: u64) -> usize {
        self.0.copies(offset)
    }

    fn place(&self, offset: u64, end: u64, copy: usize) -> Run {
        self.0.place(offset, end, copy)
    }

    fn rebuild(&self, offset: u64, end: u64) -> Option<Vec<Run>> {
        self.0.rebuild(offset, end)
    }

    fn read_only(&self) -> Option<&'static str> {
        Some("this volume has snapshots, which would change with it; remove them first")
    }
}

/// A snapshot: chunks that changed lie in a store, the others still in the origin. Target 0 is the origin, target 1 the
/// store.
#[derive(Debug)]
pub(crate) struct Cow {
    /// Chunk of the volume to chunk of the store.
    pub(crate) exceptions: BTreeMap<u64, u64>,
    /// Bytes.
    pub(crate) chunk: u64,
    pub(crate) len: u64,
}

impl Geometry for Cow {
    fn len(&self) -> u64 {
        self.len
    }

    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        let (Some(number), Some(within)) = (offset.checked_div(self.chunk), offset.checked_rem(self.chunk))
        else {
            return Run::on(0, offset, end.saturating_sub(offset));
        };
        let room = self.chunk.saturating_sub(within).min(end.saturating_sub(offset));
        if let Some(store) = self.exceptions.get(&number) {
            let at = store.saturating_mul(self.chunk).saturating_add(within);
            return Run::on(1, at, room);
        }
        // Up to the next chunk that changed, all of it is the origin's.
        let next = self
            .exceptions
            .range(number..)
            .next()
            .map_or(u64::MAX, |(chunk, _)| chunk.saturating_mul(self.chunk));
        Run::on(0, offset, end.min(next).saturating_sub(offset).max(room))
    }

    fn read_only(&self) -> Option<&'static str> {
        Some("a snapshot is read only: its store would have to grow")
    }
}
