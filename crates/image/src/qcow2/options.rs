use super::geometry::Geometry;
use super::layout::{MAX_BACKING_NAME, MAX_L1_BYTES};
use crate::Format;
use crate::codec::{Coding, Encoder};
use h2k_block::{Class, Error, Result};

/// How guest clusters are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Deflate, read by everybody.
    Zlib {
        /// 1 (fast) to 9 (small).
        level: u32,
    },
    /// Zstandard, read by QEMU since 5.1.
    Zstd {
        /// 1 (fast) to 19 (small).
        level: u32,
    },
}

impl Compression {
    /// Deflate at the level this project measured to be worth its time; see `docs/formats/qcow2.md`.
    pub const ZLIB: Self = Self::Zlib { level: 1 };
    /// Zstandard at its own usual level.
    pub const ZSTD: Self = Self::Zstd { level: 3 };
}

/// What is set aside before the guest writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing: the image grows with its content.
    #[default]
    Off,
    /// Tables, and a place in the file for every cluster; the file has holes there.
    Metadata,
    /// The same, and the host sets blocks aside for them.
    Falloc,
    /// The same, and they are written with zeros.
    Full,
}

/// The image underneath a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// Its name, as it is to be recorded: relative to the new image's directory, or absolute.
    pub name: String,
    /// Its format, always recorded.
    pub format: Format,
}

/// How a qcow2 image (version 3, 16-bit reference counts) is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes in a cluster: a power of two from 512 to 2 MiB.
    pub cluster_size: u32,
    /// How clusters are compressed.
    pub compression: Compression,
    /// The image underneath. With one, holes show it and zeros hide it; without one, both take no space.
    pub backing: Option<Backing>,
    /// Whether QEMU may put off updating reference counts while the image is in use.
    pub lazy_refcounts: bool,
    /// What is set aside before the guest writes.
    pub preallocation: Preallocation,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cluster_size: 65536,
            compression: Compression::None,
            backing: None,
            lazy_refcounts: false,
            preallocation: Preallocation::Off,
        }
    }
}

impl Options {
    /// Checks the options against each other and against a disk of `len` bytes.
    pub(super) fn geometry(&self, len: u64) -> Result<Geometry> {
        let size = self.cluster_size;
        if !size.is_power_of_two() || !(512..=2 << 20).contains(&size) {
            return Err(invalid(format!(
                "a cluster size of {size} bytes asked; it has to be a power of two from 512 to 2097152"
            )));
        }
        let geometry = Geometry::new(size.trailing_zeros(), false);
        if geometry.l1_entries(len).saturating_mul(8) > MAX_L1_BYTES {
            return Err(Error::unsupported(format!(
                "a disk of {len} bytes does not fit into qcow2 with clusters of {size} bytes"
            ))
            .advise("choose larger clusters"));
        }
        if self.preallocation != Preallocation::Off {
            if self.compression != Compression::None {
                return Err(invalid("a compressed image cannot be preallocated"));
            }
            if self.backing.is_some() {
                return Err(invalid("an image with a backing file cannot be preallocated"));
            }
        }
        if let Some(backing) = &self.backing {
            let most = usize::try_from(MAX_BACKING_NAME).unwrap_or(0);
            if backing.name.is_empty() || backing.name.len() > most {
                return Err(invalid("the name of a backing file has 1 to 1023 bytes"));
            }
        }
        Ok(geometry)
    }

    /// The encoder for the compression, if there is one.
    pub(super) fn encoder(&self) -> Result<Option<Encoder>> {
        match self.compression {
            Compression::None => Ok(None),
            Compression::Zlib { level } => Encoder::new(Coding::Deflate, level).map(Some),
            Compression::Zstd { level } => Encoder::new(Coding::Zstd, level).map(Some),
        }
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(Class::Invalid, what)
}
