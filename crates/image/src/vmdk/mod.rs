//! VMware virtual disk, all kinds that live in files.
//!
//! ```text
//! monolithicSparse, extents of twoGbMaxExtentSparse        streamOptimized
//! ┌────────────────────────────┐ 0                         ┌────────────────────────────┐ 0
//! │ SparseExtentHeader "KDMV"  │                           │ header, gdOffset = -1      │
//! │ descriptor (text)          │                           │ descriptor (text)          │
//! │ redundant grain directory  │──┐                        ├────────────────────────────┤ overHead
//! │ redundant grain tables     │◀─┘                        │ LBA, size, zlib data   ◀─┐ │ grain by grain
//! │ grain directory            │──┐                        │ LBA, size, zlib data   ◀─┤ │
//! │ grain tables               │◀─┘──┐                     │ GT marker, grain table ──┘◀┐
//! ├────────────────────────────┤ overHead                  │ …                          ││
//! │ grain  grain  grain …      │◀────┘                     │ GD marker, grain directory ┘◀┐
//! └────────────────────────────┘                           │ footer marker, footer ───────┘
//!                                                          │ end-of-stream marker       │
//! "# Disk DescriptorFile" alone, extents beside it:        └────────────────────────────┘
//!   RW 4192256 SPARSE "disk-s001.vmdk"      hosted sparse, as above, without descriptor
//!   RW 4192256 FLAT "disk-flat.vmdk" 0      the bytes themselves (VMFS on ESXi)
//!   RW 4192256 VMFSSPARSE "x-delta.vmdk"    COWD: header, directory at once, tables of 4096, grains
//!   RW 4192256 SESPARSE "x-sesparse.vmdk"   0xcafebabe: regions for directory, tables, bitmaps, grains
//!   RW 4192256 ZERO                         no file
//! ```
//!
//! Sources: VMware "Virtual Disk Format 5.0" (technical note); libyal's "VMware Virtual Disk (VMDK) format
//! specification"; `vmware_vmdk.h` of VMware's open-vmdk for the split of the flags into compatible and incompatible
//! ones and for compressed grains without an LBA; published descriptions of SESPARSE.
//!
//! Everything is counted in sectors of 512 bytes, little-endian. An entry of 0 in a grain table is a hole: the
//! parent shows through. An entry of 1, where the header allows it, is zero and hides the parent.

mod check;
mod cowd;
mod descriptor;
mod disk;
mod hosted;
mod layout;
mod open;
mod options;
mod sesparse;
mod sink;
mod sparse;
mod stream;

pub(crate) use check::audit;
pub(crate) use open::{open, probe};
pub use options::{Adapter, Kind, Options};
pub(crate) use sink::create;
