//! VDI: VirtualBox disk image, version 1.1.
//!
//! Sources: the VirtualBox manual, chapter "Virtual storage"; the header as images written by VirtualBox and by
//! qemu-img show it (the format has no published specification).
//!
//! ```text
//!   0          512, "blocks_offset"     "data_offset"
//!   +----------+------------------------+---------+---------+- - -
//!   | header   | block map: u32 each    | block 0 | block 1 |        in the order in which they were written
//!   +----------+------------------------+---------+---------+- - -
//!                 n: data block n   -1: never written   -2: discarded
//! ```
//!
//! Static and dynamic images are read. Undo and differencing images hold changes to another image that they name by
//! UUID alone; they are refused by name.

mod check;
mod disk;
mod layout;
mod sink;

use h2k_block::{BlockRead, Result};

pub(crate) use check::audit;
pub(crate) use disk::open;
pub(crate) use sink::create;
pub use sink::{Kind, Options};

/// Whether `file` looks like this format.
pub(crate) fn probe(file: &dyn BlockRead) -> Result<bool> {
    let mut signature = [0; 4];
    if file.len() < 512 {
        return Ok(false);
    }
    file.read_at(layout::SIGNATURE_AT, &mut signature)?;
    Ok(u32::from_le_bytes(signature) == layout::SIGNATURE)
}
