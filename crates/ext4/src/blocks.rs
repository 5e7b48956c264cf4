//! The volume as numbered blocks, with a bounded cache for metadata. File content does not go through the cache.

use h2k_block::{BlockRead, Cache, Error, Result};
use std::sync::Arc;

/// Memory the cache may hold, in bytes.
const CACHE_BYTES: u64 = 16 << 20;

/// One block's bytes, shared.
pub(crate) type Block = Arc<[u8]>;

/// See the module.
pub(crate) struct Blocks {
    disk: Arc<dyn BlockRead>,
    cache: Cache<[u8]>,
    bits: u32,
    count: u64,
}

impl Blocks {
    /// Blocks of `1 << bits` bytes, `count` of them.
    pub(crate) fn new(disk: Arc<dyn BlockRead>, bits: u32, count: u64) -> Self {
        let size = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
        Self {
            disk,
            cache: Cache::new(CACHE_BYTES, size),
            bits,
            count,
        }
    }

    /// Forgets what the cache holds of block `number`: it was written.
    pub(crate) fn forget(&self, number: u64) {
        self.cache.forget(number);
    }

    /// Keeps `block` as the new content of block `number`, which was written.
    pub(crate) fn renew(&self, number: u64, block: Block) {
        self.cache.forget(number);
        let _ = self.cache.get(number, || Ok::<_, Error>(block));
    }

    /// The disk below, with a replayed journal on top if there was one.
    pub(crate) fn disk(&self) -> &Arc<dyn BlockRead> {
        &self.disk
    }

    /// Bytes in a block.
    pub(crate) fn size(&self) -> u64 {
        1_u64.checked_shl(self.bits).unwrap_or(u64::MAX)
    }

    /// Binary logarithm of [`size`](Self::size).
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    /// How many blocks the filesystem has.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Byte offset of a block; saturates for numbers no volume has.
    pub(crate) fn offset(&self, number: u64) -> u64 {
        number.saturating_mul(self.size())
    }

    /// Whether `len` blocks from `number` lie inside the filesystem and not on its first sector.
    pub(crate) fn holds(&self, number: u64, len: u64) -> bool {
        number > 0 && number.checked_add(len).is_some_and(|end| end <= self.count)
    }

    /// One block of metadata.
    pub(crate) fn get(&self, number: u64, structure: &'static str) -> Result<Block> {
        self.get_near(number, 1, structure)
    }

    /// One block of metadata; when it has to be read, up to `ahead` blocks are read with it.
    pub(crate) fn get_near(&self, number: u64, ahead: u64, structure: &'static str) -> Result<Block> {
        if number >= self.count {
            return Err(Error::corrupt(
                structure,
                self.offset(number),
                format!(
                    "block {number} lies past the last block {}",
                    self.count.saturating_sub(1)
                ),
            ));
        }
        let ahead = ahead.clamp(1, self.count.saturating_sub(number));
        let made = self.cache.get(number, || match self.load(number, ahead) {
            // The blocks after it may be unreadable while this one is not.
            Err(_) if ahead > 1 => self.load(number, 1),
            other => other,
        });
        made.map_err(|e| e.at(structure, self.offset(number)))
    }

    /// Reads bytes past the cache. `structure` names what is being read when the volume is too short.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8], structure: &'static str) -> Result<()> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        if offset.checked_add(len).is_none_or(|end| end > self.disk.len()) {
            return Err(Error::corrupt(
                structure,
                offset,
                format!("lies past the end of the volume ({} bytes)", self.disk.len()),
            ));
        }
        self.disk.read_at(offset, buf)
    }

    /// Reads `count` blocks, answers with the first one and keeps the others.
    fn load(&self, number: u64, count: u64) -> Result<Block> {
        let size = usize::try_from(self.size()).unwrap_or(usize::MAX);
        let n = usize::try_from(count).unwrap_or(1);
        let mut bytes = vec![0; size.saturating_mul(n)];
        self.read(self.offset(number), &mut bytes, "block")?;
        let mut pieces = bytes.chunks_exact(size);
        let first = pieces.next().map(Block::from);
        for (at, piece) in (number.saturating_add(1)..).zip(pieces) {
            self.cache.get(at, || Ok::<_, Error>(Block::from(piece)))?;
        }
        first.ok_or_else(|| Error::corrupt("block", self.offset(number), "is empty"))
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("bits", &self.bits)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::{Class, MemDisk};

    #[test]
    fn blocks_read_ahead_are_the_right_ones() {
        let count = 40_000_u64;
        let mut bytes = vec![0; 40_000 * 1024];
        for (n, block) in bytes.chunks_exact_mut(1024).enumerate() {
            block[..8].copy_from_slice(&n.to_le_bytes());
        }
        let blocks = Blocks::new(Arc::new(MemDisk::new(bytes)), 10, count);
        for round in 0..3 {
            for n in (0..count).step_by(1 + round) {
                let block = blocks.get_near(n, 8, "test").unwrap();
                assert_eq!(block[..8], n.to_le_bytes());
            }
        }
        blocks.renew(7, Block::from(&[7; 1024][..]));
        assert_eq!(blocks.get(7, "test").unwrap()[..], [7; 1024]);
        blocks.forget(7);
        assert_eq!(blocks.get(7, "test").unwrap()[..8], 7_u64.to_le_bytes());
    }

    #[test]
    fn a_block_past_the_end_is_corrupt_and_named() {
        let blocks = Blocks::new(Arc::new(MemDisk::new(vec![0; 8192])), 10, 20);
        let e = blocks.get(20, "extent node").unwrap_err();
        assert_eq!(
            (e.class(), e.place().unwrap().structure),
            (Class::Corrupt, "extent node")
        );
        let e = blocks.get(12, "extent node").unwrap_err();
        assert_eq!(e.class(), Class::Corrupt);
        // The neighbours that cannot be read do not hide the block that can.
        assert!(blocks.get_near(6, 8, "extent node").is_ok());
    }
}
