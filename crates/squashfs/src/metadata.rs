//! Metadata: blocks of at most 8 KiB, each behind two bytes that say how long it is.

use crate::codec::Method;
use h2k_block::{BlockRead, Cache, Error, Result};
use std::sync::Arc;

const NAME: &str = "metadata block";
/// Bytes of a block when it is unpacked.
pub(crate) const SIZE: usize = 8192;
const BUDGET: u64 = 4 << 20;

/// An unpacked block, and where the next one begins.
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) next: u64,
}

/// All metadata of an image.
pub(crate) struct Metadata {
    pub(crate) disk: Arc<dyn BlockRead>,
    pub(crate) method: Method,
    blocks: Cache<Block>,
}

impl Metadata {
    pub(crate) fn new(disk: Arc<dyn BlockRead>, method: Method) -> Self {
        Self {
            disk,
            method,
            blocks: Cache::new(BUDGET, 8192),
        }
    }

    /// The block at byte `at`.
    pub(crate) fn block(&self, at: u64) -> Result<Arc<Block>> {
        self.blocks.get(at, || {
            let bad = |what: String| Error::corrupt(NAME, at, what);
            let room = self.disk.len().checked_sub(at).filter(|room| *room > 2);
            let room = room.ok_or_else(|| bad(format!("the image has {:#x} bytes", self.disk.len())))?;
            let mut head = [0; 2];
            self.disk.read_at(at, &mut head)?;
            let head = u16::from_le_bytes(head);
            let len = u64::from(head & 0x7fff);
            if len == 0 || len > 8192 || len > room.saturating_sub(2) {
                return Err(bad(format!("{len} bytes, 1 to 8192 are allowed")));
            }
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            self.disk.read_at(at.saturating_add(2), &mut bytes)?;
            if head & 0x8000 == 0 {
                let unpacked = self.method.unpack(&bytes, SIZE);
                bytes = unpacked.ok_or_else(|| bad(format!("is no {} of 8 KiB", self.method.name())))?;
            }
            let next = at.saturating_add(2).saturating_add(len);
            Ok(Arc::new(Block { bytes, next }))
        })
    }

    /// Reads on from byte `offset` of the block at byte `at`.
    pub(crate) fn cursor(&self, at: u64, offset: u16) -> Cursor<'_> {
        Cursor {
            metadata: self,
            at,
            offset: usize::from(offset),
        }
    }

    /// Entry `n` of `size` bytes in a table whose blocks are listed at byte `list`.
    pub(crate) fn entry<const N: usize>(&self, list: u64, n: u64) -> Result<[u8; N]> {
        let from = n.saturating_mul(u64::try_from(N).unwrap_or(1));
        let pointer = list.saturating_add((from / 8192).saturating_mul(8));
        if pointer.saturating_add(8) > self.disk.len() {
            let what = format!("entry {n} has its pointer at {pointer:#x}, behind the end");
            return Err(Error::corrupt("table", list, what));
        }
        let mut at = [0; 8];
        self.disk.read_at(pointer, &mut at)?;
        let offset = u16::try_from(from % 8192).unwrap_or(0);
        self.cursor(u64::from_le_bytes(at), offset).array()
    }
}

/// A place in metadata that moves as it is read.
pub(crate) struct Cursor<'a> {
    metadata: &'a Metadata,
    at: u64,
    offset: usize,
}

impl Cursor<'_> {
    /// Fills `buf` with what follows.
    pub(crate) fn fill(&mut self, buf: &mut [u8]) -> Result<()> {
        let mut rest = buf;
        while !rest.is_empty() {
            let block = self.metadata.block(self.at)?;
            let source = block.bytes.get(self.offset..).unwrap_or_default();
            if source.is_empty() {
                // Only a full block has another one behind it.
                if block.bytes.len() < SIZE || self.offset > SIZE {
                    let what = format!("byte {} of a block of {}", self.offset, block.bytes.len());
                    return Err(Error::corrupt(NAME, self.at, what));
                }
                (self.at, self.offset) = (block.next, 0);
                continue;
            }
            let n = source.len().min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            head.copy_from_slice(source.get(..n).unwrap_or_default());
            self.offset = self.offset.saturating_add(n);
            rest = tail;
        }
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
