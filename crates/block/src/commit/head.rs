//! The head of a log: what has to be so before anything is redone.

use super::{Logged, PAGE, length, total};
use crate::{BlockWrite, Edit, Error, HostFile, Meter, Result};

const MAGIC: [u8; 8] = *b"h2k-redo";
/// The newest one.
const VERSION: u32 = 2;
pub(super) const HEAD: u64 = 64;
pub(super) const HEAD_BYTES: usize = 64;

pub(super) struct Head {
    /// 1 for one disk without a name, 2 for disks with names.
    pub(super) version: u32,
    /// Bytes of the body.
    pub(super) body: u64,
    /// Bytes of all disks.
    pub(super) disks: u64,
    /// Of the pages the edits leave alone.
    pub(super) fingerprint: u32,
    /// CRC-32C of the body.
    pub(super) sum: u32,
}

impl Head {
    pub(super) fn bytes(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.body.to_le_bytes());
        bytes.extend_from_slice(&self.disks.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint.to_le_bytes());
        bytes.extend_from_slice(&self.sum.to_le_bytes());
        bytes.resize(HEAD_BYTES.saturating_sub(4), 0);
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        <[u8; HEAD_BYTES]>::try_from(bytes).unwrap_or([0; HEAD_BYTES])
    }

    /// The head of `log`, or `None` where no commit passed the point of no return.
    pub(super) fn read(log: &dyn HostFile) -> Result<Option<Self>> {
        if log.len() < HEAD {
            return Ok(None);
        }
        let mut raw = [0_u8; HEAD_BYTES];
        log.read_at(0, &mut raw)?;
        let (words, _) = raw.as_chunks::<8>();
        let [magic, version, body, disks, fingerprint_and_sum, .., last] = words else {
            return Ok(None);
        };
        let low = |word: &[u8; 8]| u32::try_from(u64::from_le_bytes(*word) & 0xffff_ffff).unwrap_or(0);
        let high = |word: &[u8; 8]| u32::try_from(u64::from_le_bytes(*word) >> 32).unwrap_or(0);
        let whole = crc32c::crc32c(raw.get(..HEAD_BYTES.saturating_sub(4)).unwrap_or_default());
        if *magic != MAGIC || whole != high(last) {
            return Ok(None);
        }
        if !(1..=VERSION).contains(&low(version)) {
            return Err(Error::unsupported(format!(
                "the redo log has version {}, this program knows versions up to {VERSION}",
                low(version)
            ))
            .at("redo log", 8));
        }
        let head = Self {
            version: low(version),
            body: u64::from_le_bytes(*body),
            disks: u64::from_le_bytes(*disks),
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

    /// Reads the whole log, checks its sum and its records, and answers with the disks it is of.
    pub(super) fn logged(&self, log: &dyn HostFile, meter: &mut Meter) -> Result<Vec<Logged>> {
        let told = self.records(log, meter, &mut |_, _| Ok(()))?;
        self.agrees(told.sum)?;
        let all = total(told.disks.iter().map(|disk| disk.len));
        if all != self.disks {
            let what = format!("its disks have {all} bytes, the head says {}", self.disks);
            return Err(Error::corrupt("redo log", 24, what));
        }
        Ok(told.disks)
    }

    fn agrees(&self, sum: u32) -> Result<()> {
        if sum == self.sum {
            return Ok(());
        }
        Err(Error::corrupt(
            "redo log",
            HEAD,
            format!(
                "the body's CRC-32C is {sum:#010x}, the head says {:#010x}",
                self.sum
            ),
        ))
    }

    /// Reads the whole log, checks its sum and its records, and takes the fingerprint of `disks`.
    pub(super) fn fingerprint_of(
        &self,
        disks: &[&dyn BlockWrite],
        log: &dyn HostFile,
        meter: &mut Meter,
    ) -> Result<u32> {
        let mut samples: Vec<Vec<(u64, bool)>> = disks.iter().map(|disk| samples(disk.len())).collect();
        let told = self.records(log, meter, &mut |number, edit| {
            let (at, end) = match edit {
                Edit::Bytes(at, bytes) => (*at, at.saturating_add(length(bytes))),
                Edit::Zeros(range) => (range.start, range.end),
            };
            let samples = samples.get_mut(number).map(Vec::as_mut_slice).unwrap_or_default();
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
        self.agrees(told.sum)?;
        let mut found = 0_u32;
        let mut buf = vec![0_u8; 4096];
        for (disk, samples) in disks.iter().zip(&samples) {
            for (page, _) in samples.iter().filter(|(_, untouched)| *untouched) {
                let at = page.saturating_mul(PAGE);
                let n = usize::try_from(disk.len().saturating_sub(at).min(PAGE)).unwrap_or(0);
                let bytes = buf.get_mut(..n).unwrap_or_default();
                disk.read_at(at, bytes)?;
                found = crc32c::crc32c_append(found, &page.to_le_bytes());
                found = crc32c::crc32c_append(found, bytes);
            }
        }
        Ok(found)
    }

    pub(super) fn redo(
        &self,
        disks: &[&dyn BlockWrite],
        log: &dyn HostFile,
        meter: &mut Meter,
    ) -> Result<()> {
        self.records(log, meter, &mut |number, edit| {
            let disk = disks.get(number);
            let disk = disk.ok_or_else(|| Error::corrupt("redo log", HEAD, "an edit of no disk"))?;
            match edit {
                Edit::Bytes(at, bytes) => disk.write_at(*at, bytes),
                Edit::Zeros(range) => disk.store_zeros(range.clone()),
            }
        })?;
        for disk in disks {
            disk.flush()?;
        }
        Ok(())
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
