//! SQLite's write-ahead log: pages that are newer than those in the database.
//!
//! ```text
//! header  magic 4 | version 4 | page size 4 | sequence 4 | salt 8 | checksum 8
//! frame   page number 4 | pages after a commit, else 0: 4 | salt 8 | checksum 8 | page
//! ```
//!
//! A frame counts when its salt is the header's, the running checksum agrees, and a commit follows.
//! Source: sqlite.org/fileformat2.html, section 4.

use crate::bytes::{be32, index, take};
use h2k_block::{BlockRead, Limits, Meter, Result};
use std::collections::HashMap;

const HEADER: u64 = 32;
const FRAME: u64 = 24;

pub(super) struct Wal<'a> {
    disk: &'a dyn BlockRead,
    /// Page number to the place of its newest committed content.
    newest: HashMap<u32, u64>,
    pages: u32,
}

impl<'a> Wal<'a> {
    /// Reads the log; `None` when nothing in it counts.
    pub(super) fn open(
        disk: &'a dyn BlockRead,
        size: u64,
        limits: &Limits,
        warn: &mut dyn FnMut(String),
    ) -> Result<Option<Self>> {
        let mut meter = Meter::new(*limits);
        let mut head = [0; 32];
        if disk.len() < HEADER {
            warn(format!(
                "the write-ahead log has {} bytes only and is left out",
                disk.len()
            ));
            return Ok(None);
        }
        disk.read_at(0, &mut head)?;
        let field = |at| be32(&head, at).unwrap_or_default();
        let big = match field(0) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            other => {
                warn(format!(
                    "the write-ahead log begins with {other:#x} and is left out"
                ));
                return Ok(None);
            }
        };
        if u64::from(field(8)) != size || field(4) != 3_007_000 {
            warn("the write-ahead log belongs to another database and is left out".to_owned());
            return Ok(None);
        }
        let salt: Option<[u8; 8]> = take(&head, 16);
        let mut sum = checksum(big, (0, 0), head.get(..24).unwrap_or_default());
        if sum != (field(24), field(28)) {
            warn(
                "the write-ahead log's header does not agree with its checksum; the log is left out"
                    .to_owned(),
            );
            return Ok(None);
        }
        let mut wal = Self {
            disk,
            newest: HashMap::new(),
            pages: 0,
        };
        let mut pending = Vec::new();
        let mut frame = vec![0; index(FRAME.saturating_add(size))];
        let step = FRAME.saturating_add(size);
        let mut at = HEADER;
        while at.saturating_add(step) <= disk.len() {
            meter.step("WAL frame")?;
            disk.read_at(at, &mut frame)?;
            let field = |at| be32(&frame, at).unwrap_or_default();
            sum = checksum(big, sum, frame.get(..8).unwrap_or_default());
            sum = checksum(big, sum, frame.get(24..).unwrap_or_default());
            // Behind the last frame lie frames of an earlier round.
            if take(&frame, 8) != salt || sum != (field(16), field(20)) {
                break;
            }
            pending.push((field(0), at.saturating_add(FRAME)));
            if field(4) != 0 {
                wal.pages = field(4);
                wal.newest.extend(pending.drain(..));
            }
            at = at.saturating_add(step);
        }
        Ok((wal.pages != 0).then_some(wal))
    }

    /// Number of pages of the database after the last commit.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Fills `page` if the log has page `number`.
    pub(super) fn page(&self, number: u32, page: &mut [u8]) -> Result<bool> {
        match self.newest.get(&number) {
            Some(at) => self.disk.read_at(*at, page).map(|()| true),
            None => Ok(false),
        }
    }
}

/// The running checksum over pairs of 32-bit words (section 4.2).
fn checksum(big: bool, (mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |raw: &[u8]| {
        let raw = take(raw, 0).unwrap_or_default();
        if big {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        }
    };
    for pair in bytes.chunks_exact(8) {
        let (first, second) = pair.split_at(4);
        a = a.wrapping_add(word(first)).wrapping_add(b);
        b = b.wrapping_add(word(second)).wrapping_add(a);
    }
    (a, b)
}
