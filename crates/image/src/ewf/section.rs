//! Sections: the chain through a segment file, the volume, the tables.

use h2k_block::{BlockRead, Error, HostFile, Meter, Result};
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, LE, U32, U64, Unaligned};

pub(super) const EVF: [u8; 8] = *b"EVF\x09\x0d\x0a\xff\0";
pub(super) const LVF: [u8; 8] = *b"LVF\x09\x0d\x0a\xff\0";
pub(super) const EVF2: [u8; 8] = *b"EVF2\r\n\x81\0";

/// Section descriptor.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Descriptor {
    kind: [u8; 16],
    next: U64<LE>,
    size: U64<LE>,
    padding: [u8; 40],
    checksum: U32<LE>,
}
const _: () = assert!(size_of::<Descriptor>() == 76);

/// The head of the volume section; SMART images have a 32-bit sector count and end soon after it.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawVolume {
    media_type: [u8; 4],
    chunk_count: U32<LE>,
    sectors_per_chunk: U32<LE>,
    bytes_per_sector: U32<LE>,
    sector_count: U64<LE>,
}
const _: () = assert!(size_of::<RawVolume>() == 24);

/// Table header.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawTable {
    count: U32<LE>,
    padding: U32<LE>,
    base: U64<LE>,
    padding2: U32<LE>,
    checksum: U32<LE>,
}
const _: () = assert!(size_of::<RawTable>() == 24);

/// What disk it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volume {
    /// Guest bytes in a chunk.
    pub(super) chunk: u64,
    /// Size of the guest's disk in bytes.
    pub(super) size: u64,
}

/// A table of chunk offsets in one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Number of its first chunk.
    pub(super) first: u64,
    pub(super) count: u64,
    /// Which segment.
    pub(super) segment: usize,
    /// Where its offsets are.
    pub(super) at: u64,
    pub(super) base: u64,
    /// Where the last chunk ends.
    pub(super) end: u64,
}

/// What the sections of all segments say.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) volume: Option<Volume>,
    pub(super) tables: Vec<Table>,
    chunks: u64,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Next,
    Done,
}

/// The number a segment file gives itself.
pub(super) fn segment_number(file: &dyn BlockRead) -> Result<u16> {
    let mut head = [0; 13];
    if file.len() < 13 {
        return Err(Error::corrupt("file header", 0, "the file is too short"));
    }
    file.read_at(0, &mut head)?;
    let [magic @ .., _, low, high, _, _] = head;
    match magic {
        EVF => Ok(u16::from_le_bytes([low, high])),
        LVF => Err(Error::unsupported(
            "a logical evidence file (L01): it holds files, not a disk",
        )),
        EVF2 => Err(Error::unsupported("version 2 of the format (Ex01)")),
        _ => Err(Error::corrupt("file header", 0, "no signature \"EVF\"")),
    }
}

impl Sections {
    /// Walks the sections of segment `number` (from 0).
    pub(super) fn walk(
        &mut self,
        file: &Arc<dyn HostFile>,
        number: usize,
        meter: &mut Meter,
    ) -> Result<Ending> {
        let mut at = 13_u64;
        let mut sectors_end = None;
        loop {
            meter.step("section")?;
            let bad = |what: String| Error::corrupt("section", at, what);
            let mut raw = Descriptor::new_zeroed();
            let body = at.saturating_add(76);
            if body > file.len() {
                return Err(bad(format!("the file ends before it, at {:#x}", file.len())));
            }
            file.read_at(at, raw.as_mut_bytes())?;
            let (covered, _) = raw.as_bytes().split_at(72);
            if adler32(covered) != raw.checksum.get() {
                return Err(bad("its checksum does not match".to_owned()));
            }
            let name = raw.kind.split(|b| *b == 0).next().unwrap_or_default();
            let next = raw.next.get();
            match name {
                b"done" => return Ok(Ending::Done),
                b"next" => return Ok(Ending::Next),
                b"volume" | b"disk" | b"data" => self.volume(&**file, body)?,
                b"sectors" => sectors_end = Some(next),
                // table2 is a copy of the table before it.
                b"table" => {
                    let end = sectors_end.unwrap_or(at);
                    self.table(&**file, body, number, end, meter)?;
                }
                _ => {}
            }
            if next <= at {
                return Err(bad(format!(
                    "section {:?} is followed by one at {next:#x}",
                    String::from_utf8_lossy(name)
                )));
            }
            at = next;
        }
    }

    fn volume(&mut self, file: &dyn BlockRead, at: u64) -> Result<()> {
        let bad = |what: String| Error::corrupt("volume", at, what);
        let mut raw = RawVolume::new_zeroed();
        if at.saturating_add(24) > file.len() {
            return Err(bad("the file ends inside it".to_owned()));
        }
        file.read_at(at, raw.as_mut_bytes())?;
        let sector = u64::from(raw.bytes_per_sector.get());
        let chunk = sector.saturating_mul(raw.sectors_per_chunk.get().into());
        if sector == 0 || chunk == 0 || chunk > crate::packed::MAX_CHUNK {
            return Err(bad(format!("chunks of {chunk} bytes, sectors of {sector}")));
        }
        let size = raw.sector_count.get().checked_mul(sector);
        let size = size.ok_or_else(|| bad(format!("a disk of {} sectors", raw.sector_count.get())))?;
        if size.div_ceil(chunk) > raw.chunk_count.get().into() {
            return Err(bad(format!(
                "a disk of {size} bytes in {} chunks of {chunk}",
                raw.chunk_count.get()
            )));
        }
        self.volume.get_or_insert(Volume { chunk, size });
        Ok(())
    }

    fn table(
        &mut self,
        file: &dyn BlockRead,
        at: u64,
        segment: usize,
        end: u64,
        meter: &mut Meter,
    ) -> Result<()> {
        let bad = |what: String| Error::corrupt("table", at, what);
        let mut raw = RawTable::new_zeroed();
        if at.saturating_add(24) > file.len() {
            return Err(bad("the file ends inside it".to_owned()));
        }
        file.read_at(at, raw.as_mut_bytes())?;
        let (covered, _) = raw.as_bytes().split_at(20);
        if adler32(covered) != raw.checksum.get() {
            return Err(bad("its checksum does not match".to_owned()));
        }
        let count = u64::from(raw.count.get());
        let offsets = at.saturating_add(24);
        if offsets.saturating_add(count.saturating_mul(4)) > file.len() {
            return Err(bad(format!("{count} offsets do not fit into the file")));
        }
        meter.bytes(u64::try_from(size_of::<Table>()).unwrap_or(64), "table")?;
        self.tables.push(Table {
            first: self.chunks,
            count,
            segment,
            at: offsets,
            base: raw.base.get(),
            end: end.min(file.len()),
        });
        self.chunks = self.chunks.saturating_add(count);
        Ok(())
    }
}

/// RFC 1950's Adler-32.
pub(super) fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (mut a, mut b) = (1_u32, 0_u32);
    // 5552 is the most bytes for which the sums stay below 2^32.
    for piece in bytes.chunks(5552) {
        for byte in piece {
            a = a.wrapping_add(u32::from(*byte));
            b = b.wrapping_add(a);
        }
        a = a.checked_rem(MODULUS).unwrap_or(0);
        b = b.checked_rem(MODULUS).unwrap_or(0);
    }
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adler32_of_a_known_text() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        // From zlib: long enough for the sums to be reduced between pieces.
        assert_eq!(adler32(&[0xff; 20000]), 0x9f51_d664);
    }
}
