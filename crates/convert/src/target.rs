use crate::{Failure, Result};
use h2k_image::{Format, Target, raw};

/// How the content of a target is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Deflate, the compression every reader knows.
    Zlib(Option<u8>),
    /// Zstandard: faster and smaller, for readers since QEMU 5.1.
    Zstd(Option<u8>),
}

/// What the host sets aside before the copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing: the target grows with its content.
    #[default]
    Off,
    /// The tables, not the content.
    Metadata,
    /// Every block, unwritten.
    Falloc,
    /// Every block, written with zeros.
    Full,
}

/// A target to be made: what the user said of it. What is `None` is left to the format's default.
#[derive(Clone, Debug)]
pub struct Making {
    /// The format.
    pub format: Format,
    /// Whether and how the content is compressed.
    pub compression: Option<Compression>,
    /// Unit of allocation in bytes (cluster, grain, block).
    pub cluster_size: Option<u64>,
    /// What the host sets aside.
    pub preallocation: Preallocation,
}

impl Making {
    /// A target of `format` with the defaults of that format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            compression: None,
            cluster_size: None,
            preallocation: Preallocation::Off,
        }
    }

    /// Every choice made: what the format's writer is given.
    ///
    /// # Errors
    /// [`h2k_block::Class::Invalid`] when the format has no such choice.
    pub fn target(&self) -> Result<Target> {
        match self.format {
            Format::Raw => self.raw(),
            other => Ok(Target::of(other)),
        }
    }

    fn raw(&self) -> Result<Target> {
        self.refuse_compression()?;
        self.refuse_cluster_size()?;
        let preallocation = match self.preallocation {
            Preallocation::Off => raw::Preallocation::Off,
            Preallocation::Metadata => {
                return Err(self.no("tables that could be preallocated; use falloc or full"));
            }
            Preallocation::Falloc => raw::Preallocation::Falloc,
            Preallocation::Full => raw::Preallocation::Full,
        };
        Ok(Target::Raw(raw::Options { preallocation }))
    }

    fn refuse_compression(&self) -> Result<()> {
        match self.compression {
            Some(_) => Err(self.no("compression")),
            None => Ok(()),
        }
    }

    fn refuse_cluster_size(&self) -> Result<()> {
        match self.cluster_size {
            Some(_) => Err(self.no("cluster size that could be chosen")),
            None => Ok(()),
        }
    }

    fn no(&self, what: &str) -> Failure {
        Failure::invalid(format!("the {} format has no {what}", self.format.name()))
    }
}
