//! The bytes as the exFAT specification draws them. Little-endian throughout.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Main Boot Sector (section 3.1), without its code.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Boot {
    pub(crate) jump: [u8; 3],
    pub(crate) name: [u8; 8],
    pub(crate) must_be_zero: [u8; 53],
    pub(crate) partition_offset: U64,
    pub(crate) volume_length: U64,
    pub(crate) fat_offset: U32,
    pub(crate) fat_length: U32,
    pub(crate) heap_offset: U32,
    pub(crate) cluster_count: U32,
    pub(crate) root_cluster: U32,
    pub(crate) serial: U32,
    pub(crate) revision: U16,
    pub(crate) flags: U16,
    pub(crate) sector_shift: u8,
    pub(crate) cluster_shift: u8,
    pub(crate) fats: u8,
    pub(crate) drive: u8,
    pub(crate) percent: u8,
    pub(crate) reserved: [u8; 7],
}

const _: () = assert!(size_of::<Boot>() == 120);

/// Bytes of the boot region that its checksum leaves out: flags and percentage.
pub(crate) const UNSUMMED: [usize; 3] = [106, 107, 112];

/// [`Boot::flags`]
pub(crate) mod flag {
    pub(crate) const SECOND_FAT: u16 = 1;
    pub(crate) const DIRTY: u16 = 2;
    pub(crate) const FAILURE: u16 = 4;
}

/// Allocation Bitmap and Up-case Table entries (sections 7.1 and 7.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Table {
    pub(crate) kind: u8,
    /// Of a bitmap: bit 0, it belongs to the second FAT.
    pub(crate) flags: u8,
    pub(crate) reserved: [u8; 2],
    /// Of the up-case table.
    pub(crate) checksum: U32,
    pub(crate) reserved_2: [u8; 12],
    pub(crate) cluster: U32,
    pub(crate) len: U64,
}

const _: () = assert!(size_of::<Table>() == 32);

/// Volume Label entry (section 7.3).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Label {
    pub(crate) kind: u8,
    pub(crate) count: u8,
    pub(crate) units: [U16; 11],
    pub(crate) reserved: [u8; 8],
}

const _: () = assert!(size_of::<Label>() == 32);

/// File entry (section 7.4).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct File {
    pub(crate) kind: u8,
    pub(crate) secondaries: u8,
    pub(crate) checksum: U16,
    pub(crate) attributes: U16,
    pub(crate) reserved: U16,
    pub(crate) created: U32,
    pub(crate) modified: U32,
    pub(crate) accessed: U32,
    pub(crate) created_tenth: u8,
    pub(crate) modified_tenth: u8,
    pub(crate) created_zone: u8,
    pub(crate) modified_zone: u8,
    pub(crate) accessed_zone: u8,
    pub(crate) reserved_2: [u8; 7],
}

const _: () = assert!(size_of::<File>() == 32);

/// Stream Extension entry (section 7.6).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Stream {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) reserved: u8,
    pub(crate) name_len: u8,
    pub(crate) name_hash: U16,
    pub(crate) reserved_2: U16,
    pub(crate) valid: U64,
    pub(crate) reserved_3: U32,
    pub(crate) cluster: U32,
    pub(crate) len: U64,
}

const _: () = assert!(size_of::<Stream>() == 32);

/// File Name entry (section 7.7).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Piece {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) units: [U16; 15],
}

const _: () = assert!(size_of::<Piece>() == 32);

/// Types of entries. Bit 7: in use; bit 6: belongs to the primary entry before it.
pub(crate) mod entry {
    pub(crate) const IN_USE: u8 = 0x80;
    pub(crate) const BITMAP: u8 = 0x81;
    pub(crate) const UPCASE: u8 = 0x82;
    pub(crate) const LABEL: u8 = 0x83;
    pub(crate) const FILE: u8 = 0x85;
    pub(crate) const SECONDARY: u8 = 0xc0;
    pub(crate) const STREAM: u8 = 0xc0;
    pub(crate) const NAME: u8 = 0xc1;
}

/// [`Stream::flags`]: the clusters follow one another and the FAT says nothing of them.
pub(crate) const NO_CHAIN: u8 = 2;
/// [`File::attributes`]
pub(crate) const DIRECTORY: u16 = 0x10;
