//! The bytes as the specification draws them. Big-endian throughout, except the CRCs.

use zerocopy::byteorder::big_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, byteorder::little_endian};

/// The superblock: first sector of every allocation group.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    pub(crate) magicnum: [u8; 4],
    pub(crate) blocksize: U32,
    pub(crate) dblocks: U64,
    pub(crate) rblocks: U64,
    pub(crate) rextents: U64,
    pub(crate) uuid: [u8; 16],
    pub(crate) logstart: U64,
    pub(crate) rootino: U64,
    pub(crate) rbmino: U64,
    pub(crate) rsumino: U64,
    pub(crate) rextsize: U32,
    pub(crate) agblocks: U32,
    pub(crate) agcount: U32,
    pub(crate) rbmblocks: U32,
    pub(crate) logblocks: U32,
    pub(crate) versionnum: U16,
    pub(crate) sectsize: U16,
    pub(crate) inodesize: U16,
    pub(crate) inopblock: U16,
    pub(crate) fname: [u8; 12],
    pub(crate) blocklog: u8,
    pub(crate) sectlog: u8,
    pub(crate) inodelog: u8,
    pub(crate) inopblog: u8,
    pub(crate) agblklog: u8,
    pub(crate) rextslog: u8,
    pub(crate) inprogress: u8,
    pub(crate) imax_pct: u8,
    pub(crate) icount: U64,
    pub(crate) ifree: U64,
    pub(crate) fdblocks: U64,
    pub(crate) frextents: U64,
    pub(crate) uquotino: U64,
    pub(crate) gquotino: U64,
    pub(crate) qflags: U16,
    pub(crate) flags: u8,
    pub(crate) shared_vn: u8,
    pub(crate) inoalignmt: U32,
    pub(crate) unit: U32,
    pub(crate) width: U32,
    pub(crate) dirblklog: u8,
    pub(crate) logsectlog: u8,
    pub(crate) logsectsize: U16,
    pub(crate) logsunit: U32,
    pub(crate) features2: U32,
    pub(crate) bad_features2: U32,
    pub(crate) features_compat: U32,
    pub(crate) features_ro_compat: U32,
    pub(crate) features_incompat: U32,
    pub(crate) features_log_incompat: U32,
    pub(crate) crc: little_endian::U32,
    pub(crate) spino_align: U32,
    pub(crate) pquotino: U64,
    pub(crate) lsn: U64,
    pub(crate) meta_uuid: [u8; 16],
}

const _: () = assert!(size_of::<Superblock>() == 264);

/// Where the superblock keeps its CRC.
pub(crate) const SUPERBLOCK_CRC: usize = 224;

/// AG free space header: second sector of an allocation group.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Agf {
    pub(crate) magicnum: [u8; 4],
    pub(crate) versionnum: U32,
    pub(crate) seqno: U32,
    pub(crate) length: U32,
    pub(crate) bno_root: U32,
    pub(crate) cnt_root: U32,
    pub(crate) rmap_root: U32,
    pub(crate) bno_level: U32,
    pub(crate) cnt_level: U32,
    pub(crate) rmap_level: U32,
    pub(crate) flfirst: U32,
    pub(crate) fllast: U32,
    pub(crate) flcount: U32,
    pub(crate) freeblks: U32,
    pub(crate) longest: U32,
    pub(crate) btreeblks: U32,
}

const _: () = assert!(size_of::<Agf>() == 64);

/// Where the AGF keeps its CRC.
pub(crate) const AGF_CRC: usize = 216;

/// The inode core common to all versions.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Dinode {
    pub(crate) magic: [u8; 2],
    pub(crate) mode: U16,
    pub(crate) version: u8,
    pub(crate) format: u8,
    pub(crate) onlink: U16,
    pub(crate) uid: U32,
    pub(crate) gid: U32,
    pub(crate) nlink: U32,
    pub(crate) projid_lo: U16,
    pub(crate) projid_hi: U16,
    /// With NREXT64 the number of data extents; else padding and the flush counter.
    pub(crate) big_nextents: U64,
    pub(crate) atime: Timestamp,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
    pub(crate) size: U64,
    pub(crate) nblocks: U64,
    pub(crate) extsize: U32,
    /// Number of data extents; with NREXT64 the number of attribute extents.
    pub(crate) nextents: U32,
    pub(crate) anextents: U16,
    pub(crate) forkoff: u8,
    pub(crate) aformat: u8,
    pub(crate) dmevmask: U32,
    pub(crate) dmstate: U16,
    pub(crate) flags: U16,
    pub(crate) generation: U32,
    pub(crate) next_unlinked: U32,
}

const _: () = assert!(size_of::<Dinode>() == 100);

/// What a version 3 inode has after the core.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DinodeV3 {
    pub(crate) crc: little_endian::U32,
    pub(crate) changecount: U64,
    pub(crate) lsn: U64,
    pub(crate) flags2: U64,
    pub(crate) cowextsize: U32,
    pub(crate) pad: [u8; 12],
    pub(crate) crtime: Timestamp,
    pub(crate) ino: U64,
    pub(crate) uuid: [u8; 16],
}

const _: () = assert!(size_of::<Dinode>() + size_of::<DinodeV3>() == 176);

/// Where a version 3 inode keeps its CRC.
pub(crate) const DINODE_CRC: usize = 100;

/// Seconds and nanoseconds; with BIGTIME one 64-bit number of nanoseconds.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Timestamp {
    pub(crate) seconds: I32,
    pub(crate) nanos: U32,
}

/// `di_flags`: the data lies on the realtime device.
pub(crate) const FLAG_REALTIME: u16 = 1;
/// `di_flags2`: times are nanoseconds since 1901.
pub(crate) const FLAG2_BIGTIME: u64 = 1 << 3;
/// `di_flags2`: extent counters are wide.
pub(crate) const FLAG2_NREXT64: u64 = 1 << 4;

/// `di_format` and `di_aformat`.
pub(crate) mod fork {
    pub(crate) const DEV: u8 = 0;
    pub(crate) const LOCAL: u8 = 1;
    pub(crate) const EXTENTS: u8 = 2;
    pub(crate) const BTREE: u8 = 3;
}

/// Magic numbers of blocks.
pub(crate) mod magic {
    pub(crate) const AGF: [u8; 4] = *b"XAGF";
    pub(crate) const AGI: [u8; 4] = *b"XAGI";
    pub(crate) const BMAP: [u8; 4] = *b"BMAP";
    pub(crate) const BMAP_V5: [u8; 4] = *b"BMA3";
    pub(crate) const BNO: [u8; 4] = *b"ABTB";
    pub(crate) const BNO_V5: [u8; 4] = *b"AB3B";
    pub(crate) const DIR_BLOCK: [u8; 4] = *b"XD2B";
    pub(crate) const DIR_DATA: [u8; 4] = *b"XD2D";
    pub(crate) const DIR_BLOCK_V5: [u8; 4] = *b"XDB3";
    pub(crate) const DIR_DATA_V5: [u8; 4] = *b"XDD3";
    pub(crate) const LEAF1: u16 = 0xd2f1;
    pub(crate) const LEAFN: u16 = 0xd2ff;
    pub(crate) const NODE: u16 = 0xfebe;
    pub(crate) const ATTR_LEAF: u16 = 0xfbee;
    pub(crate) const LEAF1_V5: u16 = 0x3df1;
    pub(crate) const LEAFN_V5: u16 = 0x3dff;
    pub(crate) const NODE_V5: u16 = 0x3ebe;
    pub(crate) const ATTR_LEAF_V5: u16 = 0x3bee;
    pub(crate) const ATTR_REMOTE: [u8; 4] = *b"XARM";
    pub(crate) const SYMLINK: [u8; 4] = *b"XSLM";
    pub(crate) const LOG_RECORD: u32 = 0xfeed_babe;
}

/// A header of 56 bytes that v5 puts before remote symlink targets and attribute values.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RemoteHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) offset: U32,
    pub(crate) bytes: U32,
    pub(crate) crc: little_endian::U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) owner: U64,
    pub(crate) blkno: U64,
    pub(crate) lsn: U64,
}

const _: () = assert!(size_of::<RemoteHeader>() == 56);

/// Header of a long-form B+tree block (file extents), version 4 part.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct LongBlock {
    pub(crate) magic: [u8; 4],
    pub(crate) level: U16,
    pub(crate) numrecs: U16,
    pub(crate) leftsib: U64,
    pub(crate) rightsib: U64,
}

const _: () = assert!(size_of::<LongBlock>() == 24);
/// Bytes of a long-form header in version 5, and where its CRC is.
pub(crate) const LONG_V5: usize = 72;
pub(crate) const LONG_CRC: usize = 64;

/// Header of a short-form B+tree block (free space), version 4 part.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ShortBlock {
    pub(crate) magic: [u8; 4],
    pub(crate) level: U16,
    pub(crate) numrecs: U16,
    pub(crate) leftsib: U32,
    pub(crate) rightsib: U32,
}

const _: () = assert!(size_of::<ShortBlock>() == 16);
/// Bytes of a short-form header in version 5, and where its CRC is.
pub(crate) const SHORT_V5: usize = 56;
pub(crate) const SHORT_CRC: usize = 52;

/// Where directory and attribute leaf and node blocks (version 5) keep their CRC.
pub(crate) const DA_CRC: usize = 12;
/// Where directory data blocks (version 5) keep their CRC.
pub(crate) const DIR_DATA_CRC: usize = 4;
/// Where remote value and symlink blocks keep their CRC.
pub(crate) const REMOTE_CRC: usize = 12;

/// Whether the CRC-32C stored little-endian at `at` is that of `bytes` with that field zeroed.
pub(crate) fn crc_agrees(bytes: &[u8], at: usize) -> bool {
    let Some((head, rest)) = bytes.split_at_checked(at) else {
        return false;
    };
    let Some((stored, tail)) = rest.split_first_chunk::<4>() else {
        return false;
    };
    let sum = crc32c::crc32c(head);
    let sum = crc32c::crc32c_append(sum, &[0; 4]);
    crc32c::crc32c_append(sum, tail) == u32::from_le_bytes(*stored)
}

/// Big-endian fields out of slices, without panics.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// As [`be16`].
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// As [`be16`].
pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b))
}
