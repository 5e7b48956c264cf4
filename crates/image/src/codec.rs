//! Codecs for whole clusters and grains: one call in, one call out, no streams.

use crate::pool::Pool;
use flate2::{Decompress, FlushDecompress, Status};

/// How a cluster or grain is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1951 without a wrapper (qcow2).
    Deflate,
    /// RFC 1950: deflate in a zlib wrapper (VMDK).
    Zlib,
    /// RFC 8878 (qcow2).
    Zstd,
}

/// Why a cluster could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// Decodes whole clusters; keeps codec states between calls.
#[derive(Default)]
pub(crate) struct Decoder {
    raw: Pool<Decompress>,
    zlib: Pool<Decompress>,
}

impl Decoder {
    /// Decodes `src` into `dst` and says how many bytes came out, at most `dst.len()`. Bytes of `src` after
    /// the end of the stream are ignored.
    pub(crate) fn decode(&self, coding: Coding, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
        match coding {
            Coding::Deflate => self
                .raw
                .with(|| Decompress::new(false), |d| inflate(d, false, src, dst)),
            Coding::Zlib => self
                .zlib
                .with(|| Decompress::new(true), |d| inflate(d, true, src, dst)),
            Coding::Zstd => unzstd(src, dst),
        }
    }
}

fn inflate(state: &mut Decompress, wrapper: bool, src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
    state.reset(wrapper);
    match state.decompress(src, dst, FlushDecompress::Finish) {
        Ok(Status::StreamEnd | Status::Ok | Status::BufError) => {
            usize::try_from(state.total_out()).map_err(|_| Undecodable)
        }
        Err(_) => Err(Undecodable),
    }
}

fn unzstd(src: &[u8], dst: &mut [u8]) -> Result<usize, Undecodable> {
    use std::io::Read;
    let mut stream = ruzstd::decoding::StreamingDecoder::new(src).map_err(|_| Undecodable)?;
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
}
