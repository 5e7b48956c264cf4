//! LUKS headers as "LUKS1 On-Disk Format Specification 1.2.3" and "LUKS2 On-Disk Format Specification 1.1.3" have
//! them. Big-endian. Sizes asserted.

use zerocopy::byteorder::{BE, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// One of the eight key slots of LUKS1.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct KeySlot1 {
    pub(super) active: U32<BE>,
    pub(super) iterations: U32<BE>,
    pub(super) salt: [u8; 32],
    /// Sectors of 512 bytes.
    pub(super) key_material_offset: U32<BE>,
    pub(super) stripes: U32<BE>,
}
const _: () = assert!(size_of::<KeySlot1>() == 48);

/// `phdr` of LUKS1.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header1 {
    pub(super) magic: [u8; 6],
    pub(super) version: U16<BE>,
    pub(super) cipher_name: [u8; 32],
    pub(super) cipher_mode: [u8; 32],
    pub(super) hash_spec: [u8; 32],
    /// Sectors of 512 bytes.
    pub(super) payload_offset: U32<BE>,
    pub(super) key_bytes: U32<BE>,
    pub(super) mk_digest: [u8; 20],
    pub(super) mk_digest_salt: [u8; 32],
    pub(super) mk_digest_iter: U32<BE>,
    pub(super) uuid: [u8; 40],
    pub(super) key_slots: [KeySlot1; 8],
}
const _: () = assert!(size_of::<Header1>() == 592);

/// Binary header of LUKS2; JSON follows up to `hdr_size`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header2 {
    pub(super) magic: [u8; 6],
    pub(super) version: U16<BE>,
    pub(super) hdr_size: U64<BE>,
    pub(super) seqid: U64<BE>,
    pub(super) label: [u8; 48],
    pub(super) csum_alg: [u8; 32],
    pub(super) salt: [u8; 64],
    pub(super) uuid: [u8; 40],
    pub(super) subsystem: [u8; 48],
    pub(super) hdr_offset: U64<BE>,
    pub(super) padding: [u8; 184],
    pub(super) csum: [u8; 64],
}
const _: () = assert!(size_of::<Header2>() == 512);
