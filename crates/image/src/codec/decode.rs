use super::{Coding, Undecodable};
use flate2::{Decompress, FlushDecompress, Status};
use h2k_block::Pool;

/// Decodes whole clusters; keeps codec states between calls.
#[derive(Default)]
pub(crate) struct Decoder {
    raw: Pool<Decompress>,
    zlib: Pool<Decompress>,
    #[cfg(feature = "fast")]
    deflate: Pool<libdeflater::Decompressor>,
    #[cfg(feature = "fast")]
    zstd: Pool<zstd::zstd_safe::DCtx<'static>>,
    #[cfg(not(feature = "fast"))]
    zstd: Pool<ruzstd::decoding::FrameDecoder>,
}

impl Decoder {
    /// Decodes `src` into `dst` and says how many bytes came out, at most `dst.len()`. Bytes of `src` after
    /// the end of the stream are ignored, and so is what the stream holds beyond `dst.len()` bytes.
    pub(crate) fn decode(&self, coding: Coding, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        match coding {
            Coding::Deflate | Coding::Zlib => self.inflate(coding, src, dst),
            Coding::Zstd => self.unzstd(src, dst),
        }
    }

    fn inflate(&self, coding: Coding, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        #[cfg(feature = "fast")]
        {
            let done = self
                .deflate
                .with(libdeflater::Decompressor::new, |d| match coding {
                    Coding::Zlib => d.zlib_decompress(src, dst),
                    _ => d.deflate_decompress(src, dst),
                });
            if let Ok(done) = done {
                return Ok(done);
            }
            // libdeflate gives nothing for a stream that is cut short or goes on past `dst`. The streaming
            // decoder below knows what can be had.
        }
        match coding {
            Coding::Zlib => self
                .zlib
                .with(|| Decompress::new(true), |d| stream(d, true, src, dst)),
            _ => self
                .raw
                .with(|| Decompress::new(false), |d| stream(d, false, src, dst)),
        }
    }

    #[cfg(feature = "fast")]
    fn unzstd(&self, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        // The decoder insists on the exact length of the frame, so that is found first; it is a walk over the
        // headers of at most a few hundred blocks.
        let frame = zstd::zstd_safe::find_frame_compressed_size(src).map_err(|_| Undecodable)?;
        let frame = src.get(..frame).ok_or(Undecodable)?;
        self.zstd
            .with(zstd::zstd_safe::DCtx::create, |d| d.decompress(dst, frame))
            .map_err(|_| Undecodable)
    }

    #[cfg(not(feature = "fast"))]
    fn unzstd(&self, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        use std::io::Read;
        let make = ruzstd::decoding::FrameDecoder::new;
        self.zstd.with(make, |d| {
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

fn stream(state: &mut Decompress, wrapper: bool, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
    state.reset(wrapper);
    match state.decompress(src, dst, FlushDecompress::Finish) {
        Ok(Status::StreamEnd | Status::Ok | Status::BufError) => {
            usize::try_from(state.total_out()).map_err(|_| Undecodable)
        }
        Err(_) => Err(Undecodable),
    }
}
