//! The bytes of [MS-VHDX] (Virtual Hard Disk v2 (VHDX) File Format), in its own names. Little-endian throughout.

use crate::guid::Guid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, LE, U16, U32, U64, Unaligned};

/// Granularity of regions, the log and blocks within the file.
pub(super) const MIB: u64 = 1 << 20;

/// 2.2.1 File Type Identifier: signature.
pub(super) const FILE_SIGNATURE: [u8; 8] = *b"vhdxfile";
/// 2.2.2: where the two headers are.
pub(super) const HEADERS: [u64; 2] = [0x1_0000, 0x2_0000];
/// 2.2.2: bytes covered by a header's checksum.
pub(super) const HEADER_LEN: usize = 4096;
/// 2.2.3: where the two region tables are.
pub(super) const REGION_TABLES: [u64; 2] = [0x3_0000, 0x4_0000];
/// 2.2.3: bytes covered by a region table's checksum.
pub(super) const REGION_TABLE_LEN: usize = 0x1_0000;
/// 2.2.3.1 and 2.6.1.1: the most entries in a region or metadata table.
pub(super) const MAX_ENTRIES: usize = 2047;

/// 2.2.2 Header. 4096 bytes with its reserved tail.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) signature: [u8; 4],
    pub(super) checksum: U32<LE>,
    pub(super) sequence_number: U64<LE>,
    pub(super) file_write_guid: Guid,
    pub(super) data_write_guid: Guid,
    pub(super) log_guid: Guid,
    pub(super) log_version: U16<LE>,
    pub(super) version: U16<LE>,
    pub(super) log_length: U32<LE>,
    pub(super) log_offset: U64<LE>,
}
const _: () = assert!(size_of::<Header>() == 80);
pub(super) const HEADER_SIGNATURE: [u8; 4] = *b"head";

/// 2.2.3.1 Region Table Header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RegionTableHeader {
    pub(super) signature: [u8; 4],
    pub(super) checksum: U32<LE>,
    pub(super) entry_count: U32<LE>,
    pub(super) reserved: [u8; 4],
}
const _: () = assert!(size_of::<RegionTableHeader>() == 16);
pub(super) const REGION_SIGNATURE: [u8; 4] = *b"regi";

/// 2.2.3.2 Region Table Entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RegionTableEntry {
    pub(super) guid: Guid,
    pub(super) file_offset: U64<LE>,
    pub(super) length: U32<LE>,
    /// Bit 0: Required.
    pub(super) required: U32<LE>,
}
const _: () = assert!(size_of::<RegionTableEntry>() == 32);

/// 2.2.3.2: the region that holds the block allocation table.
pub(super) const BAT_REGION: Guid = Guid::of(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
/// 2.2.3.2: the region that holds the metadata.
pub(super) const METADATA_REGION: Guid = Guid::of(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);

/// 2.3.1.1 Log Entry Header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct LogEntryHeader {
    pub(super) signature: [u8; 4],
    pub(super) checksum: U32<LE>,
    pub(super) entry_length: U32<LE>,
    pub(super) tail: U32<LE>,
    pub(super) sequence_number: U64<LE>,
    pub(super) descriptor_count: U32<LE>,
    pub(super) reserved: [u8; 4],
    pub(super) log_guid: Guid,
    pub(super) flushed_file_offset: U64<LE>,
    pub(super) last_file_offset: U64<LE>,
}
const _: () = assert!(size_of::<LogEntryHeader>() == 64);
pub(super) const LOG_SIGNATURE: [u8; 4] = *b"loge";

/// 2.3.1.2 and 2.3.1.3: a Zero or a Data Descriptor; the second and third field depend on the signature.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Descriptor {
    pub(super) signature: [u8; 4],
    /// Data: the last 4 bytes of the sector. Zero: reserved.
    pub(super) trailing_bytes: [u8; 4],
    /// Data: the first 8 bytes of the sector. Zero: the length in bytes.
    pub(super) leading_bytes: [u8; 8],
    pub(super) file_offset: U64<LE>,
    pub(super) sequence_number: U64<LE>,
}
const _: () = assert!(size_of::<Descriptor>() == 32);
pub(super) const ZERO_SIGNATURE: [u8; 4] = *b"zero";
pub(super) const DATA_SIGNATURE: [u8; 4] = *b"desc";

/// 2.3.1.4 Data Sector: what is not the first 8 and the last 4 bytes of a logged sector.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct DataSector {
    pub(super) signature: [u8; 4],
    pub(super) sequence_high: U32<LE>,
    pub(super) data: [u8; 4084],
    pub(super) sequence_low: U32<LE>,
}
const _: () = assert!(size_of::<DataSector>() == 4096);
pub(super) const SECTOR_SIGNATURE: [u8; 4] = *b"data";

/// 2.6.1.1 Metadata Table Header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct MetadataTableHeader {
    pub(super) signature: [u8; 8],
    pub(super) reserved: [u8; 2],
    pub(super) entry_count: U16<LE>,
    pub(super) reserved2: [u8; 20],
}
const _: () = assert!(size_of::<MetadataTableHeader>() == 32);
pub(super) const METADATA_SIGNATURE: [u8; 8] = *b"metadata";
/// 2.6.1: bytes of the table; items come after it.
pub(super) const METADATA_TABLE_LEN: usize = 0x1_0000;
/// 2.6.1.2: the longest item.
pub(super) const MAX_ITEM: u32 = 1 << 20;

/// 2.6.1.2 Metadata Table Entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct MetadataTableEntry {
    pub(super) item_id: Guid,
    pub(super) offset: U32<LE>,
    pub(super) length: U32<LE>,
    /// Bit 0 IsUser, bit 1 IsVirtualDisk, bit 2 IsRequired.
    pub(super) flags: U32<LE>,
    pub(super) reserved: [u8; 4],
}
const _: () = assert!(size_of::<MetadataTableEntry>() == 32);
pub(super) const IS_USER: u32 = 1;
pub(super) const IS_VIRTUAL_DISK: u32 = 2;
pub(super) const IS_REQUIRED: u32 = 4;

/// 2.6.2: the known items.
pub(super) const FILE_PARAMETERS: Guid = Guid::of(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
pub(super) const VIRTUAL_DISK_SIZE: Guid = Guid::of(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
pub(super) const VIRTUAL_DISK_ID: Guid = Guid::of(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746);
pub(super) const LOGICAL_SECTOR_SIZE: Guid = Guid::of(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);
pub(super) const PHYSICAL_SECTOR_SIZE: Guid = Guid::of(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556);
pub(super) const PARENT_LOCATOR: Guid = Guid::of(0xa8d3_5f2d, 0xb30b, 0x454d, 0xabf7_d3d8_4834_ab0c);

/// 2.6.2.1: File Parameters, bit 0: blocks are all allocated (a fixed disk).
pub(super) const LEAVE_BLOCK_ALLOCATED: u32 = 1;
/// 2.6.2.1: File Parameters, bit 1: a differencing disk.
pub(super) const HAS_PARENT: u32 = 2;

/// 2.6.2.6.1 Parent Locator Header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ParentLocatorHeader {
    pub(super) locator_type: Guid,
    pub(super) reserved: [u8; 2],
    pub(super) key_value_count: U16<LE>,
}
const _: () = assert!(size_of::<ParentLocatorHeader>() == 20);
/// 2.6.2.6.2: the parent is a VHDX.
pub(super) const VHDX_LOCATOR: Guid = Guid::of(0xb04a_efb7, 0xd19e, 0x4a81, 0xb789_25b8_e944_5913);

/// 2.6.2.6.1 Parent Locator Entry; offsets are from the start of the item.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ParentLocatorEntry {
    pub(super) key_offset: U32<LE>,
    pub(super) value_offset: U32<LE>,
    pub(super) key_length: U16<LE>,
    pub(super) value_length: U16<LE>,
}
const _: () = assert!(size_of::<ParentLocatorEntry>() == 12);

/// 2.5.1: the low three bits of a BAT entry are its state.
pub(super) const STATE_MASK: u64 = 7;
/// 2.5.1: the upper 44 bits of a BAT entry are an offset in MiB, so masking the lower 20 gives bytes.
pub(super) const OFFSET_MASK: u64 = !(MIB.wrapping_sub(1));
/// 2.5.1.1: states of payload blocks.
pub(super) const NOT_PRESENT: u64 = 0;
pub(super) const UNDEFINED: u64 = 1;
pub(super) const ZERO: u64 = 2;
pub(super) const UNMAPPED: u64 = 3;
pub(super) const FULLY_PRESENT: u64 = 6;
pub(super) const PARTIALLY_PRESENT: u64 = 7;
/// 2.5: sectors that one sector bitmap block describes.
pub(super) const SECTORS_PER_BITMAP: u64 = 1 << 23;
/// 2.6.2.1: block sizes.
pub(super) const BLOCK_SIZES: std::ops::RangeInclusive<u64> = MIB..=256 * MIB;
/// 2.6.2.2: the largest disk, 64 TiB.
pub(super) const MAX_DISK: u64 = 64 << 40;
