//! The bytes as the documentation draws them. Little-endian throughout.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The boot sector up to the serial number.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Boot {
    pub(crate) jump: [u8; 3],
    pub(crate) oem_id: [u8; 8],
    pub(crate) bytes_per_sector: U16,
    pub(crate) sectors_per_cluster: u8,
    pub(crate) reserved: [u8; 26],
    pub(crate) total_sectors: U64,
    pub(crate) mft_lcn: U64,
    pub(crate) mftmirr_lcn: U64,
    /// Clusters, or bytes as a negative power of two.
    pub(crate) clusters_per_record: i8,
    pub(crate) reserved2: [u8; 3],
    pub(crate) clusters_per_index: i8,
    pub(crate) reserved3: [u8; 3],
    pub(crate) serial: U64,
}

const _: () = assert!(size_of::<Boot>() == 0x50);

/// Header of a file record.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RecordHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) usa_offset: U16,
    pub(crate) usa_count: U16,
    pub(crate) lsn: U64,
    pub(crate) sequence: U16,
    pub(crate) links: U16,
    pub(crate) first_attribute: U16,
    pub(crate) flags: U16,
    pub(crate) used: U32,
    pub(crate) allocated: U32,
    pub(crate) base: U64,
    pub(crate) next_attribute_id: U16,
}

const _: () = assert!(size_of::<RecordHeader>() == 42);

/// `flags` of a record: in use, a directory.
pub(crate) const RECORD_IN_USE: u16 = 1;
/// As [`RECORD_IN_USE`].
pub(crate) const RECORD_DIRECTORY: u16 = 2;

/// What every attribute begins with.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AttributeHeader {
    pub(crate) kind: U32,
    pub(crate) len: U32,
    pub(crate) non_resident: u8,
    pub(crate) name_len: u8,
    pub(crate) name_offset: U16,
    pub(crate) flags: U16,
    pub(crate) id: U16,
}

const _: () = assert!(size_of::<AttributeHeader>() == 16);

/// What a resident attribute goes on with.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Resident {
    pub(crate) len: U32,
    pub(crate) offset: U16,
    pub(crate) indexed: u8,
    pub(crate) padding: u8,
}

const _: () = assert!(size_of::<Resident>() == 8);

/// What a non-resident attribute goes on with.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct NonResident {
    pub(crate) lowest_vcn: U64,
    pub(crate) highest_vcn: U64,
    pub(crate) runs_offset: U16,
    pub(crate) compression_unit: U16,
    pub(crate) padding: U32,
    pub(crate) allocated: U64,
    pub(crate) real: U64,
    pub(crate) initialized: U64,
}

const _: () = assert!(size_of::<NonResident>() == 48);

/// Kinds of attributes.
pub(crate) mod kind {
    pub(crate) const STANDARD_INFORMATION: u32 = 0x10;
    pub(crate) const ATTRIBUTE_LIST: u32 = 0x20;
    pub(crate) const FILE_NAME: u32 = 0x30;
    pub(crate) const VOLUME_NAME: u32 = 0x60;
    pub(crate) const VOLUME_INFORMATION: u32 = 0x70;
    pub(crate) const DATA: u32 = 0x80;
    pub(crate) const INDEX_ROOT: u32 = 0x90;
    pub(crate) const INDEX_ALLOCATION: u32 = 0xa0;
    pub(crate) const REPARSE_POINT: u32 = 0xc0;
    pub(crate) const END: u32 = 0xffff_ffff;
}

/// Attribute flags.
pub(crate) const COMPRESSED: u16 = 0x0001;
/// As [`COMPRESSED`].
pub(crate) const ENCRYPTED: u16 = 0x4000;

/// Record numbers with a meaning.
pub(crate) mod record {
    pub(crate) const MFT: u64 = 0;
    pub(crate) const LOGFILE: u64 = 2;
    pub(crate) const VOLUME: u64 = 3;
    pub(crate) const ROOT: u64 = 5;
    pub(crate) const BITMAP: u64 = 6;
    pub(crate) const UPCASE: u64 = 10;
    /// Below this number lie the volume's own files.
    pub(crate) const FIRST_USER: u64 = 16;
}

/// The record number of a file reference; the upper 16 bits are a sequence number.
pub(crate) const REFERENCE: u64 = 0xffff_ffff_ffff;

/// Little-endian fields out of slices, without panics.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

/// As [`le16`].
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// As [`le16`].
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
