//! cloop: compressed loop images, version 2.
//!
//! Source: the README of the cloop kernel module; images made by its `create_compressed_fs`. Big-endian.
//!
//! ```text
//!   0                128          132        136
//!   +----------------+------------+----------+------------------------------------+---------+---------+- -
//!   | a shell script | block size | blocks n | offsets: u64 × (n+1)               | zlib 0  | zlib 1  |
//!   +----------------+------------+----------+------------------------------------+---------+---------+- -
//! ```

mod disk;

use h2k_block::{BlockRead, Result};

pub(crate) use disk::open;

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut head = [0; disk::MAGIC.len()];
    if file.len() < 136 {
        return Ok(false);
    }
    file.read_at(0, &mut head)?;
    Ok(&head == disk::MAGIC)
}
