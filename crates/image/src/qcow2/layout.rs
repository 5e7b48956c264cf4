//! The bytes of the specification, field for field, in its names. Big endian throughout.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `QFI\xfb`
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// Section "Header", the part every version has.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct HeaderV2 {
    pub(super) magic: [u8; 4],
    pub(super) version: U32,
    pub(super) backing_file_offset: U64,
    pub(super) backing_file_size: U32,
    pub(super) cluster_bits: U32,
    pub(super) size: U64,
    pub(super) crypt_method: U32,
    pub(super) l1_size: U32,
    pub(super) l1_table_offset: U64,
    pub(super) refcount_table_offset: U64,
    pub(super) refcount_table_clusters: U32,
    pub(super) nb_snapshots: U32,
    pub(super) snapshots_offset: U64,
}
const _: () = assert!(size_of::<HeaderV2>() == 72);

/// Section "Header", the fields of version 3, behind those of version 2.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct HeaderV3 {
    pub(super) incompatible_features: U64,
    pub(super) compatible_features: U64,
    pub(super) autoclear_features: U64,
    pub(super) refcount_order: U32,
    pub(super) header_length: U32,
}
const _: () = assert!(size_of::<HeaderV3>() == 32);

/// Where `compression_type` lies (section "Additional fields"), and where the padding after it ends.
pub(super) const COMPRESSION_TYPE: u64 = 104;
pub(super) const FULL_HEADER: u32 = 112;

pub(super) const INCOMPATIBLE_DIRTY: u64 = 1;
pub(super) const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
pub(super) const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
pub(super) const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
pub(super) const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
pub(super) const COMPATIBLE_LAZY_REFCOUNTS: u64 = 1;
pub(super) const AUTOCLEAR_BITMAPS: u64 = 1;
pub(super) const AUTOCLEAR_RAW_DATA_FILE: u64 = 1 << 1;

/// Every feature bit that has a name here: (type as in the feature name table, bit, name as QEMU writes it).
pub(super) const FEATURES: [(u8, u8, &str); 8] = [
    (0, 0, "dirty bit"),
    (0, 1, "corrupt bit"),
    (0, 2, "external data file"),
    (0, 3, "compression type"),
    (0, 4, "extended L2 entries"),
    (1, 0, "lazy refcounts"),
    (2, 0, "bitmaps"),
    (2, 1, "raw external data"),
];

/// Section "Header extensions".
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ExtensionHead {
    pub(super) kind: U32,
    pub(super) len: U32,
}
const _: () = assert!(size_of::<ExtensionHead>() == 8);

pub(super) const EXTENSION_END: u32 = 0;
pub(super) const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
pub(super) const EXTENSION_FEATURE_NAMES: u32 = 0x6803_f857;
pub(super) const EXTENSION_BITMAPS: u32 = 0x2385_2875;
pub(super) const EXTENSION_ENCRYPTION: u32 = 0x0537_be77;
pub(super) const EXTENSION_DATA_FILE: u32 = 0x4441_5441;

/// Section "Feature name table", one entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FeatureName {
    pub(super) kind: u8,
    pub(super) bit: u8,
    pub(super) name: [u8; 46],
}
const _: () = assert!(size_of::<FeatureName>() == 48);

/// Section "Bitmaps extension".
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct BitmapsExtension {
    pub(super) nb_bitmaps: U32,
    pub(super) reserved: U32,
    pub(super) bitmap_directory_size: U64,
    pub(super) bitmap_directory_offset: U64,
}
const _: () = assert!(size_of::<BitmapsExtension>() == 24);

/// Section "Bitmap directory", the fixed part of an entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct BitmapEntry {
    pub(super) bitmap_table_offset: U64,
    pub(super) bitmap_table_size: U32,
    pub(super) flags: U32,
    pub(super) kind: u8,
    pub(super) granularity_bits: u8,
    pub(super) name_size: U16,
    pub(super) extra_data_size: U32,
}
const _: () = assert!(size_of::<BitmapEntry>() == 24);

pub(super) const BITMAP_IN_USE: u32 = 1;

/// Section "Full disk encryption header pointer".
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct EncryptionPointer {
    pub(super) offset: U64,
    pub(super) len: U64,
}
const _: () = assert!(size_of::<EncryptionPointer>() == 16);

/// Section "Snapshots", the fixed part of an entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SnapshotEntry {
    pub(super) l1_table_offset: U64,
    pub(super) l1_size: U32,
    pub(super) id_size: U16,
    pub(super) name_size: U16,
    pub(super) date_sec: U32,
    pub(super) date_nsec: U32,
    pub(super) vm_clock_nsec: U64,
    pub(super) vm_state_size: U32,
    pub(super) extra_data_size: U32,
}
const _: () = assert!(size_of::<SnapshotEntry>() == 40);

/// Section "Snapshots", the extra data every version 3 image has.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SnapshotExtra {
    pub(super) vm_state_size: U64,
    pub(super) disk_size: U64,
}
const _: () = assert!(size_of::<SnapshotExtra>() == 16);

/// Bits 9 to 55: the offset in an L1 entry and in a standard L2 entry.
pub(super) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 63 of an L1 or L2 entry: what it points to has a reference count of exactly one.
pub(super) const COPIED: u64 = 1 << 63;
/// Bit 62 of an L2 entry: the cluster is compressed.
pub(super) const COMPRESSED: u64 = 1 << 62;
/// Bit 0 of a standard L2 entry: the cluster reads as zero.
pub(super) const ZERO: u64 = 1;
/// Bits 0 to 8 and 56 to 62 of an L1 entry.
pub(super) const L1_RESERVED: u64 = 0x7f00_0000_0000_01ff;
/// Bits 1 to 8 and 56 to 61 of a standard L2 entry.
pub(super) const L2_RESERVED: u64 = 0x3f00_0000_0000_01fe;
/// Bits 0 to 8 of a refcount table entry.
pub(super) const REFCOUNT_RESERVED: u64 = 0x1ff;
/// Bits 1 to 8 and 56 to 63 of a bitmap table entry.
pub(super) const BITMAP_RESERVED: u64 = 0xff00_0000_0000_01fe;

/// QEMU's limits, which the specification names: what goes beyond them nobody else can open either.
pub(super) const MAX_CLUSTER_BITS: u32 = 21;
pub(super) const MAX_L1_BYTES: u64 = 32 << 20;
pub(super) const MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
pub(super) const MAX_SNAPSHOTS: u32 = 65_536;
pub(super) const MAX_BITMAPS: u32 = 65_535;
pub(super) const MAX_BACKING_NAME: u32 = 1023;
