//! VHDX: Hyper-V virtual hard disk, version 2.
//!
//! Source: [MS-VHDX] Virtual Hard Disk v2 (VHDX) File Format, sections 2.1 to 2.6.
//!
//! ```text
//!   0        64 KiB    128 KiB   192 KiB   256 KiB           1 MiB, in any order, whole MiB each
//!   +---------+---------+---------+---------+---------+- - -+-----+----------+-----+-------------------+
//!   |"vhdxfile| header 1| header 2| region  | region  |     | log | metadata | BAT | payload and sector|
//!   | creator | "head"  | "head"  | table 1 | table 2 |     |     | "metadata| u64 | bitmap blocks     |
//!   +---------+---------+---------+---------+---------+- - -+-----+----------+-----+-------------------+
//!
//!   BAT:  p p p … p b  p p p … p b  …      p: payload block, b: sector bitmap block of the chunk before it
//!         └ chunk ──┘                      a chunk is 2^23 sectors: chunk ratio = 2^23 × sector / block size
//! ```
//!
//! The header with the higher sequence number counts. When it names a log, the log's active sequence of entries is
//! what other metadata really is: it is replayed in memory (`log.rs`), before anything else is looked at.

mod check;
mod disk;
mod header;
mod layout;
mod log;
mod metadata;
mod sink;

use h2k_block::{BlockRead, Result};

pub(crate) use check::audit;
pub(crate) use disk::open;
pub use sink::Options;
pub(crate) use sink::create;

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    header::has_signature(file)
}
