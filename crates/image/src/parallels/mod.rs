//! Parallels expanding images.
//!
//! Source: QEMU's `docs/interop/parallels.rst` (Parallels Expandable Image File Format). Little-endian.
//!
//! ```text
//!   0          64                               data_off (sectors)
//!   +----------+------------------------------+ +-----------+-----------+- - -
//!   | header   | BAT: u32 each, 0 = nothing   | | cluster   | cluster   |
//!   +----------+------------------------------+ +-----------+-----------+- - -
//!                 "WithoutFreeSpace": in sectors;  "WithouFreSpacExt": in clusters, from the start of the file
//! ```

mod disk;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut head = [0; 20];
    if file.len() < 64 {
        return Ok(false);
    }
    file.read_at(0, &mut head)?;
    let (magic, version) = head.split_at(16);
    Ok((magic == disk::OLD || magic == disk::EXTENDED) && version == [2, 0, 0, 0])
}
