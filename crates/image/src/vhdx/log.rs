//! The log ([MS-VHDX] 2.3), replayed in memory: the file itself is never touched.
//!
//! Replaying does not copy logged data anywhere. It makes a map from file offsets to the log's data sectors, and
//! [`Replayed`] answers reads through it, so its cost does not depend on how much was logged.

use super::layout::{
    DATA_SIGNATURE, DataSector, Descriptor, HEADER_LEN, LOG_SIGNATURE, LogEntryHeader, SECTOR_SIGNATURE,
    ZERO_SIGNATURE,
};
use crate::guid::Guid;
use h2k_block::{BlockRead, Error, Extent, HostFile, Kind, Limits, Meter, RawSpan, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// Log entries, sectors and everything in them are multiples of this.
const SECTOR: u64 = 4096;

/// Where the log is and which entries are of this session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) guid: Guid,
}

/// A valid entry.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where it starts, relative to the log.
    at: u64,
    len: u64,
    tail: u64,
    sequence: u64,
    descriptors: u64,
    flushed: u64,
    last: u64,
}

/// What a replayed range of the file reads as.
#[derive(Clone, Copy, Debug)]
enum Logged {
    Zero,
    /// A data sector at this file offset, with the bytes its signature and sequence number displaced.
    Sector {
        at: u64,
        leading: [u8; 8],
        trailing: [u8; 4],
    },
}

/// A file as it would be after its log had been replayed.
pub(super) struct Replayed {
    file: Arc<dyn HostFile>,
    len: u64,
    /// Start of a range to its end and what it reads as; ranges do not overlap.
    ranges: BTreeMap<u64, (u64, Logged)>,
    /// Log entries that were replayed.
    pub(super) entries: u64,
}

impl Replayed {
    /// `file` without a log to replay.
    pub(super) fn clean(file: Arc<dyn HostFile>) -> Self {
        Self {
            len: file.len(),
            file,
            ranges: BTreeMap::new(),
            entries: 0,
        }
    }

    /// `file` with the active sequence of `log` applied (2.3.3 Log Replay).
    pub(super) fn replay(file: Arc<dyn HostFile>, log: Log, meter: &mut Meter) -> Result<Self> {
        let ring = Ring { file: &*file, log };
        // A sound log is read little more than twice; damage that looks like many long entries ends here.
        let left = meter.left();
        let enough = (log.len / SECTOR).saturating_mul(6).saturating_add(4096);
        let mut search = Meter::new(Limits {
            steps: enough.min(left.steps),
            ..left
        });
        let active = ring.active_sequence(&mut search)?;
        let Some(head) = active.last() else {
            return Err(Error::corrupt(
                "log",
                log.offset,
                "the header says that the log holds updates, but no valid sequence of entries was found",
            ));
        };
        if head.flushed > file.len() {
            return Err(Error::corrupt(
                "log entry",
                ring.host(head.at),
                format!(
                    "the file had {:#x} bytes when it was written, now it has {:#x}: it was cut off",
                    head.flushed,
                    file.len()
                ),
            ));
        }
        let len = head.last.max(file.len());
        let mut replayed = Self {
            len,
            entries: u64::try_from(active.len()).unwrap_or(u64::MAX),
            ranges: BTreeMap::new(),
            file: file.clone(),
        };
        for entry in &active {
            ring.apply(entry, meter, &mut |start, end, what| {
                if end > len {
                    return Err(Error::corrupt(
                        "log descriptor",
                        ring.host(entry.at),
                        format!("it changes the file up to {end:#x}, which ends at {len:#x}"),
                    ));
                }
                replayed.put(start, end, what);
                Ok(())
            })?;
        }
        Ok(replayed)
    }

    /// Replaces whatever `start..end` read as. Sectors are never cut: all borders are multiples of 4 KiB.
    fn put(&mut self, start: u64, end: u64, what: Logged) {
        if let Some((_, (before_end, before))) = self.ranges.range_mut(..start).next_back()
            && *before_end > start
        {
            let (old_end, old) = (*before_end, *before);
            *before_end = start;
            if old_end > end {
                self.ranges.insert(end, (old_end, old));
            }
        }
        let inside: Vec<u64> = self.ranges.range(start..end).map(|(at, _)| *at).collect();
        for at in inside {
            if let Some((old_end, old)) = self.ranges.remove(&at)
                && old_end > end
            {
                self.ranges.insert(end, (old_end, old));
            }
        }
        self.ranges.insert(start, (end, what));
    }

    /// The replayed range that holds `offset`, or where the next one begins.
    fn at(&self, offset: u64) -> std::result::Result<(u64, u64, Logged), u64> {
        if let Some((start, (end, what))) = self.ranges.range(..=offset).next_back()
            && *end > offset
        {
            return Ok((*start, *end, *what));
        }
        Err(self.ranges.range(offset..).next().map_or(self.len, |(at, _)| *at))
    }
}

impl BlockRead for Replayed {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let found = self.at(offset);
            let end = found.map_or_else(|next| next, |(_, end, _)| end);
            let n = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (head, rest) = buf.split_at_mut(n.min(buf.len()));
            match found {
                Err(_) => crate::layered::read_short(&*self.file, offset, head)?,
                Ok((_, _, Logged::Zero)) => head.fill(0),
                Ok((
                    start,
                    _,
                    Logged::Sector {
                        at,
                        leading,
                        trailing,
                    },
                )) => {
                    let mut sector = [0; 4096];
                    self.file.read_at(at, &mut sector)?;
                    if let Some(first) = sector.first_chunk_mut() {
                        *first = leading;
                    }
                    if let Some(last) = sector.last_chunk_mut() {
                        *last = trailing;
                    }
                    let skip = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
                    if let Some(from) = sector.get(skip..).and_then(|s| s.get(..head.len())) {
                        head.copy_from_slice(from);
                    }
                }
            }
            offset = offset.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let kind = |len: u64, kind| Extent::new(offset, len.min(end.saturating_sub(offset)), kind);
        match self.at(offset) {
            Ok((_, until, Logged::Zero)) => Ok(kind(until.saturating_sub(offset), Kind::Zero)),
            Ok((_, until, _)) => Ok(kind(until.saturating_sub(offset), Kind::Data)),
            Err(_) if offset >= self.file.len() => Ok(kind(end.saturating_sub(offset), Kind::Zero)),
            Err(next) => self.file.extent_at(offset, next.min(end).min(self.file.len())),
        }
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        Ok(match self.at(offset) {
            Err(next) if offset < self.file.len() => Some(RawSpan {
                file: self.file.clone(),
                offset,
                len: next.min(end).min(self.file.len()).saturating_sub(offset),
            }),
            _ => None,
        })
    }
}

/// The log as a ring of bytes.
struct Ring<'a> {
    file: &'a dyn HostFile,
    log: Log,
}

impl Ring<'_> {
    /// The file offset of a place in the ring.
    fn host(&self, at: u64) -> u64 {
        let within = at.checked_rem(self.log.len).unwrap_or(0);
        self.log.offset.saturating_add(within)
    }

    /// Reads from the ring, past its end into its beginning.
    fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let at = at.checked_rem(self.log.len).unwrap_or(0);
        let room = usize::try_from(self.log.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let (head, tail) = buf.split_at_mut(room.min(buf.len()));
        self.file.read_at(self.host(at), head)?;
        self.file.read_at(self.log.offset, tail)
    }

    /// The entry at `at` if it is valid in itself (2.3.1): signature, sizes, session, checksum, descriptors.
    fn entry(&self, at: u64, meter: &mut Meter) -> Result<Option<Entry>> {
        meter.step("log entry")?;
        let mut raw = [0; size_of::<LogEntryHeader>()];
        self.read(at, &mut raw)?;
        let Ok(header) = LogEntryHeader::read_from_bytes(&raw) else {
            return Ok(None);
        };
        let entry = Entry {
            at,
            len: header.entry_length.get().into(),
            tail: header.tail.get().into(),
            sequence: header.sequence_number.get(),
            descriptors: header.descriptor_count.get().into(),
            flushed: header.flushed_file_offset.get(),
            last: header.last_file_offset.get(),
        };
        let sound = header.signature == LOG_SIGNATURE
            && header.log_guid == self.log.guid
            && entry.sequence > 0
            && entry.len > 0
            && entry.len.is_multiple_of(SECTOR)
            && entry.len <= self.log.len
            && entry.tail.is_multiple_of(SECTOR)
            && entry.tail < self.log.len
            && entry.descriptor_sectors().saturating_mul(SECTOR) <= entry.len;
        if !sound || !self.checksum_holds(&entry, header.checksum.get(), meter)? {
            return Ok(None);
        }
        Ok(self.descriptors_hold(&entry)?.then_some(entry))
    }

    fn checksum_holds(&self, entry: &Entry, expected: u32, meter: &mut Meter) -> Result<bool> {
        // Damage can make many places look like long entries; what is read is paid for.
        meter.steps(entry.len / SECTOR, "log sector")?;
        let mut crc = 0;
        let mut buf = vec![0; 65536];
        let mut done = 0;
        while done < entry.len {
            let n = usize::try_from(entry.len.saturating_sub(done)).map_or(buf.len(), |n| n.min(buf.len()));
            let piece = buf.get_mut(..n).unwrap_or_default();
            self.read(entry.at.saturating_add(done), piece)?;
            if done == 0
                && let Some(checksum) = piece.get_mut(4..8)
            {
                checksum.fill(0);
            }
            crc = crc32c::crc32c_append(crc, piece);
            done = done.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        }
        Ok(crc == expected)
    }

    /// Whether descriptors and data sectors carry the entry's sequence number and fill it exactly.
    fn descriptors_hold(&self, entry: &Entry) -> Result<bool> {
        let mut sectors = entry.descriptor_sectors();
        let mut sound = true;
        self.each_descriptor(entry, &mut |descriptor| {
            sound &= descriptor.sequence_number.get() == entry.sequence;
            match descriptor.signature {
                ZERO_SIGNATURE => {
                    sound &= u64::from_le_bytes(descriptor.leading_bytes).is_multiple_of(SECTOR);
                }
                DATA_SIGNATURE => sectors = sectors.saturating_add(1),
                _ => sound = false,
            }
            sound &= descriptor.file_offset.get().is_multiple_of(SECTOR);
            Ok(())
        })?;
        if !sound || sectors.saturating_mul(SECTOR) > entry.len {
            return Ok(false);
        }
        for sector in entry.descriptor_sectors()..sectors {
            let at = entry.at.saturating_add(sector.saturating_mul(SECTOR));
            let (mut head, mut tail) = ([0; 8], [0; 4]);
            self.read(at, &mut head)?;
            self.read(at.saturating_add(SECTOR.saturating_sub(4)), &mut tail)?;
            let (signature, high) = head.split_at(4);
            let number = entry.sequence.to_le_bytes();
            let (low_half, high_half) = number.split_at(4);
            if signature != SECTOR_SIGNATURE || high != high_half || tail != low_half {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn each_descriptor(&self, entry: &Entry, each: &mut dyn FnMut(Descriptor) -> Result<()>) -> Result<()> {
        let mut buf = [0; HEADER_LEN];
        let first = u64::try_from(size_of::<LogEntryHeader>()).unwrap_or(64);
        let mut at = entry.at.saturating_add(first);
        let mut left = usize::try_from(entry.descriptors)
            .unwrap_or(0)
            .saturating_mul(size_of::<Descriptor>());
        while left > 0 {
            let n = left.min(HEADER_LEN);
            let piece = buf.get_mut(..n).unwrap_or_default();
            self.read(at, piece)?;
            for raw in piece.as_chunks::<32>().0 {
                if let Ok(descriptor) = Descriptor::read_from_bytes(raw.as_bytes()) {
                    each(descriptor)?;
                }
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            left = left.saturating_sub(n);
        }
        Ok(())
    }

    /// 2.3.2 Log Sequence: of all runs of valid entries with ascending numbers whose head's tail lies in the run,
    /// the one with the highest number; the entries from that tail on.
    fn active_sequence(&self, meter: &mut Meter) -> Result<Vec<Entry>> {
        let mut active: Vec<Entry> = Vec::new();
        let mut tail = 0;
        while tail < self.log.len {
            if let Some(blank) = self.blank_until(tail)? {
                tail = blank;
                continue;
            }
            let found = self.sequence(tail, meter)?;
            let covered = found.iter().map(|e| e.len).fold(0, u64::saturating_add);
            tail = tail.saturating_add(covered.max(SECTOR));
            let Some(head) = found.last().copied() else {
                continue;
            };
            let newer = active.last().is_none_or(|best| head.sequence > best.sequence);
            let from = found
                .iter()
                .position(|e| e.at.checked_rem(self.log.len) == Some(head.tail));
            if let (true, Some(from)) = (newer, from) {
                active = found.get(from..).unwrap_or_default().to_vec();
            }
        }
        Ok(active)
    }

    /// The valid entries from `tail` on, each numbered one above the one before it, at most once round.
    fn sequence(&self, tail: u64, meter: &mut Meter) -> Result<Vec<Entry>> {
        let mut found: Vec<Entry> = Vec::new();
        let mut covered: u64 = 0;
        while covered < self.log.len {
            let Some(entry) = self.entry(tail.saturating_add(covered), meter)? else {
                break;
            };
            let follows = found
                .last()
                .is_none_or(|before| before.sequence.checked_add(1) == Some(entry.sequence));
            let end = covered.saturating_add(entry.len);
            if !follows || end > self.log.len {
                break;
            }
            meter.bytes(u64::try_from(size_of::<Entry>()).unwrap_or(64), "log entry")?;
            found.push(entry);
            covered = end;
        }
        Ok(found)
    }

    /// The end of the stretch from `tail` that the host does not store: it holds no entry.
    fn blank_until(&self, tail: u64) -> Result<Option<u64>> {
        let end = self.log.offset.saturating_add(self.log.len);
        let extent = self.file.extent_at(self.host(tail), end)?;
        let whole = extent.len.checked_next_multiple_of(SECTOR).unwrap_or(extent.len);
        let inner = if whole == extent.len {
            whole
        } else {
            whole.saturating_sub(SECTOR)
        };
        Ok((extent.kind != Kind::Data && inner > 0).then(|| tail.saturating_add(inner)))
    }

    fn apply(
        &self,
        entry: &Entry,
        meter: &mut Meter,
        put: &mut dyn FnMut(u64, u64, Logged) -> Result<()>,
    ) -> Result<()> {
        let mut sector = entry.descriptor_sectors();
        self.each_descriptor(entry, &mut |descriptor| {
            meter.bytes(128, "log descriptor")?;
            let start = descriptor.file_offset.get();
            if descriptor.signature == ZERO_SIGNATURE {
                let len = u64::from_le_bytes(descriptor.leading_bytes);
                let end = start.saturating_add(len);
                return if len == 0 {
                    Ok(())
                } else {
                    put(start, end, Logged::Zero)
                };
            }
            let at = self.host(entry.at.saturating_add(sector.saturating_mul(SECTOR)));
            sector = sector.saturating_add(1);
            let what = Logged::Sector {
                at,
                leading: descriptor.leading_bytes,
                trailing: descriptor.trailing_bytes,
            };
            put(start, start.saturating_add(SECTOR), what)
        })
    }
}

impl Entry {
    /// Sectors taken by the entry's header and descriptors.
    fn descriptor_sectors(&self) -> u64 {
        const _: () = assert!(size_of::<DataSector>() == 4096);
        self.descriptors
            .saturating_mul(32)
            .saturating_add(64)
            .div_ceil(SECTOR)
    }
}
