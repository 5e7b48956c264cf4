//! Writing FAT12, FAT16 and FAT32: [`FatWriter`].
//!
//! Everything is written through to the overlay at once, so that the reader this is built on always sees the present.
//! What an operation overwrites is kept until it has ended: if it fails, all of it is put back.
//!
//! ```text
//!  FsWrite ─► node (names, entries) ─► dir (slots), name (long and short names) ─► space (all tables, free clusters)
//!                                   ─► content                                  ─►
//!                                                           put: overlay + what was there before
//! ```
//!
//! A node is the place of an entry: renaming gives a file or directory another one.

mod attrs;
mod content;
mod dir;
mod name;
mod node;
mod open;
mod settle;
mod space;

use crate::volume::Fat;
use h2k_block::{BlockRead, BlockWrite, Class, Error, Result};
use h2k_fs::{FsRead, Time};
use std::sync::{Arc, OnceLock};

pub use open::open_writer;

/// An opened FAT filesystem that can be written to.
///
/// Edits are in the overlay it was opened on as soon as an operation has ended; [`h2k_fs::FsWrite::settle`] has to be
/// the last one. [`h2k_fs::FsWrite::rename`] gives what it moves another node: look it up again.
pub struct FatWriter {
    fs: Fat,
    over: Arc<dyn BlockWrite>,
    now: Time,
    space: space::Space,
    /// What this operation has overwritten, in its order.
    undo: Vec<(u64, Vec<u8>)>,
    /// Places of entries that this operation has made (`true`) and removed.
    moved: Vec<(u64, bool)>,
    /// Putting back what a failed operation had changed failed, too.
    broken: bool,
}

impl std::fmt::Debug for FatWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FatWriter")
            .field("facts", &self.fs.facts())
            .finish_non_exhaustive()
    }
}

h2k_fs::writer_door!(FatWriter);

impl FatWriter {
    /// The volume as it reads now.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn BlockRead> {
        &self.fs.clusters.disk
    }

    /// Writes over something that may have to be put back.
    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut old = vec![0; bytes.len()];
        self.over.read_at(at, &mut old)?;
        if old == bytes {
            return Ok(());
        }
        self.undo.push((at, old));
        self.over.write_at(at, bytes)
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
        self.moved.clear();
        let space = self.space.clone();
        let done = work(self);
        let undo = std::mem::take(&mut self.undo);
        let moved = std::mem::take(&mut self.moved);
        if done.is_err() {
            for (at, old) in undo.into_iter().rev() {
                // What was written once has its place in the overlay.
                self.broken |= self.over.write_at(at, &old).is_err();
            }
            self.space = space;
            self.fs
                .clusters
                .tables
                .iter_mut()
                .for_each(crate::table::Table::forget_all);
        } else {
            for (at, made) in moved {
                if made {
                    self.fs.gone.remove(&at);
                } else {
                    self.fs.gone.insert(at);
                }
            }
        }
        self.fs.clusters.forget_chains();
        self.fs.free = OnceLock::from(u64::from(self.space.free));
        done.map_err(|e| e.through("fat"))
    }
}

/// Lengths as offsets.
fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Offsets as lengths; what does not fit is too large for anything.
fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
