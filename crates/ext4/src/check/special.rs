//! Inodes that the superblock keeps for itself: the room for more descriptors, and what waits to be deleted.

use super::Check;
use crate::bytes::le32;
use crate::feature::{compat, ro_compat};
use crate::inode::Inode;
use crate::layout::{SUPER_AT, inode_flag};
use crate::map::Target;
use crate::write::raw::{get32, wide};
use h2k_block::Result;
use h2k_fs::FileKind;

/// `ob_magic` of a block of the orphan file.
use crate::write::orphan::{MAGIC, TAIL};

/// What remembering an orphan costs.
const ORPHAN_BYTES: u64 = 32;

impl Check<'_> {
    /// The resize inode: a block map whose second level names every reserved descriptor block of group 0, each of
    /// which names its copies in the other groups (blockgroup.rst; the slots as mke2fs fills them).
    pub(super) fn resize_inode(&mut self, inode: &Inode) -> Result<()> {
        let (geo, sb, fs) = (&self.fs.geo, self.sb, self.fs);
        let place = inode.place;
        if !geo.has_compat(compat::RESIZE_INODE) {
            if inode.block != [0; 60] || inode.blocks != 0 {
                self.error("inode", place, || {
                    "inode 7: has blocks without the feature resize_inode".to_owned()
                });
            }
            return Ok(());
        }
        let per = geo.block_size() >> 2;
        let reserved = u64::from(sb.reserved_gdt_blocks.get());
        let descs = u64::from(geo.groups).div_ceil(geo.descs_per_block());
        let slot = |n: usize| u64::from(le32(&inode.block, n.saturating_mul(4)).unwrap_or(0));
        if inode.kind() != Some(FileKind::File) || inode.links != 1 {
            self.error("inode", place, || {
                format!(
                    "inode 7: mode {:#o} with {} links, expected a file with one",
                    inode.mode, inode.links
                )
            });
        }
        if inode.flags & (inode_flag::EXTENTS | inode_flag::INLINE_DATA) != 0 {
            self.error("inode", place, || {
                format!("inode 7: flags {:#x}, expected a block map", inode.flags)
            });
        }
        let stray = (0..15).find(|n| *n != 13 && slot(*n) != 0);
        if let Some(n) = stray {
            self.error("inode", place, || {
                format!("inode 7: block {} in slot {n}, expected none", slot(n))
            });
        }
        let top = slot(13);
        if top == 0 {
            if reserved > 0 {
                self.error("inode", place, || {
                    "inode 7: names no reserved descriptor blocks".to_owned()
                });
            }
            return Ok(());
        }
        if !fs.blocks.holds(top, 1) {
            let e = self.outside("inode", place, top);
            return self.damage("inode", e);
        }
        self.claim(inode, top, 1, "indirect block")?;
        let held = fs.blocks.get(top, "indirect block")?;
        let copies: Vec<u32> = (1..geo.groups).filter(|g| geo.has_super(sb, *g)).collect();
        self.meter
            .bytes(wide(copies.len()).saturating_mul(4), "copies of descriptors")?;
        self.meter.steps(u64::from(geo.groups), "copies of descriptors")?;
        let mut blocks = 1_u64;
        let gdt = geo.super_block().saturating_add(1);
        for (index, found) in (0_u64..).zip(held.as_chunks::<4>().0) {
            let found = u64::from(u32::from_le_bytes(*found));
            // Descriptor block `nr` stands in slot `nr`, or around the end.
            let nth = index
                .saturating_add(per)
                .saturating_sub(descs.checked_rem(per).unwrap_or(0));
            let nth = nth.checked_rem(per).unwrap_or(0);
            let nr = descs.saturating_add(nth);
            let expected = if nth < reserved { gdt.saturating_add(nr) } else { 0 };
            if found != expected {
                self.error("indirect block", fs.blocks.offset(top), || {
                    format!("inode 7: slot {index} names block {found}, expected {expected}")
                });
            } else if expected != 0 {
                blocks = blocks.saturating_add(1).saturating_add(wide(copies.len()));
                self.reserved(expected, &copies)?;
            }
        }
        let bytes = blocks
            .saturating_mul(geo.block_size())
            .saturating_mul(self.ratio());
        if inode.allocated != bytes {
            self.error("inode", place, || {
                format!(
                    "inode 7: {} bytes on the volume by i_blocks, counted {bytes}",
                    inode.allocated
                )
            });
        }
        Ok(())
    }

    /// One reserved descriptor block of group 0, which names its copies.
    fn reserved(&mut self, block: u64, copies: &[u32]) -> Result<()> {
        let (geo, fs) = (&self.fs.geo, self.fs);
        self.meter
            .steps(16_u64.saturating_add(wide(copies.len())), "reserved descriptors")?;
        let held = fs.blocks.get(block, "reserved descriptors")?;
        let mut groups = copies.iter();
        for (slot, found) in held.as_chunks::<4>().0.iter().enumerate() {
            let found = u64::from(u32::from_le_bytes(*found));
            let expected = groups.next().map_or(0, |group| {
                block.saturating_add(u64::from(*group).saturating_mul(geo.group_blocks))
            });
            if found != expected {
                self.error("reserved descriptors", fs.blocks.offset(block), || {
                    format!("inode 7: slot {slot} names block {found}, expected {expected}")
                });
            }
        }
        Ok(())
    }

    /// The list of orphans and the orphan file.
    pub(super) fn find_orphans(&mut self) -> Result<()> {
        let mut next = self.sb.last_orphan.get();
        if next != 0 {
            self.odd("orphan list", SUPER_AT, || {
                format!("deleted files wait for their space to be freed, from inode {next} on")
            });
        }
        while next != 0 {
            self.meter.steps(16, "orphan list")?;
            self.meter.bytes(ORPHAN_BYTES, "orphan list")?;
            if next < self.fs.geo.first_ino || next > self.fs.geo.inodes {
                self.error("orphan list", SUPER_AT, || {
                    format!("names inode {next} of {}", self.fs.geo.inodes)
                });
                break;
            }
            if !self.orphans.insert(next) {
                self.error("orphan list", SUPER_AT, || format!("names inode {next} twice"));
                break;
            }
            next = match self.fs.any_inode(next) {
                Ok(inode) => Self::next_orphan(&inode),
                // The inode is judged with its table.
                Err(_) => break,
            };
        }
        if self.fs.geo.has_compat(compat::ORPHAN_FILE) {
            self.orphan_file()?;
        } else if self.sb.orphan_file_inum.get() != 0 {
            self.error("superblock", SUPER_AT, || {
                format!(
                    "an orphan file in inode {} without the feature",
                    self.sb.orphan_file_inum.get()
                )
            });
        }
        Ok(())
    }

    fn orphan_file(&mut self) -> Result<()> {
        let number = self.sb.orphan_file_inum.get();
        let size = self.fs.geo.block_size();
        let file = match self.fs.any_inode(number) {
            Ok(file) => file,
            Err(e) => return self.damage("orphan file", e),
        };
        if file.kind() != Some(FileKind::File) || file.size == 0 || file.size.checked_rem(size) != Some(0) {
            self.error("orphan file", file.place, || {
                format!("inode {number}: a file of whole blocks expected")
            });
            return Ok(());
        }
        let present = self.fs.geo.has_ro(ro_compat::ORPHAN_PRESENT);
        if present {
            self.odd("orphan file", file.place, || {
                "deleted files may wait for their space to be freed".to_owned()
            });
        }
        for nth in 0..file.size.checked_div(size).unwrap_or(0) {
            self.meter.steps(64, "orphan file")?;
            let run = match self.fs.run(&file, nth, nth.saturating_add(1)) {
                Ok(run) => run,
                Err(e) => return self.damage("orphan file", e),
            };
            let Target::At(block) = run.target else {
                self.error("orphan file", file.place, || format!("block {nth} is not there"));
                // A hole can be as long as a lie.
                return Ok(());
            };
            let place = self.fs.blocks.offset(block);
            let bytes = self.fs.blocks.get(block, "orphan file")?;
            let (slots, tail) = bytes
                .split_at_checked(bytes.len().saturating_sub(TAIL))
                .unwrap_or_default();
            let (magic, sum) = (get32(tail, 0), get32(tail, 4));
            if magic != MAGIC {
                self.error("orphan file", place, || {
                    format!("magic {magic:#010x}, expected {MAGIC:#010x}")
                });
                continue;
            }
            if let Some(expected) = self.fs.orphan_sum(&file, block, &bytes).filter(|e| *e != sum) {
                self.error("orphan file", place, || {
                    format!("checksum {sum:#010x}, computed {expected:#010x}")
                });
            }
            for four in slots.as_chunks::<4>().0 {
                let orphan = u32::from_le_bytes(*four);
                if orphan == 0 {
                    continue;
                }
                if !present || orphan < self.fs.geo.first_ino || orphan > self.fs.geo.inodes {
                    self.error("orphan file", place, || {
                        format!("names inode {orphan}, expected none")
                    });
                    continue;
                }
                self.meter.bytes(ORPHAN_BYTES, "orphan file")?;
                self.orphans.insert(orphan);
            }
        }
        Ok(())
    }
}
