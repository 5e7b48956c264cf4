//! A disk that forgets: what was not flushed may be lost when the power goes, in any pattern.

use crate::rng::Rng;
use h2k_block::{BlockRead, BlockWrite, Class, Error, HostFile, MemDisk, Result};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What storage promises to keep whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

/// A file whose unflushed writes can be lost, sector by sector, and whose power fails when a shared fuse burns out.
pub struct Volatile<'a> {
    /// What a reader sees now.
    now: MemDisk,
    /// What is certainly on the medium.
    durable: Mutex<Vec<u8>>,
    pending: Mutex<Vec<Change>>,
    fuse: &'a AtomicU64,
}

impl<'a> Volatile<'a> {
    /// A file holding `bytes`, all of them durable. Every write, flush and change of length takes one from `fuse`;
    /// when nothing is left, the power is off and every call fails.
    #[must_use]
    pub fn new(bytes: Vec<u8>, fuse: &'a AtomicU64) -> Self {
        Self {
            now: MemDisk::new(bytes.clone()),
            durable: Mutex::new(bytes),
            pending: Mutex::default(),
            fuse,
        }
    }

    /// How many pieces (sectors and changes of length) are not durable yet.
    #[must_use]
    pub fn at_risk(&self) -> usize {
        self.pieces().len()
    }

    /// What the medium may hold after the power failed: the durable bytes, and of the rest each sector for which
    /// `kept` says so.
    pub fn after_power_loss(&self, mut kept: impl FnMut(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.lock().unwrap().clone();
        for (i, piece) in self.pieces().into_iter().enumerate() {
            if kept(i) {
                apply(&mut bytes, piece);
            }
        }
        bytes
    }

    /// One of the many states after a power loss: each piece kept or lost as `rng` says.
    pub fn one_loss(&self, rng: &mut Rng) -> Vec<u8> {
        // Sometimes nearly all, sometimes nearly nothing: borders are where the trouble is.
        let odds = rng.below(5);
        self.after_power_loss(|_| rng.below(4) < odds)
    }

    fn pieces(&self) -> Vec<Change> {
        let mut pieces = Vec::new();
        for change in self.pending.lock().unwrap().iter() {
            match change {
                Change::Len(len) => pieces.push(Change::Len(*len)),
                Change::Write(at, bytes) => {
                    let mut at = *at as usize;
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let n = rest.len().min(SECTOR - at % SECTOR);
                        pieces.push(Change::Write(at as u64, rest[..n].to_vec()));
                        (at, rest) = (at + n, &rest[n..]);
                    }
                }
            }
        }
        pieces
    }

    fn pay(&self) -> Result<()> {
        let paid = self
            .fuse
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        paid.map(|_| ())
            .map_err(|_| Error::new(Class::Io, "the power is off, as this test asked"))
    }
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    match change {
        Change::Len(len) => bytes.resize(len as usize, 0),
        Change::Write(at, new) => {
            let end = at as usize + new.len();
            if bytes.len() < end {
                // The length was lost, and with it what lies behind it.
                return;
            }
            bytes[at as usize..end].copy_from_slice(&new);
        }
    }
}

impl BlockRead for Volatile<'_> {
    fn len(&self) -> u64 {
        self.now.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if self.fuse.load(Ordering::SeqCst) == 0 {
            return Err(Error::new(Class::Io, "the power is off, as this test asked"));
        }
        self.now.read_at(offset, buf)
    }
}

impl BlockWrite for Volatile<'_> {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        // A write that the power loss interrupts may have reached the medium in part.
        let paid = self.pay();
        self.pending
            .lock()
            .unwrap()
            .push(Change::Write(offset, buf.to_vec()));
        paid?;
        self.now.write_at(offset, buf)
    }
    fn flush(&self) -> Result<()> {
        self.pay()?;
        let mut durable = self.durable.lock().unwrap();
        for change in self.pending.lock().unwrap().drain(..) {
            apply(&mut durable, change);
        }
        Ok(())
    }
}

impl HostFile for Volatile<'_> {
    fn set_len(&self, len: u64) -> Result<()> {
        self.pay()?;
        self.pending.lock().unwrap().push(Change::Len(len));
        self.now.set_len(len)
    }
    fn name(&self) -> &Path {
        self.now.name()
    }
}
