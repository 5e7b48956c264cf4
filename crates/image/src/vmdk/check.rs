//! The structure of an image: do tables point at grains, each at its own, and does everything agree.

use super::disk::Body;
use super::layout::{
    MARKER_EOS, MARKER_FOOTER, MARKER_GD, MARKER_GT, MARKER_PROGRESS, Marker, MetadataMarker, SECTOR,
};
use super::open::{Gathered, gather};
use super::sparse::{Coding, Sparse, State, Table};
use crate::{Check, Opening, Severity};
use h2k_block::{Cache, Class, HostFile, Meter, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Checks the image in `file`, without its parent, and notes in `check` what it finds.
///
/// # Errors
/// Corrupt when the image cannot be opened; else as the host says.
pub(crate) fn audit(file: Arc<dyn HostFile>, opening: &Opening<'_>, check: &mut Check) -> Result<()> {
    let mut meter = Meter::new(opening.options.limits);
    let Gathered { extents, info, .. } = gather(file, opening, &mut meter)?;
    for warning in info.warnings {
        check.note(Severity::Warning, "image", 0, || warning);
    }
    let several = extents.len() > 1;
    let (mut allocated, mut total, mut compressed) = (0_u64, 0_u64, 0_u64);
    let mut any = false;
    for (_, body) in &extents {
        let Body::Sparse(sparse) = body else { continue };
        any = true;
        let mut audit = Audit {
            sparse,
            who: if several {
                format!("{}: ", sparse.file.name().display())
            } else {
                String::new()
            },
            check: &mut *check,
            meter: &mut meter,
            used: Ledger::default(),
            grains: 0,
        };
        audit.run()?;
        let (grains, end) = (audit.grains, audit.used.end());
        allocated = allocated.saturating_add(grains);
        total = total.saturating_add(sparse.shape.capacity.div_ceil(sparse.shape.grain.max(1)));
        if sparse.shape.coding != Coding::Plain {
            compressed = compressed.saturating_add(grains);
        }
        if !several {
            check.image_end = Some(end);
        }
    }
    if any {
        check.allocated = Some(allocated);
        check.total = Some(total);
        check.compressed = Some(compressed);
    }
    Ok(())
}

/// Bytes of a file that are spoken for, as runs that do not touch. An image written in order has few of them.
#[derive(Default)]
struct Ledger {
    runs: BTreeMap<u64, u64>,
    paid: usize,
}

impl Ledger {
    /// Claims `start..end`; answers with a run that had part of it before. Nothing is claimed then.
    fn claim(&mut self, mut start: u64, mut end: u64, meter: &mut Meter) -> Result<Option<(u64, u64)>> {
        if start >= end {
            return Ok(None);
        }
        let before = self.runs.range(..end).next_back().map(|(s, e)| (*s, *e));
        if let Some((_, e)) = before
            && e > start
        {
            return Ok(before);
        }
        if let Some((s, e)) = before
            && e == start
        {
            self.runs.remove(&s);
            start = s;
        }
        if let Some(e) = self.runs.remove(&end) {
            end = e;
        }
        self.runs.insert(start, end);
        if self.runs.len() > self.paid {
            // A node of the tree holds two numbers, and some room.
            meter.bytes(48, "list of used ranges")?;
            self.paid = self.runs.len();
        }
        Ok(None)
    }

    fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// What lies between the runs.
    fn gaps(&self) -> impl Iterator<Item = (u64, u64)> {
        let starts = self.runs.keys().skip(1);
        self.runs.values().zip(starts).map(|(end, start)| (*end, *start))
    }
}

/// The check of one extent.
struct Audit<'a> {
    sparse: &'a Sparse,
    /// Name of the file, where there are several.
    who: String,
    check: &'a mut Check,
    meter: &'a mut Meter,
    used: Ledger,
    /// Grains that are stored.
    grains: u64,
}

impl Audit<'_> {
    fn run(&mut self) -> Result<()> {
        for (start, len) in &self.sparse.books.metadata {
            self.claim("metadata", *start, *len)?;
        }
        if self.sparse.books.twins && self.sparse.redundant.is_none() {
            self.error(
                "grain directory",
                0,
                "one of the two grain directories is damaged".to_owned(),
            );
        }
        for number in 0..self.sparse.shape.tables() {
            self.meter.step("grain table")?;
            self.table(number)?;
        }
        if let Some(from) = self.sparse.books.markers {
            self.markers(from)?;
        }
        if self.sparse.books.packed {
            self.leaks();
        }
        Ok(())
    }

    fn note(&mut self, severity: Severity, structure: &'static str, offset: u64, what: String) {
        let who = &self.who;
        self.check
            .note(severity, structure, offset, || format!("{who}{what}"));
    }

    fn error(&mut self, structure: &'static str, offset: u64, what: String) {
        self.note(Severity::Error, structure, offset, what);
    }

    fn claim(&mut self, what: &'static str, start: u64, len: u64) -> Result<()> {
        let end = start.saturating_add(len).min(self.sparse.file.len());
        if let Some((from, to)) = self.used.claim(start, end, self.meter)? {
            self.error(
                what,
                start,
                format!("it shares bytes with what is at {from:#x}..{to:#x}"),
            );
        }
        Ok(())
    }

    /// Reads a table for the check: damage is a finding, the host's failure is not.
    fn read(&mut self, directory: &super::sparse::Directory, number: u64) -> Result<Option<Table>> {
        match self.sparse.read_table(directory, number) {
            Ok(table) => Ok(Some(table)),
            Err(e) if matches!(e.class(), Class::Corrupt | Class::OutOfBounds) => {
                let at = directory.table(number).unwrap_or(0);
                self.error("grain table", at, e.sentence().to_owned());
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn table(&mut self, number: u64) -> Result<()> {
        let sparse = self.sparse;
        let (primary, copy) = (&sparse.directory, sparse.redundant.as_ref());
        let places = (primary.table(number), copy.and_then(|c| c.table(number)));
        for at in [places.0, places.1].into_iter().flatten() {
            self.claim("grain table", at, sparse.table_bytes())?;
        }
        if copy.is_some() && places.0.is_some() != places.1.is_some() {
            let at = places.0.or(places.1).unwrap_or(0);
            self.error(
                "grain directory",
                at,
                format!("grain table {number} is in only one of the two directories"),
            );
        }
        if places.0.is_none() {
            return Ok(());
        }
        let Some(table) = self.read(primary, number)? else {
            return Ok(());
        };
        if let (Some(copy), Some(_)) = (copy, places.1)
            && let Some(copy) = self.read(copy, number)?
        {
            let differing = (0..table.len()).filter(|i| table.raw(*i) != copy.raw(*i)).count();
            if differing > 0 {
                self.error(
                    "grain table",
                    places.0.unwrap_or(0),
                    format!("{differing} entries differ from those of the redundant table"),
                );
            }
        }
        for index in 0..table.len() {
            self.entry(&table, number, index)?;
        }
        Ok(())
    }

    fn entry(&mut self, table: &Table, number: u64, index: u64) -> Result<()> {
        let sparse = self.sparse;
        match sparse.state(table, number, index) {
            Ok(State::Hole | State::Zero) => return Ok(()),
            Ok(State::Plain(_) | State::Coded) => {}
            Err(e) => {
                let at = sparse.directory.table(number).unwrap_or(0);
                self.error("grain table", at, e.sentence().to_owned());
                return Ok(());
            }
        }
        self.meter.step("grain")?;
        self.grains = self.grains.saturating_add(1);
        let Some(at) = table.stored(index) else {
            return Ok(());
        };
        match sparse.shape.coding {
            Coding::Plain => self.claim("grain", at, sparse.shape.grain),
            // Found, and claimed, when the markers are walked.
            Coding::Zlib { lba: true } => Ok(()),
            Coding::Zlib { lba: false } => {
                let mut size = [0_u8; 4];
                sparse.file.read_at(at, &mut size)?;
                let len = u64::from(u32::from_le_bytes(size)).saturating_add(4);
                if at.saturating_add(len) > sparse.file.len() {
                    self.error(
                        "compressed grain",
                        at,
                        format!("its {len} bytes run past the end of the file"),
                    );
                }
                self.claim("compressed grain", at, len.next_multiple_of(SECTOR))
            }
        }
    }

    /// Walks a stream from its first marker to its last, as an importer does that cannot seek.
    fn markers(&mut self, from: u64) -> Result<()> {
        let sparse = self.sparse;
        let end = sparse.file.len();
        let tables: Cache<Table> = Cache::new(1 << 20, 4096);
        let (mut at, mut met, mut last) = (from, 0_u64, None);
        let mut ended = false;
        while at.saturating_add(SECTOR) <= end && !ended {
            self.meter.step("marker")?;
            let mut bytes = [0_u8; 512];
            sparse.file.read_at(at, &mut bytes)?;
            let Ok((marker, _)) = Marker::read_from_prefix(&bytes) else {
                break;
            };
            let size = u64::from(marker.size.get());
            if size == 0 {
                let kind = MetadataMarker::read_from_bytes(&bytes).map_or(MARKER_EOS, |m| m.kind.get());
                let follows = match kind {
                    MARKER_EOS => {
                        ended = true;
                        0
                    }
                    MARKER_GT | MARKER_GD | MARKER_FOOTER | MARKER_PROGRESS => marker.val.get(),
                    _ => {
                        self.error("marker", at, format!("type {kind} is not known"));
                        return Ok(());
                    }
                };
                let len = follows.saturating_add(1).saturating_mul(SECTOR);
                // Tables and directory are claimed by those who point at them.
                self.claim("marker", at, SECTOR)?;
                at = at.saturating_add(len);
                continue;
            }
            let len = size.saturating_add(12).next_multiple_of(SECTOR);
            if at.saturating_add(size).saturating_add(12) > end {
                self.error(
                    "compressed grain",
                    at,
                    format!("its {size} bytes run past the end of the file"),
                );
                return Ok(());
            }
            self.claim("compressed grain", at, len)?;
            let lba = marker.val.get();
            let guest = lba.saturating_mul(SECTOR);
            let known = guest < sparse.shape.capacity
                && match sparse.locate(&tables, guest) {
                    Ok((table, index)) => table.stored(index) == Some(at),
                    Err(e) if e.class() == Class::Corrupt => false,
                    Err(e) => return Err(e),
                };
            if known {
                met = met.saturating_add(1);
            } else {
                self.note(
                    Severity::Leak,
                    "compressed grain",
                    at,
                    format!("no grain table points at this grain, which is for sector {lba:#x}"),
                );
            }
            if last.is_some_and(|last| last >= lba) {
                self.note(
                    Severity::Warning,
                    "compressed grain",
                    at,
                    "grains do not ascend: an importer that reads from front to back may refuse them"
                        .to_owned(),
                );
            }
            last = Some(lba);
            at = at.saturating_add(len);
        }
        if !ended {
            self.note(
                Severity::Warning,
                "marker",
                end,
                "the stream has no end-of-stream marker".to_owned(),
            );
        }
        if met < self.grains {
            let missing = self.grains.saturating_sub(met);
            self.error(
                "grain table",
                0,
                format!("{missing} entries point at no marker of their grain"),
            );
        }
        Ok(())
    }

    /// Grains' worth of bytes between the metadata and the end that nothing uses.
    fn leaks(&mut self) {
        let grain = self.sparse.shape.grain.max(1);
        let used = std::mem::take(&mut self.used);
        let tail = (used.end(), self.sparse.file.len());
        for (from, to) in used.gaps().chain([tail]) {
            let count = to.saturating_sub(from).checked_div(grain).unwrap_or(0);
            if count > 0 {
                self.note(
                    Severity::Leak,
                    "grain",
                    from,
                    format!("no grain table points at these {count} grains"),
                );
                self.check.leaks = self.check.leaks.saturating_add(count.saturating_sub(1));
            }
        }
        self.used = used;
    }
}
