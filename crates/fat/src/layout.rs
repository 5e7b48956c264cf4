//! The bytes as the FAT specification draws them. Little-endian throughout.

use zerocopy::byteorder::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The boot sector's parameter block, as far as all three types share it (section 3.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Bpb {
    pub(crate) jump: [u8; 3],
    pub(crate) oem: [u8; 8],
    pub(crate) bytes_per_sector: U16,
    pub(crate) sectors_per_cluster: u8,
    pub(crate) reserved_sectors: U16,
    pub(crate) fats: u8,
    pub(crate) root_entries: U16,
    pub(crate) total_sectors_16: U16,
    pub(crate) media: u8,
    pub(crate) fat_sectors_16: U16,
    pub(crate) sectors_per_track: U16,
    pub(crate) heads: U16,
    pub(crate) hidden_sectors: U32,
    pub(crate) total_sectors_32: U32,
}

const _: () = assert!(size_of::<Bpb>() == 36);

/// What follows in FAT12 and FAT16 (section 3.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Tail16 {
    pub(crate) drive: u8,
    /// Bit 0: not unmounted cleanly, bit 1: a surface test is wanted. Windows NT's use of a reserved byte.
    pub(crate) state: u8,
    pub(crate) signature: u8,
    pub(crate) serial: U32,
    pub(crate) label: [u8; 11],
    pub(crate) kind: [u8; 8],
}

const _: () = assert!(size_of::<Tail16>() == 26);

/// What follows in FAT32 (section 3.3), up to the part it shares with [`Tail16`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Head32 {
    pub(crate) fat_sectors_32: U32,
    pub(crate) flags: U16,
    pub(crate) version: U16,
    pub(crate) root_cluster: U32,
    pub(crate) info_sector: U16,
    pub(crate) backup_sector: U16,
    pub(crate) reserved: [u8; 12],
}

const _: () = assert!(size_of::<Head32>() == 28);

/// FSInfo, hints for FAT32 (section 5).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FsInfo {
    pub(crate) lead: [u8; 4],
    pub(crate) reserved: [u8; 480],
    pub(crate) structure: [u8; 4],
    pub(crate) free_count: U32,
    pub(crate) next_free: U32,
    pub(crate) reserved_2: [u8; 12],
    pub(crate) trail: [u8; 4],
}

const _: () = assert!(size_of::<FsInfo>() == 512);

/// A directory entry with a short name (section 6).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Short {
    pub(crate) name: [u8; 11],
    pub(crate) attributes: u8,
    /// Windows NT: bit 3, the name before the dot is lower case; bit 4, so is the one behind it.
    pub(crate) case: u8,
    pub(crate) created_tenth: u8,
    pub(crate) created_time: U16,
    pub(crate) created_date: U16,
    pub(crate) accessed_date: U16,
    pub(crate) cluster_high: U16,
    pub(crate) modified_time: U16,
    pub(crate) modified_date: U16,
    pub(crate) cluster_low: U16,
    pub(crate) size: U32,
}

const _: () = assert!(size_of::<Short>() == ENTRY);

/// A directory entry with thirteen units of a long name (section 7).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Long {
    pub(crate) order: u8,
    pub(crate) name_1: [U16; 5],
    pub(crate) attributes: u8,
    pub(crate) kind: u8,
    pub(crate) checksum: u8,
    pub(crate) name_2: [U16; 6],
    pub(crate) cluster: U16,
    pub(crate) name_3: [U16; 2],
}

const _: () = assert!(size_of::<Long>() == ENTRY);

/// Bytes of every directory entry, in exFAT too.
pub(crate) const ENTRY: usize = 32;

/// Attribute bits.
pub(crate) mod attr {
    pub(crate) const READ_ONLY: u8 = 0x01;
    pub(crate) const VOLUME: u8 = 0x08;
    pub(crate) const DIRECTORY: u8 = 0x10;
    /// Changed since the last backup.
    pub(crate) const ARCHIVE: u8 = 0x20;
    /// All of read-only, hidden, system and volume: a piece of a long name.
    pub(crate) const LONG: u8 = 0x0f;
    pub(crate) const LONG_MASK: u8 = 0x3f;
}

/// First byte of a name: deleted entry.
pub(crate) const DELETED: u8 = 0xe5;
/// Set in [`Long::order`] of the last piece, which comes first.
pub(crate) const LAST_LONG: u8 = 0x40;
/// Units in one piece of a long name; at most 20 pieces.
pub(crate) const PIECE: usize = 13;
