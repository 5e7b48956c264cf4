//! The journal as numbered blocks with a checked superblock.

use super::layout::{COMPAT_CHECKSUM, FC_DEFAULT_BLOCKS, Header, MAGIC, Super, block_type, incompat};
use crate::bytes::at;
use crate::checksum::crc32c;
use crate::inode::Inode;
use crate::volume::Ext4;
use h2k_block::{Error, Result};
use zerocopy::{FromBytes, IntoBytes};

/// An internal journal, opened.
pub(crate) struct Log<'a> {
    fs: &'a Ext4,
    inode: Inode,
    /// First block of the log.
    first: u32,
    /// First block after the log.
    end: u32,
    /// First block after the journal: the fast commit area lies between.
    maxlen: u32,
    /// Where the oldest transaction begins; 0 when there is none.
    pub(crate) start: u32,
    /// Its number.
    pub(crate) sequence: u32,
    /// Error that was recorded when the journal was aborted.
    pub(crate) errno: u32,
    /// How many filesystems use it.
    pub(crate) users: u32,
    /// Features that a reader may not know.
    pub(crate) ro_compat: u32,
    compat: u32,
    incompat: u32,
    seed: u32,
}

impl<'a> Log<'a> {
    /// Reads and checks the superblock of the journal in `inode`.
    pub(crate) fn open(fs: &'a Ext4, inode: Inode) -> Result<Self> {
        let mut bytes = [0; 1024];
        let n = fs.content(&inode, 0, &mut bytes)?;
        let place = fs
            .run(&inode, 0, 1)
            .ok()
            .and_then(|run| match run.target {
                crate::map::Target::At(block) => Some(fs.blocks.offset(block)),
                _ => None,
            })
            .unwrap_or(inode.place);
        let bad = |what: String| Err(Error::corrupt("journal superblock", place, what));
        let Ok(sb) = Super::read_from_bytes(&bytes) else {
            return bad("is cut off".to_owned());
        };
        if n < bytes.len() || sb.header.magic.get() != MAGIC {
            return bad(format!(
                "magic {:#010x}, expected {MAGIC:#010x}",
                sb.header.magic.get()
            ));
        }
        let version = match sb.header.blocktype.get() {
            block_type::SUPER_V1 => 1,
            block_type::SUPER_V2 => 2,
            other => return bad(format!("block type {other}, expected 3 or 4")),
        };
        // The fields from s_feature_compat on do not exist in version 1.
        let (compat, incompat) = if version == 1 {
            (0, 0)
        } else {
            (sb.feature_compat.get(), sb.feature_incompat.get())
        };
        let unknown = incompat & !incompat::READ;
        if unknown != 0 {
            return Err(Error::unsupported(format!(
                "the journal uses features that are not supported: incompat {unknown:#x}"
            ))
            .at("journal superblock", place));
        }
        if incompat & (incompat::CSUM_V2 | incompat::CSUM_V3) != 0 {
            if incompat & incompat::CSUM_V2 != 0 && incompat & incompat::CSUM_V3 != 0 {
                return bad("claims checksums of version 2 and 3 at once".to_owned());
            }
            let found = sb.checksum.get();
            let blank = Super {
                checksum: 0.into(),
                ..sb.clone()
            };
            let expected = crc32c(!0, blank.as_bytes());
            if found != expected {
                return bad(format!("checksum {found:#010x}, computed {expected:#010x}"));
            }
        }
        if u64::from(sb.blocksize.get()) != fs.geo.block_size() {
            return bad(format!(
                "block size {}, the filesystem has {}",
                sb.blocksize.get(),
                fs.geo.block_size()
            ));
        }
        let maxlen = sb.maxlen.get();
        let room = inode.size.checked_shr(fs.geo.block_bits).unwrap_or(0);
        let fast = if incompat & incompat::FAST_COMMIT == 0 {
            0
        } else if sb.num_fc_blks.get() == 0 {
            FC_DEFAULT_BLOCKS
        } else {
            sb.num_fc_blks.get()
        };
        let Some(end) = maxlen.checked_sub(fast) else {
            return bad(format!("{fast} fast commit blocks of {maxlen}"));
        };
        let (first, start) = (sb.first.get(), sb.start.get());
        if u64::from(maxlen) > room
            || first == 0
            || first >= end
            || (start != 0 && (start < first || start >= end))
        {
            return bad(format!(
                "log from block {first}, begun at {start}, of {maxlen} blocks in a file of {room}"
            ));
        }
        Ok(Self {
            fs,
            inode,
            first,
            end,
            maxlen,
            start,
            sequence: sb.sequence.get(),
            errno: sb.errno.get(),
            ro_compat: if version == 1 {
                0
            } else {
                sb.feature_ro_compat.get()
            },
            users: if version == 1 { 0 } else { sb.nr_users.get() },
            compat,
            incompat,
            seed: crc32c(!0, &sb.uuid),
        })
    }

    /// Whether commit blocks carry a CRC-32 of their transaction (version 1).
    pub(crate) fn crc32_commits(&self) -> bool {
        self.compat & COMPAT_CHECKSUM != 0 && !self.has_checksums()
    }

    /// Whether blocks and tags carry CRC-32C (version 2 or 3).
    pub(crate) fn has_checksums(&self) -> bool {
        self.incompat & (incompat::CSUM_V2 | incompat::CSUM_V3) != 0
    }

    pub(crate) fn has(&self, bit: u32) -> bool {
        self.incompat & bit != 0
    }

    /// What checksums of journal blocks begin with.
    pub(crate) fn seed(&self) -> u32 {
        self.seed
    }

    /// Blocks of the log: no walk around it can be longer.
    pub(crate) fn len(&self) -> u32 {
        self.end.saturating_sub(self.first)
    }

    /// The block after `number`; the log wraps.
    pub(crate) fn next(&self, number: u32) -> u32 {
        match number.checked_add(1) {
            Some(next) if next < self.end => next,
            _ => self.first,
        }
    }

    /// The blocks of the fast commit area. Linux leaves the first one alone.
    pub(crate) fn fast_blocks(&self) -> std::ops::Range<u32> {
        self.end.saturating_add(1)..self.maxlen
    }

    /// Bytes of a block.
    pub(crate) fn block_len(&self) -> usize {
        usize::try_from(self.fs.geo.block_size()).unwrap_or(usize::MAX)
    }

    /// Reads block `number` of the journal.
    pub(crate) fn read(&self, number: u32, buf: &mut [u8]) -> Result<()> {
        let offset = u64::from(number).saturating_mul(self.fs.geo.block_size());
        let n = self.fs.content(&self.inode, offset, buf)?;
        if n < buf.len() {
            return Err(Error::corrupt(
                "journal",
                self.inode.place,
                format!("block {number} lies past its end"),
            ));
        }
        Ok(())
    }
}

/// The header of a journal block, if it is one and belongs to transaction `sequence`.
pub(crate) fn header(block: &[u8], sequence: u32) -> Option<&Header> {
    at::<Header>(block, 0).filter(|h| h.magic.get() == MAGIC && h.sequence.get() == sequence)
}
