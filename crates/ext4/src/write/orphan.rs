//! Deleted files that were still open, and files that were being cut off, when a machine stopped (orphan.rst): what
//! the kernel does about them when it mounts is done before anything else is written.

use super::Ext4Writer;
use super::raw::{get32, put32, wide};
use crate::feature::ro_compat;
use crate::inode::Inode;
use crate::layout::inode_flag;
use crate::volume::Ext4;
use h2k_block::{Class, Error, Result};
use h2k_fs::FileKind;
use std::collections::BTreeSet;

/// `ob_magic`.
pub(crate) const MAGIC: u32 = 0x0b10_ca04;
/// Bytes of the tail: magic and checksum.
pub(crate) const TAIL: usize = 8;

impl Ext4 {
    /// The checksum of a block of the orphan file: the inode's seed, the block's number, its slots.
    pub(crate) fn orphan_sum(&self, file: &Inode, block: u64, bytes: &[u8]) -> Option<u32> {
        let seed = self.inode_seed(file)?;
        let slots = bytes.get(..bytes.len().saturating_sub(TAIL))?;
        let sum = crate::checksum::crc32c(seed.0, &block.to_le_bytes());
        Some(crate::checksum::crc32c(sum, slots))
    }
}

impl Ext4Writer {
    /// Empties the orphan list and the orphan file.
    pub(super) fn clear_orphans(&mut self) -> Result<()> {
        let sb = self.fs.groups.superblock();
        let (mut next, file) = (sb.last_orphan.get(), sb.orphan_file_inum.get());
        let mut meter = self.fs.meter();
        let mut seen = BTreeSet::new();
        while next != 0 {
            meter.steps(64, "orphan list")?;
            let inode = self.orphan(next)?;
            if !seen.insert(next) {
                return Err(inode.corrupt("is in the orphan list twice"));
            }
            next = get32(&inode.raw, super::inode::at::DTIME);
            self.settle_orphan(&inode)?;
        }
        if self.fs.geo.has_ro(ro_compat::ORPHAN_PRESENT) {
            self.clear_orphan_file(file)?;
        }
        Ok(())
    }

    fn orphan(&self, number: u32) -> Result<Inode> {
        if number < self.fs.geo.first_ino {
            return Err(Error::corrupt(
                "orphan list",
                0,
                format!("inode {number} cannot be deleted"),
            ));
        }
        self.fs.any_inode(number)
    }

    fn settle_orphan(&mut self, inode: &Inode) -> Result<()> {
        if inode.kind().is_none() || inode.has(inode_flag::EA_INODE) {
            return Err(Error::unsupported(format!(
                "inode {} waits to be deleted and is no file",
                inode.number
            ))
            .at("inode", inode.place)
            .advise("fsck has to be run before this filesystem can be written to"));
        }
        if inode.links == 0 {
            return self.bury(inode);
        }
        // Named still: it was being cut off to its present length.
        let mut record = self.record(inode);
        if inode.kind() == Some(FileKind::File) && !inode.has(inode_flag::INLINE_DATA) {
            let mut map = self.load_map(inode)?;
            let blocks = inode.size.div_ceil(self.fs.geo.block_size());
            self.cut_off(&mut record, &mut map, blocks)?;
        }
        put32(&mut record.raw, super::inode::at::DTIME, 0);
        self.save(&mut record)
    }

    fn clear_orphan_file(&mut self, number: u32) -> Result<()> {
        let file = self.fs.any_inode(number)?;
        let map = self.load_map(&file)?;
        let size = self.block_size();
        let slots = size.saturating_sub(TAIL) / 4;
        let mut meter = self.fs.meter();
        for piece in map.pieces {
            for n in 0..piece.len {
                let block = piece.at.saturating_add(n);
                meter.steps(wide(slots), "orphan file")?;
                let mut bytes = self.get(block, "orphan file")?;
                if get32(&bytes, size.saturating_sub(TAIL)) != MAGIC {
                    return Err(Error::corrupt(
                        "orphan file",
                        self.fs.blocks.offset(block),
                        "a block does not end with its magic number",
                    ));
                }
                self.check_orphan_block(&file, block, &bytes)?;
                for slot in 0..slots {
                    let at = slot.saturating_mul(4);
                    let orphan = get32(&bytes, at);
                    if orphan != 0 {
                        let inode = self.orphan(orphan)?;
                        self.settle_orphan(&inode)?;
                        put32(&mut bytes, at, 0);
                    }
                }
                if let Some(sum) = self.fs.orphan_sum(&file, block, &bytes) {
                    put32(&mut bytes, size.saturating_sub(4), sum);
                }
                self.put(block, &bytes)?;
            }
        }
        Ok(())
    }

    fn check_orphan_block(&self, file: &Inode, block: u64, bytes: &[u8]) -> Result<()> {
        let found = get32(bytes, bytes.len().saturating_sub(4));
        match self.fs.orphan_sum(file, block, bytes) {
            Some(expected) if expected != found => Err(Error::new(
                Class::Corrupt,
                format!("checksum {found:#010x}, computed {expected:#010x}"),
            )
            .at("orphan file", self.fs.blocks.offset(block))),
            _ => Ok(()),
        }
    }
}
