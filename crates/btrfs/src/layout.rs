//! The bytes as the documentation draws them. Little-endian throughout.

use zerocopy::byteorder::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Bytes of a superblock.
pub(crate) const SUPER: usize = 4096;
/// Where superblocks lie on every device that is long enough.
pub(crate) const SUPERS: [u64; 3] = [64 << 10, 64 << 20, 256 << 30];
/// The magic number, at byte 64 of a superblock.
pub(crate) const MAGIC: [u8; 8] = *b"_BHRfS_M";
/// Bytes at the head of superblocks and tree blocks that hold their checksum.
pub(crate) const CSUM: usize = 32;

/// `super.flags`
pub(crate) mod super_flag {
    /// The kernel met an error that it could not undo.
    pub(crate) const ERROR: u64 = 1 << 2;
    /// The device is a seed: others were added to it and it is never written.
    pub(crate) const SEEDING: u64 = 1 << 32;
    /// Only metadata was copied here; file contents are not.
    pub(crate) const METADUMP: u64 = 1 << 33;
    pub(crate) const METADUMP_V2: u64 = 1 << 34;
}

/// Object numbers with a meaning of their own.
pub(crate) mod object {
    pub(crate) const EXTENT_TREE: u64 = 2;
    pub(crate) const FS_TREE: u64 = 5;
    pub(crate) const ROOT_TREE_DIR: u64 = 6;
    pub(crate) const CSUM_TREE: u64 = 7;
    pub(crate) const BLOCK_GROUP_TREE: u64 = 11;
    /// What chunk items and device items belong to.
    pub(crate) const FIRST_CHUNK_TREE: u64 = 256;
    pub(crate) const DEV_ITEMS: u64 = 1;
    /// First number of subvolumes and of inodes; the root directory of a subvolume.
    pub(crate) const FIRST_FREE: u64 = 256;
    /// Above this lie the trees of the filesystem itself (-256 and up).
    pub(crate) const LAST_FREE: u64 = 0xffff_ffff_ffff_ff00;
    pub(crate) const EXTENT_CSUM: u64 = 0xffff_ffff_ffff_fff6;
}

/// The types of items.
pub(crate) mod kind {
    pub(crate) const INODE: u8 = 1;
    pub(crate) const XATTR: u8 = 24;
    pub(crate) const DIR_ITEM: u8 = 84;
    pub(crate) const DIR_INDEX: u8 = 96;
    pub(crate) const EXTENT_DATA: u8 = 108;
    pub(crate) const EXTENT_CSUM: u8 = 128;
    pub(crate) const ROOT: u8 = 132;
    pub(crate) const ROOT_BACKREF: u8 = 144;
    pub(crate) const ROOT_REF: u8 = 156;
    pub(crate) const EXTENT: u8 = 168;
    pub(crate) const METADATA: u8 = 169;
    pub(crate) const BLOCK_GROUP: u8 = 192;
    pub(crate) const DEV: u8 = 216;
    pub(crate) const CHUNK: u8 = 228;
}

/// Where an item stands in its tree: ordered by object, type, offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) object: u64,
    pub(crate) kind: u8,
    pub(crate) offset: u64,
}

impl Key {
    pub(crate) const fn new(object: u64, kind: u8, offset: u64) -> Self {
        Self { object, kind, offset }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} {} {})", self.object, self.kind, self.offset)
    }
}

/// `btrfs_disk_key`
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DiskKey {
    pub(crate) objectid: U64,
    pub(crate) kind: u8,
    pub(crate) offset: U64,
}

const _: () = assert!(size_of::<DiskKey>() == 17);

impl DiskKey {
    pub(crate) fn get(&self) -> Key {
        Key::new(self.objectid.get(), self.kind, self.offset.get())
    }
}

/// `btrfs_dev_item`
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DevItem {
    pub(crate) devid: U64,
    pub(crate) total_bytes: U64,
    pub(crate) bytes_used: U64,
    pub(crate) io_align: U32,
    pub(crate) io_width: U32,
    pub(crate) sector_size: U32,
    pub(crate) kind: U64,
    pub(crate) generation: U64,
    pub(crate) start_offset: U64,
    pub(crate) dev_group: U32,
    pub(crate) seek_speed: u8,
    pub(crate) bandwidth: u8,
    pub(crate) uuid: [u8; 16],
    pub(crate) fsid: [u8; 16],
}

const _: () = assert!(size_of::<DevItem>() == 98);

/// `btrfs_super_block`, up to the end of the chunk array.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    pub(crate) csum: [u8; CSUM],
    pub(crate) fsid: [u8; 16],
    pub(crate) bytenr: U64,
    pub(crate) flags: U64,
    pub(crate) magic: [u8; 8],
    pub(crate) generation: U64,
    pub(crate) root: U64,
    pub(crate) chunk_root: U64,
    pub(crate) log_root: U64,
    pub(crate) log_root_transid: U64,
    pub(crate) total_bytes: U64,
    pub(crate) bytes_used: U64,
    pub(crate) root_dir_objectid: U64,
    pub(crate) num_devices: U64,
    pub(crate) sectorsize: U32,
    pub(crate) nodesize: U32,
    pub(crate) leafsize: U32,
    pub(crate) stripesize: U32,
    pub(crate) sys_chunk_array_size: U32,
    pub(crate) chunk_root_generation: U64,
    pub(crate) compat_flags: U64,
    pub(crate) compat_ro_flags: U64,
    pub(crate) incompat_flags: U64,
    pub(crate) csum_type: U16,
    pub(crate) root_level: u8,
    pub(crate) chunk_root_level: u8,
    pub(crate) log_root_level: u8,
    pub(crate) dev_item: DevItem,
    pub(crate) label: [u8; 256],
    pub(crate) cache_generation: U64,
    pub(crate) uuid_tree_generation: U64,
    pub(crate) metadata_uuid: [u8; 16],
    pub(crate) nr_global_roots: U64,
    pub(crate) reserved: [u8; 216],
    pub(crate) sys_chunk_array: [u8; 2048],
}

const _: () = assert!(size_of::<Superblock>() == 0xb2b);

/// `btrfs_header`, which every tree block begins with.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) csum: [u8; CSUM],
    pub(crate) fsid: [u8; 16],
    pub(crate) bytenr: U64,
    pub(crate) flags: U64,
    pub(crate) chunk_tree_uuid: [u8; 16],
    pub(crate) generation: U64,
    pub(crate) owner: U64,
    pub(crate) nritems: U32,
    pub(crate) level: u8,
}

/// Bytes of a [`Header`].
pub(crate) const HEADER: usize = 101;
const _: () = assert!(size_of::<Header>() == HEADER);

/// `btrfs_key_ptr`: one child of an inner block.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct KeyPtr {
    pub(crate) key: DiskKey,
    pub(crate) blockptr: U64,
    pub(crate) generation: U64,
}

const _: () = assert!(size_of::<KeyPtr>() == 33);

/// `btrfs_item`: where a leaf keeps the data of a key, counted from the end of the header.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ItemHead {
    pub(crate) key: DiskKey,
    pub(crate) offset: U32,
    pub(crate) size: U32,
}

const _: () = assert!(size_of::<ItemHead>() == 25);

/// `btrfs_chunk` without its stripes.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ChunkHead {
    pub(crate) length: U64,
    pub(crate) owner: U64,
    pub(crate) stripe_len: U64,
    pub(crate) kind: U64,
    pub(crate) io_align: U32,
    pub(crate) io_width: U32,
    pub(crate) sector_size: U32,
    pub(crate) num_stripes: U16,
    pub(crate) sub_stripes: U16,
}

const _: () = assert!(size_of::<ChunkHead>() == 48);

/// `btrfs_stripe`
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct StripeItem {
    pub(crate) devid: U64,
    pub(crate) offset: U64,
    pub(crate) dev_uuid: [u8; 16],
}

const _: () = assert!(size_of::<StripeItem>() == 32);

/// `btrfs_timespec`
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Timespec {
    pub(crate) sec: I64,
    pub(crate) nsec: U32,
}

/// `btrfs_inode_item`
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct InodeItem {
    pub(crate) generation: U64,
    pub(crate) transid: U64,
    pub(crate) size: U64,
    pub(crate) nbytes: U64,
    pub(crate) block_group: U64,
    pub(crate) nlink: U32,
    pub(crate) uid: U32,
    pub(crate) gid: U32,
    pub(crate) mode: U32,
    pub(crate) rdev: U64,
    pub(crate) flags: U64,
    pub(crate) sequence: U64,
    pub(crate) reserved: [U64; 4],
    pub(crate) atime: Timespec,
    pub(crate) ctime: Timespec,
    pub(crate) mtime: Timespec,
    pub(crate) otime: Timespec,
}

const _: () = assert!(size_of::<InodeItem>() == 160);

/// The file has no checksums.
pub(crate) const INODE_NODATASUM: u64 = 1;

/// `btrfs_root_item` as it was first; what came later follows.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RootItem {
    pub(crate) inode: InodeItem,
    pub(crate) generation: U64,
    pub(crate) root_dirid: U64,
    pub(crate) bytenr: U64,
    pub(crate) byte_limit: U64,
    pub(crate) bytes_used: U64,
    pub(crate) last_snapshot: U64,
    pub(crate) flags: U64,
    pub(crate) refs: U32,
    pub(crate) drop_progress: DiskKey,
    pub(crate) drop_level: u8,
    pub(crate) level: u8,
}

const _: () = assert!(size_of::<RootItem>() == 239);

/// What newer root items have behind [`RootItem`]; valid while both generations agree.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RootItemMore {
    pub(crate) generation_v2: U64,
    pub(crate) uuid: [u8; 16],
    pub(crate) parent_uuid: [u8; 16],
}

/// The subvolume is read-only.
pub(crate) const ROOT_RDONLY: u64 = 1;

/// `btrfs_dir_item` without name and data.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DirItem {
    pub(crate) location: DiskKey,
    pub(crate) transid: U64,
    pub(crate) data_len: U16,
    pub(crate) name_len: U16,
    pub(crate) kind: u8,
}

const _: () = assert!(size_of::<DirItem>() == 30);

/// `btrfs_root_ref` without its name: which entry of which directory leads to a subvolume.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RootRef {
    pub(crate) dirid: U64,
    pub(crate) sequence: U64,
    pub(crate) name_len: U16,
}

const _: () = assert!(size_of::<RootRef>() == 18);

/// `btrfs_file_extent_item`: the part that inline extents have too.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ExtentHead {
    pub(crate) generation: U64,
    pub(crate) ram_bytes: U64,
    pub(crate) compression: u8,
    pub(crate) encryption: u8,
    pub(crate) other_encoding: U16,
    pub(crate) kind: u8,
}

/// Where the data of an inline extent begins in its item.
pub(crate) const INLINE: usize = 21;
const _: () = assert!(size_of::<ExtentHead>() == INLINE);

/// `btrfs_file_extent_item`: the part that inline extents do not have.
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ExtentTail {
    pub(crate) disk_bytenr: U64,
    pub(crate) disk_num_bytes: U64,
    pub(crate) offset: U64,
    pub(crate) num_bytes: U64,
}

const _: () = assert!(size_of::<ExtentTail>() == 32);

/// `btrfs_block_group_item`
#[derive(Clone, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BlockGroup {
    pub(crate) used: U64,
    pub(crate) chunk_objectid: U64,
    pub(crate) flags: U64,
}
