//! Compressed extents: one call in, one call out.
//!
//! zlib is zlib-rs; zstd is libzstd with the feature `fast` and ruzstd without it. LZO is not one stream but many:
//!
//! ```text
//! length of all (4) | length (4), LZO1X data | length (4), LZO1X data | …
//! ```
//!
//! Every piece holds one sector; a length never lies across the border of a sector, the rest is padding.

use flate2::{Decompress, FlushDecompress, Status};
use h2k_block::Pool;

/// How an extent is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zlib,
    Lzo,
    Zstd,
}

/// Why an extent could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// Decodes whole extents; keeps codec states between calls.
#[derive(Default)]
pub(crate) struct Decoder {
    zlib: Pool<Decompress>,
    #[cfg(feature = "fast")]
    zstd: Pool<zstd::zstd_safe::DCtx<'static>>,
    #[cfg(not(feature = "fast"))]
    zstd: Pool<ruzstd::decoding::FrameDecoder>,
}

impl Decoder {
    /// Decodes `src` into `dst`. What the stream leaves of `dst` becomes zero; bytes behind the end of the stream, which
    /// pad an extent to sectors of `sector` bytes, are ignored.
    pub(crate) fn decode(
        &self,
        coding: Coding,
        src: &[u8],
        dst: &mut [u8],
        sector: usize,
    ) -> Result<(), Undecodable> {
        let done = match coding {
            Coding::Zlib => self.inflate(src, dst)?,
            Coding::Lzo => lzo(src, dst, sector).ok_or(Undecodable)?,
            Coding::Zstd => self.unzstd(src, dst)?,
        };
        dst.get_mut(done..).unwrap_or_default().fill(0);
        Ok(())
    }

    fn inflate(&self, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        self.zlib.with(
            || Decompress::new(true),
            |state| {
                state.reset(true);
                let status = state.decompress(src, dst, FlushDecompress::Finish);
                let status = status.map_err(|_| Undecodable)?;
                let done = usize::try_from(state.total_out()).map_err(|_| Undecodable)?;
                // A stream may go on behind what is wanted of it, but not stop before its end.
                if status == Status::StreamEnd || done == dst.len() {
                    Ok(done)
                } else {
                    Err(Undecodable)
                }
            },
        )
    }

    #[cfg(feature = "fast")]
    fn unzstd(&self, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        // The decoder insists on the exact length of the frame.
        let frame = zstd::zstd_safe::find_frame_compressed_size(src).map_err(|_| Undecodable)?;
        let frame = src.get(..frame).ok_or(Undecodable)?;
        self.zstd
            .with(zstd::zstd_safe::DCtx::create, |d| d.decompress(dst, frame))
            .map_err(|_| Undecodable)
    }

    #[cfg(not(feature = "fast"))]
    fn unzstd(&self, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        use std::io::Read;
        self.zstd.with(ruzstd::decoding::FrameDecoder::new, |d| {
            let mut stream =
                ruzstd::decoding::StreamingDecoder::new_with_decoder(src, d).map_err(|_| Undecodable)?;
            let mut done = 0;
            while let Some(rest) = dst.get_mut(done..)
                && !rest.is_empty()
            {
                match stream.read(rest).map_err(|_| Undecodable)? {
                    0 => break,
                    n => done = done.saturating_add(n),
                }
            }
            Ok(done)
        })
    }
}

/// Bytes of a length.
const LENGTH: usize = 4;

fn length(src: &[u8], at: usize) -> Option<usize> {
    let bytes = src.get(at..)?.first_chunk::<LENGTH>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

fn lzo(src: &[u8], dst: &mut [u8], sector: usize) -> Option<usize> {
    let src = src.get(..length(src, 0)?)?;
    let (mut at, mut done) = (LENGTH, 0_usize);
    while done < dst.len() {
        let room = sector.checked_sub(at.checked_rem(sector)?)?;
        if room < LENGTH {
            at = at.checked_add(room)?;
        }
        if at >= src.len() {
            break;
        }
        let from = at.checked_add(LENGTH)?;
        at = from.checked_add(length(src, at)?)?;
        let end = done.checked_add(sector)?.min(dst.len());
        let made = lzokay::decompress::decompress(src.get(from..at)?, dst.get_mut(done..end)?).ok()?;
        done = done.checked_add(made)?;
    }
    Some(done)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// A literal run of `bytes` (4 to 238 of them) as LZO1X has it: 17 + n, the bytes, the end mark.
    fn literal(bytes: &[u8]) -> Vec<u8> {
        let first = u8::try_from(bytes.len() + 17).unwrap();
        [&[first], bytes, &[0x11, 0, 0]].concat()
    }

    #[test]
    fn a_length_does_not_cross_the_border_of_a_sector() {
        let (a, b) = (literal(&[b'a'; 22]), literal(&[b'b'; 20]));
        let mut packed = vec![0; 4];
        packed.extend_from_slice(&u32::try_from(a.len()).unwrap().to_le_bytes());
        packed.extend_from_slice(&a);
        // 4 + 4 + 26 = 34: two bytes are left of a sector of 36, too few for a length.
        assert_eq!(packed.len(), 34);
        packed.resize(36, 0);
        packed.extend_from_slice(&u32::try_from(b.len()).unwrap().to_le_bytes());
        packed.extend_from_slice(&b);
        let total = u32::try_from(packed.len()).unwrap();
        packed[..4].copy_from_slice(&total.to_le_bytes());
        let mut out = [1; 50];
        let decoder = Decoder::default();
        decoder.decode(Coding::Lzo, &packed, &mut out, 36).unwrap();
        assert_eq!(&out[..42], [[b'a'; 22].as_slice(), &[b'b'; 20]].concat());
        assert_eq!(out[42..], [0; 8]);
    }

    /// The compressed extents of the fixture: sectors that begin as a stream of `coding` does.
    fn streams(coding: Coding) -> Vec<Vec<u8>> {
        let home =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/volumes/btrfs/sda.zst");
        let image = h2k_testkit::corpus::unzstd(&std::fs::read(home).unwrap());
        let begins = |s: &[u8]| match coding {
            Coding::Zlib => s[0] == 0x78 && (u32::from(s[0]) * 256 + u32::from(s[1])).is_multiple_of(31),
            Coding::Zstd => s[..4] == [0x28, 0xb5, 0x2f, 0xfd],
            // Lengths of all and of the first piece; the first bytes of the text are literal.
            Coding::Lzo => s[2..4] == [0, 0] && s[6..8] == [0, 0] && s[9..].starts_with(b"1 lzo\n2"),
        };
        let places = (1 << 20..image.len() - 65536).step_by(4096);
        let found = places.filter(|at| begins(&image[*at..*at + 64]));
        found.map(|at| image[at..at + 65536].to_vec()).collect()
    }

    #[test]
    fn what_the_kernel_compressed_comes_back() {
        let decoder = Decoder::default();
        for (coding, word) in [
            (Coding::Zlib, "zlib"),
            (Coding::Lzo, "lzo"),
            (Coding::Zstd, "zstd"),
        ] {
            let text: String = (1..=14_000).map(|n| format!("{n} {word}\n")).collect();
            let found = streams(coding);
            assert!(!found.is_empty(), "{coding:?}");
            // A frame of zstd is decoded whole or not at all.
            let len = if coding == Coding::Zstd { 131_072 } else { 16384 };
            let back = found.iter().any(|packed| {
                let mut out = vec![1; len];
                decoder.decode(coding, packed, &mut out, 4096).is_ok() && text.as_bytes().starts_with(&out)
            });
            assert!(back, "{coding:?}");
        }
    }

    #[test]
    fn damaged_streams_decode_to_something_or_nothing() {
        let decoder = Decoder::default();
        let mut rng = h2k_testkit::rng::Rng::new(3);
        let mut out = vec![0; 131_072];
        for coding in [Coding::Zlib, Coding::Lzo, Coding::Zstd] {
            let packed = &streams(coding)[0];
            let mut refused = 0;
            for _ in 0..3000 {
                let mut packed = packed[..20_000].to_vec();
                h2k_testkit::mutate::damage(&mut rng, &mut packed, 0..2000);
                refused += u32::from(decoder.decode(coding, &packed, &mut out, 4096).is_err());
            }
            assert!(refused > 100, "{coding:?}: {refused}");
        }
    }

    #[test]
    fn what_is_no_stream_is_undecodable() {
        let decoder = Decoder::default();
        for coding in [Coding::Zlib, Coding::Lzo, Coding::Zstd] {
            for src in [&[][..], &[0xff; 3], &[0xff; 100], &[40, 0xb5, 0x2f, 0xfd]] {
                let mut out = [0; 64];
                assert_eq!(
                    decoder.decode(coding, src, &mut out, 4096),
                    Err(Undecodable),
                    "{coding:?} {src:?}"
                );
            }
        }
    }
}
