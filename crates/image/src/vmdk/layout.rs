//! The bytes of the specification, in its own names. No behaviour.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, LE, U16, U32, U64, Unaligned};

/// Bytes in a sector: everything in a VMDK is counted in these.
pub(in crate::vmdk) const SECTOR: u64 = 512;

/// `SparseExtentHeader`: Virtual Disk Format 5.0, "Hosted Sparse Extents"; also the footer of a stream.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct SparseExtentHeader {
    pub(in crate::vmdk) magic_number: [u8; 4],
    pub(in crate::vmdk) version: U32<LE>,
    pub(in crate::vmdk) flags: U32<LE>,
    /// In sectors.
    pub(in crate::vmdk) capacity: U64<LE>,
    /// In sectors.
    pub(in crate::vmdk) grain_size: U64<LE>,
    /// In sectors; 0 when there is none.
    pub(in crate::vmdk) descriptor_offset: U64<LE>,
    /// In sectors.
    pub(in crate::vmdk) descriptor_size: U64<LE>,
    pub(in crate::vmdk) num_gtes_per_gt: U32<LE>,
    /// In sectors.
    pub(in crate::vmdk) rgd_offset: U64<LE>,
    /// In sectors, or [`GD_AT_END`].
    pub(in crate::vmdk) gd_offset: U64<LE>,
    /// In sectors: everything before the first grain.
    pub(in crate::vmdk) over_head: U64<LE>,
    pub(in crate::vmdk) unclean_shutdown: u8,
    /// [`LINE_ENDS`]: VMware put four bytes here to notice FTP's text mode.
    pub(in crate::vmdk) line_ends: [u8; 4],
    pub(in crate::vmdk) compress_algorithm: U16<LE>,
    pub(in crate::vmdk) pad: [u8; 433],
}
const _: () = assert!(size_of::<SparseExtentHeader>() == 512);

pub(in crate::vmdk) const SPARSE_MAGIC: [u8; 4] = *b"KDMV";
pub(in crate::vmdk) const LINE_ENDS: [u8; 4] = *b"\n \r\n";
/// `gdOffset` of a stream whose grain directory is known only in the footer.
pub(in crate::vmdk) const GD_AT_END: u64 = u64::MAX;
pub(in crate::vmdk) const COMPRESSION_NONE: u16 = 0;
pub(in crate::vmdk) const COMPRESSION_DEFLATE: u16 = 1;

/// The line-end bytes are meaningful.
pub(in crate::vmdk) const FLAG_LINE_ENDS: u32 = 1;
/// There is a redundant grain directory with tables of its own.
pub(in crate::vmdk) const FLAG_REDUNDANT: u32 = 1 << 1;
/// A grain table entry of 1 means zero.
pub(in crate::vmdk) const FLAG_ZERO_GRAINS: u32 = 1 << 2;
/// Grains are compressed.
pub(in crate::vmdk) const FLAG_COMPRESSED: u32 = 1 << 16;
/// There are markers, and the one before a grain holds its LBA.
pub(in crate::vmdk) const FLAG_MARKERS: u32 = 1 << 17;
/// Flags a reader has to know; it may pass over the others (VMware's `vmware_vmdk.h`, open-vmdk).
pub(in crate::vmdk) const INCOMPATIBLE_FLAGS: u32 = 0xffff_0000;

/// A marker in a stream: 12 bytes and compressed data, or a whole sector when `size` is 0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct Marker {
    /// LBA of the grain, or sectors that follow the marker.
    pub(in crate::vmdk) val: U64<LE>,
    /// Bytes of compressed data; 0 for metadata.
    pub(in crate::vmdk) size: U32<LE>,
}
const _: () = assert!(size_of::<Marker>() == 12);

/// A marker in front of metadata.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct MetadataMarker {
    pub(in crate::vmdk) marker: Marker,
    pub(in crate::vmdk) kind: U32<LE>,
    pub(in crate::vmdk) pad: [u8; 496],
}
const _: () = assert!(size_of::<MetadataMarker>() == 512);

pub(in crate::vmdk) const MARKER_EOS: u32 = 0;
pub(in crate::vmdk) const MARKER_GT: u32 = 1;
pub(in crate::vmdk) const MARKER_GD: u32 = 2;
pub(in crate::vmdk) const MARKER_FOOTER: u32 = 3;
/// Progress of the writer (`GRAIN_MARKER_PROGRESS`, open-vmdk); carries nothing.
pub(in crate::vmdk) const MARKER_PROGRESS: u32 = 4;

/// `COWDisk_Header`: Virtual Disk Format 5.0, "ESX Server Sparse Extents".
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct CowdHeader {
    pub(in crate::vmdk) magic_number: [u8; 4],
    pub(in crate::vmdk) version: U32<LE>,
    pub(in crate::vmdk) flags: U32<LE>,
    /// Capacity in sectors.
    pub(in crate::vmdk) num_sectors: U32<LE>,
    /// In sectors.
    pub(in crate::vmdk) grain_size: U32<LE>,
    /// In sectors.
    pub(in crate::vmdk) gd_offset: U32<LE>,
    pub(in crate::vmdk) num_gd_entries: U32<LE>,
    /// The next sector to be allocated.
    pub(in crate::vmdk) free_sector: U32<LE>,
    /// Geometry of a root disk, or name and generation of a parent.
    pub(in crate::vmdk) root_or_child: [u8; 1028],
    pub(in crate::vmdk) generation: U32<LE>,
    pub(in crate::vmdk) name: [u8; 60],
    pub(in crate::vmdk) description: [u8; 512],
    pub(in crate::vmdk) saved_generation: U32<LE>,
    pub(in crate::vmdk) reserved: [u8; 8],
    pub(in crate::vmdk) unclean_shutdown: U32<LE>,
    pub(in crate::vmdk) padding: [u8; 396],
}
const _: () = assert!(size_of::<CowdHeader>() == 2048);

pub(in crate::vmdk) const COWD_MAGIC: [u8; 4] = *b"COWD";
pub(in crate::vmdk) const COWD_ENTRIES: u64 = 4096;

/// The constant header of a space-efficient sparse extent. All offsets and sizes in sectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct SeSparseHeader {
    pub(in crate::vmdk) magic: U64<LE>,
    pub(in crate::vmdk) version: U64<LE>,
    pub(in crate::vmdk) capacity: U64<LE>,
    pub(in crate::vmdk) grain_size: U64<LE>,
    pub(in crate::vmdk) grain_table_size: U64<LE>,
    pub(in crate::vmdk) flags: U64<LE>,
    pub(in crate::vmdk) reserved: [U64<LE>; 4],
    pub(in crate::vmdk) volatile_header: SeSparseRegion,
    pub(in crate::vmdk) journal_header: SeSparseRegion,
    pub(in crate::vmdk) journal: SeSparseRegion,
    pub(in crate::vmdk) grain_directory: SeSparseRegion,
    pub(in crate::vmdk) grain_tables: SeSparseRegion,
    pub(in crate::vmdk) free_bitmap: SeSparseRegion,
    pub(in crate::vmdk) backmap: SeSparseRegion,
    pub(in crate::vmdk) grains: SeSparseRegion,
    pub(in crate::vmdk) pad: [u8; 304],
}
const _: () = assert!(size_of::<SeSparseHeader>() == 512);

/// Where a part of the extent lies, in sectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct SeSparseRegion {
    pub(in crate::vmdk) offset: U64<LE>,
    pub(in crate::vmdk) size: U64<LE>,
}

/// The volatile header of a space-efficient sparse extent.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(in crate::vmdk) struct SeSparseVolatile {
    pub(in crate::vmdk) magic: U64<LE>,
    pub(in crate::vmdk) free_gt_number: U64<LE>,
    pub(in crate::vmdk) next_txn_seq_number: U64<LE>,
    /// Not 0: the journal holds what the tables do not say yet.
    pub(in crate::vmdk) replay_journal: U64<LE>,
    pub(in crate::vmdk) pad: [u8; 480],
}
const _: () = assert!(size_of::<SeSparseVolatile>() == 512);

pub(in crate::vmdk) const SESPARSE_MAGIC: u64 = 0xcafe_babe;
pub(in crate::vmdk) const SESPARSE_VOLATILE_MAGIC: u64 = 0xcafe_cafe;
/// Version 2.1.
pub(in crate::vmdk) const SESPARSE_VERSION: u64 = 0x2_0000_0001;
