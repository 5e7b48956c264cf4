//! Codecs for whole clusters and grains: one call in, one call out, no streams.
//!
//! With the feature `fast` deflate is decoded, and zlib encoded, by libdeflate; zstd is libzstd. Without it
//! everything is Rust: zlib-rs and ruzstd, which does not encode.

mod decode;
mod deflate;
mod encode;
mod huffman;

#[allow(
    unused_imports,
    reason = "used as soon as the first compressed format is read"
)]
pub(crate) use decode::Decoder;
#[allow(
    unused_imports,
    reason = "used as soon as the first compressed format is written"
)]
pub(crate) use encode::Encoder;

/// How a cluster or grain is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1951 without a wrapper (qcow2). Encoded within a window of 4 KiB: that is all a qcow2 reader promises
    /// to look back.
    Deflate,
    /// RFC 1950: deflate in a zlib wrapper (VMDK). Encoded within the usual window of 32 KiB.
    Zlib,
    /// RFC 8878 (qcow2).
    Zstd,
}

/// Why a cluster could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

#[cfg(test)]
mod tests;
