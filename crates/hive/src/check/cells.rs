//! The base block, the bins, and the cells in them.

use super::{Cell, Check, Severity};
use crate::bytes::{field, index, le16, le32, wide};
use crate::layout::{BLOCK, base, bin};
use crate::log::State;
use crate::sums::{sound, xor32};
use h2k_block::Result;

impl Check<'_> {
    /// The base block.
    pub(super) fn head(&mut self) {
        let bytes = &self.hive.bytes;
        if !sound(bytes) {
            let found = le32(bytes, base::CHECKSUM).unwrap_or(0);
            let message = format!("checksum {found:#010x}, expected {:#010x}", xor32(bytes));
            self.find(Severity::Error, "base block", wide(base::CHECKSUM), message);
        }
        let (first, second) = self.hive.facts().sequence;
        if first != second {
            let message = format!("sequence numbers {first} and {second}: a write was not finished");
            self.find(Severity::Error, "base block", wide(base::PRIMARY), message);
        }
        if let State::Recovered(entries) = self.hive.state {
            let message =
                format!("the file was left in the middle of a write; {entries} log entries were replayed");
            self.find(Severity::Warning, "base block", wide(base::PRIMARY), message);
        }
        let said = index(le32(bytes, base::BINS).unwrap_or(0)).saturating_add(BLOCK);
        if said > self.hive.end {
            let message = format!("hive bins up to {said:#x}, the file ends at {:#x}", self.hive.end);
            self.find(Severity::Error, "base block", wide(base::BINS), message);
        }
    }

    /// Bins and the cells in them: no gaps, no overlaps.
    pub(super) fn cells(&mut self) -> Result<()> {
        let mut bins = Vec::new();
        if let Err(e) = self.hive.bins(&mut |at, size| bins.push((at, size))) {
            self.failed(&e);
        }
        self.out.bins = wide(bins.len());
        for (start, size) in bins {
            let end = start.saturating_add(size);
            let mut at = start.saturating_add(bin::HEADER);
            let mut free_before = false;
            while at < end {
                self.meter.step("cell")?;
                let size = match self.hive.any_cell(field(at), "cell") {
                    Ok((size, _)) => size,
                    Err(e) => {
                        self.failed(&e);
                        break;
                    }
                };
                let len = index(size.unsigned_abs());
                if at.saturating_add(len) > end {
                    let message =
                        format!("a cell of {len:#x} bytes runs past its hive bin, which ends at {end:#x}");
                    self.wrong(field(at), "cell", message);
                    break;
                }
                if size < 0 {
                    self.out.used = self.out.used.saturating_add(wide(len));
                    self.cells.insert(field(at), Cell { len, user: None });
                } else {
                    self.out.free = self.out.free.saturating_add(wide(len));
                    if free_before {
                        self.odd(
                            field(at),
                            "cell",
                            "two free cells side by side, expected one".to_owned(),
                        );
                    }
                }
                free_before = size > 0;
                at = at.saturating_add(len);
            }
        }
        Ok(())
    }

    /// Notes that `structure` uses the cell at `at`. Says whether it is the first to do so.
    pub(super) fn claim(&mut self, at: u32, structure: &'static str) -> bool {
        match self.cells.get_mut(&at) {
            Some(Cell { user: Some(user), .. }) => {
                let message = format!("a cell that is a {user} already");
                self.wrong(at, structure, message);
                false
            }
            Some(cell) => {
                cell.user = Some(structure);
                true
            }
            None => {
                self.wrong(at, structure, "no allocated cell begins here".to_owned());
                false
            }
        }
    }

    /// Cells that nothing uses.
    pub(super) fn leaks(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        for (at, cell) in cells {
            if cell.user.is_none() {
                let offset = u64::from(at).saturating_add(wide(BLOCK));
                let kind = self
                    .hive
                    .cell(at, "cell")
                    .ok()
                    .and_then(|c| le16(c, 0))
                    .map(u16::to_le_bytes);
                let kind = match kind {
                    Some(kind) if kind.iter().all(u8::is_ascii_lowercase) => {
                        format!(", by its signature \"{}\"", String::from_utf8_lossy(&kind))
                    }
                    _ => String::new(),
                };
                let message = format!("{:#x} allocated bytes that nothing uses{kind}", cell.len);
                self.find(Severity::Leak, "cell", offset, message);
            }
        }
    }
}
