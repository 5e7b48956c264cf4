use h2k_block::{BlockRead, Extent, Kind, Result};

/// A disk that is the same everywhere: nothing, or noise nobody looks at.
pub(crate) struct Uniform {
    pub(crate) len: u64,
    pub(crate) kind: Kind,
}

impl Uniform {
    /// A disk that stores nothing.
    pub(crate) fn empty(len: u64) -> Self {
        Self {
            len,
            kind: Kind::Hole,
        }
    }

    /// A disk that is all data.
    pub(crate) fn full(len: u64) -> Self {
        Self {
            len,
            kind: Kind::Data,
        }
    }
}

impl BlockRead for Uniform {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, _offset: u64, buf: &mut [u8]) -> Result<()> {
        buf.fill(if self.kind == Kind::Data { 0xa5 } else { 0 });
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        Ok(Extent::new(offset, end.saturating_sub(offset), self.kind))
    }
}
