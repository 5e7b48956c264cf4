//! Leaving a filesystem as a clean unmount does.

use super::Ext4Writer;
use super::group::{FREE_CLUSTERS, FREE_INODES};
use super::raw::{get32, high32, low32, narrow, put32};
use crate::checksum::{self, crc32c};
use crate::feature::{compat, incompat, ro_compat};
use crate::layout::{STATE_VALID, SUPER_AT, SUPER_LEN, SuperBlock};
use crate::map::Target;
use h2k_block::{Error, Result};
use zerocopy::{FromBytes, IntoBytes};

/// Offsets in the journal's superblock, which is big-endian (journal.rst).
mod journal {
    pub(crate) const BLOCK_TYPE: usize = 0x04;
    pub(crate) const SEQUENCE: usize = 0x18;
    pub(crate) const START: usize = 0x1c;
    pub(crate) const INCOMPAT: usize = 0x28;
    pub(crate) const CHECKSUM: usize = 0xfc;
    /// Checksums of version 2 or 3.
    pub(crate) const CSUM: u32 = 0x18;
}

impl Ext4Writer {
    /// Counters, state and checksum of the superblock; the journal, if it was replayed, is empty from now on.
    pub(super) fn leave_clean(&mut self) -> Result<()> {
        if let Some(next) = self.sequence {
            self.empty_journal(next)?;
        }
        let (mut clusters, mut inodes) = (0_u64, 0_u64);
        for number in 0..self.fs.geo.groups {
            let desc = self.desc(number)?;
            clusters = clusters.saturating_add(u64::from(desc.get(FREE_CLUSTERS)));
            inodes = inodes.saturating_add(u64::from(desc.get(FREE_INODES)));
        }
        let blocks = clusters.checked_shl(self.fs.geo.cluster_bits).unwrap_or(u64::MAX);
        let dynamic = self.fs.groups.superblock().rev_level.get() > 0;
        let (large, attributes) = (self.large_file, self.ext_attr);
        let now = u32::try_from(self.now.seconds).unwrap_or(0);
        let has_hi = self.fs.geo.has_incompat(incompat::BIT64);
        self.edit_super(|sb| {
            sb.free_blocks_count_lo = low32(blocks).into();
            if has_hi {
                sb.free_blocks_count_hi = high32(blocks).into();
            }
            sb.free_inodes_count = low32(inodes).into();
            sb.state = (sb.state.get() | STATE_VALID).into();
            sb.wtime = now.max(sb.wtime.get()).into();
            sb.last_orphan = 0.into();
            if dynamic {
                let ro = sb.feature_ro_compat.get() & !ro_compat::ORPHAN_PRESENT;
                let large = if large { ro_compat::LARGE_FILE } else { 0 };
                sb.feature_ro_compat = (ro | large).into();
                if attributes {
                    sb.feature_compat = (sb.feature_compat.get() | compat::EXT_ATTR).into();
                }
                let set = sb.feature_incompat.get() & !incompat::RECOVER;
                sb.feature_incompat = set.into();
            }
        })
    }

    /// Changes the primary superblock; its copies are left alone, as the kernel does.
    fn edit_super(&mut self, edit: impl FnOnce(&mut SuperBlock)) -> Result<()> {
        let block = self.fs.geo.super_block();
        let at = narrow(SUPER_AT.saturating_sub(self.fs.blocks.offset(block)));
        let held = self.get(block, "superblock")?;
        let bytes = held
            .get(at..)
            .and_then(|b| b.get(..SUPER_LEN))
            .unwrap_or_default();
        let mut sb = SuperBlock::read_from_bytes(bytes)
            .map_err(|_| Error::corrupt("superblock", SUPER_AT, "is cut off"))?;
        edit(&mut sb);
        if self.fs.geo.seed.is_some() {
            sb.checksum = checksum::superblock(&sb).into();
        }
        self.patch_block(block, at, sb.as_bytes())
    }

    /// Says in the journal's superblock that there is nothing to replay, and that the next transaction is a new one.
    fn empty_journal(&mut self, next: u32) -> Result<()> {
        let number = self.fs.groups.superblock().journal_inum.get();
        let inode = self.fs.any_inode(number)?;
        let Target::At(block) = self.fs.run(&inode, 0, 1)?.target else {
            return Err(inode.corrupt("is a journal without a first block"));
        };
        let mut bytes = self.get(block, "journal superblock")?;
        let word = |bytes: &[u8], at: usize| get32(bytes, at).swap_bytes();
        put32(&mut bytes, journal::SEQUENCE, next.swap_bytes());
        put32(&mut bytes, journal::START, 0);
        let version_2 = word(&bytes, journal::BLOCK_TYPE) == 4;
        if version_2 && word(&bytes, journal::INCOMPAT) & journal::CSUM != 0 {
            put32(&mut bytes, journal::CHECKSUM, 0);
            let sum = crc32c(!0, bytes.get(..SUPER_LEN).unwrap_or_default());
            put32(&mut bytes, journal::CHECKSUM, sum.swap_bytes());
        }
        self.put(block, &bytes)
    }
}
