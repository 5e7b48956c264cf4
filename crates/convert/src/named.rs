use h2k_block::{BlockRead, Extent, RawSpan, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A disk that says its name when it fails, and remembers that it did: so that a job knows whether the source or the
/// target is to blame.
pub(crate) struct Named {
    below: Arc<dyn BlockRead>,
    name: PathBuf,
    failed: AtomicBool,
    read: AtomicU64,
}

impl Named {
    pub(crate) fn new(below: Arc<dyn BlockRead>, name: PathBuf) -> Self {
        Self {
            below,
            name,
            failed: AtomicBool::new(false),
            read: AtomicU64::new(0),
        }
    }

    /// Bytes of the disk that were read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether any read or map of this disk failed.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn note<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|e| {
            self.failed.store(true, Ordering::Release);
            let name = self.name.display().to_string();
            if e.layers().any(|layer| layer == name) {
                e
            } else {
                e.through(name)
            }
        })
    }
}

impl BlockRead for Named {
    fn len(&self) -> u64 {
        self.below.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        self.read.fetch_add(len, Ordering::Relaxed);
        self.note(self.below.read_at(offset, buf))
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        self.note(self.below.extent_at(offset, end))
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        self.note(self.below.raw_at(offset, end))
    }

    fn grain(&self) -> u32 {
        self.below.grain()
    }
}
