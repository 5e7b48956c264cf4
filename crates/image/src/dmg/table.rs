//! The block tables: out of the property list, into one sorted list of chunks.

use h2k_block::{Error, Meter, Result};
use zerocopy::{BE, FromBytes, Immutable, IntoBytes, KnownLayout, U32, U64, Unaligned};

const SECTOR: u64 = 512;
const ZERO: u32 = 0;
const RAW: u32 = 1;
const IGNORED: u32 = 2;
const ZLIB: u32 = 0x8000_0005;
const COMMENT: u32 = 0x7fff_fffe;
const TERMINATOR: u32 = 0xffff_ffff;

/// The head of a block table ("mish").
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Table {
    signature: [u8; 4],
    version: U32<BE>,
    first_sector: U64<BE>,
    sector_count: U64<BE>,
    data_offset: U64<BE>,
    buffers_needed: U32<BE>,
    descriptors: U32<BE>,
    reserved: [u8; 24],
    checksum: [u8; 136],
    chunk_count: U32<BE>,
}
const _: () = assert!(size_of::<Table>() == 204);

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawChunk {
    kind: U32<BE>,
    comment: U32<BE>,
    first_sector: U64<BE>,
    sector_count: U64<BE>,
    offset: U64<BE>,
    length: U64<BE>,
}
const _: () = assert!(size_of::<RawChunk>() == 40);

/// How a chunk's bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zero,
    Raw,
    Zlib,
    /// Refused by name when the image is opened.
    Unknown(u32),
}

impl Kind {
    /// The name of a compression that is not read.
    pub(super) fn name(self) -> String {
        match self {
            Self::Unknown(0x8000_0004) => "ADC".to_owned(),
            Self::Unknown(0x8000_0006) => "bzip2".to_owned(),
            Self::Unknown(0x8000_0007) => "LZFSE".to_owned(),
            Self::Unknown(0x8000_0008) => "LZMA".to_owned(),
            Self::Unknown(other) => format!("type {other:#x}"),
            Self::Zero | Self::Raw | Self::Zlib => "none".to_owned(),
        }
    }
}

/// A chunk, in bytes of the guest's disk and of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) kind: Kind,
    pub(super) host: u64,
    pub(super) packed: u64,
}

/// Every chunk of every table in the property list, in guest order. `fork` is where the data fork begins.
pub(super) fn entries(plist: &[u8], at: u64, fork: u64, meter: &mut Meter) -> Result<Vec<Entry>> {
    let bad = |what: &str| Error::corrupt("property list", at, what);
    let after = |bytes: &'_ [u8], word: &[u8]| find(bytes, word).map(|n| n.saturating_add(word.len()));
    let start = after(plist, b"<key>blkx</key>").ok_or_else(|| bad("no block tables (blkx)"))?;
    let mut rest = plist.get(start..).unwrap_or_default();
    let end = find(rest, b"</array>").ok_or_else(|| bad("the list of block tables does not end"))?;
    rest = rest.get(..end).unwrap_or_default();
    let mut all = Vec::new();
    while let Some(from) = after(rest, b"<data>") {
        rest = rest.get(from..).unwrap_or_default();
        let end = find(rest, b"</data>").ok_or_else(|| bad("a block table does not end"))?;
        let (text, tail) = rest.split_at(end.min(rest.len()));
        rest = tail;
        let raw = base64(text).ok_or_else(|| bad("a block table is not base64"))?;
        table(&raw, at, fork, meter, &mut all)?;
    }
    all.sort_by_key(|e: &Entry| e.start);
    let mut before = 0;
    for entry in &all {
        if entry.start < before {
            let what = format!("two chunks hold the byte {:#x} of the disk", entry.start);
            return Err(Error::corrupt("block table", at, what));
        }
        before = entry.start.saturating_add(entry.len);
    }
    Ok(all)
}

fn table(raw: &[u8], at: u64, fork: u64, meter: &mut Meter, all: &mut Vec<Entry>) -> Result<()> {
    let bad = |what: String| Error::corrupt("block table", at, what);
    let Ok((head, rest)) = Table::read_from_prefix(raw) else {
        return Err(bad(format!("it has only {} bytes", raw.len())));
    };
    if head.signature != *b"mish" {
        return Err(bad("no signature \"mish\"".to_owned()));
    }
    let count = usize::try_from(head.chunk_count.get()).unwrap_or(usize::MAX);
    let chunks = rest.as_chunks::<40>().0;
    if chunks.len() < count {
        return Err(bad(format!(
            "{count} chunks, but only {} fit into it",
            chunks.len()
        )));
    }
    meter.bytes(rest.len().try_into().unwrap_or(u64::MAX), "block table")?;
    for raw in chunks.iter().take(count) {
        let Ok(chunk) = RawChunk::read_from_bytes(raw) else {
            continue;
        };
        let kind = match chunk.kind.get() {
            ZERO | IGNORED => Kind::Zero,
            RAW => Kind::Raw,
            ZLIB => Kind::Zlib,
            COMMENT => continue,
            TERMINATOR => break,
            other => Kind::Unknown(other),
        };
        let sector = head.first_sector.get().checked_add(chunk.first_sector.get());
        let start = sector.and_then(|s| s.checked_mul(SECTOR));
        let len = chunk.sector_count.get().checked_mul(SECTOR);
        let host = fork
            .checked_add(head.data_offset.get())
            .and_then(|h| h.checked_add(chunk.offset.get()));
        let (Some(start), Some(len), Some(host)) = (start, len, host) else {
            return Err(bad("a chunk's place exceeds 64 bits".to_owned()));
        };
        if start.checked_add(len).is_none() {
            return Err(bad("a chunk's end exceeds 64 bits".to_owned()));
        }
        if len > 0 {
            all.push(Entry {
                start,
                len,
                kind,
                host,
                packed: chunk.length.get(),
            });
        }
    }
    Ok(())
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|w| w == word)
}

/// RFC 4648 base64; white space is skipped.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for c in text.iter().filter(|c| !c.is_ascii_whitespace() && **c != b'=') {
        let value = match c {
            b'A'..=b'Z' => c.wrapping_sub(b'A'),
            b'a'..=b'z' => c.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => c.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count = count.saturating_add(6);
        if count >= 8 {
            count = count.saturating_sub(8);
            let byte = bits.checked_shr(count).unwrap_or(0) & 0xff;
            out.push(u8::try_from(byte).unwrap_or(0));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64(b"bWlz\n\t aA==").as_deref(), Some(&b"mish"[..]));
        assert_eq!(base64(b"b*"), None);
    }
}
