//! What the parts of an initramfs image are packed with: the methods the kernel knows, told by their first bytes.

use super::blocks::{Lz4, Lzop};
use super::source::Stream;
use h2k_block::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Read};

/// The largest window a decoder may keep: as much as the kernel's own zstd takes.
const WINDOW: u32 = 27;

/// How a segment is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// bzip2, which is recognised and not read.
    Bzip2,
    /// The format of lzma-utils.
    Lzma,
    /// xz.
    Xz,
    /// The file format of lzop.
    Lzo,
    /// The legacy frames of lz4.
    Lz4,
    /// zstd.
    Zstd,
}

impl Compression {
    /// By its first bytes; `None` for anything that a kernel would refuse.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], Compression); 8] = [
            (b"0707", Compression::None),
            (&[0x1f, 0x8b], Compression::Gzip),
            (b"BZh", Compression::Bzip2),
            (&[0x5d, 0, 0], Compression::Lzma),
            (&[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], Compression::Xz),
            (&[0x89, 0x4c, 0x5a, 0x4f], Compression::Lzo),
            (&[0x02, 0x21, 0x4c, 0x18], Compression::Lz4),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
        ];
        let found = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
        found.map(|(_, compression)| *compression)
    }

    /// As people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// The plain content of the segment that `stream` stands at.
pub(crate) fn open<'a>(compression: Compression, stream: &'a mut Stream<'_>) -> Result<Box<dyn Read + 'a>> {
    let kib = 1_u32 << WINDOW.saturating_sub(10);
    Ok(match compression {
        Compression::None => Box::new(stream),
        Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(stream)),
        Compression::Bzip2 => {
            return Err(Error::unsupported("an initramfs packed with bzip2 is not read"));
        }
        Compression::Lzma => {
            let reader = lzma_rust2::LzmaReader::new_mem_limit(Single(stream), kib, None);
            Box::new(reader.map_err(|e| damaged(compression, &io::Error::other(e.to_string())))?)
        }
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(stream, false, kib)),
        Compression::Lzo => Box::new(Lzop::new(stream).map_err(|e| damaged(compression, &e))?),
        Compression::Lz4 => Box::new(Lz4::new(stream)),
        Compression::Zstd => zstd(stream).map_err(|e| damaged(compression, &e))?,
    })
}

/// Hands out single bytes: the decoder of lzma keeps what it was given beyond the end of its stream, and the next segment
/// begins there. Images packed so are rare and old.
struct Single<R>(R);

impl<R: Read> Read for Single<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = out.len().min(1);
        self.0.read(out.get_mut(..n).unwrap_or_default())
    }
}

#[cfg(feature = "fast")]
fn zstd<'a>(stream: &'a mut Stream<'_>) -> io::Result<Box<dyn Read + 'a>> {
    let mut decoder = ::zstd::stream::read::Decoder::with_buffer(stream)?.single_frame();
    decoder.window_log_max(WINDOW)?;
    Ok(Box::new(decoder))
}

#[cfg(not(feature = "fast"))]
fn zstd<'a>(stream: &'a mut Stream<'_>) -> io::Result<Box<dyn Read + 'a>> {
    let decoder = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(stream, 1 << WINDOW);
    Ok(Box::new(decoder.map_err(|e| io::Error::other(e.to_string()))?))
}

/// A segment that does not unpack.
pub(crate) fn damaged(compression: Compression, error: &io::Error) -> Error {
    Error::corrupt(
        "initramfs segment",
        0,
        format!("it does not unpack as {}: {error}", compression.word()),
    )
}
