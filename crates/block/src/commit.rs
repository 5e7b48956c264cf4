//! Edits reach a disk all together or not at all: a redo log, written once, for every format and filesystem.
//!
//! ```text
//! log:    head, 64 bytes │ body: records
//! head:   magic │ version │ body length │ disk length │ fingerprint │ CRC-32C of the body │ CRC-32C of the head
//! record: kind │ offset │ length │ bytes (kind 1) or nothing (kind 2, zeros)
//! ```
//!
//! The body is durable before the head is written: the head is the point of no return. From then on the log is
//! redone from its beginning as often as it takes. The fingerprint is taken from pages the edits leave alone, so
//! it is the same before, during and after, and differs on a disk the log was not made for, or one that somebody
//! wrote to in between.

use crate::{BlockWrite, Class, Edit, Error, HostFile, Limits, Meter, Overlay, Result};

const MAGIC: [u8; 8] = *b"h2k-redo";
const VERSION: u32 = 1;
const HEAD: u64 = 64;
const HEAD_BYTES: usize = 64;
const RECORD: u64 = 24;
const RECORD_BYTES: usize = 24;
const BYTES: u64 = 1;
const ZEROS: u64 = 2;
/// How much of the log is in memory at once.
const CHUNK: usize = 1 << 20;
const PAGE: u64 = 4096;

/// Writes `edits` to `disk`. If this stops half-way, [`recover`] with the same log finishes the work.
///
/// # Errors
/// [`Class::Invalid`] when `log` holds an unfinished commit: that one has to be recovered first. Else whatever the
/// disk or the log says.
pub fn commit(edits: &Overlay, disk: &dyn BlockWrite, log: &dyn HostFile) -> Result<()> {
    if pending(log)? {
        return Err(
            Error::new(Class::Invalid, "the log holds a commit that was not finished")
                .advise("finish it first with: hyper2kvm recover"),
        );
    }
    if edits.dirty_pages() == 0 {
        return Ok(());
    }
    let mut len = 0_u64;
    edits.edits(&mut |edit| {
        let bytes = match edit {
            Edit::Bytes(_, bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Edit::Zeros(_) => 0,
        };
        len = len.saturating_add(RECORD).saturating_add(bytes);
        Ok(())
    })?;
    // What an older log left behind must not be taken for this one's head.
    log.set_len(0)?;
    log.set_len(HEAD.saturating_add(len))?;
    let mut body = Writer {
        log,
        at: HEAD,
        buf: Vec::new(),
        sum: 0,
    };
    edits.edits(&mut |edit| body.record(&edit))?;
    body.spill()?;
    if body.at != HEAD.saturating_add(len) {
        return Err(Error::new(
            Class::Invalid,
            "the edits changed while they were being committed",
        ));
    }
    let sum = body.sum;
    log.flush()?;
    let mut head = Head {
        body: len,
        disk: disk.len(),
        fingerprint: 0,
        sum,
    };
    // Reads the log back: what is redone is what is there.
    head.fingerprint = head.inspect(disk, log, &mut unmetered())?;
    log.write_at(0, &head.bytes())?;
    log.flush()?;
    head.redo(disk, log, &mut unmetered())?;
    forget(log)
}

/// Whether `log` holds a commit that was begun and not finished.
///
/// # Errors
/// When the log cannot be read; [`Class::Unsupported`] when a newer version wrote it.
pub fn pending(log: &dyn HostFile) -> Result<bool> {
    Ok(Head::read(log)?.is_some())
}

/// Finishes an interrupted commit, if `log` holds one. Says whether it did; where it did not, the commit never
/// began and the disk is as it was.
///
/// # Errors
/// [`Class::Invalid`] when the log was made for another disk, or the disk was changed since;
/// [`Class::Corrupt`] when the log is damaged; else whatever the disk or the log says.
pub fn recover(disk: &dyn BlockWrite, log: &dyn HostFile, limits: Limits) -> Result<bool> {
    let Some(head) = Head::read(log)? else {
        return Ok(false);
    };
    let foreign = |why: String| {
        Err(Error::new(Class::Invalid, why)
            .at("redo log", 0)
            .advise("give the log together with the disk it was made for"))
    };
    if head.disk != disk.len() {
        return foreign(format!(
            "the log was made for a disk of {} bytes, this one has {}",
            head.disk,
            disk.len()
        ));
    }
    let mut meter = Meter::new(limits);
    if head.inspect(disk, log, &mut meter)? != head.fingerprint {
        return foreign(
            "the log was made for another disk, or this one was written to after the commit stopped"
                .to_owned(),
        );
    }
    head.redo(disk, log, &mut meter)?;
    forget(log)?;
    Ok(true)
}

fn unmetered() -> Meter {
    Meter::new(Limits {
        bytes: u64::MAX,
        steps: u64::MAX,
        depth: u16::MAX,
    })
}

fn forget(log: &dyn HostFile) -> Result<()> {
    log.write_at(0, &[0; HEAD_BYTES])?;
    log.flush()
}

struct Writer<'a> {
    log: &'a dyn HostFile,
    at: u64,
    buf: Vec<u8>,
    sum: u32,
}

impl Writer<'_> {
    fn record(&mut self, edit: &Edit<'_>) -> Result<()> {
        let (kind, at, len, bytes): (_, _, _, &[u8]) = match edit {
            Edit::Bytes(at, bytes) => {
                let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                (BYTES, *at, len, bytes)
            }
            Edit::Zeros(range) => {
                let len = range.end.saturating_sub(range.start);
                (ZEROS, range.start, len, &[])
            }
        };
        for word in [kind, at, len] {
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
        self.at = self
            .at
            .saturating_add(u64::try_from(self.buf.len()).unwrap_or(u64::MAX));
        self.buf.clear();
        Ok(())
    }
}

struct Head {
    /// Bytes of the body.
    body: u64,
    /// Bytes of the disk.
    disk: u64,
    /// Of the pages the edits leave alone.
    fingerprint: u32,
    /// CRC-32C of the body.
    sum: u32,
}

impl Head {
    fn bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.body.to_le_bytes());
        bytes.extend_from_slice(&self.disk.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint.to_le_bytes());
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        bytes.resize(HEAD_BYTES.saturating_sub(4), 0);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        <[u8; HEAD_BYTES]>::try_from(bytes).unwrap_or([0; HEAD_BYTES])
    }

    /// The head of `log`, or `None` where no commit passed the point of no return.
    fn read(log: &dyn HostFile) -> Result<Option<Self>> {
        if log.len() < HEAD {
            return Ok(None);
        }
        let mut raw = [0_u8; HEAD_BYTES];
        log.read_at(0, &mut raw)?;
        let (words, _) = raw.as_chunks::<8>();
        let [magic, version, body, disk, fingerprint_and_sum, .., last] = words else {
            return Ok(None);
        };
        let low = |word: &[u8; 8]| u32::try_from(u64::from_le_bytes(*word) & 0xffff_ffff).unwrap_or(0);
        let high = |word: &[u8; 8]| u32::try_from(u64::from_le_bytes(*word) >> 32).unwrap_or(0);
        let whole = crc32c::crc32c(raw.get(..HEAD_BYTES.saturating_sub(4)).unwrap_or_default());
        if *magic != MAGIC || whole != high(last) {
            return Ok(None);
        }
        if low(version) != VERSION {
            return Err(Error::unsupported(format!(
                "the redo log has version {}, this program knows version {VERSION}",
                low(version)
            ))
            .at("redo log", 8));
        }
        let head = Self {
            body: u64::from_le_bytes(*body),
            disk: u64::from_le_bytes(*disk),
            fingerprint: low(fingerprint_and_sum),
            sum: high(fingerprint_and_sum),
        };
        if head.body > log.len().saturating_sub(HEAD) {
            return Err(Error::corrupt(
                "redo log",
                16,
                format!("the body has {} bytes, but the log ends before", head.body),
            ));
        }
        Ok(Some(head))
    }

    /// Reads the whole log, checks its sum and its records, and takes the fingerprint of `disk`.
    fn inspect(&self, disk: &dyn BlockWrite, log: &dyn HostFile, meter: &mut Meter) -> Result<u32> {
        let mut samples = samples(disk.len());
        let sum = self.records(log, meter, &mut |edit| {
            let (at, end) = span(edit);
            let first =
                samples.partition_point(|(page, _)| page.saturating_mul(PAGE).saturating_add(PAGE) <= at);
            for (page, untouched) in samples.iter_mut().skip(first) {
                if page.saturating_mul(PAGE) >= end {
                    break;
                }
                *untouched = false;
            }
            Ok(())
        })?;
        if sum != self.sum {
            return Err(Error::corrupt(
                "redo log",
                HEAD,
                format!(
                    "the body's CRC-32C is {sum:#010x}, the head says {:#010x}",
                    self.sum
                ),
            ));
        }
        let mut found = 0_u32;
        let mut buf = vec![0_u8; 4096];
        for (page, _) in samples.iter().filter(|(_, untouched)| *untouched) {
            let at = page.saturating_mul(PAGE);
            let n = usize::try_from(disk.len().saturating_sub(at).min(PAGE)).unwrap_or(0);
            let bytes = buf.get_mut(..n).unwrap_or_default();
            disk.read_at(at, bytes)?;
            found = crc32c::crc32c_append(found, &page.to_le_bytes());
            found = crc32c::crc32c_append(found, bytes);
        }
        Ok(found)
    }

    fn redo(&self, disk: &dyn BlockWrite, log: &dyn HostFile, meter: &mut Meter) -> Result<()> {
        self.records(log, meter, &mut |edit| match edit {
            Edit::Bytes(at, bytes) => disk.write_at(*at, bytes),
            Edit::Zeros(range) => disk.store_zeros(range.clone()),
        })?;
        disk.flush()
    }

    /// Shows every record in order; answers with the sum of the body.
    fn records(
        &self,
        log: &dyn HostFile,
        meter: &mut Meter,
        show: &mut dyn FnMut(&Edit<'_>) -> Result<()>,
    ) -> Result<u32> {
        let end = HEAD.saturating_add(self.body);
        let mut at = HEAD;
        let mut sum = 0_u32;
        let mut bytes = Vec::new();
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
            let stop = start.checked_add(len).filter(|stop| *stop <= self.disk);
            let Some(stop) = stop else {
                return Err(bad(format!(
                    "a record changes {len} bytes at {start:#x}, the disk has {}",
                    self.disk
                )));
            };
            at = at.saturating_add(RECORD);
            match kind {
                BYTES if len <= PAGE && len <= end.saturating_sub(at) => {
                    bytes.resize(usize::try_from(len).unwrap_or(0), 0);
                    log.read_at(at, &mut bytes)?;
                    sum = crc32c::crc32c_append(sum, &bytes);
                    at = at.saturating_add(len);
                    show(&Edit::Bytes(start, &bytes))?;
                }
                ZEROS => show(&Edit::Zeros(start..stop))?,
                _ => return Err(bad(format!("a record of kind {kind} and {len} bytes"))),
            }
        }
        Ok(sum)
    }
}

fn span(edit: &Edit<'_>) -> (u64, u64) {
    match edit {
        Edit::Bytes(at, bytes) => {
            let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            (*at, at.saturating_add(len))
        }
        Edit::Zeros(range) => (range.start, range.end),
    }
}

/// The pages a fingerprint may look at: the first and last 64 KiB, where partition tables are, and 256 others.
fn samples(len: u64) -> Vec<(u64, bool)> {
    let pages = len.div_ceil(PAGE);
    let spread = (0..256_u64).map(|i| pages.saturating_mul(i) / 256);
    let mut samples: Vec<u64> = spread
        .chain(0..16)
        .chain(pages.saturating_sub(16)..pages)
        .filter(|page| *page < pages)
        .collect();
    samples.sort_unstable();
    samples.dedup();
    samples.into_iter().map(|page| (page, true)).collect()
}
