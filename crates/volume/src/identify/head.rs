use crate::bytes::{clipped, index, peek};
use h2k_block::{BlockRead, Result};

/// Superblocks live in the first 68 KiB, but for a few: that much is read once.
const HEAD: usize = 68 << 10;

/// A device being looked at: its first bytes in memory, the rest by small reads.
pub(super) struct Head<'a> {
    disk: &'a dyn BlockRead,
    bytes: Vec<u8>,
}

impl<'a> Head<'a> {
    pub(super) fn read(disk: &'a dyn BlockRead) -> Result<Self> {
        let bytes = clipped(disk, 0, HEAD)?;
        Ok(Self { disk, bytes })
    }

    /// Size of the device in bytes.
    pub(super) fn len(&self) -> u64 {
        self.disk.len()
    }

    pub(super) fn disk(&self) -> &'a dyn BlockRead {
        self.disk
    }

    /// `N` bytes at `offset`; `None` when the device ends before.
    pub(super) fn at<const N: usize>(&self, offset: u64) -> Result<Option<[u8; N]>> {
        match self.bytes.get(index(offset)..).and_then(|b| b.first_chunk::<N>()) {
            Some(found) => Ok(Some(*found)),
            None => peek(self.disk, offset),
        }
    }

    /// Whether `what` stands at `offset`.
    pub(super) fn has<const N: usize>(&self, offset: u64, what: &[u8; N]) -> Result<bool> {
        Ok(self.at::<N>(offset)?.is_some_and(|b| &b == what))
    }
}
