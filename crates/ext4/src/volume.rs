//! An opened filesystem: inodes by number, content by offset.

use crate::blocks::Blocks;
use crate::checksum::Seed;
use crate::geometry::Geometry;
use crate::group::{Group, Groups};
use crate::inode::Inode;
use crate::journal::fast::Changes;
use crate::layout::{ROOT_INO, inode_flag};
use crate::map::{self, Run, Target};
use crate::warnings::Warnings;
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{Facts, FileExtent, FileKind, Node};
use std::sync::Arc;

/// Blocks of an inode table read at once.
const TABLE_AHEAD: u64 = 32 << 10;

/// An opened ext2, ext3 or ext4 filesystem.
#[derive(Debug)]
pub struct Ext4 {
    pub(crate) geo: Geometry,
    pub(crate) blocks: Blocks,
    pub(crate) groups: Groups,
    pub(crate) warnings: Warnings,
    pub(crate) limits: Limits,
    /// What fast commits in the journal change; applied while reading.
    pub(crate) fast: Changes,
    pub(crate) facts: Facts,
    /// Whether the bitmaps can be believed: the filesystem is clean, or its journal was replayed whole.
    pub(crate) maps_hold: bool,
    /// Number of the transaction that comes next, if the journal was replayed.
    pub(crate) replayed: Option<u32>,
    /// What ended the replayed journal early.
    pub(crate) torn: Option<String>,
    /// The replayed journal had been aborted with an error.
    pub(crate) aborted: bool,
}

impl Ext4 {
    /// The volume as it reads: the source with the replayed journal on top.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn BlockRead> {
        self.blocks.disk()
    }

    /// The project a node is counted for (the `project` feature); 0 where inodes have no room for one.
    ///
    /// # Errors
    /// When the node is damaged or does not exist.
    pub fn project(&self, node: Node) -> Result<u32> {
        Ok(self.inode(node)?.project)
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.limits)
    }

    pub(crate) fn group(&self, number: u32) -> Result<Group> {
        self.groups.get(&self.geo, &self.blocks, &self.warnings, number)
    }

    /// What checksums of an inode's own structures begin with.
    pub(crate) fn inode_seed(&self, inode: &Inode) -> Option<Seed> {
        self.geo.seed.map(|s| s.inode(inode.number, inode.generation))
    }

    /// Any inode, reserved and deleted ones as well.
    pub(crate) fn any_inode(&self, number: u32) -> Result<Inode> {
        if number == 0 || number > self.geo.inodes {
            return Err(Error::corrupt(
                "inode",
                0,
                format!("inode {number} asked, there are {}", self.geo.inodes),
            ));
        }
        let index = number.saturating_sub(1);
        let group = index.checked_div(self.geo.group_inodes).unwrap_or(0);
        let within = index.checked_rem(self.geo.group_inodes).unwrap_or(0);
        let skip = u64::from(within).saturating_mul(u64::from(self.geo.inode_size));
        let table = self.group(group)?.inode_table;
        let into = skip.checked_shr(self.geo.block_bits).unwrap_or(0);
        let block = table.saturating_add(into);
        // Read on to the next border of a read-ahead window, but never past the table.
        let window = (TABLE_AHEAD >> self.geo.block_bits).max(1);
        let left = self.geo.table_blocks().saturating_sub(into);
        let ahead = window
            .saturating_sub(into.checked_rem(window).unwrap_or(0))
            .min(left);
        let held = self.blocks.get_near(block, ahead, "inode table")?;
        let start = skip.checked_rem(self.geo.block_size()).unwrap_or(0);
        let place = self.blocks.offset(block).saturating_add(start);
        let raw = usize::try_from(start)
            .ok()
            .and_then(|s| held.get(s..)?.get(..usize::from(self.geo.inode_size)))
            .ok_or_else(|| Error::corrupt("inode", place, "is cut off"))?;
        match self.fast.record(number, raw) {
            // A record rebuilt from the journal has no checksum of its own.
            Some(changed) => {
                let unchecked = Geometry {
                    seed: None,
                    ..self.geo.clone()
                };
                Inode::parse(&unchecked, number, place, &changed)
            }
            None => Inode::parse(&self.geo, number, place, raw),
        }
    }

    /// Flags of `node` as `FS_IOC_GETFLAGS` has them, which chattr(1) sets.
    ///
    /// # Errors
    /// When the node is damaged or does not exist.
    pub fn flags(&self, node: Node) -> Result<u32> {
        Ok(self.inode(node)?.flags)
    }

    /// An inode that a name may stand for: in use, and no structure of the filesystem's own.
    pub(crate) fn inode(&self, node: Node) -> Result<Inode> {
        let number = u32::try_from(node.0)
            .map_err(|_| Error::new(Class::NotFound, format!("there is no inode {}", node.0)))?;
        if number != ROOT_INO && number < self.geo.first_ino {
            return Err(Error::corrupt(
                "inode",
                0,
                format!("inode {number} is reserved, no name can stand for it"),
            ));
        }
        let inode = self.any_inode(number)?;
        if inode.links == 0 {
            return Err(inode.corrupt("is named but was deleted"));
        }
        if inode.has(inode_flag::EA_INODE) {
            return Err(inode.corrupt("is named but holds the value of an extended attribute"));
        }
        if inode.kind().is_none() {
            return Err(inode.corrupt(format!("mode {:#o} is no kind of file", inode.mode)));
        }
        Ok(inode)
    }

    /// The same, and a directory.
    pub(crate) fn directory(&self, node: Node) -> Result<Inode> {
        let inode = self.inode(node)?;
        match inode.kind() {
            Some(FileKind::Dir) => Ok(inode),
            _ => Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a directory", inode.number),
            )),
        }
    }

    /// The run of logical blocks that begins at `block`, joined as far as it continues on the volume, up to `end`.
    pub(crate) fn run(&self, inode: &Inode, block: u64, end: u64) -> Result<Run> {
        if !self.fast.has_ranges(inode.number) {
            return map::find_joined(&self.geo, &self.blocks, inode, block, end);
        }
        match self.fast.range(inode.number, block) {
            Ok(run) => Ok(run),
            Err(next) => {
                let mut run = map::find(&self.geo, &self.blocks, inode, block)?;
                run.len = run.len.min(next.saturating_sub(block)).max(1);
                Ok(run)
            }
        }
    }

    /// Reads content, whatever the inode is. Short only at the end.
    pub(crate) fn content(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let room = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let asked = buf.len().min(room);
        let Some(buf) = buf.get_mut(..asked) else {
            return Ok(0);
        };
        if buf.is_empty() {
            return Ok(0);
        }
        if inode.has(inode_flag::INLINE_DATA) {
            self.inline_content(inode, offset, buf)?;
            return Ok(asked);
        }
        let size = self.geo.block_size();
        let bits = self.geo.block_bits;
        let end = offset.saturating_add(u64::try_from(asked).unwrap_or(u64::MAX));
        let last = end.div_ceil(size);
        let mut at = offset;
        let mut rest = buf;
        // Each turn takes a run of at least one byte off `rest`.
        while !rest.is_empty() {
            let block = at.checked_shr(bits).unwrap_or(0);
            let run = self.run(inode, block, last)?;
            let skip = at.checked_rem(size).unwrap_or(0);
            let room = run.len.saturating_mul(size).saturating_sub(skip);
            let n = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len()).max(1);
            let Some((piece, tail)) = std::mem::take(&mut rest).split_at_mut_checked(n) else {
                break;
            };
            match run.target {
                Target::At(first) => {
                    let from = self.blocks.offset(first).saturating_add(skip);
                    self.blocks
                        .read(from, piece, "file content")
                        .map_err(|e| e.through(format!("inode {}", inode.number)))?;
                }
                Target::Unwritten | Target::Hole => piece.fill(0),
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(asked)
    }

    /// All of an inode's content, paid for by `meter`.
    pub(crate) fn whole(&self, inode: &Inode, meter: &mut Meter, what: &'static str) -> Result<Vec<u8>> {
        let mut all = meter.buffer(inode.size, what)?;
        let n = self.content(inode, 0, &mut all)?;
        all.truncate(n);
        Ok(all)
    }

    /// Inline data (inlinedata.rst): the first 60 bytes in `i_block`, the rest in the attribute `system.data`. What
    /// the size promises beyond that was never written and reads as zero.
    fn inline_content(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<()> {
        let rest = self.inline_rest(inode)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let stored = inode.block.iter().chain(rest).skip(start);
        buf.fill(0);
        for (to, from) in buf.iter_mut().zip(stored) {
            *to = *from;
        }
        Ok(())
    }

    pub(crate) fn content_extent(&self, inode: &Inode, offset: u64, end: u64) -> Result<FileExtent> {
        h2k_fs::check_extent(offset, end, inode.size)?;
        let all = end.saturating_sub(offset);
        if inode.has(inode_flag::INLINE_DATA) {
            return Ok(FileExtent {
                run: Extent::new(offset, all, Kind::Data),
                at: None,
            });
        }
        let size = self.geo.block_size();
        let block = offset.checked_shr(self.geo.block_bits).unwrap_or(0);
        let run = self.run(inode, block, end.div_ceil(size))?;
        let skip = offset.checked_rem(size).unwrap_or(0);
        let len = run.len.saturating_mul(size).saturating_sub(skip).min(all).max(1);
        let (kind, at) = match run.target {
            Target::At(first) => (Kind::Data, Some(self.blocks.offset(first).saturating_add(skip))),
            Target::Unwritten => (Kind::Zero, None),
            Target::Hole => (Kind::Hole, None),
        };
        Ok(FileExtent {
            run: Extent::new(offset, len, kind),
            at,
        })
    }
}
