//! The records of a log: edits, and which disk they are of.

use super::head::{HEAD, Head};
use super::{LONGEST_NAME, Logged, MOST_DISKS, PAGE, length};
use crate::{Edit, Error, HostFile, Meter, Result};

pub(super) const RECORD: u64 = 24;
const RECORD_BYTES: usize = 24;
const BYTES: u64 = 1;
const ZEROS: u64 = 2;
const DISK: u64 = 3;
/// How much of the log is in memory at once.
const CHUNK: usize = 1 << 20;

/// Writes the body of a log.
pub(super) struct Writer<'a> {
    log: &'a dyn HostFile,
    at: u64,
    buf: Vec<u8>,
    sum: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(log: &'a dyn HostFile, at: u64) -> Self {
        Self {
            log,
            at,
            buf: Vec::new(),
            sum: 0,
        }
    }

    /// What follows is of a disk of `len` bytes.
    pub(super) fn disk(&mut self, len: u64, name: &[u8]) -> Result<()> {
        self.record([DISK, len, length(name)], name)
    }

    pub(super) fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        match edit {
            Edit::Bytes(at, bytes) => self.record([BYTES, *at, length(bytes)], bytes),
            Edit::Zeros(range) => {
                let len = range.end.saturating_sub(range.start);
                self.record([ZEROS, range.start, len], &[])
            }
        }
    }

    /// Where the body ends, and its sum.
    pub(super) fn end(mut self) -> Result<(u64, u32)> {
        self.spill()?;
        Ok((self.at, self.sum))
    }

    fn record(&mut self, words: [u64; 3], bytes: &[u8]) -> Result<()> {
        for word in words {
            self.buf.extend_from_slice(&word.to_le_bytes());
        }
        self.buf.extend_from_slice(bytes);
        if self.buf.len() >= CHUNK {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.log.write_at(self.at, &self.buf)?;
        self.sum = crc32c::crc32c_append(self.sum, &self.buf);
        self.at = self.at.saturating_add(length(&self.buf));
        self.buf.clear();
        Ok(())
    }
}

/// Takes an edit and the number of the disk it is of.
pub(super) type Show<'a> = &'a mut dyn FnMut(usize, &Edit<'_>) -> Result<()>;

/// What a whole log says: the disks, and the sum of its body.
pub(super) struct Told {
    pub(super) disks: Vec<Logged>,
    pub(super) sum: u32,
}

impl Head {
    /// Shows every edit in order.
    pub(super) fn records(&self, log: &dyn HostFile, meter: &mut Meter, show: Show<'_>) -> Result<Told> {
        let end = HEAD.saturating_add(self.body);
        let mut at = HEAD;
        let mut sum = 0_u32;
        let mut bytes = Vec::new();
        let mut disks: Vec<Logged> = Vec::new();
        if self.version == 1 {
            disks.push(Logged {
                name: Vec::new(),
                len: self.disks,
            });
        }
        while at < end {
            meter.step("redo log")?;
            let here = at;
            let bad = |what: String| Error::corrupt("redo log", here, what);
            if end.saturating_sub(at) < RECORD {
                return Err(bad("a record runs past the log".to_owned()));
            }
            let mut raw = [0_u8; RECORD_BYTES];
            log.read_at(at, &mut raw)?;
            sum = crc32c::crc32c_append(sum, &raw);
            let (words, _) = raw.as_chunks::<8>();
            let [kind, start, len] = words else {
                return Err(bad("a record runs past the log".to_owned()));
            };
            let (kind, start, len) = (
                u64::from_le_bytes(*kind),
                u64::from_le_bytes(*start),
                u64::from_le_bytes(*len),
            );
            at = at.saturating_add(RECORD);
            // Zeros have no bytes in the log.
            bytes.clear();
            let longest = match kind {
                BYTES => PAGE,
                DISK if self.version > 1 => u64::try_from(LONGEST_NAME).unwrap_or(u64::MAX),
                ZEROS => 0,
                _ => return Err(bad(format!("a record of kind {kind} and {len} bytes"))),
            };
            if kind != ZEROS {
                if len > longest || len > end.saturating_sub(at) {
                    return Err(bad(format!("a record of kind {kind} and {len} bytes")));
                }
                bytes.resize(usize::try_from(len).unwrap_or(0), 0);
                log.read_at(at, &mut bytes)?;
                sum = crc32c::crc32c_append(sum, &bytes);
                at = at.saturating_add(len);
            }
            if kind == DISK {
                if disks.len() >= MOST_DISKS {
                    return Err(bad(format!("it names more than {MOST_DISKS} disks")));
                }
                let name = bytes.clone();
                disks.push(Logged { name, len: start });
                continue;
            }
            let Some(disk) = disks.last() else {
                return Err(bad("an edit of no disk".to_owned()));
            };
            let stop = start.checked_add(len).filter(|stop| *stop <= disk.len);
            let Some(stop) = stop else {
                return Err(bad(format!(
                    "a record changes {len} bytes at {start:#x}, the disk has {}",
                    disk.len
                )));
            };
            let number = disks.len().saturating_sub(1);
            match kind {
                BYTES => show(number, &Edit::Bytes(start, &bytes))?,
                _ => show(number, &Edit::Zeros(start..stop))?,
            }
        }
        Ok(Told { disks, sum })
    }
}
