//! Inodes that the superblock keeps for itself: the room for more descriptors, and what waits to be deleted.

use super::Check;
use crate::bytes::le32;
use crate::feature::{compat, ro_compat};
use crate::inode::Inode;
use crate::layout::SUPER_AT;
use crate::map::Target;
use crate::write::raw::{get32, narrow};
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
        self.meter.bytes(
            u64::try_from(copies.len()).unwrap_or(u64::MAX).saturating_mul(4),
            "copies of descriptors",
        )?;
        self.meter.steps(u64::from(geo.groups), "copies of descriptors")?;
        let mut blocks = 1_u64;
        for n in 0..reserved.min(per) {
            let nr = descs.saturating_add(n);
            let index = nr.checked_rem(per).unwrap_or(0);
            let found = u64::from(get32(&held, narrow(index.saturating_mul(4))));
            let expected = geo.super_block().saturating_add(1).saturating_add(nr);
            blocks = blocks.saturating_add(1);
            if found != expected {
                self.error("indirect block", fs.blocks.offset(top), || {
                    format!("inode 7: slot {index} names block {found}, expected {expected}")
                });
                continue;
            }
            let below = fs.blocks.get(expected, "reserved descriptors")?;
            self.meter.steps(
                4_u64.saturating_add(u64::try_from(copies.len()).unwrap_or(0)),
                "reserved descriptors",
            )?;
            for (at, group) in (0_usize..).step_by(4).zip(&copies) {
                let found = u64::from(get32(&below, at));
                let expected = geo.group_start(*group).saturating_add(1).saturating_add(nr);
                blocks = blocks.saturating_add(1);
                if found != expected {
                    self.error("reserved descriptors", fs.blocks.offset(geo.super_block().saturating_add(1).saturating_add(nr)), || {
                        format!("inode 7: names block {found} as the copy in group {group}, expected {expected}")
                    });
                }
            }
        }
        let bytes = blocks.saturating_mul(geo.block_size());
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

    /// The list of orphans and the orphan file.
    pub(super) fn find_orphans(&mut self) -> Result<()> {
        let mut next = self.sb.last_orphan.get();
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
