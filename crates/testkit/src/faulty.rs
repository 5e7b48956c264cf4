//! Disks that misbehave on purpose.

use h2k_block::{BlockRead, BlockWrite, Class, Error, HostFile, MemDisk, Result};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A file in memory whose `n`-th read or write fails, and all after it.
pub struct Faulty {
    below: Arc<MemDisk>,
    left: AtomicU64,
}

impl Faulty {
    /// Works `calls` times, then fails.
    #[must_use]
    pub fn after(below: Arc<MemDisk>, calls: u64) -> Self {
        Self {
            below,
            left: calls.into(),
        }
    }

    fn pay(&self) -> Result<()> {
        let took = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        took.map(|_| ())
            .map_err(|_| Error::new(Class::Io, "the host failed, as this test asked"))
    }
}

impl BlockRead for Faulty {
    fn len(&self) -> u64 {
        self.below.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.pay()?;
        self.below.read_at(offset, buf)
    }
}

impl BlockWrite for Faulty {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.pay()?;
        self.below.write_at(offset, buf)
    }
    fn flush(&self) -> Result<()> {
        self.pay()
    }
}

impl HostFile for Faulty {
    fn set_len(&self, len: u64) -> Result<()> {
        self.pay()?;
        self.below.set_len(len)
    }
    fn name(&self) -> &Path {
        self.below.name()
    }
}

/// One thing asked of a [`Recorder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A read of so many bytes at an offset.
    Read(u64, usize),
    /// A write of these bytes at an offset.
    Write(u64, Vec<u8>),
    /// A barrier.
    Flush,
    /// A new length.
    SetLen(u64),
}

/// A file in memory that remembers what was asked of it, in order.
#[derive(Default)]
pub struct Recorder {
    below: MemDisk,
    asked: Mutex<Vec<Asked>>,
}

impl Recorder {
    /// A recorder over `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            below: MemDisk::new(bytes),
            asked: Mutex::default(),
        }
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The contents now.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.below.to_vec()
    }

    fn note(&self, what: Asked) {
        self.asked.lock().unwrap().push(what);
    }
}

impl BlockRead for Recorder {
    fn len(&self) -> u64 {
        self.below.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.note(Asked::Read(offset, buf.len()));
        self.below.read_at(offset, buf)
    }
}

impl BlockWrite for Recorder {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.note(Asked::Write(offset, buf.to_vec()));
        self.below.write_at(offset, buf)
    }
    fn flush(&self) -> Result<()> {
        self.note(Asked::Flush);
        Ok(())
    }
}

impl HostFile for Recorder {
    fn set_len(&self, len: u64) -> Result<()> {
        self.note(Asked::SetLen(len));
        self.below.set_len(len)
    }
    fn name(&self) -> &Path {
        self.below.name()
    }
}
