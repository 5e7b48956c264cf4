//! A source whose map and bytes are known, and a sink that remembers what it was given.

use h2k_block::{Batch, BlockRead, Body, Class, Error, Extent, Kind, Piece, Result, Sink};
use h2k_testkit::rng::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A disk made of runs. Holes and zeros may be of any size; data is pseudo-random, or zero where the map does
/// not know better.
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) runs: Vec<(u64, Kind)>,
    /// Reads that work before one fails, if one shall.
    pub(crate) reads: Option<AtomicU64>,
    /// Bytes read.
    pub(crate) read: AtomicU64,
}

impl Source {
    pub(crate) fn new(runs: Vec<(u64, Kind)>, rng: &mut Rng) -> Self {
        let mut bytes = Vec::new();
        for (len, kind) in &runs {
            let at = bytes.len();
            bytes.resize(at + *len as usize, 0);
            if *kind == Kind::Data {
                let mut piece = at;
                while piece < bytes.len() {
                    let end = bytes.len().min(piece + 1 + rng.below(200_000) as usize);
                    if rng.below(3) > 0 {
                        rng.fill(&mut bytes[piece..end]);
                    }
                    piece = end;
                }
            }
        }
        Self {
            bytes,
            runs,
            reads: None,
            read: AtomicU64::new(0),
        }
    }

    /// Runs of all kinds and awkward sizes; on average a few MiB altogether.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let unit = [1, 512, 4096, 65536][rng.below(4) as usize];
        let runs = (0..rng.below(12))
            .map(|_| {
                let kind = [Kind::Data, Kind::Zero, Kind::Hole][rng.below(3) as usize];
                ((1 + rng.below(1_600_000)).next_multiple_of(unit), kind)
            })
            .collect();
        Self::new(runs, rng)
    }
}

impl BlockRead for Source {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if let Some(reads) = &self.reads
            && reads
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_err()
        {
            return Err(Error::new(
                Class::Corrupt,
                "the source failed, as this test asked",
            ));
        }
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        buf.copy_from_slice(&self.bytes[offset as usize..][..buf.len()]);
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let mut at = 0;
        for (len, kind) in &self.runs {
            if offset < at + len {
                return Ok(Extent::new(offset, (at + len).min(end) - offset, *kind));
            }
            at += len;
        }
        unreachable!("the runs cover the disk")
    }
}

/// Everything a sink is told, and what a reader of the container would see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// What a reader sees; `None` in holes.
    pub(crate) bytes: Vec<Option<u8>>,
    /// Container bytes: encoded grains, in the order of placing.
    pub(crate) container: Vec<u8>,
    /// Where the next batch has to begin.
    pub(crate) placed: u64,
    /// Largest batch with bytes.
    pub(crate) longest: u64,
    pub(crate) batches: u64,
    pub(crate) finished: bool,
}

/// A sink that packs grains tightly, inverting every byte if it "compresses", and insists on the rules.
pub(crate) struct Recording {
    pub(crate) len: u64,
    pub(crate) grain: u32,
    pub(crate) encodes: bool,
    pub(crate) told: Arc<Mutex<Told>>,
    /// Calls (of all kinds) that work before one fails, if one shall.
    pub(crate) calls: Option<AtomicU64>,
    /// Somebody is in `store`.
    storing: AtomicBool,
}

impl Recording {
    pub(crate) fn new(len: u64, grain: u32, encodes: bool) -> (Self, Arc<Mutex<Told>>) {
        let told = Arc::new(Mutex::new(Told {
            bytes: vec![Some(0xee); len as usize],
            ..Told::default()
        }));
        let sink = Self {
            len,
            grain,
            encodes,
            told: told.clone(),
            calls: None,
            storing: AtomicBool::new(false),
        };
        (sink, told)
    }

    fn pay(&self) -> Result<()> {
        let Some(calls) = &self.calls else { return Ok(()) };
        calls
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .map(|_| ())
            .map_err(|_| Error::new(Class::NoSpace, "the target is full, as this test asked"))
    }

    fn check(&self, batch: &Batch) {
        let grain = u64::from(self.grain);
        let border = |at: u64| at.is_multiple_of(grain) || at == self.len;
        let mut at = batch.start;
        for Piece { start, len, body, .. } in &batch.pieces {
            assert_eq!(*start, at, "pieces touch");
            assert!(*len > 0);
            at += len;
            assert!(border(*start) && border(at), "pieces end at borders");
            if !matches!(body, Body::Hole | Body::Zero) {
                assert!(*len <= grain, "plain pieces are single grains");
            }
        }
        assert_eq!(at, batch.start + batch.len, "pieces cover the batch");
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        self.pay()?;
        self.check(batch);
        for piece in &batch.pieces {
            let bytes = batch.bytes(piece);
            let range = piece.start as usize..(piece.start + piece.len) as usize;
            let shown: Vec<Option<u8>> = match piece.body {
                Body::Hole => vec![None; range.len()],
                Body::Zero => vec![Some(0); range.len()],
                Body::Plain => bytes.iter().copied().map(Some).collect(),
                Body::Coded { .. } => bytes.iter().map(|b| Some(!b)).collect(),
            };
            lock(&self.told).bytes[range].copy_from_slice(&shown);
        }
        Ok(())
    }
}

impl Sink for Recording {
    fn len(&self) -> u64 {
        self.len
    }

    fn grain(&self) -> u32 {
        self.grain
    }

    fn encode(&self, batch: &mut Batch) -> Result<()> {
        self.pay()?;
        self.check(batch);
        if self.encodes {
            for i in 0..batch.pieces.len() {
                let piece = batch.pieces[i];
                // Every other grain is left as it is, as if it did not compress.
                if piece.body == Body::Plain && (piece.start / u64::from(self.grain)).is_multiple_of(2) {
                    let inverted: Vec<u8> = batch.bytes(&piece).iter().map(|b| !b).collect();
                    let at = batch.coded.len();
                    batch.coded.extend_from_slice(&inverted);
                    let len = inverted.len();
                    batch.pieces[i].body = Body::Coded { at, len };
                }
            }
        }
        Ok(())
    }

    fn place(&self, batch: &mut Batch) -> Result<()> {
        self.pay()?;
        self.check(batch);
        let mut told = lock(&self.told);
        assert_eq!(batch.start, told.placed, "batches are placed in order");
        told.placed += batch.len;
        told.batches += 1;
        if !batch.guest.is_empty() {
            told.longest = told.longest.max(batch.len);
        }
        for i in 0..batch.pieces.len() {
            let piece = batch.pieces[i];
            let bytes = batch.bytes(&piece).to_vec();
            batch.pieces[i].host = told.container.len() as u64;
            told.container.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn store(&self, batch: &Batch) -> Result<()> {
        let busy = self.storing.swap(true, Ordering::SeqCst);
        assert!(
            !busy,
            "two workers write at once: one of them burns its time on the file's lock"
        );
        // Long enough that others come by.
        std::thread::yield_now();
        let stored = self.write(batch);
        self.storing.store(false, Ordering::SeqCst);
        stored
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.pay()?;
        lock(&self.told).finished = true;
        Ok(())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
