//! What containers with compressed chunks have in common.

use crate::layered::read_short;
use h2k_block::{BlockRead, Cache, Error, Extent, Kind, RawSpan, Result};
use std::sync::Arc;

/// How the bytes of a chunk are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Verbatim in the container's file, from this byte on.
    Here(u64),
    /// Zero.
    Zero,
    /// Not in this container: the parent's bytes, or zero at the bottom.
    Hole,
    /// To be made by [`Chunks::unpack`].
    Packed,
}

/// A run of guest bytes that is stored as one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Tells it from every other packed chunk of the image.
    pub(crate) key: u64,
    /// First guest byte.
    pub(crate) start: u64,
    /// Guest bytes, never zero and never beyond the end of the disk.
    pub(crate) len: u64,
    /// How it is held.
    pub(crate) held: Held,
}

/// The map of a container: guest bytes to chunks.
pub(crate) trait Chunks: Send + Sync {
    /// Size of the guest's disk in bytes.
    fn len(&self) -> u64;
    /// The chunk that holds `offset`. Packed ones are at most [`MAX_CHUNK`] long.
    fn at(&self, offset: u64) -> Result<Chunk>;
    /// Fills `out`, which is as long as the chunk, with a packed chunk's bytes.
    fn unpack(&self, chunk: &Chunk, out: &mut [u8]) -> Result<()>;
    /// Whether packed chunks are compressed.
    fn compressed(&self) -> bool {
        true
    }
}

/// The longest packed chunk that is read, in guest bytes: one is held in memory by each thread.
pub(crate) const MAX_CHUNK: u64 = 16 << 20;
/// Bytes of unpacked chunks kept for reads that want a part of one.
const BUDGET: u64 = 16 << 20;
/// Chunks joined for one extent.
const JOINED: usize = 256;

/// A container's chunks over its file and its parent: the guest's disk.
pub(crate) struct Packed<C> {
    chunks: C,
    file: Arc<dyn BlockRead>,
    parent: Option<Arc<dyn BlockRead>>,
    recent: Cache<[u8]>,
    grain: u32,
}

impl<C: Chunks> Packed<C> {
    /// `usual` is the length of most chunks.
    pub(crate) fn new(
        chunks: C,
        file: Arc<dyn BlockRead>,
        parent: Option<Arc<dyn BlockRead>>,
        usual: u64,
    ) -> Self {
        let usual = usual.clamp(512, MAX_CHUNK);
        let grain = u32::try_from(usual.next_power_of_two().min(1 << 20)).unwrap_or(1 << 20);
        Self {
            chunks,
            file,
            parent,
            recent: Cache::new(BUDGET, usual.max(BUDGET / 256)),
            grain,
        }
    }

    /// Reads `out` from `skip` bytes into a packed chunk.
    fn read_packed(&self, chunk: &Chunk, skip: u64, out: &mut [u8]) -> Result<()> {
        let len = usize::try_from(chunk.len).unwrap_or(usize::MAX);
        if out.len() == len {
            return self.chunks.unpack(chunk, out);
        }
        if chunk.len > MAX_CHUNK {
            return Err(Error::unsupported(format!(
                "a chunk of {} bytes; at most {MAX_CHUNK} are unpacked",
                chunk.len
            )));
        }
        let whole = self.recent.get(chunk.key, || {
            let mut whole = vec![0; len];
            self.chunks.unpack(chunk, &mut whole)?;
            Ok::<Arc<[u8]>, Error>(whole.into())
        })?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if let Some(from) = whole.get(skip..).and_then(|w| w.get(..out.len())) {
            out.copy_from_slice(from);
        }
        Ok(())
    }

    fn extent(&self, offset: u64, end: u64) -> Result<Extent> {
        let chunk = self.chunks.at(offset)?;
        let stop = chunk.start.saturating_add(chunk.len).min(end);
        let extent = |kind| Extent::new(offset, stop.saturating_sub(offset), kind);
        match (chunk.held, &self.parent) {
            (Held::Packed, _) => Ok(Extent {
                compressed: self.chunks.compressed(),
                ..extent(Kind::Data)
            }),
            (Held::Here(_), _) => Ok(extent(Kind::Data)),
            (Held::Zero, _) => Ok(extent(Kind::Zero)),
            (Held::Hole, None) => Ok(extent(Kind::Hole)),
            (Held::Hole, Some(parent)) if offset >= parent.len() => Ok(extent(Kind::Zero)),
            (Held::Hole, Some(parent)) => Ok(parent.extent_at(offset, stop.min(parent.len()))?.deeper()),
        }
    }
}

impl<C: Chunks> BlockRead for Packed<C> {
    fn len(&self) -> u64 {
        self.chunks.len()
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let chunk = self.chunks.at(offset)?;
            let skip = offset.saturating_sub(chunk.start);
            let room = usize::try_from(chunk.len.saturating_sub(skip)).unwrap_or(usize::MAX);
            let (head, rest) = buf.split_at_mut(room.min(buf.len()));
            match (chunk.held, &self.parent) {
                (Held::Packed, _) => self.read_packed(&chunk, skip, head)?,
                (Held::Here(host), _) => self.file.read_at(host.saturating_add(skip), head)?,
                (Held::Hole, Some(parent)) => read_short(&**parent, offset, head)?,
                (Held::Hole | Held::Zero, _) => head.fill(0),
            }
            offset = offset.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let mut whole = self.extent(offset, end)?;
        for _ in 0..JOINED {
            if whole.end() >= end {
                break;
            }
            // A damaged entry further on is reported when the walk gets there.
            let Ok(next) = self.extent(whole.end(), end) else {
                break;
            };
            if (next.kind, next.depth, next.compressed) != (whole.kind, whole.depth, whole.compressed) {
                break;
            }
            whole.len = whole.len.saturating_add(next.len);
        }
        Ok(whole)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let chunk = self.chunks.at(offset)?;
        let skip = offset.saturating_sub(chunk.start);
        let stop = chunk.start.saturating_add(chunk.len).min(end);
        match (chunk.held, &self.parent) {
            (Held::Here(host), _) => {
                let host = host.saturating_add(skip);
                let len = stop.saturating_sub(offset);
                self.file.raw_at(host, host.saturating_add(len))
            }
            (Held::Hole, Some(parent)) if offset < parent.len() => {
                parent.raw_at(offset, stop.min(parent.len()))
            }
            _ => Ok(None),
        }
    }

    fn grain(&self) -> u32 {
        self.grain
    }
}
