//! MD's superblocks: version 1 as one structure, version 0.90 as numbered words. Sizes asserted.

use zerocopy::byteorder::{LE, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Version 1.0, 1.1 and 1.2; `dev_roles`, half words, follow.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Super1 {
    pub(super) magic: U32<LE>,
    pub(super) major_version: U32<LE>,
    pub(super) feature_map: U32<LE>,
    pub(super) pad0: U32<LE>,
    pub(super) set_uuid: [u8; 16],
    pub(super) set_name: [u8; 32],
    pub(super) ctime: U64<LE>,
    pub(super) level: U32<LE>,
    pub(super) layout: U32<LE>,
    /// Sectors used of each member.
    pub(super) size: U64<LE>,
    /// Sectors.
    pub(super) chunksize: U32<LE>,
    pub(super) raid_disks: U32<LE>,
    pub(super) bitmap_offset: U32<LE>,
    pub(super) new_level: U32<LE>,
    pub(super) reshape_position: U64<LE>,
    pub(super) delta_disks: U32<LE>,
    pub(super) new_layout: U32<LE>,
    pub(super) new_chunk: U32<LE>,
    pub(super) new_offset: U32<LE>,
    /// Sectors from the start of this member.
    pub(super) data_offset: U64<LE>,
    /// Sectors of this member that can hold data.
    pub(super) data_size: U64<LE>,
    /// Sector of this superblock.
    pub(super) super_offset: U64<LE>,
    pub(super) recovery_offset: U64<LE>,
    pub(super) dev_number: U32<LE>,
    pub(super) cnt_corrected_read: U32<LE>,
    pub(super) device_uuid: [u8; 16],
    pub(super) devflags: u8,
    pub(super) bblog_shift: u8,
    pub(super) bblog_size: U16<LE>,
    pub(super) bblog_offset: U32<LE>,
    pub(super) utime: U64<LE>,
    pub(super) events: U64<LE>,
    pub(super) resync_offset: U64<LE>,
    pub(super) sb_csum: U32<LE>,
    pub(super) max_dev: U32<LE>,
    pub(super) pad3: [u8; 32],
}
const _: () = assert!(size_of::<Super1>() == 256);

/// Words of the 4 KiB superblock of version 0.90, in the byte order of the machine that wrote it.
pub(super) mod word {
    pub(in super::super) const MAJOR: usize = 1;
    pub(in super::super) const MINOR: usize = 2;
    pub(in super::super) const UUID0: usize = 5;
    pub(in super::super) const LEVEL: usize = 7;
    /// KiB used of each member.
    pub(in super::super) const SIZE: usize = 8;
    pub(in super::super) const RAID_DISKS: usize = 10;
    pub(in super::super) const MD_MINOR: usize = 11;
    pub(in super::super) const UUID1: usize = 13;
    /// Bit 0: stopped in an orderly way.
    pub(in super::super) const STATE: usize = 33;
    pub(in super::super) const CSUM: usize = 38;
    /// Two words; the low one first on little-endian machines.
    pub(in super::super) const EVENTS: usize = 39;
    pub(in super::super) const LAYOUT: usize = 64;
    /// Bytes.
    pub(in super::super) const CHUNK: usize = 65;
    /// 27 descriptors of 32 words: number, major, minor, raid disk, state.
    pub(in super::super) const DISKS: usize = 128;
    pub(in super::super) const THIS_DISK: usize = 992;
}
