//! Moves the bytes of a disk: extents in, workers, sink out. The one hot loop of the project.
//!
//! [`copy`] fills a [`Sink`](h2k_block::Sink); [`digest()`] and [`compare`] read without writing. All three are
//! extent-driven, run on scoped worker threads, stop when asked, and report through [`Watch`]. The bytes of the
//! container and every digest are the same whatever the number of workers.
//!
//! Non-goals: formats, files, names, terminals.

use h2k_block::{BlockRead, Error, Result, Sink};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What the caller chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Worker threads; 0 means one for each processor this process may use.
    pub workers: usize,
    /// Which digest of the guest-visible content to make in the same pass.
    pub digest: Option<DigestKind>,
    /// At most so many bytes of source data read in a second.
    pub bytes_per_second: Option<u64>,
}

/// How content is digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// BLAKE3 of all bytes.
    Blake3,
    /// SHA-256 of all bytes; what `sha256sum` says of the raw disk.
    Sha256,
    /// BLAKE3 over the 64 KiB blocks that hold a non-zero byte, each led by its offset: the time it takes depends
    /// on the data, not on the size of the disk. What `--verify` uses.
    Sparse,
}

/// A digest of guest-visible content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// How it was made.
    pub kind: DigestKind,
    /// Its 32 bytes.
    pub bytes: [u8; 32],
}

/// What happens while work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// So much of the disk is dealt with.
    Progress {
        /// Guest bytes dealt with, holes included.
        done: u64,
        /// Guest bytes altogether.
        total: u64,
        /// Bytes of data read so far: what a rate is made of.
        moved: u64,
    },
}

/// Watches work go on. Called from worker threads, a few times a second.
pub trait Watch: Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blind;

impl Watch for Blind {
    fn event(&self, _event: &Event) {}
}

/// What was done. `data + found_zero + skipped` is the length of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes read and stored.
    pub data: u64,
    /// Bytes read and found to be zero.
    pub found_zero: u64,
    /// Bytes known from the map, never read.
    pub skipped: u64,
    /// The digest that was asked for.
    pub digest: Option<Digest>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Where two disks differ first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The first differing byte.
    pub offset: u64,
}

/// Copies all of `from` into `to` and finishes it. Stops at the first error or when `stop` is set.
///
/// # Errors
/// [`h2k_block::Class::Cancelled`] when stopped; else what the source or the sink says, with the range that was
/// being copied among the layers.
pub fn copy(
    _from: &dyn BlockRead,
    _to: Box<dyn Sink>,
    _options: &Options,
    _stop: &AtomicBool,
    _watch: &dyn Watch,
) -> Result<Report> {
    Err(Error::unsupported("not built yet"))
}

/// Digests all of `from` without copying it. `options.digest` says how; none means BLAKE3.
///
/// # Errors
/// As [`copy`].
pub fn digest(
    _from: &dyn BlockRead,
    _options: &Options,
    _stop: &AtomicBool,
    _watch: &dyn Watch,
) -> Result<Report> {
    Err(Error::unsupported("not built yet"))
}

/// Finds the first byte in which two disks differ. The longer one's tail has to read as zero to count as equal.
///
/// # Errors
/// As [`copy`].
pub fn compare(
    _a: &dyn BlockRead,
    _b: &dyn BlockRead,
    _options: &Options,
    _stop: &AtomicBool,
    _watch: &dyn Watch,
) -> Result<Option<Difference>> {
    Err(Error::unsupported("not built yet"))
}
