//! Which cells are free, taking them, giving them back.

use super::{Editor, Undo};
use crate::bytes::{field, index, round_up, wide};
use crate::hive::Hive;
use crate::layout::{BLOCK, FARTHEST, bin};
use h2k_block::{Class, Error, Meter, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The least a cell can be.
const LEAST: usize = 8;

/// What the bins hold, by positions from the first bin.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// Bins: position, size.
    bins: BTreeMap<usize, usize>,
    /// Free cells: position, size.
    free: BTreeMap<usize, usize>,
    /// The same by size.
    sizes: BTreeSet<(usize, usize)>,
    /// Where allocated cells begin, in units of eight bytes.
    taken: Vec<bool>,
}

impl Cells {
    /// Looks at every cell.
    pub(super) fn of(hive: &Hive) -> Result<Self> {
        let mut cells = Self::default();
        let mut meter = Meter::new(hive.limits);
        hive.bins(&mut |at, size| {
            cells.bins.insert(at, size);
        })?;
        let said = crate::bytes::le32(&hive.bytes, crate::layout::base::BINS).unwrap_or(0);
        if BLOCK.saturating_add(index(said)) != hive.end || cells.bins.is_empty() {
            let what = format!(
                "hive bins of {said:#x} bytes, the file has {:#x} bytes",
                hive.bytes.len()
            );
            return Err(Error::corrupt(
                "base block",
                wide(crate::layout::base::BINS),
                what,
            ));
        }
        cells.taken = vec![false; hive.end.saturating_sub(BLOCK) / LEAST];
        for (start, size) in cells.bins.clone() {
            let end = start.saturating_add(size);
            let mut at = start.saturating_add(bin::HEADER);
            while at < end {
                meter.step("cell")?;
                let (size, _) = hive.any_cell(field(at), "cell")?;
                let len = index(size.unsigned_abs());
                if at.saturating_add(len) > end {
                    let what = format!("a cell of {len:#x} bytes that runs past its hive bin");
                    return Err(hive.bad(field(at), "cell", what));
                }
                if size < 0 {
                    cells.mark(at, true);
                } else {
                    cells.add(at, len);
                }
                at = at.saturating_add(len);
            }
        }
        Ok(cells)
    }

    fn mark(&mut self, at: usize, taken: bool) {
        if let Some(slot) = self.taken.get_mut(at / LEAST) {
            *slot = taken;
        }
    }

    fn add(&mut self, at: usize, len: usize) {
        self.free.insert(at, len);
        self.sizes.insert((len, at));
    }

    fn remove(&mut self, at: usize) -> Option<usize> {
        let len = self.free.remove(&at)?;
        self.sizes.remove(&(len, at));
        Some(len)
    }

    /// The bin around `at`: where it begins and ends.
    fn bin(&self, at: usize) -> (usize, usize) {
        let found = self.bins.range(..=at).next_back();
        found.map_or((0, 0), |(start, size)| (*start, start.saturating_add(*size)))
    }

    /// Forgets the bins at the end that hold nothing, all but the first; says where the rest ends.
    pub(super) fn trim(&mut self) -> usize {
        loop {
            let Some((start, size)) = self.bins.last_key_value().map(|(a, b)| (*a, *b)) else {
                return 0;
            };
            let first = start.saturating_add(bin::HEADER);
            let empty = self.free.get(&first) == Some(&size.saturating_sub(bin::HEADER));
            if start == 0 || !empty {
                return start.saturating_add(size);
            }
            self.remove(first);
            self.bins.remove(&start);
        }
    }
}

impl Editor<'_> {
    /// Takes a cell with room for `len` bytes, filled with zeros.
    pub(super) fn take(&mut self, len: usize) -> Result<u32> {
        let need = round_up(len.saturating_add(4), LEAST).max(LEAST);
        let best = |cells: &Cells| cells.sizes.range((need, 0)..).next().map(|(_, at)| *at);
        let at = match best(&self.cells) {
            Some(at) => at,
            None => self.grow(need)?,
        };
        let has = self.cells.remove(at).unwrap_or(need);
        let rest = has.saturating_sub(need);
        let size = if rest >= LEAST { need } else { has };
        if rest >= LEAST {
            let behind = at.saturating_add(need);
            self.cells.add(behind, rest);
            self.put(BLOCK.saturating_add(behind), &field(rest).to_le_bytes());
        }
        let mut cell = vec![0; size];
        super::write(&mut cell, 0, &field(size).wrapping_neg().to_le_bytes());
        self.put(BLOCK.saturating_add(at), &cell);
        self.cells.mark(at, true);
        Ok(field(at))
    }

    /// Takes a cell and fills it.
    pub(super) fn store(&mut self, content: &[u8]) -> Result<u32> {
        let at = self.take(content.len())?;
        self.poke(at, 0, content);
        Ok(at)
    }

    /// Gives the cell at `at` back, joined with free neighbours in its bin.
    pub(super) fn give(&mut self, at: u32, what: &'static str) -> Result<()> {
        let (_, content) = self.hive.any_cell(at, what)?;
        let mut len = content.len().saturating_add(4);
        let mut start = index(at);
        if self.cells.taken.get(start / LEAST) != Some(&true) {
            let found = "no allocated cell begins here".to_owned();
            return Err(self.hive.bad(at, what, found));
        }
        self.cells.mark(start, false);
        let (first, last) = self.cells.bin(start);
        let behind = start.saturating_add(len);
        if behind < last
            && let Some(more) = self.cells.remove(behind)
        {
            len = len.saturating_add(more);
        }
        let before = self.cells.free.range(first..start).next_back();
        if let Some((before, size)) = before.map(|(a, b)| (*a, *b))
            && before.saturating_add(size) == start
        {
            self.cells.remove(before);
            start = before;
            len = len.saturating_add(size);
        }
        self.cells.add(start, len);
        self.put(BLOCK.saturating_add(start), &field(len).to_le_bytes());
        Ok(())
    }

    /// Room in the cell at `at`, without its size field.
    pub(super) fn room(&self, at: u32, what: &'static str) -> Result<usize> {
        self.hive.cell(at, what).map(<[u8]>::len)
    }

    /// Gives the cell at `at` new content: in place where it fits without waste, else in another one with some room
    /// to grow. Says where it is then.
    pub(super) fn restore(
        &mut self,
        at: u32,
        content: &[u8],
        slack: usize,
        what: &'static str,
    ) -> Result<u32> {
        let room = self.room(at, what)?;
        let wasteful = room > 4096 && room / 4 > content.len();
        if content.len() <= room && !wasteful {
            let mut whole = content.to_vec();
            whole.resize(room, 0);
            self.poke(at, 0, &whole);
            return Ok(at);
        }
        let new = self.take(content.len().saturating_add(slack))?;
        self.poke(new, 0, content);
        self.give(at, what)?;
        Ok(new)
    }

    /// Adds a bin with a free cell of at least `need` bytes; says where that is.
    fn grow(&mut self, need: usize) -> Result<usize> {
        let size = round_up(need.saturating_add(bin::HEADER), BLOCK);
        let start = self.hive.end.saturating_sub(BLOCK);
        let end = self.hive.end.saturating_add(size);
        let most = index(field(
            usize::try_from(self.hive.limits.bytes).unwrap_or(usize::MAX),
        ));
        if start.saturating_add(size) > FARTHEST || end > most {
            return Err(Error::new(
                Class::Limit,
                format!("the hive would grow to {end:#x} bytes"),
            ));
        }
        if self.hive.bytes.len() < end {
            self.journal.push(Undo::Len(self.hive.bytes.len()));
            self.hive.bytes.resize(end, 0);
        }
        let mut fresh = vec![0; size];
        let cell = size.saturating_sub(bin::HEADER);
        super::write(&mut fresh, 0, &bin::SIGNATURE);
        super::write(&mut fresh, bin::OFFSET, &field(start).to_le_bytes());
        super::write(&mut fresh, bin::SIZE, &field(size).to_le_bytes());
        super::write(&mut fresh, bin::HEADER, &field(cell).to_le_bytes());
        self.put(self.hive.end, &fresh);
        self.set_end(end);
        self.cells.bins.insert(start, size);
        self.cells.taken.resize(start.saturating_add(size) / LEAST, false);
        let at = start.saturating_add(bin::HEADER);
        self.cells.add(at, cell);
        Ok(at)
    }
}
