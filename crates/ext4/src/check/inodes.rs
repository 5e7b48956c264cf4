//! The inode tables: every record that is in use, with the blocks it claims.

use super::map::Mapped;
use super::{Check, Dir, Known};
use crate::bytes::at;
use crate::feature::{compat, incompat, ro_compat};
use crate::inode::Inode;
use crate::layout::{BADBLOCKS_INO, InodeBase, RESIZE_INO, ROOT_INO, inode_flag};
use crate::write::group::{BLOCK_UNINIT, Desc, INODE_UNINIT, TABLE_UNUSED};
use crate::write::raw::{get32, narrow};
use crate::xattr::{SYSTEM, in_inode};
use h2k_block::Result;
use h2k_fs::FileKind;

/// Bytes of a table read at once.
const PIECE: u64 = 64 << 10;
/// What knowing an inode, a directory costs.
const KNOWN_BYTES: u64 = 12;
const DIR_BYTES: u64 = 32;
/// Longest target of a link, with its end.
const PATH_MAX: u64 = 4096;

impl Check<'_> {
    /// Reads every inode table, as far as it is in use.
    pub(super) fn tables(&mut self) -> Result<()> {
        for number in 0..self.fs.geo.groups {
            self.meter.step("inode table")?;
            let desc = self.fs.desc(number)?;
            let unused = if self.fs.has_group_flags() {
                desc.get(TABLE_UNUSED)
            } else {
                0
            };
            if desc.has_flag(INODE_UNINIT) {
                if number == 0 {
                    self.error("group descriptor", desc.place, || {
                        "group 0: flag INODE_UNINIT, but it holds the root".to_owned()
                    });
                }
                continue;
            }
            let count = self.fs.geo.group_inodes.saturating_sub(unused);
            if count > 0 {
                self.table(&desc, count)?;
            }
        }
        Ok(())
    }

    fn table(&mut self, desc: &Desc, count: u32) -> Result<()> {
        let geo = &self.fs.geo;
        let size = u64::from(geo.inode_size);
        let len = self
            .meter
            .bytes(u64::from(count).saturating_mul(KNOWN_BYTES), "inodes in use")?;
        let mut known = vec![Known::default(); len.checked_div(12).unwrap_or(0)];
        known.shrink_to_fit();
        self.inodes.insert(desc.number, known);
        let first = desc.number.saturating_mul(geo.group_inodes).saturating_add(1);
        let table = self.fs.blocks.offset(desc.inode_table());
        let per = u32::try_from(PIECE.checked_div(size).unwrap_or(1))
            .unwrap_or(1)
            .max(1);
        let mut buf = Vec::new();
        let mut at = 0_u32;
        // Grows by at least one record each turn.
        while at < count {
            let n = per.min(count.saturating_sub(at));
            self.meter
                .steps(u64::from(n >> 4).saturating_add(1), "inode table")?;
            buf.resize(narrow(u64::from(n).saturating_mul(size)), 0);
            let place = table.saturating_add(u64::from(at).saturating_mul(size));
            if let Err(e) = self.fs.blocks.read(place, &mut buf, "inode table") {
                return self.damage("inode table", e);
            }
            let start = first.saturating_add(at);
            for ((number, raw), nth) in (start..).zip(buf.chunks_exact(narrow(size))).zip(0_u64..) {
                if !h2k_block::is_zero(raw) || number < geo.first_ino {
                    self.meter.steps(4, "inode")?;
                    self.record(number, place.saturating_add(nth.saturating_mul(size)), raw)?;
                }
            }
            at = at.saturating_add(n);
        }
        Ok(())
    }

    fn record(&mut self, number: u32, place: u64, raw: &[u8]) -> Result<()> {
        let Some(base) = at::<InodeBase>(raw, 0) else {
            return Ok(());
        };
        let (links, mode, dtime) = (base.links_count.get(), base.mode.get(), base.dtime.get());
        let orphan = self.orphans.contains(&number);
        let used = links > 0 || orphan;
        if !used && number >= self.fs.geo.first_ino {
            if mode != 0 && dtime == 0 {
                self.error("inode", place, || {
                    format!("inode {number}: deleted, and its time of deletion is zero")
                });
            }
            if dtime != 0 && dtime < self.fs.geo.inodes {
                self.error("inode", place, || {
                    format!("inode {number}: deleted at {dtime}, which is an inode's number, and in no list of orphans")
                });
            }
            // The checksum of what is left of it counts, too.
            if let Err(e) = Inode::parse(&self.fs.geo, number, place, raw) {
                self.damage("inode", e)?;
            }
            return Ok(());
        }
        let inode = match Inode::parse(&self.fs.geo, number, place, raw) {
            Ok(inode) => inode,
            Err(e) => {
                if let Some(known) = self.known(number) {
                    known.used = true;
                    known.said = links;
                }
                return self.damage("inode", e);
            }
        };
        if dtime != 0 && !orphan && (links > 0 || dtime < self.fs.geo.inodes) {
            self.error("inode", place, || {
                format!("inode {number}: {links} links, deleted at {dtime}")
            });
        }
        let kind = inode.kind();
        let value = inode.has(inode_flag::EA_INODE) && self.fs.geo.has_incompat(incompat::EA_INODE);
        if let Some(known) = self.known(number) {
            *known = Known {
                kind,
                used: true,
                value,
                said: links,
                found: 0,
            };
        }
        if number == RESIZE_INO {
            return self.resize_inode(&inode);
        }
        if number == BADBLOCKS_INO {
            return self.bad_blocks(&inode);
        }
        let reserved = number < self.fs.geo.first_ino && number != ROOT_INO;
        if reserved && kind.is_none() && mode == 0 && links == 0 {
            // Not in use. Nothing may lie there all the same.
            if inode.block != [0; 60] && !inode.has(inode_flag::EXTENTS) {
                self.map(&inode)?;
            }
            return Ok(());
        }
        self.judge(&inode, reserved)
    }

    /// The list of bad blocks: a block map, and no file.
    fn bad_blocks(&mut self, inode: &Inode) -> Result<()> {
        if inode.mode != 0 || inode.links != 0 || inode.uid != 0 || inode.gid != 0 {
            self.error("inode", inode.place, || {
                format!(
                    "inode 1: mode {:#o} and {} links, expected none",
                    inode.mode, inode.links
                )
            });
        }
        if inode.block != [0; 60] {
            self.map(inode)?;
        }
        Ok(())
    }

    /// An inode in use: its fields and everything it claims.
    fn judge(&mut self, inode: &Inode, reserved: bool) -> Result<()> {
        let number = inode.number;
        self.flags(inode);
        let kind = inode.kind();
        if kind.is_none() {
            self.error("inode", inode.place, || {
                format!("inode {number}: mode {:#o} is no kind of file", inode.mode)
            });
        }
        if reserved && kind != Some(FileKind::File) {
            self.error("inode", inode.place, || {
                format!("inode {number}: reserved, and no file")
            });
        }
        if number == ROOT_INO || !self.is_special(number) {
            self.upper_halves(inode);
        }
        let outer = self.outer_attributes(inode)?;
        let outer = outer.saturating_add(self.inner_attributes(inode)?);
        if inode.has(inode_flag::ENCRYPT) != self.contexts.remove(&number) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {number}: flags {:#x}, and with or without an encryption context",
                    inode.flags
                )
            });
        }
        let fixed = inode.flags & (inode_flag::IMMUTABLE | inode_flag::APPEND) != 0;
        if fixed && !matches!(kind, Some(FileKind::File | FileKind::Dir) | None) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {number}: a device, pipe or link with flags {:#x}",
                    inode.flags
                )
            });
        }
        let mut mapped = Mapped::default();
        match kind {
            Some(FileKind::CharDevice | FileKind::BlockDevice | FileKind::Fifo | FileKind::Socket) => {
                self.device(inode);
            }
            Some(FileKind::Link)
                if !inode.has(inode_flag::INLINE_DATA) && inode.is_fast_link(&self.fs.geo) =>
            {
                if inode.has(inode_flag::EXTENTS) {
                    // A target in the inode has no map, whatever the flag says.
                    self.error("inode", inode.place, || {
                        format!("inode {number}: a short link with extents")
                    });
                }
                self.short_link(inode);
            }
            _ if inode.has(inode_flag::INLINE_DATA) => self.inline(inode)?,
            _ => {
                mapped = self.map(inode)?;
                self.size(inode, &mapped)?;
            }
        }
        mapped.blocks = mapped.blocks.saturating_add(outer);
        self.allocated(inode, &mapped);
        if kind == Some(FileKind::Dir) && !self.orphans.contains(&number) {
            self.meter.bytes(DIR_BYTES, "directory")?;
            self.dirs.insert(number, Dir::default());
        }
        Ok(())
    }

    /// Upper halves of fields that are not wide here, and fields that nobody uses.
    fn upper_halves(&mut self, inode: &Inode) {
        let Some(base) = at::<InodeBase>(&inode.raw, 0) else {
            return;
        };
        let wide = match inode.kind() {
            Some(FileKind::File) => true,
            Some(FileKind::Dir) => self.fs.geo.has_incompat(incompat::LARGEDIR),
            _ => false,
        };
        let geo = &self.fs.geo;
        if inode.has(inode_flag::EA_INODE) && !geo.has_incompat(incompat::EA_INODE) {
            self.odd("inode", inode.place, || {
                format!(
                    "inode {}: flags {:#x}, without ea_inode",
                    inode.number, inode.flags
                )
            });
        }
        for (name, half, used) in [
            ("i_obso_faddr", base.obso_faddr.get(), false),
            (
                "i_blocks_high",
                u32::from(base.blocks_high.get()),
                geo.has_ro(ro_compat::HUGE_FILE),
            ),
            ("i_size_high", base.size_high.get(), wide),
            (
                "i_file_acl_high",
                u32::from(base.file_acl_high.get()),
                geo.has_incompat(incompat::BIT64) || geo.hurd,
            ),
        ] {
            if half != 0 && !used {
                self.error("inode", inode.place, || {
                    format!("inode {}: {name} {half}, expected none", inode.number)
                });
            }
        }
    }

    /// Flags that features or kinds do not allow.
    fn flags(&mut self, inode: &Inode) {
        let geo = &self.fs.geo;
        let dir = inode.kind() == Some(FileKind::Dir);
        let file = inode.kind() == Some(FileKind::File);
        let link = inode.kind() == Some(FileKind::Link);
        let rules = [
            (
                inode_flag::EXTENTS,
                geo.has_incompat(incompat::EXTENTS),
                "extents",
            ),
            (
                inode_flag::IMAGIC,
                geo.has_compat(compat::IMAGIC_INODES),
                "imagic",
            ),
            (
                inode_flag::INLINE_DATA,
                geo.has_incompat(incompat::INLINE_DATA),
                "inline_data",
            ),
            (
                inode_flag::ENCRYPT,
                geo.has_incompat(incompat::ENCRYPT),
                "encrypt",
            ),
            (
                inode_flag::CASEFOLD,
                geo.has_incompat(incompat::CASEFOLD) && dir,
                "casefold",
            ),
            (
                inode_flag::INDEX,
                geo.has_compat(compat::DIR_INDEX) && dir,
                "dir_index",
            ),
            (
                inode_flag::INLINE_DATA,
                dir || file || link,
                "inline data of this kind of file",
            ),
            (
                inode_flag::EXTENTS,
                dir || file || link || inode.kind().is_none(),
                "extents of this kind of file",
            ),
        ];
        for (flag, allowed, what) in rules {
            if inode.has(flag) && !allowed {
                self.error("inode", inode.place, || {
                    format!(
                        "inode {}: flags {:#x}, {what} is not possible here",
                        inode.number, inode.flags
                    )
                });
            }
        }
        if inode.has(inode_flag::INLINE_DATA) && inode.has(inode_flag::EXTENTS) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: flags {:#x}, inline data and extents at once",
                    inode.number, inode.flags
                )
            });
        }
    }

    fn device(&mut self, inode: &Inode) {
        let used = match inode.kind() {
            Some(FileKind::CharDevice | FileKind::BlockDevice) => 8,
            _ => 0,
        };
        let rest = inode.block.get(used..).unwrap_or_default();
        if !h2k_block::is_zero(rest) {
            self.error("inode", inode.place, || {
                format!("inode {}: a device or pipe with blocks", inode.number)
            });
        }
        if inode.size != 0 {
            self.error("inode", inode.place, || {
                format!("inode {}: a device or pipe of {} bytes", inode.number, inode.size)
            });
        }
    }

    fn short_link(&mut self, inode: &Inode) {
        let len = inode.block.iter().position(|b| *b == 0).unwrap_or(60);
        let encrypted = inode.has(inode_flag::ENCRYPT);
        if inode.size == 0 || inode.size >= 60 || (!encrypted && u64::try_from(len) != Ok(inode.size)) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: a link of {} bytes, its target has {len}",
                    inode.number, inode.size
                )
            });
        }
    }

    /// `i_size` against the map.
    fn size(&mut self, inode: &Inode, mapped: &Mapped) -> Result<()> {
        let size = self.fs.geo.block_size();
        let ratio = self.ratio();
        let mut wrong = |expected: &str| {
            self.out
                .note(h2k_block::Severity::Error, "inode", inode.place, || {
                    format!("inode {}: size {}, {expected}", inode.number, inode.size)
                });
        };
        if mapped.broken || self.orphans.contains(&inode.number) {
            return Ok(());
        }
        match inode.kind() {
            Some(FileKind::Dir) => {
                if inode.size != mapped.end.saturating_mul(size) || mapped.end == 0 {
                    wrong(&format!("its map ends at {}", mapped.end.saturating_mul(size)));
                }
                if mapped.unwritten {
                    wrong("and blocks of it were never written");
                }
            }
            Some(FileKind::Link) => {
                if inode.size == 0 || inode.size >= size.min(PATH_MAX) || mapped.end != 1 || mapped.unwritten
                {
                    wrong("which is no link in one block");
                } else if !inode.has(inode_flag::ENCRYPT) {
                    let mut target = vec![0; narrow(inode.size.saturating_add(1))];
                    let run = self.fs.run(inode, 0, 1)?;
                    if let crate::map::Target::At(block) = run.target {
                        let place = self.fs.blocks.offset(block);
                        if let Err(e) = self.fs.blocks.read(place, &mut target, "link target") {
                            return self.damage("link target", e);
                        }
                        if target.iter().position(|b| *b == 0) != Some(narrow(inode.size)) {
                            wrong("its target has another length");
                        }
                    }
                }
            }
            _ => {
                // Blocks past the end may have been set aside, but not written.
                let extents = inode.has(inode_flag::EXTENTS);
                let end = inode.size.div_ceil(size).saturating_add(u64::from(!extents));
                // A block map has no shorter unit than its cluster.
                let end = if extents {
                    end
                } else {
                    end.div_ceil(ratio).saturating_mul(ratio)
                };
                if mapped.written > end && !inode.has(inode_flag::VERITY) {
                    wrong(&format!(
                        "blocks were written up to {}",
                        mapped.written.saturating_mul(size)
                    ));
                }
                let longest = if extents {
                    size.saturating_mul((1 << 32) - 1)
                } else {
                    longest_map(size)
                };
                if inode.size > longest {
                    wrong(&format!("at most {longest} is possible"));
                }
            }
        }
        if inode.size > 0x7fff_ffff
            && inode.kind() == Some(FileKind::File)
            && !self.fs.geo.has_ro(ro_compat::LARGE_FILE)
        {
            self.error("superblock", crate::layout::SUPER_AT, || {
                format!(
                    "no large_file, but inode {} has {} bytes",
                    inode.number, inode.size
                )
            });
        }
        Ok(())
    }

    /// `i_blocks`.
    fn allocated(&mut self, inode: &Inode, mapped: &Mapped) {
        if mapped.broken {
            return;
        }
        let expected = mapped.blocks.saturating_mul(self.fs.geo.block_size());
        if inode.allocated != expected {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: {} bytes on the volume by i_blocks, counted {expected}",
                    inode.number, inode.allocated
                )
            });
        }
    }

    /// Inline data: the size and where it lies.
    fn inline(&mut self, inode: &Inode) -> Result<()> {
        let rest = match in_inode(inode) {
            Ok(all) => all.into_iter().find(|a| a.index == SYSTEM && a.name == b"data"),
            // Named with the other attributes.
            Err(_) => return Ok(()),
        };
        let Some(rest) = rest.filter(|a| a.inode == 0).map(|a| a.value.len()) else {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: inline data without the attribute system.data",
                    inode.number
                )
            });
            return Ok(());
        };
        let room = u64::try_from(rest).unwrap_or(u64::MAX).saturating_add(60);
        if inode.size != room && inode.kind() == Some(FileKind::Dir) {
            self.error("inode", inode.place, || {
                format!(
                    "inode {}: size {}, its inline data has {room}",
                    inode.number, inode.size
                )
            });
        } else if inode.size > room {
            // What is not there reads as zeros.
            self.odd("inode", inode.place, || {
                format!(
                    "inode {}: size {}, its inline data has {room}",
                    inode.number, inode.size
                )
            });
        }
        Ok(())
    }

    /// Whether the bitmaps of a group were never written.
    pub(super) fn uninit(desc: &Desc) -> (bool, bool) {
        (desc.has_flag(BLOCK_UNINIT), desc.has_flag(INODE_UNINIT))
    }

    /// The time of deletion, which is the next one in the list of orphans.
    pub(super) fn next_orphan(inode: &Inode) -> u32 {
        get32(&inode.raw, 0x14)
    }
}

/// The largest size a block map can have.
fn longest_map(size: u64) -> u64 {
    let per = size >> 2;
    let two = per.saturating_mul(per);
    let blocks = 12_u64
        .saturating_add(per)
        .saturating_add(two)
        .saturating_add(two.saturating_mul(per));
    blocks.saturating_mul(size)
}
