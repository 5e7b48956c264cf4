//! The bytes of the specification, in its own names. No behaviour.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, LE, U16, U32, U64, Unaligned};

/// Bytes in a sector: everything in a VMDK is counted in these.
pub(super) const SECTOR: u64 = 512;

/// `SparseExtentHeader`: Virtual Disk Format 5.0, "Hosted Sparse Extents"; also the footer of a stream.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SparseExtentHeader {
    pub(super) magic_number: [u8; 4],
    pub(super) version: U32<LE>,
    pub(super) flags: U32<LE>,
    /// In sectors.
    pub(super) capacity: U64<LE>,
    /// In sectors.
    pub(super) grain_size: U64<LE>,
    /// In sectors; 0 when there is none.
    pub(super) descriptor_offset: U64<LE>,
    /// In sectors.
    pub(super) descriptor_size: U64<LE>,
    pub(super) num_gtes_per_gt: U32<LE>,
    /// In sectors.
    pub(super) rgd_offset: U64<LE>,
    /// In sectors, or [`GD_AT_END`].
    pub(super) gd_offset: U64<LE>,
    /// In sectors: everything before the first grain.
    pub(super) over_head: U64<LE>,
    pub(super) unclean_shutdown: u8,
    /// [`LINE_ENDS`]: VMware put four bytes here to notice FTP's text mode.
    pub(super) line_ends: [u8; 4],
    pub(super) compress_algorithm: U16<LE>,
    pub(super) pad: [u8; 433],
}
const _: () = assert!(size_of::<SparseExtentHeader>() == 512);

pub(super) const SPARSE_MAGIC: [u8; 4] = *b"KDMV";
pub(super) const LINE_ENDS: [u8; 4] = *b"\n \r\n";
/// `gdOffset` of a stream whose grain directory is known only in the footer.
pub(super) const GD_AT_END: u64 = u64::MAX;
pub(super) const COMPRESSION_NONE: u16 = 0;
pub(super) const COMPRESSION_DEFLATE: u16 = 1;

/// The line-end bytes are meaningful.
pub(super) const FLAG_LINE_ENDS: u32 = 1;
/// There is a redundant grain directory with tables of its own.
pub(super) const FLAG_REDUNDANT: u32 = 1 << 1;
/// A grain table entry of 1 means zero.
pub(super) const FLAG_ZERO_GRAINS: u32 = 1 << 2;
/// Grains are compressed.
pub(super) const FLAG_COMPRESSED: u32 = 1 << 16;
/// There are markers, and the one before a grain holds its LBA.
pub(super) const FLAG_MARKERS: u32 = 1 << 17;
/// Flags a reader has to know; it may pass over the others (VMware's `vmware_vmdk.h`, open-vmdk).
pub(super) const INCOMPATIBLE_FLAGS: u32 = 0xffff_0000;

/// A marker in a stream: 12 bytes and compressed data, or a whole sector when `size` is 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Marker {
    /// LBA of the grain, or sectors that follow the marker.
    pub(super) val: U64<LE>,
    /// Bytes of compressed data; 0 for metadata.
    pub(super) size: U32<LE>,
}
const _: () = assert!(size_of::<Marker>() == 12);

/// A marker in front of metadata.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct MetadataMarker {
    pub(super) marker: Marker,
    pub(super) kind: U32<LE>,
    pub(super) pad: [u8; 496],
}
const _: () = assert!(size_of::<MetadataMarker>() == 512);

pub(super) const MARKER_FOOTER: u32 = 3;

/// `COWDisk_Header`: Virtual Disk Format 5.0, "ESX Server Sparse Extents".
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct CowdHeader {
    pub(super) magic_number: [u8; 4],
    pub(super) version: U32<LE>,
    pub(super) flags: U32<LE>,
    /// Capacity in sectors.
    pub(super) num_sectors: U32<LE>,
    /// In sectors.
    pub(super) grain_size: U32<LE>,
    /// In sectors.
    pub(super) gd_offset: U32<LE>,
    pub(super) num_gd_entries: U32<LE>,
    /// The next sector to be allocated.
    pub(super) free_sector: U32<LE>,
    /// Geometry of a root disk, or name and generation of a parent.
    pub(super) root_or_child: [u8; 1028],
    pub(super) generation: U32<LE>,
    pub(super) name: [u8; 60],
    pub(super) description: [u8; 512],
    pub(super) saved_generation: U32<LE>,
    pub(super) reserved: [u8; 8],
    pub(super) unclean_shutdown: U32<LE>,
    pub(super) padding: [u8; 396],
}
const _: () = assert!(size_of::<CowdHeader>() == 2048);

pub(super) const COWD_MAGIC: [u8; 4] = *b"COWD";
pub(super) const COWD_ENTRIES: u64 = 4096;

/// The constant header of a space-efficient sparse extent. All offsets and sizes in sectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SeSparseHeader {
    pub(super) magic: U64<LE>,
    pub(super) version: U64<LE>,
    pub(super) capacity: U64<LE>,
    pub(super) grain_size: U64<LE>,
    pub(super) grain_table_size: U64<LE>,
    pub(super) flags: U64<LE>,
    pub(super) reserved: [U64<LE>; 4],
    pub(super) volatile_header: SeSparseRegion,
    pub(super) journal_header: SeSparseRegion,
    pub(super) journal: SeSparseRegion,
    pub(super) grain_directory: SeSparseRegion,
    pub(super) grain_tables: SeSparseRegion,
    pub(super) free_bitmap: SeSparseRegion,
    pub(super) backmap: SeSparseRegion,
    pub(super) grains: SeSparseRegion,
    pub(super) pad: [u8; 304],
}
const _: () = assert!(size_of::<SeSparseHeader>() == 512);

/// Where a part of the extent lies, in sectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SeSparseRegion {
    pub(super) offset: U64<LE>,
    pub(super) size: U64<LE>,
}

/// The volatile header of a space-efficient sparse extent.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SeSparseVolatile {
    pub(super) magic: U64<LE>,
    pub(super) free_gt_number: U64<LE>,
    pub(super) next_txn_seq_number: U64<LE>,
    /// Not 0: the journal holds what the tables do not say yet.
    pub(super) replay_journal: U64<LE>,
    pub(super) pad: [u8; 480],
}
const _: () = assert!(size_of::<SeSparseVolatile>() == 512);

pub(super) const SESPARSE_MAGIC: u64 = 0xcafe_babe;
pub(super) const SESPARSE_VOLATILE_MAGIC: u64 = 0xcafe_cafe;
/// Version 2.1.
pub(super) const SESPARSE_VERSION: u64 = 0x2_0000_0001;
