use super::Coding;
use super::deflate::Deflater;
use flate2::{Compress, Compression, FlushCompress, Status};
use h2k_block::{Class, Error, Pool, Result};

/// The window a deflated cluster stays within, as a power of two: 4 KiB.
const DEFLATE_WINDOW_BITS: u8 = 12;

/// Level 1 of zlib-rs 0.6.8 has a way of its own (`deflate_quick`) that panics on some input ("buf.len() must fit in
/// remaining()"); it never runs here.
const SAFE_LEVEL: u32 = 2;

/// Encodes whole clusters; keeps codec states between calls, so that a call allocates nothing.
/// The bytes depend on the input, the level and the features alone.
pub(crate) struct Encoder {
    coding: Coding,
    level: u32,
    states: Pool<State>,
}

/// A codec and room for its output: a fixed room, so that no encoder behaves differently for want of space.
struct State {
    codec: Codec,
    room: Vec<u8>,
}

enum Codec {
    Deflate(Deflater),
    Stream(Compress),
    #[cfg(feature = "fast")]
    Zlib(libdeflater::Compressor),
    #[cfg(feature = "fast")]
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Encoder {
    /// The levels of `coding`.
    pub(crate) fn levels(coding: Coding) -> std::ops::RangeInclusive<u32> {
        match coding {
            Coding::Deflate | Coding::Zlib => 1..=9,
            Coding::Zstd => 1..=19,
        }
    }

    /// An encoder for `coding` at `level`.
    ///
    /// # Errors
    /// [`Class::Invalid`] for a level that does not exist; [`Class::Unsupported`] for zstd in a build without C.
    pub(crate) fn new(coding: Coding, level: u32) -> Result<Self> {
        let levels = Self::levels(coding);
        if !levels.contains(&level) {
            return Err(Error::new(
                Class::Invalid,
                format!(
                    "compression level {level} asked, there are {} to {}",
                    levels.start(),
                    levels.end()
                ),
            ));
        }
        if coding == Coding::Zstd && cfg!(not(feature = "fast")) {
            return Err(Error::unsupported(
                "this build has no zstd encoder (it was built without the feature `fast`)",
            )
            .advise("compress with zlib, or use a build with the feature `fast`"));
        }
        Ok(Self {
            coding,
            level,
            states: Pool::default(),
        })
    }

    /// Appends `src`, encoded, to `dst` and says how many bytes that are, always fewer than `src.len()`.
    /// `None`, with `dst` as it was, where encoding does not make it smaller.
    pub(crate) fn encode(&self, src: &[u8], dst: &mut Vec<u8>) -> Option<usize> {
        let most = src.len().checked_sub(1)?;
        let make = || State {
            codec: self.codec(),
            room: Vec::new(),
        };
        self.states.with(make, |state| {
            if state.room.len() < most {
                state.room.resize(most, 0);
            }
            let room = state.room.get_mut(..most)?;
            let len = state.codec.encode(src, room)?;
            dst.extend_from_slice(state.room.get(..len)?);
            Some(len)
        })
    }

    fn codec(&self) -> Codec {
        match self.coding {
            Coding::Deflate if self.level < SAFE_LEVEL => Codec::Deflate(Deflater::new()),
            Coding::Deflate => Codec::Stream(Compress::new_with_window_bits(
                Compression::new(self.level.max(SAFE_LEVEL)),
                false,
                DEFLATE_WINDOW_BITS,
            )),
            #[cfg(feature = "fast")]
            Coding::Zlib => Codec::Zlib(libdeflater::Compressor::new(
                i32::try_from(self.level)
                    .ok()
                    .and_then(|l| libdeflater::CompressionLvl::new(l).ok())
                    .unwrap_or_default(),
            )),
            #[cfg(feature = "fast")]
            Coding::Zstd => {
                let level = i32::try_from(self.level).unwrap_or_default();
                Codec::Zstd(zstd::bulk::Compressor::new(level).unwrap_or_default())
            }
            #[cfg(not(feature = "fast"))]
            Coding::Zlib | Coding::Zstd => {
                Codec::Stream(Compress::new(Compression::new(self.level.max(SAFE_LEVEL)), true))
            }
        }
    }
}

impl Codec {
    /// Encodes `src` into `room` and says how many bytes that are; `None` where they do not fit.
    fn encode(&mut self, src: &[u8], room: &mut [u8]) -> Option<usize> {
        match self {
            Self::Deflate(state) => state.encode(src, room),
            Self::Stream(state) => {
                state.reset();
                match state.compress(src, room, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(state.total_out()).ok(),
                    _ => None,
                }
            }
            #[cfg(feature = "fast")]
            Self::Zlib(state) => state.zlib_compress(src, room).ok(),
            #[cfg(feature = "fast")]
            Self::Zstd(state) => state.compress_to_buffer(src, room).ok(),
        }
    }
}
