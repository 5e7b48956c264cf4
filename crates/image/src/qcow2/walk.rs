use super::entry::Cluster;
use super::header::{Header, Table};
use super::layout::{
    AUTOCLEAR_BITMAPS, BITMAP_RESERVED, COMPRESSED, COPIED, EXTENSION_ENCRYPTION, EncryptionPointer,
    OFFSET_MASK,
};
use super::refcount::{Counted, Stored, read_padded};
use super::{bitmap, snapshot};
use crate::{Check, Severity};
use h2k_block::{BlockRead, Class, Meter, Result};
use zerocopy::{FromZeros, IntoBytes};

/// How many bytes of a table are looked at together.
const PIECE: u64 = 65536;

/// A walk over every table of an image, counting what each refers to.
pub(super) struct Walk<'a> {
    pub(super) file: &'a dyn BlockRead,
    pub(super) header: &'a Header,
    pub(super) meter: Meter,
    pub(super) check: Check,
    pub(super) counted: Counted,
    /// Clusters the file has, the last one in part.
    pub(super) file_clusters: u64,
    /// Entries of the active tables whose flag "refcount is exactly one" must be judged: the stored counts, if so.
    pub(super) stored: Option<&'a Stored<'a>>,
}

/// Which table an L1 table is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Active,
    Snapshot,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a dyn BlockRead, header: &'a Header, meter: Meter, check: Check) -> Self {
        Self {
            file,
            header,
            meter,
            check,
            counted: Counted::default(),
            file_clusters: header.geometry.clusters(file.len()),
            stored: None,
        }
    }

    /// Counts everything but the reference counts' own tables and blocks.
    ///
    /// # Errors
    /// Only when the walk cannot be done; what is wrong with the image is noted.
    pub(super) fn content(&mut self) -> Result<()> {
        self.region("header", 0, self.header.geometry.cluster())?;
        self.l1(self.header.l1, Which::Active)?;
        self.snapshots()?;
        self.bitmaps()?;
        let mut pointer = EncryptionPointer::new_zeroed();
        if let Some(span) = self.header.extension(EXTENSION_ENCRYPTION)
            && span.len == 16
        {
            self.file.read_at(span.offset, pointer.as_mut_bytes())?;
            self.region("encryption header", pointer.offset.get(), pointer.len.get())?;
        }
        Ok(())
    }

    /// Counts the refcount table and the blocks it refers to.
    pub(super) fn books(&mut self, stored: &Stored<'_>) -> Result<()> {
        let header = self.header;
        let table = u64::from(header.refcount_table_clusters).saturating_mul(header.geometry.cluster());
        self.region("refcount table", header.refcount_table_offset, table)?;
        for (number, (entry, flaw)) in &stored.flaws {
            let at = header
                .refcount_table_offset
                .saturating_add(number.saturating_mul(8));
            self.check.note(Severity::Error, "refcount table entry", at, || {
                format!("{entry:#x} cannot be followed ({flaw:?})").to_lowercase()
            });
        }
        for block in stored.blocks.iter().filter(|block| **block != 0) {
            self.region("refcount block", *block, header.geometry.cluster())?;
        }
        Ok(())
    }

    /// Counts every cluster of `len` bytes at `offset`.
    fn region(&mut self, structure: &'static str, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let geometry = self.header.geometry;
        let last = offset
            .checked_add(len.saturating_sub(1))
            .map(|last| geometry.index(last));
        let Some(last) = last.filter(|last| *last < self.file_clusters) else {
            let end = self.file.len();
            self.check.note(Severity::Error, structure, offset, || {
                format!("{len} bytes lie past the end of the file ({end:#x})")
            });
            return Ok(());
        };
        for cluster in geometry.index(offset)..=last {
            self.counted.add(cluster, &mut self.meter)?;
        }
        Ok(())
    }

    fn l1(&mut self, l1: Table, which: Which) -> Result<()> {
        self.region("L1 table", l1.offset, l1.entries.saturating_mul(8))?;
        if l1.end() > self.file.len() {
            return Ok(());
        }
        let dialect = self.header.dialect();
        let mut first = 0;
        while first < l1.entries {
            let n = l1.entries.saturating_sub(first).min(PIECE / 8);
            let bytes = read_padded(
                self.file,
                l1.at(first),
                usize::try_from(n.saturating_mul(8)).unwrap_or(0),
            )?;
            let (words, _) = bytes.as_chunks::<8>();
            self.meter.steps(n.div_ceil(64), "L1 table")?;
            for (index, word) in (first..).zip(words) {
                let entry = u64::from_be_bytes(*word);
                let at = l1.at(index);
                if let Err(what) = dialect.l1(entry) {
                    self.check
                        .note(Severity::Error, "L1 table entry", at, || what.to_owned());
                }
                let table = entry & OFFSET_MASK;
                if table != 0 {
                    self.copied("L1 table entry", at, entry, table, which)?;
                    self.region("L2 table", table, self.header.geometry.cluster())?;
                    if self.header.geometry.within(table) == 0
                        && self.header.geometry.index(table) < self.file_clusters
                    {
                        self.l2(table, index, which)?;
                    }
                }
            }
            first = first.saturating_add(n);
        }
        Ok(())
    }

    fn l2(&mut self, table: u64, l1_index: u64, which: Which) -> Result<()> {
        let geometry = self.header.geometry;
        let dialect = self.header.dialect();
        let entry_bytes = 1_u64.wrapping_shl(geometry.entry_bits());
        let piece = PIECE.min(geometry.cluster());
        let mut start = 0;
        while start < geometry.cluster() {
            self.meter
                .steps(piece.wrapping_shr(geometry.entry_bits()).div_ceil(64), "L2 table")?;
            let place = table.saturating_add(start);
            let bytes = read_padded(self.file, place, usize::try_from(piece).unwrap_or(0))?;
            let (words, _) = bytes.as_chunks::<8>();
            let each = if geometry.extended() { 2 } else { 1 };
            let mut at = place;
            for entry in words.chunks(each) {
                let word = |n: usize| entry.get(n).map_or(0, |w| u64::from_be_bytes(*w));
                let (first, second) = (word(0), word(1));
                if first != 0 || second != 0 {
                    let number = at.saturating_sub(table).wrapping_shr(geometry.entry_bits());
                    let guest = l1_index
                        .wrapping_shl(geometry.span_bits())
                        .saturating_add(number.wrapping_shl(geometry.cluster_bits()));
                    self.cluster(dialect.l2(first, second), at, first, guest, which)?;
                }
                at = at.saturating_add(entry_bytes);
            }
            start = start.saturating_add(piece);
        }
        Ok(())
    }

    fn cluster(
        &mut self,
        cluster: std::result::Result<Cluster, &'static str>,
        at: u64,
        entry: u64,
        guest: u64,
        which: Which,
    ) -> Result<()> {
        let geometry = self.header.geometry;
        let host = match cluster {
            Err(what) => {
                self.check
                    .note(Severity::Error, "L2 table entry", at, || what.to_owned());
                // What it points to is still in use by it, as QEMU counts.
                Some(entry & OFFSET_MASK).filter(|host| *host != 0 && entry & COMPRESSED == 0)
            }
            Ok(Cluster::Coded { at: host, len }) => {
                if entry & COPIED != 0 && self.stored.is_some() {
                    self.check.note(Severity::Error, "L2 table entry", at, || {
                        "is compressed and says that its refcount is one, which nobody may".to_owned()
                    });
                }
                self.allocated(which, true);
                // Whole sectors count, wherever the stream ends in the last one.
                let first = host & !511;
                let sectors = host.saturating_add(len).saturating_sub(first);
                return self.region("compressed cluster", first, sectors);
            }
            Ok(Cluster::Hole) => None,
            Ok(Cluster::Zero { host } | Cluster::Parts { host, .. }) => host,
            Ok(Cluster::Data { host }) => Some(host),
        };
        let Some(host) = host else {
            return Ok(());
        };
        self.allocated(which, false);
        if self.header.external() {
            if host != guest {
                self.check.note(Severity::Error, "L2 table entry", at, || {
                    format!("puts guest offset {guest:#x} at {host:#x} of the external data file")
                });
            }
            return Ok(());
        }
        self.copied("L2 table entry", at, entry, host, which)?;
        self.region("data cluster", host, geometry.cluster())
    }

    fn allocated(&mut self, which: Which, compressed: bool) {
        if which == Which::Active {
            let more = |count: &mut Option<u64>| *count = Some(count.unwrap_or(0).saturating_add(1));
            more(&mut self.check.allocated);
            if compressed {
                more(&mut self.check.compressed);
            }
        }
    }

    /// Judges the flag that says that what `entry` points to has a stored reference count of exactly one.
    fn copied(
        &mut self,
        structure: &'static str,
        at: u64,
        entry: u64,
        host: u64,
        which: Which,
    ) -> Result<()> {
        let (Which::Active, Some(stored)) = (which, self.stored) else {
            return Ok(());
        };
        if entry & COMPRESSED != 0 && structure == "L2 table entry" {
            return Ok(());
        }
        let count = stored.get(self.header.geometry.index(host))?;
        if (count == 1) != (entry & COPIED != 0) {
            self.check.note(Severity::Error, structure, at, || {
                format!(
                    "says that the refcount of the cluster at {host:#x} is {}one, it is {count}",
                    if entry & COPIED == 0 { "not " } else { "" }
                )
            });
        }
        Ok(())
    }

    fn snapshots(&mut self) -> Result<()> {
        let (saved, end) = match snapshot::list(self.file, self.header, &mut self.meter) {
            Ok(listed) => listed,
            Err(e) => return self.damaged(e),
        };
        let start = self.header.snapshots_offset;
        self.region("snapshot table", start, end.saturating_sub(start))?;
        for saved in saved {
            let size = saved.about.virtual_size;
            match self.header.check_l1(self.file, saved.l1, size) {
                Ok(()) => self.l1(saved.l1, Which::Snapshot)?,
                Err(e) => self.damaged(e)?,
            }
        }
        Ok(())
    }

    fn bitmaps(&mut self) -> Result<()> {
        if self.header.autoclear & AUTOCLEAR_BITMAPS == 0 {
            return Ok(());
        }
        let directory = match bitmap::list(self.file, self.header, &mut self.meter) {
            Ok(directory) => directory,
            Err(e) => return self.damaged(e),
        };
        self.region("bitmap directory", directory.offset, directory.len)?;
        for bitmap in directory.bitmaps {
            let table = bitmap.table;
            let len = table.entries.saturating_mul(8);
            self.region("bitmap table", table.offset, len)?;
            let end = table.offset.checked_add(len);
            if end.is_none_or(|end| end > self.file.len()) {
                continue;
            }
            self.meter.steps(table.entries.div_ceil(64), "bitmap table")?;
            let bytes = read_padded(self.file, table.offset, self.meter.bytes(len, "bitmap table")?)?;
            let (words, _) = bytes.as_chunks::<8>();
            for (index, word) in (0_u64..).zip(words) {
                let entry = u64::from_be_bytes(*word);
                let host = entry & OFFSET_MASK;
                let unsound = entry & BITMAP_RESERVED != 0
                    || (host != 0 && entry & 1 != 0)
                    || self.header.geometry.within(host) != 0;
                if unsound {
                    self.check
                        .note(Severity::Error, "bitmap table entry", table.at(index), || {
                            format!("{entry:#x} cannot be followed")
                        });
                } else if host != 0 {
                    self.region("bitmap data", host, self.header.geometry.cluster())?;
                }
            }
        }
        Ok(())
    }

    /// Damage is an answer; everything else ends the walk.
    fn damaged(&mut self, e: h2k_block::Error) -> Result<()> {
        if e.class() != Class::Corrupt {
            return Err(e);
        }
        let place = e.place();
        self.check.note(
            Severity::Error,
            place.map_or("image", |p| p.structure),
            place.map_or(0, |p| p.offset),
            || e.sentence().to_owned(),
        );
        Ok(())
    }
}
