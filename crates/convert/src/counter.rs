use h2k_block::{BlockRead, BlockWrite, HostFile, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the smallest piece of a file costs on most hosts.
pub(crate) const BLOCK: u64 = 4096;

/// A host file that forgets everything but how much it was.
#[derive(Default)]
pub(crate) struct Counter {
    len: AtomicU64,
    taken: AtomicU64,
}

impl BlockRead for Counter {
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn fetch(&self, _offset: u64, buf: &mut [u8]) -> Result<()> {
        buf.fill(0);
        Ok(())
    }
}

impl BlockWrite for Counter {
    fn store(&self, _offset: u64, buf: &[u8]) -> Result<()> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        self.taken
            .fetch_add(len.next_multiple_of(BLOCK), Ordering::AcqRel);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn store_zeros(&self, _range: Range<u64>) -> Result<()> {
        Ok(())
    }
}

impl HostFile for Counter {
    fn set_len(&self, len: u64) -> Result<()> {
        self.len.store(len, Ordering::Release);
        Ok(())
    }

    fn name(&self) -> &Path {
        Path::new("measured")
    }

    fn reserve(&self, range: Range<u64>) -> Result<()> {
        let len = range.end.saturating_sub(range.start);
        self.taken.fetch_add(len, Ordering::AcqRel);
        self.len.fetch_max(range.end, Ordering::AcqRel);
        Ok(())
    }
}

impl Counter {
    /// Bytes of host space it would occupy, at most.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }
}
