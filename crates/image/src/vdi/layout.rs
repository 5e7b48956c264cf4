//! The bytes of a VDI header, version 1.1, after VirtualBox's own field names. Little-endian throughout.

use crate::guid::Guid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, LE, U32, U64, Unaligned};

/// Pre-header and header 1.1: 512 bytes with the reserved tail.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    /// Text for people: who made the image. Never looked at.
    pub(super) file_info: [u8; 64],
    pub(super) signature: U32<LE>,
    pub(super) version: U32<LE>,
    /// Bytes of the header from here on.
    pub(super) header_size: U32<LE>,
    pub(super) image_type: U32<LE>,
    pub(super) flags: U32<LE>,
    pub(super) comment: [u8; 256],
    /// Offset of the block map in bytes.
    pub(super) blocks_offset: U32<LE>,
    /// Offset of block 0 of the data in bytes.
    pub(super) data_offset: U32<LE>,
    /// Cylinders, heads, sectors, sector size: superseded by `lchs`.
    pub(super) legacy_geometry: [U32<LE>; 4],
    pub(super) translation: U32<LE>,
    /// Size of the guest's disk in bytes.
    pub(super) disk_size: U64<LE>,
    pub(super) block_size: U32<LE>,
    /// Bytes before each block's data.
    pub(super) block_extra: U32<LE>,
    pub(super) blocks: U32<LE>,
    pub(super) blocks_allocated: U32<LE>,
    pub(super) uuid_create: Guid,
    pub(super) uuid_modify: Guid,
    pub(super) uuid_linkage: Guid,
    pub(super) uuid_parent_modify: Guid,
    pub(super) lchs: [U32<LE>; 4],
    pub(super) reserved: [u8; 40],
}
const _: () = assert!(size_of::<Header>() == 512);

/// Byte 0x40 of the file.
pub(super) const SIGNATURE: u32 = 0xbeda_107f;
pub(super) const SIGNATURE_AT: u64 = 0x40;
pub(super) const VERSION: u32 = 0x0001_0001;
/// What VirtualBox writes. QEMU writes 384: everything up to `lchs`.
pub(super) const HEADER_SIZE: u32 = 400;
/// The shortest header that holds every field up to `uuid_parent_modify`.
pub(super) const SHORTEST: u32 = 384;

/// Image types.
pub(super) const DYNAMIC: u32 = 1;
pub(super) const STATIC: u32 = 2;
pub(super) const UNDO: u32 = 3;
pub(super) const DIFFERENCING: u32 = 4;

/// A map entry of a block that was never written.
pub(super) const UNALLOCATED: u32 = u32::MAX;
/// A map entry of a block that was written once and then discarded: zero.
pub(super) const DISCARDED: u32 = u32::MAX - 1;

/// The only block size that VirtualBox and QEMU make.
pub(super) const USUAL_BLOCK: u32 = 1 << 20;
