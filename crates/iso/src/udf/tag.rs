//! Descriptors: a tag of sixteen bytes, and fields at fixed places (ECMA-167 3/7.2).

use h2k_block::{BlockRead, Error, Result};
use h2k_fs::Time;

/// Tag identifiers (ECMA-167 3/7.2.1 and 4/7.2.1).
pub(crate) mod id {
    pub(crate) const ANCHOR: u16 = 2;
    pub(crate) const POINTER: u16 = 3;
    pub(crate) const PARTITION: u16 = 5;
    pub(crate) const LOGICAL: u16 = 6;
    pub(crate) const TERMINATOR: u16 = 8;
    pub(crate) const FILE_SET: u16 = 256;
    pub(crate) const FILE_ID: u16 = 257;
    pub(crate) const ALLOCATION: u16 = 258;
    pub(crate) const FILE: u16 = 261;
    pub(crate) const EXTENDED_FILE: u16 = 266;
    pub(crate) const BITMAP: u16 = 264;
}

/// Bytes of a descriptor; fields behind its end read as zero.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0
            .get(at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .unwrap_or([0; N])
    }

    pub(crate) fn u8(&self, at: usize) -> u8 {
        u8::from_le_bytes(self.get(at))
    }

    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.get(at))
    }

    pub(crate) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.get(at))
    }

    pub(crate) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.get(at))
    }

    pub(crate) fn bytes(&self, at: usize, len: usize) -> &'a [u8] {
        self.0
            .get(at..)
            .and_then(|rest| rest.get(..len))
            .unwrap_or_default()
    }

    /// Which descriptor this is.
    pub(crate) fn id(&self) -> u16 {
        self.u16(0)
    }

    /// A timestamp (1/7.3), in UTC where it says how far from it that is.
    pub(crate) fn time(&self, at: usize) -> Time {
        let at = |n: usize| at.saturating_add(n);
        let kind = self.u16(at(0));
        let year = i64::from(i16::from_le_bytes(self.get(at(2))));
        if year == 0 {
            return Time::default();
        }
        let mut seconds = crate::iso9660::seconds(
            [year, self.u8(at(4)).into(), self.u8(at(5)).into()],
            [self.u8(at(6)), self.u8(at(7)), self.u8(at(8))].map(i64::from),
            0,
        );
        // Twelve bits, signed, in minutes; -2047 means that nobody knows.
        let minutes = i64::from(kind & 0xfff);
        let minutes = if minutes >= 2048 {
            minutes.saturating_sub(4096)
        } else {
            minutes
        };
        if kind >> 12 == 1 && minutes != -2047 {
            seconds = seconds.saturating_sub(minutes.saturating_mul(60));
        }
        let micros = u32::from(self.u8(at(9)).min(99)).saturating_mul(10_000);
        let micros = micros.saturating_add(u32::from(self.u8(at(10)).min(99)).saturating_mul(100));
        let micros = micros.saturating_add(u32::from(self.u8(at(11)).min(99)));
        Time {
            seconds,
            nanos: micros.saturating_mul(1000),
        }
    }
}

/// CRC-16 of the polynomial 0x1021, beginning with 0 (1/7.2.6).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |c, _| {
            if c & 0x8000 != 0 { c << 1 ^ 0x1021 } else { c << 1 }
        })
    })
}

/// Whether `bytes` begin with a tag whose checksums agree.
pub(crate) fn valid(bytes: &[u8]) -> bool {
    let fields = Fields(bytes);
    let sum = fields
        .bytes(0, 16)
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 4)
        .fold(0_u8, |sum, (_, b)| sum.wrapping_add(*b));
    let len = usize::from(fields.u16(10));
    let body = bytes.get(16..).and_then(|b| b.get(..len));
    fields.id() != 0 && sum == fields.u8(4) && body.is_some_and(|b| crc(b) == fields.u16(8))
}

/// Reads `len` bytes at `at`, which have to be a descriptor of one of `ids`.
pub(crate) fn read(
    disk: &dyn BlockRead,
    at: u64,
    len: u64,
    ids: &[u16],
    name: &'static str,
) -> Result<Vec<u8>> {
    if len > 1 << 16 || at.saturating_add(len) > disk.len() {
        let what = format!("lies at {at:#x}, the volume has {:#x} bytes", disk.len());
        return Err(Error::corrupt(name, at, what));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    disk.read_at(at, &mut bytes)?;
    let found = Fields(&bytes).id();
    if !ids.contains(&found) {
        let what = format!("tag {found}, one of {ids:?} was expected");
        return Err(Error::corrupt(name, at, what));
    }
    if !valid(&bytes) {
        return Err(Error::corrupt(name, at, "its tag's checksums do not agree"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_specifications_example() {
        // ECMA-167 1/7.2.6: the bytes 70 6A 77 give 0x3299.
        assert_eq!(crc(&[0x70, 0x6a, 0x77]), 0x3299);
    }
}
