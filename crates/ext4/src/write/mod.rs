//! Writing ext2, ext3 and ext4: [`Ext4Writer`].
//!
//! Everything is written through to the overlay at once, structures with their checksums, so that the reader this is
//! built on always sees the present. What an operation overwrites is kept until it has ended: if it fails, all of it
//! is put back. No journal is written; crash safety belongs to whoever brings the overlay onto a disk.
//!
//! ```text
//!  FsWrite ─► node (names, links) ─► dir, htree        ─► map (extents, block maps) ─► space (block bitmaps)
//!                                 ─► content, xattr    ─►                           ─► inode (inode bitmaps)
//!                                                          put: overlay + reader's cache + what was there before
//! ```
//!
//! Maps of files are rebuilt from their runs whenever they change, rather than edited in place: the same code then
//! grows, splits, shrinks and repairs the depth of a tree.

mod attrs;
mod content;
mod dir;
mod door;
pub(crate) mod group;
mod htree;
mod indirect;
mod inode;
mod map;
mod node;
mod open;
pub(crate) mod orphan;
pub(crate) mod raw;
mod settle;
mod space;
mod xattr;

use crate::blocks::Block;
use crate::volume::Ext4;
use h2k_block::{BlockWrite, Class, Error, Result};
use h2k_fs::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use open::open_writer;

/// An opened ext2, ext3 or ext4 filesystem that can be written to.
///
/// Edits are in the overlay it was opened on as soon as an operation has ended; [`h2k_fs::FsWrite::settle`] has to be
/// the last one.
pub struct Ext4Writer {
    fs: Ext4,
    over: Arc<dyn BlockWrite>,
    now: Time,
    /// What the blocks held that this operation has written.
    undo: BTreeMap<u64, Block>,
    zone: space::Zone,
    /// Number of the next transaction, if the journal was replayed.
    sequence: Option<u32>,
    /// A file became longer than 2 GiB: the superblock has to say so.
    large_file: bool,
    /// An attribute was set: the superblock has to say so, too.
    ext_attr: bool,
    /// Putting back what a failed operation had changed failed, too.
    broken: bool,
}

impl std::fmt::Debug for Ext4Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ext4Writer")
            .field("fs", &self.fs)
            .finish_non_exhaustive()
    }
}

impl Ext4Writer {
    /// The volume as it reads now.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn h2k_block::BlockRead> {
        self.fs.disk()
    }

    /// A block of metadata.
    fn get(&self, number: u64, structure: &'static str) -> Result<Vec<u8>> {
        Ok(self.fs.blocks.get(number, structure)?.to_vec())
    }

    /// Writes a block, if it differs from what is there.
    fn put(&mut self, number: u64, bytes: &[u8]) -> Result<()> {
        let old = self.fs.blocks.get(number, "block")?;
        if *old == *bytes {
            return Ok(());
        }
        self.undo.entry(number).or_insert(old);
        self.over.write_at(self.fs.blocks.offset(number), bytes)?;
        self.fs.blocks.renew(number, Block::from(bytes));
        Ok(())
    }

    /// Writes content to blocks that nobody used before this operation: what lay there is nobody's loss.
    fn put_fresh(&mut self, first: u64, bytes: &[u8]) -> Result<()> {
        let offset = self.fs.blocks.offset(first);
        self.over.write_at(offset, bytes)?;
        let count = raw::wide(bytes.len()).div_ceil(self.fs.blocks.size());
        for number in first..first.saturating_add(count) {
            self.fs.blocks.forget(number);
        }
        Ok(())
    }

    /// Does `work` whole or not at all.
    fn whole<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.broken {
            return Err(Error::new(
                Class::Io,
                "an earlier operation failed and could not be undone; nothing more is written",
            ));
        }
        self.undo.clear();
        let done = work(self);
        let undo = std::mem::take(&mut self.undo);
        if done.is_err() {
            for (number, block) in undo {
                // What was written once has its place in the overlay.
                if self.over.write_at(self.fs.blocks.offset(number), &block).is_err() {
                    self.broken = true;
                }
                self.fs.blocks.renew(number, block);
            }
        }
        done
    }

    fn block_size(&self) -> usize {
        raw::narrow(self.fs.geo.block_size())
    }
}
