//! Compressed payloads. Everything is Rust: what is compressed here is small.

use h2k_block::{Error, Meter, Result};
use std::io::Read;

/// How a payload is compressed: the flags of a DATA object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Xz,
    Lz4,
    Zstd,
}

const NAME: &str = "compressed payload";
/// KiB that the xz decoder may take: enough for the largest dictionary of its usual presets (8 MiB).
const XZ_KIB: u32 = 12 << 10;

impl Coding {
    /// `None` where nothing is compressed.
    pub(crate) fn from_flags(flags: u8) -> Result<Option<Self>> {
        match flags & 7 {
            0 => Ok(None),
            1 => Ok(Some(Self::Xz)),
            2 => Ok(Some(Self::Lz4)),
            4 => Ok(Some(Self::Zstd)),
            other => Err(Error::corrupt(
                NAME,
                0,
                format!("is compressed in ways {other:#x} at once"),
            )),
        }
    }

    /// The bytes behind `packed`, paid for.
    pub(crate) fn decode(self, packed: &[u8], meter: &mut Meter) -> Result<Vec<u8>> {
        match self {
            Self::Xz => drain(lzma_rust2::XzReader::new_mem_limit(packed, false, XZ_KIB), meter),
            Self::Lz4 => lz4(packed, meter),
            Self::Zstd => {
                let stream = ruzstd::decoding::StreamingDecoder::new(packed).map_err(|e| bad("zstd", &e))?;
                drain(stream, meter)
            }
        }
    }
}

fn bad(kind: &str, why: &dyn std::fmt::Display) -> Error {
    Error::corrupt(NAME, 0, format!("{kind}: {why}"))
}

/// Everything a stream has, paid for piece by piece.
fn drain(mut stream: impl Read, meter: &mut Meter) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = stream.read(&mut piece).map_err(|e| bad("xz or zstd", &e))?;
        if n == 0 {
            return Ok(all);
        }
        meter.bytes(crate::layout::wide(n), NAME)?;
        all.extend_from_slice(piece.get(..n).unwrap_or_default());
    }
}

/// Eight bytes of length, then one LZ4 block.
fn lz4(packed: &[u8], meter: &mut Meter) -> Result<Vec<u8>> {
    let Some((len, block)) = packed.split_first_chunk::<8>() else {
        return Err(bad("LZ4", &"is cut short"));
    };
    let len = u64::from_le_bytes(*len);
    // One byte of a block stands for 255 bytes at most.
    if len.div_euclid(255) > crate::layout::wide(block.len()) {
        return Err(bad("LZ4", &format!("{} bytes cannot be {len}", block.len())));
    }
    let mut all = meter.buffer(len, NAME)?;
    let n = lz4_flex::block::decompress_into(block, &mut all).map_err(|e| bad("LZ4", &e))?;
    if n != all.len() {
        return Err(bad("LZ4", &format!("gives {n} bytes, {len} are promised")));
    }
    Ok(all)
}
