//! LVM2, from its metadata on disk.
//!
//! ```text
//! physical volume
//! ┌──────────┬─────────────────────────────────────────┬──────────────────────────────┐
//! │ label in │ metadata area: header, ring of texts     │ extents, counted from        │
//! │ sector 1 │ (the newest may run over the end)        │ pe_start                     │
//! └──────────┴─────────────────────────────────────────┴──────────────────────────────┘
//!
//! vg ─▶ lv "root"  segment ─▶ striped over [pv0, 0] [pv1, 128]
//!       lv "data"  segment ─▶ raid1 of lv data_rimage_0, lv data_rimage_1 ─▶ segments on pv0, pv2
//! ```
//!
//! Sources: `lvm.conf(5)`, `lvmraid(7)`, `pvck(8)` and `vgcfgbackup(8)` of LVM2, which show the text; the published
//! description of the label and metadata areas in "Logical Volume Manager (LVM) format" (J. Metz); volumes made by
//! LVM and read by the kernel, which the tests compare with.

mod assemble;
mod dmraid;
mod group;
mod label;
mod layout;
mod raid;
mod snapshot;
mod text;

pub(crate) use assemble::assemble;
pub(crate) use group::Group;
pub(crate) use label::{PhysicalVolume, read};

use h2k_block::{Meter, Result};

/// Reads the group out of a physical volume's metadata text.
pub(crate) fn group(text: &[u8], meter: &mut Meter) -> Result<Group> {
    group::read(text, meter)
}
