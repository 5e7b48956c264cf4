//! LVM2's on-disk structures: label, physical volume header, metadata area header. Sizes asserted.

use zerocopy::byteorder::{LE, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Start of the sector that holds the label.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct LabelHeader {
    /// `LABELONE`
    pub(super) id: [u8; 8],
    /// The sector this label was written to.
    pub(super) sector: U64<LE>,
    /// Of everything from `offset` to the end of the sector.
    pub(super) crc: U32<LE>,
    /// Bytes from the start of the label to the physical volume header.
    pub(super) offset: U32<LE>,
    /// `LVM2 001`
    pub(super) kind: [u8; 8],
}
const _: () = assert!(size_of::<LabelHeader>() == 32);

/// Physical volume header; a list of data areas and a list of metadata areas follow, each ended by a zero entry.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct PvHeader {
    pub(super) uuid: [u8; 32],
    pub(super) device_size: U64<LE>,
}
const _: () = assert!(size_of::<PvHeader>() == 40);

/// One data or metadata area, in bytes from the start of the device.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DiskLocation {
    pub(super) offset: U64<LE>,
    pub(super) size: U64<LE>,
}
const _: () = assert!(size_of::<DiskLocation>() == 16);

/// Start of a metadata area; a list of [`RawLocation`] follows, ended by one with offset zero.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct AreaHeader {
    /// Of the rest of these 512 bytes.
    pub(super) checksum: U32<LE>,
    pub(super) magic: [u8; 16],
    pub(super) version: U32<LE>,
    /// Where this area begins on the device.
    pub(super) start: U64<LE>,
    pub(super) size: U64<LE>,
}
const _: () = assert!(size_of::<AreaHeader>() == 40);

/// Where a copy of the metadata text lies, in bytes from the start of the area.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawLocation {
    pub(super) offset: U64<LE>,
    pub(super) size: U64<LE>,
    pub(super) checksum: U32<LE>,
    pub(super) flags: U32<LE>,
}
const _: () = assert!(size_of::<RawLocation>() == 24);
