//! Block groups: where their descriptors lie, and what they say. Descriptors are read when asked for, one block at a
//! time, so that opening a large filesystem stays cheap.

use crate::blocks::{Block, Blocks};
use crate::bytes::{at, wide};
use crate::checksum::{group_crc16, low};
use crate::feature::{incompat, ro_compat};
use crate::geometry::Geometry;
use crate::layout::{BG_BLOCK_UNINIT, GroupDesc, SuperBlock};
use crate::warnings::Warnings;
use h2k_block::{Error, Result};

/// One group's descriptor, with the halves of its fields put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) number: u32,
    /// Block of the block bitmap.
    pub(crate) block_bitmap: u64,
    /// Block of the inode bitmap.
    pub(crate) inode_bitmap: u64,
    /// First block of the inode table.
    pub(crate) inode_table: u64,
    /// Free clusters.
    pub(crate) free_clusters: u32,
    /// Free inodes.
    pub(crate) free_inodes: u32,
    /// The block bitmap was never written: it has to be computed.
    pub(crate) block_uninit: bool,
    /// Checksum of the block bitmap; the upper half counts only if `wide_csum`.
    pub(crate) block_bitmap_csum: u32,
    /// Whether the upper halves of the bitmap checksums exist.
    pub(crate) wide_csum: bool,
    /// The primary descriptor with nothing wrong about it: copies are not kept up to date, and what they say of free
    /// space is old.
    pub(crate) current: bool,
}

/// All groups of one filesystem.
#[derive(Debug)]
pub(crate) struct Groups {
    sb: SuperBlock,
    /// The group whose superblock was used: its descriptors are asked right after the primary ones.
    home: u32,
}

impl Groups {
    pub(crate) fn new(sb: SuperBlock, home: u32) -> Self {
        Self { sb, home }
    }

    /// The superblock the groups were described with.
    pub(crate) fn superblock(&self) -> &SuperBlock {
        &self.sb
    }

    /// Whether descriptor block `nr` lies in its own meta group instead of behind the superblock.
    fn is_meta(&self, geo: &Geometry, nr: u64) -> bool {
        geo.has_incompat(incompat::META_BG) && nr >= u64::from(self.sb.first_meta_bg.get())
    }

    /// Where descriptor block `nr` lies as kept by group `copy` (blockgroup.rst, "Meta Block Groups").
    fn copy_in(&self, geo: &Geometry, nr: u64, copy: u32) -> u64 {
        let start = geo.group_start(copy);
        if !self.is_meta(geo, nr) {
            let sb_block = if copy == 0 { geo.super_block() } else { start };
            return sb_block.saturating_add(1).saturating_add(nr);
        }
        // With 1 KiB blocks and bigalloc, group 0 begins with the boot block.
        let boot = u64::from(geo.block_bits == 10 && nr == 0 && copy == 0 && geo.first_block == 0);
        start
            .saturating_add(u64::from(geo.has_super(&self.sb, copy)))
            .saturating_add(boot)
    }

    /// Where copies of descriptor block `nr` lie, the best one first.
    fn copies(&self, geo: &Geometry, nr: u64) -> Vec<u64> {
        let per = geo.descs_per_block();
        let mut groups: Vec<u32> = Vec::with_capacity(4);
        if self.is_meta(geo, nr) {
            let first = nr.saturating_mul(per);
            for g in [
                first,
                first.saturating_add(1),
                first.saturating_add(per).saturating_sub(1),
            ] {
                groups.extend(u32::try_from(g).ok());
            }
        } else {
            groups.extend([0, self.home]);
            groups.extend(
                [1, 3, 5, 7, 9]
                    .into_iter()
                    .filter(|g| geo.has_super(&self.sb, *g)),
            );
            groups.extend(
                self.sb
                    .backup_bgs
                    .iter()
                    .map(|g| g.get())
                    .filter(|g| geo.has_super(&self.sb, *g)),
            );
        }
        let mut found = Vec::with_capacity(groups.len());
        for group in groups {
            let block = self.copy_in(geo, nr, group);
            if group < geo.groups && block < geo.blocks && !found.contains(&block) {
                found.push(block);
            }
        }
        found
    }

    /// Where the primary copy of descriptor block `nr` lies.
    pub(crate) fn primary(&self, geo: &Geometry, nr: u64) -> u64 {
        let per = geo.descs_per_block();
        let group = if self.is_meta(geo, nr) {
            nr.saturating_mul(per)
        } else {
            0
        };
        self.copy_in(geo, nr, u32::try_from(group).unwrap_or(u32::MAX))
    }

    /// The descriptor of `group`: the first copy that is sound. A copy whose checksum is wrong but whose numbers are
    /// possible is believed when there is no better one, with a warning: the kernel reads such filesystems, too.
    pub(crate) fn get(
        &self,
        geo: &Geometry,
        blocks: &Blocks,
        warnings: &Warnings,
        group: u32,
    ) -> Result<Group> {
        if group >= geo.groups {
            return Err(Error::corrupt(
                "group descriptor",
                0,
                format!("group {group} asked, there are {}", geo.groups),
            ));
        }
        let per = geo.descs_per_block();
        let nr = u64::from(group).checked_div(per).unwrap_or(0);
        let within = u64::from(group).checked_rem(per).unwrap_or(0);
        let skip = within.saturating_mul(u64::from(geo.desc_size));
        let (mut doubtful, mut first_error) = (None, None);
        for (turn, block) in self.copies(geo, nr).into_iter().enumerate() {
            let place = blocks.offset(block).saturating_add(skip);
            match self.parse(geo, blocks.get(block, "group descriptor"), skip, group, place) {
                Ok((mut found, true)) => {
                    found.current = turn == 0;
                    if turn > 0 {
                        warnings.add(format!(
                            "the descriptor of group {group} is damaged; the copy at block {block} is used"
                        ));
                    }
                    return Ok(found);
                }
                Ok((found, false)) => {
                    doubtful.get_or_insert(found);
                }
                Err(e) => {
                    first_error.get_or_insert(e);
                }
            }
        }
        if let Some(found) = doubtful {
            warnings.add(format!("the descriptor of group {group} has a wrong checksum"));
            return Ok(found);
        }
        Err(first_error.unwrap_or_else(|| Error::corrupt("group descriptor", 0, "there is no copy of it")))
    }

    /// The descriptor, and whether its checksum is right.
    fn parse(
        &self,
        geo: &Geometry,
        block: Result<Block>,
        skip: u64,
        number: u32,
        place: u64,
    ) -> Result<(Group, bool)> {
        let block = block?;
        let start = usize::try_from(skip).unwrap_or(usize::MAX);
        let raw = block
            .get(start..)
            .and_then(|b| b.get(..usize::from(geo.desc_size)))
            .ok_or_else(|| Error::corrupt("group descriptor", place, "is cut off"))?;
        let mut full = [0; 64];
        let n = raw.len().min(64);
        if let (Some(to), Some(from)) = (full.get_mut(..n), raw.get(..n)) {
            to.copy_from_slice(from);
        }
        let desc: &GroupDesc =
            at(&full, 0).ok_or_else(|| Error::corrupt("group descriptor", place, "is cut off"))?;
        let flags = if geo.has_ro(ro_compat::GDT_CSUM | ro_compat::METADATA_CSUM) {
            desc.flags.get()
        } else {
            0
        };
        let group = Group {
            number,
            block_bitmap: wide(desc.block_bitmap_lo.get(), desc.block_bitmap_hi.get()),
            inode_bitmap: wide(desc.inode_bitmap_lo.get(), desc.inode_bitmap_hi.get()),
            inode_table: wide(desc.inode_table_lo.get(), desc.inode_table_hi.get()),
            free_clusters: pair(desc.free_blocks_count_lo.get(), desc.free_blocks_count_hi.get()),
            free_inodes: pair(desc.free_inodes_count_lo.get(), desc.free_inodes_count_hi.get()),
            block_uninit: flags & BG_BLOCK_UNINIT != 0,
            block_bitmap_csum: pair(desc.block_bitmap_csum_lo.get(), desc.block_bitmap_csum_hi.get()),
            wide_csum: geo.desc_size >= 64,
            current: false,
        };
        let table_end = group.inode_table.saturating_add(geo.table_blocks());
        let inside = |block: u64| block >= geo.first_block.max(1) && block < geo.blocks;
        if !inside(group.inode_table) || table_end > geo.blocks {
            return Err(Error::corrupt(
                "group descriptor",
                place,
                format!(
                    "group {number} has its inode table at blocks {}..{table_end} of {}",
                    group.inode_table, geo.blocks
                ),
            ));
        }
        let sound = if let Some(seed) = geo.seed {
            seed.group(number, raw) == desc.checksum.get()
        } else if geo.has_ro(ro_compat::GDT_CSUM) {
            group_crc16(&self.sb.uuid, number, raw) == desc.checksum.get()
        } else {
            inside(group.block_bitmap) && inside(group.inode_bitmap)
        };
        Ok((group, sound))
    }

    /// Blocks at the beginning of `group` that hold copies of superblock and descriptors, and room for more of them.
    pub(crate) fn base_blocks(&self, geo: &Geometry, group: u32) -> u64 {
        let per = geo.descs_per_block();
        let copy = geo.has_super(&self.sb, group);
        let desc_blocks = u64::from(geo.groups).div_ceil(per);
        let nr = u64::from(group).checked_div(per).unwrap_or(0);
        if self.is_meta(geo, nr) {
            let within = u64::from(group).checked_rem(per).unwrap_or(0);
            let keeps = within <= 1 || within == per.saturating_sub(1);
            return u64::from(copy).saturating_add(u64::from(keeps));
        }
        if !copy {
            return 0;
        }
        let table = if geo.has_incompat(incompat::META_BG) {
            desc_blocks.min(u64::from(self.sb.first_meta_bg.get()))
        } else {
            desc_blocks.saturating_add(u64::from(self.sb.reserved_gdt_blocks.get()))
        };
        table.saturating_add(1)
    }
}

fn pair(lo: u16, hi: u16) -> u32 {
    u32::from(lo) | u32::from(hi).rotate_left(16)
}

/// The half of a computed checksum that 32-byte descriptors keep.
pub(crate) fn kept(crc: u32, wide: bool) -> u32 {
    if wide { crc } else { u32::from(low(crc)) }
}
