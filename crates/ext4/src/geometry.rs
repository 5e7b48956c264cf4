//! The superblock, checked once: after [`Geometry::new`] nobody asks again whether its numbers can be right.

use crate::bytes::wide;
use crate::checksum::{self, Seed};
use crate::feature::{self, compat, incompat, ro_compat};
use crate::layout::{
    GOOD_OLD_FIRST_INO, GOOD_OLD_INODE_SIZE, MAGIC, OS_HURD, SUPER_AT, SUPER_LEN, SuperBlock,
};
use h2k_block::{BlockRead, Error, Result};
use zerocopy::FromBytes;

/// Sizes and places that the superblock decides.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Binary logarithm of the block size, 10 to 16.
    pub(crate) block_bits: u32,
    /// Binary logarithm of blocks per cluster; 0 without `bigalloc`.
    pub(crate) cluster_bits: u32,
    /// Blocks of the filesystem.
    pub(crate) blocks: u64,
    /// First block of group 0.
    pub(crate) first_block: u64,
    /// Blocks in a group.
    pub(crate) group_blocks: u64,
    /// Clusters in a group.
    pub(crate) group_clusters: u64,
    /// Inodes in a group.
    pub(crate) group_inodes: u32,
    /// Inodes of the filesystem.
    pub(crate) inodes: u32,
    /// Groups.
    pub(crate) groups: u32,
    /// Bytes of an inode record.
    pub(crate) inode_size: u16,
    /// Bytes of a group descriptor.
    pub(crate) desc_size: u16,
    /// First inode that is not reserved.
    pub(crate) first_ino: u32,
    /// `s_feature_compat`, zero in revision 0.
    pub(crate) compat: u32,
    /// `s_feature_incompat`, zero in revision 0.
    pub(crate) incompat: u32,
    /// `s_feature_ro_compat`, zero in revision 0.
    pub(crate) ro_compat: u32,
    /// What metadata checksums begin with, if the filesystem has them.
    pub(crate) seed: Option<Seed>,
    /// Whether GNU Hurd made it.
    pub(crate) hurd: bool,
}

impl Geometry {
    pub(crate) fn has_incompat(&self, bit: u32) -> bool {
        self.incompat & bit != 0
    }

    pub(crate) fn has_ro(&self, bit: u32) -> bool {
        self.ro_compat & bit != 0
    }

    pub(crate) fn has_compat(&self, bit: u32) -> bool {
        self.compat & bit != 0
    }

    /// Bytes of a block.
    pub(crate) fn block_size(&self) -> u64 {
        1_u64.checked_shl(self.block_bits).unwrap_or(u64::MAX)
    }

    /// Checks a superblock for everything that reading relies on. `at` is where it was read.
    pub(crate) fn new(sb: &SuperBlock, at: u64) -> Result<Self> {
        let bad = |what: String| Err(Error::corrupt("superblock", at, what));
        if sb.magic.get() != MAGIC {
            return bad(format!("magic {:#06x}, expected {MAGIC:#06x}", sb.magic.get()));
        }
        let dynamic = sb.rev_level.get() > 0;
        let bits = |word: u32| if dynamic { word } else { 0 };
        let (compat, incompat, ro_compat) = (
            bits(sb.feature_compat.get()),
            bits(sb.feature_incompat.get()),
            bits(sb.feature_ro_compat.get()),
        );
        let seed = seed(sb, incompat, ro_compat, at)?;
        // Before any size is judged: an external journal has a superblock of its own kind, too.
        feature::readable(sb)?;
        let log = sb.log_block_size.get();
        if log > 6 {
            return bad(format!("log_block_size {log}, the largest is 6 (64 KiB)"));
        }
        let block_bits = log.saturating_add(10);
        let block_size = 1_u64.checked_shl(block_bits).unwrap_or(0);
        let cluster_bits = if ro_compat & ro_compat::BIGALLOC == 0 {
            0
        } else {
            match sb.log_cluster_size.get().checked_sub(log) {
                Some(n) if n <= 16 => n,
                _ => {
                    return bad(format!(
                        "log_cluster_size {} does not fit log_block_size {log}",
                        sb.log_cluster_size.get()
                    ));
                }
            }
        };
        let group_blocks = u64::from(sb.blocks_per_group.get());
        let map_bits = block_size.saturating_mul(8);
        let group_clusters = group_blocks.checked_shr(cluster_bits).unwrap_or(0);
        if group_clusters == 0 || group_clusters > map_bits || group_clusters % 8 != 0 {
            return bad(format!(
                "blocks_per_group {group_blocks} does not fit a bitmap of {map_bits} bits"
            ));
        }
        let wide_blocks = incompat & incompat::BIT64 != 0;
        let hi = if wide_blocks { sb.blocks_count_hi.get() } else { 0 };
        let blocks = wide(sb.blocks_count_lo.get(), hi);
        let first_block = u64::from(sb.first_data_block.get());
        if first_block > 1 || first_block >= blocks {
            return bad(format!("first_data_block {first_block} with {blocks} blocks"));
        }
        // The descriptors of more blocks could not be addressed: 2^48 blocks is what extents can name.
        if blocks >> 48 != 0 {
            return bad(format!(
                "blocks_count {blocks}, extents cannot address more than 2^48"
            ));
        }
        let groups = blocks.saturating_sub(first_block).div_ceil(group_blocks.max(1));
        let Ok(groups) = u32::try_from(groups) else {
            return bad(format!("{groups} block groups, more than 2^32"));
        };
        let (inode_size, first_ino) = if dynamic {
            (sb.inode_size.get(), sb.first_ino.get())
        } else {
            (GOOD_OLD_INODE_SIZE, GOOD_OLD_FIRST_INO)
        };
        if inode_size < GOOD_OLD_INODE_SIZE
            || !inode_size.is_power_of_two()
            || u64::from(inode_size) > block_size
        {
            return bad(format!("inode_size {inode_size} with blocks of {block_size}"));
        }
        let group_inodes = sb.inodes_per_group.get();
        if group_inodes == 0 || u64::from(group_inodes) > map_bits {
            return bad(format!(
                "inodes_per_group {group_inodes} does not fit a bitmap of {map_bits} bits"
            ));
        }
        let inodes = sb.inodes_count.get();
        if u64::from(inodes) > u64::from(groups).saturating_mul(u64::from(group_inodes)) {
            return bad(format!(
                "inodes_count {inodes}, but {groups} groups of {group_inodes}"
            ));
        }
        let desc_size = if wide_blocks { sb.desc_size.get() } else { 32 };
        if wide_blocks
            && (desc_size < 64 || u64::from(desc_size) > block_size || !desc_size.is_power_of_two())
        {
            return bad(format!(
                "desc_size {desc_size} with 64bit and blocks of {block_size}"
            ));
        }
        Ok(Self {
            block_bits,
            cluster_bits,
            blocks,
            first_block,
            group_blocks,
            group_clusters,
            group_inodes,
            inodes,
            groups,
            inode_size,
            desc_size,
            first_ino,
            compat,
            incompat,
            ro_compat,
            seed,
            hurd: sb.creator_os.get() == OS_HURD,
        })
    }

    /// Block that holds the primary superblock.
    pub(crate) fn super_block(&self) -> u64 {
        SUPER_AT.checked_shr(self.block_bits).unwrap_or(0)
    }

    /// First block of `group`.
    pub(crate) fn group_start(&self, group: u32) -> u64 {
        u64::from(group)
            .saturating_mul(self.group_blocks)
            .saturating_add(self.first_block)
    }

    /// Blocks of `group`: the last one may be short.
    pub(crate) fn group_len(&self, group: u32) -> u64 {
        self.group_blocks
            .min(self.blocks.saturating_sub(self.group_start(group)))
    }

    /// Blocks an inode table takes.
    pub(crate) fn table_blocks(&self) -> u64 {
        u64::from(self.group_inodes)
            .saturating_mul(u64::from(self.inode_size))
            .div_ceil(self.block_size())
    }

    /// Descriptors in one block.
    pub(crate) fn descs_per_block(&self) -> u64 {
        self.block_size()
            .checked_div(u64::from(self.desc_size))
            .unwrap_or(1)
            .max(1)
    }

    /// Whether `group` keeps a copy of the superblock.
    pub(crate) fn has_super(&self, sb: &SuperBlock, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.has_compat(compat::SPARSE_SUPER2) {
            return sb.backup_bgs.iter().any(|bg| bg.get() == group);
        }
        if group == 1 || !self.has_ro(ro_compat::SPARSE_SUPER) {
            return true;
        }
        [3_u32, 5, 7].iter().any(|base| is_power(group, *base))
    }
}

fn is_power(mut n: u32, base: u32) -> bool {
    while n > 1 && n.checked_rem(base) == Some(0) {
        n = n.checked_div(base).unwrap_or(0);
    }
    n == 1
}

fn seed(sb: &SuperBlock, incompat: u32, ro_compat: u32, at: u64) -> Result<Option<Seed>> {
    if ro_compat & ro_compat::METADATA_CSUM == 0 {
        return Ok(None);
    }
    if sb.checksum_type != 1 {
        return Err(Error::unsupported(format!(
            "metadata checksum type {}, only 1 (crc32c) is defined",
            sb.checksum_type
        ))
        .at("superblock", at));
    }
    let (found, expected) = (sb.checksum.get(), checksum::superblock(sb));
    if found != expected {
        return Err(Error::corrupt(
            "superblock",
            at,
            format!("checksum {found:#010x}, computed {expected:#010x}"),
        ));
    }
    Ok(Some(if incompat & incompat::CSUM_SEED == 0 {
        Seed(checksum::crc32c(!0, &sb.uuid))
    } else {
        Seed(sb.checksum_seed.get())
    }))
}

/// Reads the 1024 bytes at `at` as a superblock.
pub(crate) fn read_super(disk: &dyn BlockRead, at: u64) -> Result<SuperBlock> {
    let mut bytes = [0; SUPER_LEN];
    let room = disk.len().saturating_sub(at);
    if room < 1024 {
        return Err(Error::corrupt(
            "superblock",
            at,
            format!("the volume ends at {:#x}", disk.len()),
        ));
    }
    disk.read_at(at, &mut bytes)?;
    SuperBlock::read_from_bytes(&bytes)
        .map_err(|_| Error::corrupt("superblock", at, "is not 1024 bytes long"))
}
