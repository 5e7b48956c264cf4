//! Edits on the hive's own bytes. What an edit does not touch stays as it is; an edit that fails changes nothing.

mod cells;
mod keys;
mod lists;
mod security;
mod values;

use crate::bytes::{field, index, le32, le64, wide};
use crate::hive::Hive;
use crate::layout::{BLOCK, base, bin};
use crate::log::State;
use crate::sums::{sound, xor32};
use cells::Cells;
use h2k_block::{Class, Error, Result};
use std::collections::BTreeSet;

/// An edit session. [`Editor::finish`] seals it; dropped before that, it takes everything back.
///
/// ```
/// # fn main() -> h2k_block::Result<()> {
/// use h2k_hive::{Hive, Kind, Version};
/// let mut hive = Hive::create(Version::V1_5, 0);
/// let mut edit = hive.edit(132_000_000_000_000_000)?;
/// let key = edit.create("ControlSet001\\Services\\viostor")?;
/// edit.set(key, "Start", Kind::DWORD, &0_u32.to_le_bytes())?;
/// edit.finish();
/// assert!(hive.find("controlset001\\services\\VIOSTOR")?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Editor<'e> {
    hive: &'e mut Hive,
    now: u64,
    cells: Cells,
    journal: Vec<Undo>,
    /// Keys whose subkeys are known to be in order: what a search does not find there is not there.
    ordered: BTreeSet<u32>,
}

/// What takes one change back.
#[derive(Debug)]
enum Undo {
    /// The bytes that were at that position of the file.
    Bytes(usize, Vec<u8>),
    /// The length of the file.
    Len(usize),
    /// The end of the hive bins.
    End(usize),
}

impl Hive {
    /// Begins to edit. `now` becomes the time of what is changed: 100-nanosecond intervals since 1601, UTC.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the hive was left in the middle of a write and its logs were not given: sealing it
    /// would throw away what they hold; [`Class::Corrupt`] when its bins or cells do not fit together.
    pub fn edit(&mut self, now: u64) -> Result<Editor<'_>> {
        if self.state == State::Dirty || !sound(&self.bytes) {
            return Err(Error::new(
                Class::Invalid,
                "the hive was left in the middle of a write, and no transaction log continues it",
            )
            .at("base block", wide(base::PRIMARY))
            .advise("give its transaction logs (LOG1, LOG2); where they are lost, say that it is to be taken as it is"));
        }
        let cells = Cells::of(self)?;
        Ok(Editor {
            hive: self,
            now,
            cells,
            journal: Vec::new(),
            ordered: BTreeSet::new(),
        })
    }

    /// Takes a hive that was left in the middle of a write as it is, and what its logs would have added as lost.
    pub fn accept(&mut self) {
        if self.state == State::Dirty {
            self.state = State::Recovered(0);
            let sum = xor32(&self.bytes);
            write(&mut self.bytes, base::CHECKSUM, &sum.to_le_bytes());
        }
    }
}

impl Editor<'_> {
    /// The hive as it is now.
    #[must_use]
    pub fn hive(&self) -> &Hive {
        self.hive
    }

    /// Whether anything was changed so far.
    #[must_use]
    pub fn changed(&self) -> bool {
        !self.journal.is_empty()
    }

    /// Seals the edits: empty bins at the end go, the sequence numbers move on together, the checksum is made. The
    /// numbers go beyond those of every log the hive was opened with, so that none of them applies any more. Nothing
    /// happens where nothing was changed and nothing replayed.
    pub fn finish(mut self) {
        if self.journal.is_empty() && self.hive.state == State::Clean {
            return;
        }
        if !self.journal.is_empty() {
            self.shrink();
        }
        let bytes = &self.hive.bytes;
        let number = |at| le32(bytes, at).unwrap_or(0);
        let last = number(base::PRIMARY)
            .max(number(base::SECONDARY))
            .max(self.hive.beyond.0);
        let sequence = last.wrapping_add(1);
        let before = le64(bytes, base::WRITTEN).unwrap_or(0).max(self.hive.beyond.1);
        let now = self.now.max(before.saturating_add(1));
        let bytes = &mut self.hive.bytes;
        write(bytes, base::PRIMARY, &sequence.to_le_bytes());
        write(bytes, base::SECONDARY, &sequence.to_le_bytes());
        write(bytes, base::WRITTEN, &now.to_le_bytes());
        write(bytes, BLOCK.saturating_add(bin::TIMESTAMP), &now.to_le_bytes());
        let sum = xor32(bytes);
        write(bytes, base::CHECKSUM, &sum.to_le_bytes());
        self.hive.state = State::Clean;
        self.journal.clear();
    }

    /// Does `work` whole or not at all.
    fn whole<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mark = self.journal.len();
        let done = work(self);
        if done.is_err() && self.journal.len() > mark {
            self.undo(mark);
            self.ordered.clear();
            self.cells = Cells::of(self.hive)?;
        }
        done
    }

    fn undo(&mut self, mark: usize) {
        while self.journal.len() > mark {
            match self.journal.pop() {
                Some(Undo::Bytes(at, old)) => write(&mut self.hive.bytes, at, &old),
                Some(Undo::Len(len)) => self.hive.bytes.truncate(len),
                Some(Undo::End(end)) => self.hive.end = end,
                None => break,
            }
        }
    }

    /// Writes to the file at `at`, keeping what was there and differs.
    fn put(&mut self, at: usize, new: &[u8]) {
        let end = at.saturating_add(new.len());
        let Some(old) = self.hive.bytes.get(at..end) else {
            return;
        };
        let differs = |(a, b): (&u8, &u8)| a != b;
        let Some(first) = old.iter().zip(new).position(differs) else {
            return;
        };
        let last = old.iter().zip(new).rposition(differs).unwrap_or(first);
        if let (Some(kept), Some(new)) = (old.get(first..=last), new.get(first..=last)) {
            let at = at.saturating_add(first);
            self.journal.push(Undo::Bytes(at, kept.to_vec()));
            write(&mut self.hive.bytes, at, new);
        }
    }

    /// Writes to the content of the cell at `cell`.
    fn poke(&mut self, cell: u32, at: usize, new: &[u8]) {
        let start = index(cell).saturating_add(BLOCK).saturating_add(4);
        self.put(start.saturating_add(at), new);
    }

    /// Writes a 32-bit field of the content of the cell at `cell`.
    fn poke32(&mut self, cell: u32, at: usize, new: u32) {
        self.poke(cell, at, &new.to_le_bytes());
    }

    /// Notes that the hive bins end at `end` now.
    fn set_end(&mut self, end: usize) {
        self.journal.push(Undo::End(self.hive.end));
        self.hive.end = end;
        self.put(base::BINS, &field(end.saturating_sub(BLOCK)).to_le_bytes());
    }

    /// Takes away the bins at the end that hold nothing. Not to be undone.
    fn shrink(&mut self) {
        let end = self.cells.trim();
        if BLOCK.saturating_add(end) < self.hive.end {
            self.hive.end = BLOCK.saturating_add(end);
            self.hive.bytes.truncate(self.hive.end);
            write(&mut self.hive.bytes, base::BINS, &field(end).to_le_bytes());
        }
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        self.undo(0);
    }
}

/// Overwrites a part of `bytes`.
fn write(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(new.len())) {
        to.copy_from_slice(new);
    }
}
