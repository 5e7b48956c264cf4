//! The bytes of ext2, ext3 and ext4, field for field in the names of the kernel's
//! `Documentation/filesystems/ext4/*.rst`. Everything here is little-endian; the journal, which is big-endian, has
//! its own layout in `journal::layout`. No behaviour.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Byte offset of the primary superblock.
pub(crate) const SUPER_AT: u64 = 1024;
/// Size of the superblock.
pub(crate) const SUPER_LEN: usize = 1024;
/// `s_magic`.
pub(crate) const MAGIC: u16 = 0xef53;

/// `struct ext4_super_block` (super.rst).
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SuperBlock {
    pub(crate) inodes_count: U32,
    pub(crate) blocks_count_lo: U32,
    pub(crate) r_blocks_count_lo: U32,
    pub(crate) free_blocks_count_lo: U32,
    pub(crate) free_inodes_count: U32,
    pub(crate) first_data_block: U32,
    pub(crate) log_block_size: U32,
    pub(crate) log_cluster_size: U32,
    pub(crate) blocks_per_group: U32,
    pub(crate) clusters_per_group: U32,
    pub(crate) inodes_per_group: U32,
    pub(crate) mtime: U32,
    pub(crate) wtime: U32,
    pub(crate) mnt_count: U16,
    pub(crate) max_mnt_count: U16,
    pub(crate) magic: U16,
    pub(crate) state: U16,
    pub(crate) errors: U16,
    pub(crate) minor_rev_level: U16,
    pub(crate) lastcheck: U32,
    pub(crate) checkinterval: U32,
    pub(crate) creator_os: U32,
    pub(crate) rev_level: U32,
    pub(crate) def_resuid: U16,
    pub(crate) def_resgid: U16,
    pub(crate) first_ino: U32,
    pub(crate) inode_size: U16,
    pub(crate) block_group_nr: U16,
    pub(crate) feature_compat: U32,
    pub(crate) feature_incompat: U32,
    pub(crate) feature_ro_compat: U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) volume_name: [u8; 16],
    pub(crate) last_mounted: [u8; 64],
    pub(crate) algorithm_usage_bitmap: U32,
    pub(crate) prealloc_blocks: u8,
    pub(crate) prealloc_dir_blocks: u8,
    pub(crate) reserved_gdt_blocks: U16,
    pub(crate) journal_uuid: [u8; 16],
    pub(crate) journal_inum: U32,
    pub(crate) journal_dev: U32,
    pub(crate) last_orphan: U32,
    pub(crate) hash_seed: [U32; 4],
    pub(crate) def_hash_version: u8,
    pub(crate) jnl_backup_type: u8,
    pub(crate) desc_size: U16,
    pub(crate) default_mount_opts: U32,
    pub(crate) first_meta_bg: U32,
    pub(crate) mkfs_time: U32,
    /// `i_block` of the journal inode (15 words), `i_size_high`, `i_size`.
    pub(crate) jnl_blocks: [U32; 17],
    pub(crate) blocks_count_hi: U32,
    pub(crate) r_blocks_count_hi: U32,
    pub(crate) free_blocks_count_hi: U32,
    pub(crate) min_extra_isize: U16,
    pub(crate) want_extra_isize: U16,
    pub(crate) flags: U32,
    pub(crate) raid_stride: U16,
    pub(crate) mmp_interval: U16,
    pub(crate) mmp_block: U64,
    pub(crate) raid_stripe_width: U32,
    pub(crate) log_groups_per_flex: u8,
    pub(crate) checksum_type: u8,
    pub(crate) reserved_pad: U16,
    pub(crate) kbytes_written: U64,
    pub(crate) snapshot_inum: U32,
    pub(crate) snapshot_id: U32,
    pub(crate) snapshot_r_blocks_count: U64,
    pub(crate) snapshot_list: U32,
    pub(crate) error_count: U32,
    pub(crate) first_error_time: U32,
    pub(crate) first_error_ino: U32,
    pub(crate) first_error_block: U64,
    pub(crate) first_error_func: [u8; 32],
    pub(crate) first_error_line: U32,
    pub(crate) last_error_time: U32,
    pub(crate) last_error_ino: U32,
    pub(crate) last_error_line: U32,
    pub(crate) last_error_block: U64,
    pub(crate) last_error_func: [u8; 32],
    pub(crate) mount_opts: [u8; 64],
    pub(crate) usr_quota_inum: U32,
    pub(crate) grp_quota_inum: U32,
    pub(crate) overhead_clusters: U32,
    pub(crate) backup_bgs: [U32; 2],
    pub(crate) encrypt_algos: [u8; 4],
    pub(crate) encrypt_pw_salt: [u8; 16],
    pub(crate) lpf_ino: U32,
    pub(crate) prj_quota_inum: U32,
    pub(crate) checksum_seed: U32,
    pub(crate) times_hi: [u8; 6],
    pub(crate) error_codes: [u8; 2],
    pub(crate) encoding: U16,
    pub(crate) encoding_flags: U16,
    pub(crate) orphan_file_inum: U32,
    pub(crate) reserved: [U32; 94],
    pub(crate) checksum: U32,
}
const _: () = assert!(size_of::<SuperBlock>() == SUPER_LEN);

/// `s_state`: cleanly unmounted.
pub(crate) const STATE_VALID: u16 = 1;
/// `s_state`: errors detected.
pub(crate) const STATE_ERROR: u16 = 2;
/// `s_creator_os`: GNU Hurd, whose `i_osd2` differs.
pub(crate) const OS_HURD: u32 = 1;
/// `s_flags`: directory hashes take bytes as unsigned.
pub(crate) const FLAG_UNSIGNED_HASH: u32 = 2;
/// `s_jnl_backup_type`: `s_jnl_blocks` mirrors the journal inode.
pub(crate) const JNL_BACKUP_BLOCKS: u8 = 1;

/// The root directory's inode.
pub(crate) const ROOT_INO: u32 = 2;
/// The list of bad blocks.
pub(crate) const BADBLOCKS_INO: u32 = 1;
/// The blocks that are kept for more group descriptors.
pub(crate) const RESIZE_INO: u32 = 7;
/// The journal.
pub(crate) const JOURNAL_INO: u32 = 8;
/// First inode that is not reserved, in revision 0.
pub(crate) const GOOD_OLD_FIRST_INO: u32 = 11;
/// Size of an inode in revision 0, and of the part every inode has.
pub(crate) const GOOD_OLD_INODE_SIZE: u16 = 128;

/// `struct ext4_group_desc` (group_descr.rst). Without `64bit`, only the first 32 bytes are there.
#[derive(Clone, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct GroupDesc {
    pub(crate) block_bitmap_lo: U32,
    pub(crate) inode_bitmap_lo: U32,
    pub(crate) inode_table_lo: U32,
    pub(crate) free_blocks_count_lo: U16,
    pub(crate) free_inodes_count_lo: U16,
    pub(crate) used_dirs_count_lo: U16,
    pub(crate) flags: U16,
    pub(crate) exclude_bitmap_lo: U32,
    pub(crate) block_bitmap_csum_lo: U16,
    pub(crate) inode_bitmap_csum_lo: U16,
    pub(crate) itable_unused_lo: U16,
    pub(crate) checksum: U16,
    pub(crate) block_bitmap_hi: U32,
    pub(crate) inode_bitmap_hi: U32,
    pub(crate) inode_table_hi: U32,
    pub(crate) free_blocks_count_hi: U16,
    pub(crate) free_inodes_count_hi: U16,
    pub(crate) used_dirs_count_hi: U16,
    pub(crate) itable_unused_hi: U16,
    pub(crate) exclude_bitmap_hi: U32,
    pub(crate) block_bitmap_csum_hi: U16,
    pub(crate) inode_bitmap_csum_hi: U16,
    pub(crate) reserved: U32,
}
const _: () = assert!(size_of::<GroupDesc>() == 64);

/// `bg_flags`: the block bitmap was never written.
pub(crate) const BG_BLOCK_UNINIT: u16 = 2;

/// The first 128 bytes of `struct ext4_inode` (inodes.rst), Linux' meaning of `i_osd1` and `i_osd2`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct InodeBase {
    pub(crate) mode: U16,
    pub(crate) uid: U16,
    pub(crate) size_lo: U32,
    pub(crate) atime: U32,
    pub(crate) ctime: U32,
    pub(crate) mtime: U32,
    pub(crate) dtime: U32,
    pub(crate) gid: U16,
    pub(crate) links_count: U16,
    pub(crate) blocks_lo: U32,
    pub(crate) flags: U32,
    pub(crate) version: U32,
    pub(crate) block: [u8; 60],
    pub(crate) generation: U32,
    pub(crate) file_acl_lo: U32,
    pub(crate) size_high: U32,
    pub(crate) obso_faddr: U32,
    pub(crate) blocks_high: U16,
    pub(crate) file_acl_high: U16,
    pub(crate) uid_high: U16,
    pub(crate) gid_high: U16,
    pub(crate) checksum_lo: U16,
    pub(crate) reserved: U16,
}
const _: () = assert!(size_of::<InodeBase>() == 128);

/// What follows in larger inodes, as far as `i_extra_isize` says.
#[derive(Clone, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct InodeExtra {
    pub(crate) extra_isize: U16,
    pub(crate) checksum_hi: U16,
    pub(crate) ctime_extra: U32,
    pub(crate) mtime_extra: U32,
    pub(crate) atime_extra: U32,
    pub(crate) crtime: U32,
    pub(crate) crtime_extra: U32,
    pub(crate) version_hi: U32,
    pub(crate) projid: U32,
}
const _: () = assert!(size_of::<InodeExtra>() == 32);

/// `i_flags` this reader acts on.
pub(crate) mod inode_flag {
    pub(crate) const IMMUTABLE: u32 = 0x10;
    pub(crate) const APPEND: u32 = 0x20;
    pub(crate) const ENCRYPT: u32 = 0x800;
    pub(crate) const INDEX: u32 = 0x1000;
    pub(crate) const IMAGIC: u32 = 0x2000;
    pub(crate) const HUGE_FILE: u32 = 0x4_0000;
    pub(crate) const EXTENTS: u32 = 0x8_0000;
    pub(crate) const VERITY: u32 = 0x10_0000;
    pub(crate) const EA_INODE: u32 = 0x20_0000;
    pub(crate) const INLINE_DATA: u32 = 0x1000_0000;
    pub(crate) const CASEFOLD: u32 = 0x4000_0000;
}

/// `struct ext4_extent_header` (ifork.rst).
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ExtentHeader {
    pub(crate) magic: U16,
    pub(crate) entries: U16,
    pub(crate) max: U16,
    pub(crate) depth: U16,
    pub(crate) generation: U32,
}
const _: () = assert!(size_of::<ExtentHeader>() == 12);

/// `eh_magic`.
pub(crate) const EXTENT_MAGIC: u16 = 0xf30a;
/// Greatest `eh_depth`: five levels of the smallest blocks reach 2^32 logical blocks.
pub(crate) const EXTENT_MAX_DEPTH: u16 = 5;
/// Longest written extent; a longer `ee_len` means unwritten and is this much too large.
pub(crate) const EXTENT_MAX_LEN: u16 = 32768;

/// `struct ext4_extent`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ExtentLeaf {
    pub(crate) block: U32,
    pub(crate) len: U16,
    pub(crate) start_hi: U16,
    pub(crate) start_lo: U32,
}
const _: () = assert!(size_of::<ExtentLeaf>() == 12);

/// `struct ext4_extent_idx`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ExtentIndex {
    pub(crate) block: U32,
    pub(crate) leaf_lo: U32,
    pub(crate) leaf_hi: U16,
    pub(crate) unused: U16,
}
const _: () = assert!(size_of::<ExtentIndex>() == 12);

/// The fixed part of `struct ext4_dir_entry_2` (directory.rst). Without the `filetype` feature, `file_type` is the
/// upper half of the name's length and zero.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DirEntry {
    pub(crate) inode: U32,
    pub(crate) rec_len: U16,
    pub(crate) name_len: u8,
    pub(crate) file_type: u8,
}
const _: () = assert!(size_of::<DirEntry>() == 8);

/// `struct ext4_dir_entry_tail`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DirTail {
    pub(crate) reserved_zero1: U32,
    pub(crate) rec_len: U16,
    pub(crate) reserved_zero2: u8,
    pub(crate) reserved_ft: u8,
    pub(crate) checksum: U32,
}
const _: () = assert!(size_of::<DirTail>() == 12);

/// `det_reserved_ft`.
pub(crate) const DIR_TAIL_TYPE: u8 = 0xde;

/// `struct dx_root_info`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DxRootInfo {
    pub(crate) reserved_zero: U32,
    pub(crate) hash_version: u8,
    pub(crate) info_length: u8,
    pub(crate) indirect_levels: u8,
    pub(crate) unused_flags: u8,
}
const _: () = assert!(size_of::<DxRootInfo>() == 8);

/// `struct dx_entry`; in the first one the hash is replaced by `limit` and `count`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DxEntry {
    pub(crate) hash: U32,
    pub(crate) block: U32,
}
const _: () = assert!(size_of::<DxEntry>() == 8);

/// `struct dx_countlimit`, which lies over the hash of the first `dx_entry`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DxCountLimit {
    pub(crate) limit: U16,
    pub(crate) count: U16,
}
const _: () = assert!(size_of::<DxCountLimit>() == 4);

/// `struct ext4_xattr_header` of an attribute block (attributes.rst).
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct XattrHeader {
    pub(crate) magic: U32,
    pub(crate) refcount: U32,
    pub(crate) blocks: U32,
    pub(crate) hash: U32,
    pub(crate) checksum: U32,
    pub(crate) reserved: [U32; 3],
}
const _: () = assert!(size_of::<XattrHeader>() == 32);

/// `h_magic`, in the inode and in a block.
pub(crate) const XATTR_MAGIC: u32 = 0xea02_0000;

/// The fixed part of `struct ext4_xattr_entry`.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct XattrEntry {
    pub(crate) name_len: u8,
    pub(crate) name_index: u8,
    pub(crate) value_offs: U16,
    pub(crate) value_inum: U32,
    pub(crate) value_size: U32,
    pub(crate) hash: U32,
}
const _: () = assert!(size_of::<XattrEntry>() == 16);

/// The beginning of `struct mmp_struct` (mmp.rst).
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Mmp {
    pub(crate) magic: U32,
    pub(crate) seq: U32,
    pub(crate) time: U64,
    pub(crate) nodename: [u8; 64],
    pub(crate) bdevname: [u8; 32],
    pub(crate) check_interval: U16,
}
const _: () = assert!(size_of::<Mmp>() == 114);

/// `mmp_magic`.
pub(crate) const MMP_MAGIC: u32 = 0x004d_4d50;
/// `mmp_seq` of a filesystem nobody uses.
pub(crate) const MMP_SEQ_CLEAN: u32 = 0xff4d_4d50;
/// `mmp_seq` while fsck runs.
pub(crate) const MMP_SEQ_FSCK: u32 = 0xe24d_4d50;
