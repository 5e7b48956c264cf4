use crate::{BlockRead, BlockWrite, Extent, RawSpan, Result};
use std::ops::Range;
use std::sync::Arc;

/// A part of a disk, seen as a disk: a partition, a linear LVM segment.
///
/// Generic over how the disk is held, so that a window on a writable disk is writable.
#[derive(Debug)]
pub struct Window<D: ?Sized> {
    disk: Arc<D>,
    start: u64,
    len: u64,
}

impl<D: BlockRead + ?Sized> Window<D> {
    /// The bytes `start .. start+len` of `disk`, clipped to what exists.
    #[must_use]
    pub fn new(disk: Arc<D>, start: u64, len: u64) -> Self {
        let room = disk.len().saturating_sub(start);
        Self {
            start,
            len: len.min(room),
            disk,
        }
    }

    fn below(&self, at: u64) -> u64 {
        self.start.saturating_add(at)
    }
}

impl<D: BlockRead + ?Sized> BlockRead for Window<D> {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.disk.read_at(self.below(offset), buf)
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let below = self.disk.extent_at(self.below(offset), self.below(end))?;
        Ok(Extent {
            start: offset,
            ..below
        })
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        self.disk
            .raw_at(self.below(offset), self.below(end.min(self.len)))
    }

    fn grain(&self) -> u32 {
        self.disk.grain()
    }
}

impl<D: BlockWrite + ?Sized> BlockWrite for Window<D> {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.disk.write_at(self.below(offset), buf)
    }

    fn flush(&self) -> Result<()> {
        self.disk.flush()
    }

    fn store_zeros(&self, range: Range<u64>) -> Result<()> {
        self.disk
            .store_zeros(self.below(range.start)..self.below(range.end.min(self.len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, MemDisk};

    #[test]
    fn a_window_moves_offsets_and_keeps_its_borders() {
        let disk = Arc::new(MemDisk::new((0..100).collect()));
        let w = Window::new(disk, 10, 20);
        let mut two = [0; 2];
        w.read_at(18, &mut two).unwrap();
        assert_eq!(two, [28, 29]);
        assert_eq!(w.read_at(19, &mut two).unwrap_err().class(), Class::OutOfBounds);
        assert_eq!(w.write_at(19, &two).unwrap_err().class(), Class::OutOfBounds);
    }

    #[test]
    fn a_window_past_the_end_is_clipped() {
        assert_eq!(
            Window::new(Arc::new(MemDisk::new(vec![0; 100])), 90, 20).len(),
            10
        );
        assert_eq!(
            Window::new(Arc::new(MemDisk::new(vec![0; 100])), 200, 20).len(),
            0
        );
    }
}
