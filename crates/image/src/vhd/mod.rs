//! VHD: Microsoft Virtual PC, Virtual Server and Hyper-V generation 1; `vpc` in qemu-img.
//!
//! Source: Microsoft, *Virtual Hard Disk Image Format Specification*, version 1.0 (October 2006). Big-endian.
//!
//! ```text
//!   fixed:     | the disk's bytes ............................................ | footer 512 |
//!
//!   dynamic,   | footer copy | dynamic header | BAT  | bitmap | block | bitmap | block | footer |
//!   differ-    |         512 |           1024 | u32  | 1 bit a sector, then the sectors| 512    |
//!   encing:                     "cxsparse"      sector numbers of the bitmaps           "conectix"
//! ```
//!
//! In a differencing image a set bit means "this sector is here", a clear one "ask the parent". In a dynamic image
//! the whole of an allocated block is shown, whatever its bitmap says: qemu-img does so, and a maker that follows the
//! specification zero-fills what it has not written.

mod check;
mod disk;
mod footer;
mod geometry;
mod layout;
mod parent;
mod sink;

use h2k_block::{BlockRead, Result};

pub(crate) use check::audit;
pub(crate) use disk::open;
pub(crate) use sink::create;
pub use sink::{Kind, Options, Size};

/// Whether `file` looks like this format: a footer copy at the head, or a fixed disk's footer that fits its length.
/// A tail alone is guest-writable in a raw disk, so nothing but a fixed disk is taken from it.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    footer::probe(file)
}
