//! The bytes of the journal (journal.rst), big-endian but for the fast commit area. No behaviour.

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `h_magic`.
pub(crate) const MAGIC: u32 = 0xc03b_3998;

/// `h_blocktype`.
pub(crate) mod block_type {
    pub(crate) const DESCRIPTOR: u32 = 1;
    pub(crate) const COMMIT: u32 = 2;
    pub(crate) const SUPER_V1: u32 = 3;
    pub(crate) const SUPER_V2: u32 = 4;
    pub(crate) const REVOKE: u32 = 5;
}

/// `s_feature_compat`: commit blocks carry a CRC-32 of the transaction.
pub(crate) const COMPAT_CHECKSUM: u32 = 1;

/// `s_feature_incompat`.
pub(crate) mod incompat {
    pub(crate) const BIT64: u32 = 0x2;
    pub(crate) const CSUM_V2: u32 = 0x8;
    pub(crate) const CSUM_V3: u32 = 0x10;
    pub(crate) const FAST_COMMIT: u32 = 0x20;
    /// Revoke records, 64 bits, asynchronous commit, checksums of version 2 and 3, fast commits.
    pub(crate) const READ: u32 = 0x3f;
}

/// `struct journal_header_s`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: U32,
    pub(crate) blocktype: U32,
    pub(crate) sequence: U32,
}
const _: () = assert!(size_of::<Header>() == 12);

/// `struct journal_superblock_s`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Super {
    pub(crate) header: Header,
    pub(crate) blocksize: U32,
    pub(crate) maxlen: U32,
    pub(crate) first: U32,
    pub(crate) sequence: U32,
    pub(crate) start: U32,
    pub(crate) errno: U32,
    pub(crate) feature_compat: U32,
    pub(crate) feature_incompat: U32,
    pub(crate) feature_ro_compat: U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) nr_users: U32,
    pub(crate) dynsuper: U32,
    pub(crate) max_transaction: U32,
    pub(crate) max_trans_data: U32,
    pub(crate) checksum_type: u8,
    pub(crate) padding2: [u8; 3],
    pub(crate) num_fc_blks: U32,
    pub(crate) head: U32,
    pub(crate) padding: [U32; 40],
    pub(crate) checksum: U32,
    pub(crate) users: [[u8; 16]; 48],
}
const _: () = assert!(size_of::<Super>() == 1024);

/// `struct journal_block_tag3_s`, without the UUID that may follow.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Tag3 {
    pub(crate) blocknr: U32,
    pub(crate) flags: U32,
    pub(crate) blocknr_high: U32,
    pub(crate) checksum: U32,
}
const _: () = assert!(size_of::<Tag3>() == 16);

/// `struct journal_block_tag_s` without its optional upper half.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Tag {
    pub(crate) blocknr: U32,
    pub(crate) checksum: U16,
    pub(crate) flags: U16,
}
const _: () = assert!(size_of::<Tag>() == 8);

/// `t_flags`.
pub(crate) mod tag_flag {
    pub(crate) const ESCAPED: u32 = 1;
    pub(crate) const SAME_UUID: u32 = 2;
    pub(crate) const LAST: u32 = 8;
}

/// `struct commit_header`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Commit {
    pub(crate) header: Header,
    pub(crate) chksum_type: u8,
    pub(crate) chksum_size: u8,
    pub(crate) padding: [u8; 2],
    pub(crate) chksum: [U32; 8],
    pub(crate) commit_sec: U64,
    pub(crate) commit_nsec: U32,
}
const _: () = assert!(size_of::<Commit>() == 60);

/// `h_chksum_type`: CRC-32.
pub(crate) const CRC32: u8 = 1;

/// `struct ext4_fc_tl`, the head of every record of the fast commit area.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct FcTag {
    pub(crate) tag: little_endian::U16,
    pub(crate) len: little_endian::U16,
}
const _: () = assert!(size_of::<FcTag>() == 4);

/// `fc_tag`.
pub(crate) mod fc {
    pub(crate) const ADD_RANGE: u16 = 1;
    pub(crate) const DEL_RANGE: u16 = 2;
    pub(crate) const CREAT: u16 = 3;
    pub(crate) const LINK: u16 = 4;
    pub(crate) const UNLINK: u16 = 5;
    pub(crate) const INODE: u16 = 6;
    pub(crate) const PAD: u16 = 7;
    pub(crate) const TAIL: u16 = 8;
    pub(crate) const HEAD: u16 = 9;
}

/// Blocks of the fast commit area when `s_num_fc_blks` is zero.
pub(crate) const FC_DEFAULT_BLOCKS: u32 = 256;
