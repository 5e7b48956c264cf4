//! The bytes of the Virtual Hard Disk Image Format Specification, in its own names. Big-endian throughout.

use zerocopy::{BE, FromBytes, Immutable, IntoBytes, KnownLayout, U16, U32, U64, Unaligned};

/// Everything but the bitmap and the data of a fixed disk is counted in these.
pub(super) const SECTOR: u64 = 512;

/// Hard Disk Footer Format.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Footer {
    pub(super) cookie: [u8; 8],
    pub(super) features: U32<BE>,
    pub(super) file_format_version: U32<BE>,
    pub(super) data_offset: U64<BE>,
    pub(super) time_stamp: U32<BE>,
    pub(super) creator_application: [u8; 4],
    pub(super) creator_version: U32<BE>,
    pub(super) creator_host_os: [u8; 4],
    pub(super) original_size: U64<BE>,
    pub(super) current_size: U64<BE>,
    pub(super) disk_geometry: Geometry,
    pub(super) disk_type: U32<BE>,
    pub(super) checksum: U32<BE>,
    pub(super) unique_id: [u8; 16],
    pub(super) saved_state: u8,
    pub(super) reserved: [u8; 427],
}
const _: () = assert!(size_of::<Footer>() == 512);
pub(super) const FOOTER_COOKIE: [u8; 8] = *b"conectix";
/// Features: bit 1 is reserved and always set.
pub(super) const FEATURES: u32 = 2;
pub(super) const VERSION: u32 = 0x0001_0000;
/// Data Offset of a fixed disk, and of the (only) dynamic header.
pub(super) const NO_OFFSET: u64 = u64::MAX;

/// Disk Geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Geometry {
    pub(super) cylinders: U16<BE>,
    pub(super) heads: u8,
    pub(super) sectors_per_track: u8,
}
const _: () = assert!(size_of::<Geometry>() == 4);

/// Disk Type.
pub(super) const FIXED: u32 = 2;
pub(super) const DYNAMIC: u32 = 3;
pub(super) const DIFFERENCING: u32 = 4;

/// Dynamic Disk Header Format.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DynamicHeader {
    pub(super) cookie: [u8; 8],
    pub(super) data_offset: U64<BE>,
    pub(super) table_offset: U64<BE>,
    pub(super) header_version: U32<BE>,
    pub(super) max_table_entries: U32<BE>,
    pub(super) block_size: U32<BE>,
    pub(super) checksum: U32<BE>,
    pub(super) parent_unique_id: [u8; 16],
    pub(super) parent_time_stamp: U32<BE>,
    pub(super) reserved: [u8; 4],
    pub(super) parent_unicode_name: [U16<BE>; 256],
    pub(super) parent_locators: [ParentLocator; 8],
    pub(super) reserved2: [u8; 256],
}
const _: () = assert!(size_of::<DynamicHeader>() == 1024);
pub(super) const HEADER_COOKIE: [u8; 8] = *b"cxsparse";

/// Parent Locator Entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ParentLocator {
    pub(super) platform_code: [u8; 4],
    /// Sectors by the specification; Windows writes bytes.
    pub(super) platform_data_space: U32<BE>,
    pub(super) platform_data_length: U32<BE>,
    pub(super) reserved: [u8; 4],
    pub(super) platform_data_offset: U64<BE>,
}
const _: () = assert!(size_of::<ParentLocator>() == 24);

/// A BAT entry of a block that is not stored.
pub(super) const UNUSED: u32 = u32::MAX;
/// The block size of nearly every image.
pub(super) const USUAL_BLOCK: u32 = 2 << 20;
/// What Hyper-V and Azure accept at most: 2040 GiB.
pub(super) const MAX_DISK: u64 = 2040 << 30;
