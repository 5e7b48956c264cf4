//! Digests of single files of a guest.
//!
//! Small files are hashed by as many threads as there are processors, one file each; large ones by the copier's own
//! workers, which read ahead and hash side by side. Memory depends on the threads, not on the files.

use h2k_block::{BlockRead, Class, Error, Extent, Kind, Result};
use h2k_copy::{Blind, DigestKind, Options};
use h2k_guest::{Place, Tree};
use sha2::Digest as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// From this length on, a file is worth all workers.
const LARGE: u64 = 8 << 20;
/// How much of a small file is read at once.
const PIECE: usize = 1 << 20;
/// How many files are gathered before they are hashed.
const BATCH: usize = 512;

/// Digests files in the order they come.
pub struct Checksums<'a> {
    tree: &'a Tree,
    kind: DigestKind,
    stop: &'a AtomicBool,
    workers: usize,
    /// Path, place and length.
    waiting: Vec<(Vec<u8>, Place, u64)>,
}

/// What became of one file.
#[derive(Debug)]
pub struct Summed {
    /// Its path.
    pub path: Vec<u8>,
    /// Its length in bytes.
    pub len: u64,
    /// Its digest, or why it has none.
    pub digest: Result<[u8; 32]>,
}

/// Is shown each file; an error ends the work.
pub type EachSum<'a> = dyn FnMut(Summed) -> Result<()> + 'a;

impl<'a> Checksums<'a> {
    /// Nothing hashed yet. `kind` is SHA-256 or BLAKE3.
    #[must_use]
    pub fn new(tree: &'a Tree, kind: DigestKind, stop: &'a AtomicBool) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            tree,
            kind,
            stop,
            workers: processors.min(16),
            waiting: Vec::new(),
        }
    }

    /// Takes one more regular file. It is hashed now or later; `each` sees the files in the order they were added.
    ///
    /// # Errors
    /// What `each` fails with; [`Class::Cancelled`] when `stop` was set.
    pub fn add(&mut self, path: Vec<u8>, file: Place, len: u64, each: &mut EachSum<'_>) -> Result<()> {
        if len >= LARGE {
            self.finish(each)?;
            let digest = self.large(file, len);
            if let Err(e) = &digest
                && e.class() == Class::Cancelled
            {
                return Err(Error::new(Class::Cancelled, "stopped"));
            }
            return each(Summed { path, len, digest });
        }
        self.waiting.push((path, file, len));
        if self.waiting.len() >= BATCH {
            self.finish(each)?;
        }
        Ok(())
    }

    /// Hashes what is waiting.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn finish(&mut self, each: &mut EachSum<'_>) -> Result<()> {
        let files = std::mem::take(&mut self.waiting);
        let next = AtomicUsize::new(0);
        let done: Vec<Mutex<Option<Result<[u8; 32]>>>> = files.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            let mut piece = Vec::new();
            while !self.stop.load(Ordering::Acquire) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let (Some((_, file, len)), Some(slot)) = (files.get(i), done.get(i)) else {
                    break;
                };
                let digest = self.small(*file, *len, &mut piece);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
            }
        };
        let workers = self.workers.min(files.len());
        if workers > 1 {
            std::thread::scope(|scope| {
                for _ in 1..workers {
                    scope.spawn(work);
                }
                work();
            });
        } else {
            work();
        }
        for ((path, _, len), slot) in files.into_iter().zip(done) {
            match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(digest) => each(Summed { path, len, digest })?,
                None => return Err(Error::new(Class::Cancelled, "stopped")),
            }
        }
        Ok(())
    }

    fn small(&self, file: Place, len: u64, piece: &mut Vec<u8>) -> Result<[u8; 32]> {
        let mut sha = sha2::Sha256::new();
        let mut blake = blake3::Hasher::new();
        let mut at = 0_u64;
        if piece.is_empty() {
            piece.resize(PIECE, 0);
        }
        while at < len {
            let read = self.tree.read_at(file, at, piece)?;
            let bytes = piece.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Err(short(at, len));
            }
            match self.kind {
                DigestKind::Sha256 => sha.update(bytes),
                _ => {
                    blake.update(bytes);
                }
            }
            at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if self.stop.load(Ordering::Acquire) {
                return Err(Error::new(Class::Cancelled, "stopped"));
            }
        }
        Ok(match self.kind {
            DigestKind::Sha256 => sha.finalize().into(),
            _ => *blake.finalize().as_bytes(),
        })
    }

    fn large(&self, file: Place, len: u64) -> Result<[u8; 32]> {
        let disk = Content {
            tree: self.tree,
            file,
            len,
        };
        let options = Options {
            workers: self.workers,
            digest: Some(self.kind),
            bytes_per_second: None,
        };
        let report = h2k_copy::digest(&disk, &options, self.stop, &Blind)?;
        let digest = report.digest.map(|d| d.bytes);
        digest.ok_or_else(|| Error::new(Class::Invalid, "no digest was made"))
    }
}

fn short(at: u64, len: u64) -> Error {
    Error::corrupt(
        "file",
        at,
        format!("the content ends here, {len} bytes were promised"),
    )
}

/// A file as the copier sees disks.
struct Content<'a> {
    tree: &'a Tree,
    file: Place,
    len: u64,
}

impl BlockRead for Content<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0_usize;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            match self.tree.read_at(self.file, at, rest)? {
                0 => return Err(short(at, self.len)),
                n => done = done.saturating_add(n),
            }
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let mut run = self.tree.extent_at(self.file, offset, end)?.run;
        // Nothing lies below a file that could show through.
        if run.kind == Kind::Hole {
            run.kind = Kind::Zero;
        }
        Ok(run)
    }
}
