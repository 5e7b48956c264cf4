//! Files that Windows keeps compressed behind a reparse point (WOF, "CompactOS"): chunks of XPRESS or LZX in the
//! stream `WofCompressedData`, led by a table of their ends.

use crate::attribute::Attribute;
use crate::layout::{kind, le32};
use crate::record::File;
use crate::volume::Volume;
use crate::{lzx, stream, xpress};
use h2k_block::{Error, Result};
use std::sync::Arc;

/// How such a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// XPRESS with Huffman codes in chunks of so many bytes.
    Xpress(u32),
    /// LZX in chunks of 32 KiB.
    Lzx,
}

impl Algorithm {
    /// What the reparse point's data says; an error names what it says instead.
    pub(crate) fn parse(data: &[u8]) -> std::result::Result<Self, String> {
        let word = |at: usize| le32(data, at).unwrap_or(u32::MAX);
        match (word(0), word(4), word(8), word(12)) {
            (1, 2, 1, 0) => Ok(Self::Xpress(4096)),
            (1, 2, 1, 1) => Ok(Self::Lzx),
            (1, 2, 1, 2) => Ok(Self::Xpress(8192)),
            (1, 2, 1, 3) => Ok(Self::Xpress(16384)),
            (1, 1, _, _) => Err("its content lies in a WIM file (WIMBoot)".to_owned()),
            (version, provider, _, algorithm) => Err(format!(
                "WOF version {version}, provider {provider}, algorithm {algorithm} is not known"
            )),
        }
    }

    fn chunk(self) -> u64 {
        match self {
            Self::Xpress(size) => size.into(),
            Self::Lzx => 32768,
        }
    }
}

const NAME: &str = "WofCompressedData";

/// The stream that holds the compressed chunks.
pub(crate) fn stream_of(file: &File) -> Option<&Attribute> {
    let name: Vec<u16> = NAME.encode_utf16().collect();
    file.find(kind::DATA, &name)
}

/// Fills `buf` from byte `offset` of the content, which has `size` bytes.
pub(crate) fn read(
    volume: &Volume,
    file: &File,
    algorithm: Algorithm,
    size: u64,
    mut offset: u64,
    mut buf: &mut [u8],
) -> Result<()> {
    let bad = |what: &str| Error::corrupt(NAME, file.at, format!("record {}: {what}", file.number));
    let source = stream_of(file).ok_or_else(|| bad("is missing"))?;
    let step = algorithm.chunk();
    while !buf.is_empty() {
        let number = offset.checked_div(step).unwrap_or(0);
        let within = usize::try_from(offset.checked_rem(step).unwrap_or(0)).unwrap_or(0);
        // Record numbers and chunk numbers share a key with clusters of other units: the top bit tells them apart.
        let key = 1 << 63 | file.number << 32 | number & 0xffff_ffff;
        let chunk = volume.units.get(key, || {
            chunk(volume, file, source, algorithm, size, number).map(Arc::from)
        })?;
        let n = chunk.len().saturating_sub(within).min(buf.len());
        let (head, rest) = buf.split_at_mut(n);
        match chunk.get(within..).and_then(|c| c.get(..n)) {
            Some(bytes) if n > 0 => head.copy_from_slice(bytes),
            _ => return Err(bad("has too few chunks")),
        }
        offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        buf = rest;
    }
    Ok(())
}

/// Chunk `number`: the table holds the end of every chunk but the last, relative to the end of the table.
fn chunk(
    volume: &Volume,
    file: &File,
    source: &Attribute,
    algorithm: Algorithm,
    size: u64,
    number: u64,
) -> Result<Vec<u8>> {
    let bad = |what: String| Error::corrupt(NAME, file.at, format!("record {}: {what}", file.number));
    let step = algorithm.chunk();
    let count = size.div_ceil(step);
    let width: u64 = if size > u64::from(u32::MAX) { 8 } else { 4 };
    let table = count.saturating_sub(1).saturating_mul(width);
    let end_of = |n: u64| -> Result<u64> {
        let mut entry = [0; 8];
        let at = n.saturating_mul(width);
        let bytes = entry
            .get_mut(..usize::try_from(width).unwrap_or(8))
            .unwrap_or_default();
        if at.saturating_add(width) > source.len() {
            return Err(bad(format!("the table of {count} chunks does not fit")));
        }
        stream::read(volume, source, at, bytes)?;
        Ok(u64::from_le_bytes(entry))
    };
    let start = if number == 0 {
        0
    } else {
        end_of(number.saturating_sub(1))?
    };
    let end = if number.saturating_add(1) == count {
        source.len().saturating_sub(table)
    } else {
        end_of(number)?
    };
    let plain = size.saturating_sub(number.saturating_mul(step)).min(step);
    let coded = end
        .checked_sub(start)
        .filter(|n| *n <= plain && table.saturating_add(end) <= source.len());
    let coded = coded.ok_or_else(|| bad(format!("chunk {number} lies at {start:#x} to {end:#x}")))?;
    let mut bytes = vec![0; usize::try_from(coded).unwrap_or(0)];
    stream::read(volume, source, table.saturating_add(start), &mut bytes)?;
    if coded == plain {
        return Ok(bytes);
    }
    let mut out = vec![0; usize::try_from(plain).unwrap_or(0)];
    match algorithm {
        Algorithm::Xpress(_) => xpress::decode(&bytes, &mut out),
        Algorithm::Lzx => lzx::decode(&bytes, &mut out),
    }
    .map_err(|what| bad(format!("chunk {number} {what}")))?;
    Ok(out)
}
