//! Bochs "growing" images.
//!
//! Source: the Bochs user manual and developers' guide, chapter "Harddisk images" (redolog layout). Little-endian.
//!
//! ```text
//!   0                512                                  then extent 0, 1, 2 …, each:
//!   +----------------+----------------------------------+ +--------------------+-----------------------+
//!   | header         | catalog: u32 each, −1 = nothing  | | bitmap, bit 0 first| sectors of the extent |
//!   +----------------+----------------------------------+ +--------------------+-----------------------+
//! ```

mod disk;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut magic = [0; 32];
    if file.len() < 512 {
        return Ok(false);
    }
    file.read_at(0, &mut magic)?;
    Ok(magic == disk::MAGIC)
}
