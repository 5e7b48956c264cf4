//! EWF-E01: EnCase evidence files.
//!
//! Source: Joachim Metz, *Expert Witness Compression Format specification* (GFDL). Little-endian.
//!
//! ```text
//!   each of x.E01, x.E02 …:
//!   | "EVF…" segment n | section "header" | "volume" | "sectors": chunks | "table": offsets | … | "next" or "done" |
//!   section: type 16 | next section u64 | size u64 | padding 40 | Adler-32 u32
//!   table:   count u32 | – | base u64 | – | Adler-32 | offsets u32 each: bit 31 = zlib, else bytes and an Adler-32
//! ```

mod disk;
mod section;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format, or its successors, which are refused by name.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut head = [0; 8];
    if file.len() < 13 {
        return Ok(false);
    }
    file.read_at(0, &mut head)?;
    Ok(head == section::EVF || head == section::LVF || head == section::EVF2)
}
