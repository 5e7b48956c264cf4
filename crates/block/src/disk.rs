use crate::{Class, Error, HostFile, Result};
use std::ops::Range;
use std::sync::Arc;

/// What a layer knows about a run of bytes without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The bytes are stored and have to be read.
    Data,
    /// The layer says "zero": a parent below must not show through.
    Zero,
    /// The layer stores nothing: a parent shows through, or zero at the bottom.
    Hole,
}

/// A run of bytes of one [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte, in the coordinates of the object that was asked.
    pub start: u64,
    /// Length in bytes; never zero.
    pub len: u64,
    /// What is there.
    pub kind: Kind,
    /// Which layer of a chain answered: 0 is the image that was opened, 1 its parent, and so on.
    pub depth: u16,
    /// Whether the bytes are stored compressed.
    pub compressed: bool,
}

impl Extent {
    /// A run of `kind` in the asked layer, not compressed.
    #[must_use]
    pub fn new(start: u64, len: u64, kind: Kind) -> Self {
        Self {
            start,
            len,
            kind,
            depth: 0,
            compressed: false,
        }
    }

    /// First byte after the run.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// The same run, as the layer above sees it.
    #[must_use]
    pub fn deeper(self) -> Self {
        Self {
            depth: self.depth.saturating_add(1),
            ..self
        }
    }
}

/// Bytes of a disk that lie verbatim in a host file: they can be cloned instead of read.
#[derive(Clone)]
pub struct RawSpan {
    /// The file.
    pub file: Arc<dyn HostFile>,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// How many bytes, never zero.
    pub len: u64,
}

/// A disk: a fixed number of bytes, readable at any position, from any thread.
///
/// Implementors write [`fetch`](Self::fetch) and, where they know better, [`map`](Self::map).
/// Callers call [`read_at`](Self::read_at) and [`extent_at`](Self::extent_at), which have already
/// checked the range: that is the only place where "past the end" is decided.
pub trait BlockRead: Send + Sync {
    /// Size in bytes. Does not change while the object lives.
    fn len(&self) -> u64;

    /// Fills `buf` from `offset`. The range is inside the disk and not empty. For implementors.
    ///
    /// # Errors
    /// Whatever stands between the caller and the bytes.
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// The extent that begins at `offset`, at most up to `end`. The range is inside the disk and not
    /// empty. For implementors; the default knows nothing: all data.
    ///
    /// # Errors
    /// Whatever stands between the caller and the map.
    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data))
    }

    /// Where the bytes at `offset` lie verbatim in a host file, at most up to `end`; `None` where they do
    /// not (compressed, zero, in memory). Lets a copier clone instead of read.
    ///
    /// # Errors
    /// Whatever stands between the caller and the map.
    fn raw_at(&self, _offset: u64, _end: u64) -> Result<Option<RawSpan>> {
        Ok(None)
    }

    /// Granularity at which this disk likes to be read; a power of two.
    fn grain(&self) -> u32 {
        65536
    }

    /// Whether the disk has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with exactly the bytes at `offset`.
    ///
    /// # Errors
    /// [`Class::OutOfBounds`] when the range is not inside the disk; else as [`fetch`](Self::fetch).
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if check(self.len(), offset, buf.len())? {
            self.fetch(offset, buf)
        } else {
            Ok(())
        }
    }

    /// The extent that begins at `offset`, clipped to `end`: never empty, never longer than asked.
    ///
    /// # Errors
    /// [`Class::OutOfBounds`] when `offset..end` is empty or not inside the disk; else as [`map`](Self::map).
    fn extent_at(&self, offset: u64, end: u64) -> Result<Extent> {
        let len = self.len();
        if offset >= end || end > len {
            return Err(Error::new(
                Class::OutOfBounds,
                format!("extent {offset:#x}..{end:#x} asked, disk has {len} bytes"),
            ));
        }
        let found = self.map(offset, end)?;
        let room = end.saturating_sub(offset);
        if found.start != offset || found.len == 0 {
            // Would loop for ever in every walker: an implementor's bug, said aloud.
            return Err(Error::new(
                Class::Invalid,
                "a disk answered with an empty or displaced extent",
            )
            .at("disk", offset));
        }
        Ok(Extent {
            len: found.len.min(room),
            ..found
        })
    }
}

/// A disk that can be changed. Data calls take `&self` so that workers can share it.
pub trait BlockWrite: BlockRead {
    /// Stores `buf` at `offset`. The range is inside the disk and not empty. For implementors.
    ///
    /// # Errors
    /// Whatever stands between the caller and the bytes.
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()>;

    /// Makes everything stored so far survive a crash. The only durability barrier.
    ///
    /// # Errors
    /// When the host cannot promise it.
    fn flush(&self) -> Result<()>;

    /// Makes `range` read as zero, by metadata where the format can. The default writes zeros.
    ///
    /// # Errors
    /// As [`store`](Self::store).
    fn store_zeros(&self, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let piece = zeros(range.end.saturating_sub(at));
            self.write_at(at, piece)?;
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Writes exactly `buf` at `offset`.
    ///
    /// # Errors
    /// [`Class::OutOfBounds`] when the range is not inside the disk; else as [`store`](Self::store).
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        if check(self.len(), offset, buf.len())? {
            self.store(offset, buf)
        } else {
            Ok(())
        }
    }
}

/// Walks the extents of `range` (clipped to the disk), in order and without gaps. Ends after an error.
pub fn extents(disk: &dyn BlockRead, range: Range<u64>) -> impl Iterator<Item = Result<Extent>> {
    let end = range.end.min(disk.len());
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let found = disk.extent_at(at, end);
        at = found.as_ref().map_or(end, Extent::end);
        Some(found)
    })
}

/// Whether all bytes are zero. Written so that the compiler vectorises it: 29 GB/s from memory here.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<256>();
    blocks
        .iter()
        .all(|block| block.iter().fold(0, |all, b| all | b) == 0)
        && rest.iter().all(|b| *b == 0)
}

/// Up to 64 KiB of zeros, for writing them.
#[must_use]
pub fn zeros(len: u64) -> &'static [u8] {
    static ZEROS: [u8; 65536] = [0; 65536];
    usize::try_from(len)
        .ok()
        .and_then(|n| ZEROS.get(..n))
        .unwrap_or(&ZEROS)
}

fn check(len: u64, offset: u64, count: usize) -> Result<bool> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    match offset.checked_add(count) {
        Some(end) if end <= len => Ok(count > 0),
        _ => Err(Error::new(
            Class::OutOfBounds,
            format!("{count} bytes asked, {len} are there"),
        )
        .at("disk", offset)),
    }
}
