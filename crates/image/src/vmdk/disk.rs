//! The guest's disk: extents laid end to end, over a parent or over nothing.

use super::sparse::{Along, Sparse, State, Table};
use super::stream::Streams;
use h2k_block::{BlockRead, Cache, Class, Error, Extent, HostFile, Kind, RawSpan, Result};
use std::sync::Arc;

/// Bytes of decoded grain tables kept for all extents of a disk. A chain has this for each of its layers.
const TABLE_CACHE: u64 = 1 << 20;

/// Where the bytes of an extent come from.
pub(super) enum Body {
    /// A file, from this byte on.
    Flat(Arc<dyn HostFile>, u64),
    /// Grains.
    Sparse(Sparse),
    /// Nowhere: all zero.
    Zero,
}

struct Placed {
    start: u64,
    len: u64,
    body: Body,
}

/// A VMDK of any kind.
pub(super) struct Disk {
    extents: Vec<Placed>,
    len: u64,
    parent: Option<Arc<dyn BlockRead>>,
    tables: Cache<Table>,
    streams: Streams,
    grain: u32,
}

/// A stretch of the disk inside one extent.
struct Within<'a> {
    body: &'a Body,
    /// First byte, counted from the beginning of the extent.
    at: u64,
    /// First byte that is not asked for or not in the extent any more.
    end: u64,
}

impl Disk {
    /// Lays `extents` (length and body) end to end over `parent`.
    pub(super) fn new(extents: Vec<(u64, Body)>, parent: Option<Arc<dyn BlockRead>>) -> Result<Self> {
        let mut placed = Vec::with_capacity(extents.len());
        let (mut start, mut table, mut grain) = (0_u64, 4096_u64, 65536_u64);
        for (len, body) in extents {
            if let Body::Sparse(sparse) = &body {
                // An entry takes 8 bytes in the cache, whatever it takes in the file.
                table = table.max(sparse.shape.entries_per_table.saturating_mul(8));
                grain = grain.max(sparse.shape.grain);
            }
            let end = start
                .checked_add(len)
                .ok_or_else(|| Error::corrupt("descriptor", 0, "the extents together exceed 2^64 bytes"))?;
            if len > 0 {
                placed.push(Placed { start, len, body });
            }
            start = end;
        }
        Ok(Self {
            extents: placed,
            len: start,
            parent,
            tables: Cache::new(TABLE_CACHE, table),
            streams: Streams::new(grain),
            grain: u32::try_from(grain).unwrap_or(65536),
        })
    }

    /// The part of `offset..end` that lies in the extent of `offset`.
    fn within(&self, offset: u64, end: u64) -> Result<Within<'_>> {
        let after = self.extents.partition_point(|p| p.start <= offset);
        let placed = after.checked_sub(1).and_then(|i| self.extents.get(i));
        let placed =
            placed.ok_or_else(|| Error::new(Class::OutOfBounds, "no extent here").at("disk", offset))?;
        Ok(Within {
            body: &placed.body,
            at: offset.saturating_sub(placed.start),
            end: end.saturating_sub(placed.start).min(placed.len),
        })
    }

    /// Reads what the parent shows; zero where there is none, or where it ends.
    fn below(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let Some(parent) = &self.parent else {
            buf.fill(0);
            return Ok(());
        };
        let room = usize::try_from(parent.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let (shown, beyond) = buf.split_at_mut(room.min(buf.len()));
        beyond.fill(0);
        if shown.is_empty() {
            return Ok(());
        }
        parent.read_at(offset, shown)
    }

    /// `offset..end` as the parent knows it; the range is a hole of this layer.
    fn map_below(&self, offset: u64, end: u64) -> Result<Extent> {
        let hole = Extent::new(offset, end.saturating_sub(offset), Kind::Hole);
        match &self.parent {
            Some(parent) if offset < parent.len() => {
                Ok(parent.extent_at(offset, end.min(parent.len()))?.deeper())
            }
            _ => Ok(hole),
        }
    }
}

impl BlockRead for Disk {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let end = offset.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX));
            let Within { body, at, end } = self.within(offset, end)?;
            let (state, len) = match body {
                Body::Flat(_, base) => (State::Plain(base.saturating_add(at)), end.saturating_sub(at)),
                Body::Zero => (State::Zero, end.saturating_sub(at)),
                Body::Sparse(sparse) => sparse.run(&self.tables, at, end, Along::File)?,
            };
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
            let (head, rest) = buf.split_at_mut(n);
            match (state, body) {
                (State::Hole, _) => self.below(offset, head)?,
                (State::Plain(from), Body::Flat(file, _)) => file.read_at(from, head)?,
                (State::Plain(from), Body::Sparse(sparse)) => sparse.file.read_at(from, head)?,
                (State::Coded, Body::Sparse(sparse)) => {
                    let (table, index) = sparse.locate(&self.tables, at)?;
                    self.streams.read(sparse, &table, index, at, head)?;
                }
                _ => head.fill(0),
            }
            if n == 0 {
                return Err(
                    Error::new(Class::OutOfBounds, "an extent ends before it begins").at("disk", offset)
                );
            }
            offset = offset.saturating_add(len);
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let Within { body, at, end: stop } = self.within(offset, end)?;
        let (kind, len, compressed) = match body {
            Body::Zero => (Kind::Zero, stop.saturating_sub(at), false),
            Body::Flat(file, base) => {
                let from = base.saturating_add(at);
                let found = file.extent_at(from, base.saturating_add(stop))?;
                // A hole of the host is zero; over a parent it must not be taken for a hole of the disk.
                let kind = match found.kind {
                    Kind::Hole if self.parent.is_some() => Kind::Zero,
                    kind => kind,
                };
                (kind, found.len, false)
            }
            Body::Sparse(sparse) => match sparse.run(&self.tables, at, stop, Along::Kind)? {
                (State::Hole, len) => return self.map_below(offset, offset.saturating_add(len)),
                (State::Zero, len) => (Kind::Zero, len, false),
                (State::Plain(_), len) => (Kind::Data, len, false),
                (State::Coded, len) => (Kind::Data, len, true),
            },
        };
        Ok(Extent {
            compressed,
            ..Extent::new(offset, len, kind)
        })
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let Within { body, at, end: stop } = self.within(offset, end)?;
        match body {
            Body::Zero => Ok(None),
            Body::Flat(file, base) => Ok(Some(RawSpan {
                file: file.clone(),
                offset: base.saturating_add(at),
                len: stop.saturating_sub(at),
            })),
            Body::Sparse(sparse) => match sparse.run(&self.tables, at, stop, Along::File)? {
                (State::Plain(from), len) => Ok(Some(RawSpan {
                    file: sparse.file.clone(),
                    offset: from,
                    len,
                })),
                (State::Hole, len) => match &self.parent {
                    Some(parent) if offset < parent.len() => {
                        parent.raw_at(offset, offset.saturating_add(len).min(parent.len()))
                    }
                    _ => Ok(None),
                },
                _ => Ok(None),
            },
        }
    }

    fn grain(&self) -> u32 {
        self.grain
    }
}
