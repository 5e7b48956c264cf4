//! Moves the bytes of a disk: extents in, workers, sink out. The one hot loop of the project.
//!
//! [`copy`] fills a [`Sink`]; [`digest()`] and [`compare`] read without writing. All three are
//! extent-driven, run on scoped worker threads, stop when asked, and report through [`Watch`]. The bytes of the
//! container and every digest are the same whatever the number of workers.
//!
//! Non-goals: formats, files, names, terminals.

mod compare;
mod crew;
mod flow;
mod hash;
mod pace;
mod plan;
mod unit;

use flow::Flow;
use h2k_block::{BlockRead, Class, Error, Result, Sink};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

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
    /// BLAKE3 of all bytes; what `b3sum` says of the raw disk. Hashed by all workers.
    Blake3,
    /// SHA-256 of all bytes; what `sha256sum` says of the raw disk. Hashed by one worker at a time.
    Sha256,
    /// BLAKE3 of one record for each 64 KiB block that holds a non-zero byte, in ascending order: the block's
    /// offset as 8 bytes, little-endian, then the 32 bytes of the block's own BLAKE3 (a last block that is
    /// shorter is hashed as long as it is). The time it takes depends on the data, not on the size of the disk;
    /// zeros at the end of a disk do not count, so it does not tell how long the disk is. What `--verify` uses.
    Sparse,
}

impl DigestKind {
    /// Whether holes have to be hashed too, as the zeros they are.
    fn reads_holes(self) -> bool {
        self != Self::Sparse
    }
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
/// A target that is longer than the source gets a hole at its end; the report and the digest speak of the target's
/// length. Grains that `from` calls holes become holes, what it calls zero or what was read and found to be zero
/// becomes zero, and a grain of which only a part is a hole is read whole.
///
/// # Errors
/// [`h2k_block::Class::Cancelled`] when stopped; [`h2k_block::Class::Invalid`] for a target that is shorter than the
/// source and for options that make no sense; else what the source or the sink says, with the range that was being
/// copied among the layers.
///
/// # Panics
/// When the source or the sink panics, after the other workers have stopped.
pub fn copy(
    from: &dyn BlockRead,
    to: Box<dyn Sink>,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Report> {
    check(options)?;
    let began = Instant::now();
    let report = Flow::run(from, Some(&*to), options, stop, watch)?;
    to.finish().map_err(|e| e.through("finishing the target"))?;
    Ok(Report {
        elapsed: began.elapsed(),
        ..report
    })
}

/// Digests all of `from` without copying it. `options.digest` says how; none means BLAKE3.
///
/// # Errors
/// As [`copy`].
///
/// # Panics
/// As [`copy`].
pub fn digest(
    from: &dyn BlockRead,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Report> {
    check(options)?;
    let options = Options {
        digest: options.digest.or(Some(DigestKind::Blake3)),
        ..options.clone()
    };
    Flow::run(from, None, &options, stop, watch)
}

/// Finds the first byte in which two disks differ. The longer one's tail has to read as zero to count as equal.
/// `options.digest` means nothing here.
///
/// # Errors
/// As [`copy`]; what cannot be read after the first difference is no error.
///
/// # Panics
/// As [`copy`].
pub fn compare(
    a: &dyn BlockRead,
    b: &dyn BlockRead,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Option<Difference>> {
    check(options)?;
    compare::run(a, b, options, stop, watch)
}

fn check(options: &Options) -> Result<()> {
    match options.bytes_per_second {
        Some(0) => Err(Error::new(
            Class::Invalid,
            "at 0 bytes a second nothing is ever copied",
        )),
        _ => Ok(()),
    }
}
