//! The methods blocks are compressed by.

use flate2::{Decompress, FlushDecompress, Status};
use h2k_block::{Error, Result};
use std::io::Read;

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Gzip,
    Lzo,
    Xz,
    Lz4,
    Zstd,
}

impl Method {
    /// The method of the superblock's number.
    pub(crate) fn of(number: u16) -> Result<Self> {
        Ok(match number {
            1 => Self::Gzip,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            2 => return Err(Error::unsupported("an image compressed with lzma is not read")),
            other => {
                let what = format!("an image compressed with the unknown method {other} is not read");
                return Err(Error::unsupported(what));
            }
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Unpacks `packed` into at most `most` bytes; `None` where it is no such stream or longer.
    pub(crate) fn unpack(self, packed: &[u8], most: usize) -> Option<Vec<u8>> {
        match self {
            Self::Gzip => {
                let mut out = vec![0; most];
                let mut inflate = Decompress::new(true);
                let status = inflate
                    .decompress(packed, &mut out, FlushDecompress::Finish)
                    .ok()?;
                let n = usize::try_from(inflate.total_out()).ok()?;
                (status == Status::StreamEnd).then(|| out.truncate(n))?;
                Some(out)
            }
            Self::Lzo => {
                let mut out = vec![0; most];
                let n = lzokay::decompress::decompress(packed, &mut out).ok()?;
                out.truncate(n);
                Some(out)
            }
            // Dictionaries are as large as a block, and blocks are 1 MiB at most; the limit is in KiB.
            Self::Xz => bounded(lzma_rust2::XzReader::new_mem_limit(packed, false, 8 << 10), most),
            Self::Lz4 => {
                let mut out = vec![0; most];
                let n = lz4_flex::block::decompress_into(packed, &mut out).ok()?;
                out.truncate(n);
                Some(out)
            }
            Self::Zstd => {
                let mut packed = packed;
                let window = 8 << 20;
                let reader =
                    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut packed, window).ok()?;
                bounded(reader, most)
            }
        }
    }
}

fn bounded(mut reader: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let limit = u64::try_from(most).ok()?.checked_add(1)?;
    reader.by_ref().take(limit).read_to_end(&mut out).ok()?;
    (out.len() <= most).then_some(out)
}
