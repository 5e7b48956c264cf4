//! UDIF: Apple disk images (`.dmg`).
//!
//! Source: the field names of Apple's DiskImages headers as public documentation records them (Jonathan Levin,
//! *Demystifying the DMG File Format*). Big-endian.
//!
//! ```text
//!   | data fork: chunks | XML property list: one block table ("mish", base64) a partition | "koly" trailer 512 |
//!
//!   a table's chunks:  type | first sector | sectors | offset | length
//!     0 zero   1 raw   2 ignored   0x80000005 zlib     0x80000004 ADC, 6 bzip2, 7 LZFSE, 8 LZMA: refused by name
//! ```

mod disk;
mod table;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format: a trailer at the very end whose parts all lie in front of it.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    Ok(matches!(disk::trailer(file)?, Some((trailer, at)) if trailer.fits(at)))
}
