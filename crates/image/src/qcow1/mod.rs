//! QEMU copy-on-write, version 1; `qcow` in qemu-img.
//!
//! Source: Mark McLoughlin, *The QCOW Image Format* (2006). Big-endian.
//!
//! ```text
//!   | header 48 | backing name | L1: u64 each | L2 tables, clusters, compressed clusters in any order
//!
//!   guest offset = | L1 index | L2 index | within a cluster |
//!   L2 entry:  0 = nothing;  bit 63 set = deflate: length and offset packed into the rest;  else a cluster's offset
//! ```

mod disk;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut head = [0; 8];
    if file.len() < 48 {
        return Ok(false);
    }
    file.read_at(0, &mut head)?;
    Ok(head == *b"QFI\xfb\0\0\0\x01")
}
