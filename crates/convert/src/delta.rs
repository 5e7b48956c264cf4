use h2k_block::{BlockRead, Extent, Result};
use std::sync::Arc;

/// What an image adds to its parent: its own map, so that the parent shows through where it stores nothing; the whole
/// chain's content, so that a unit of the target that is only partly stored here can be filled up.
pub(crate) struct Delta {
    /// The image alone.
    pub(crate) own: Arc<dyn BlockRead>,
    /// The image with its parents.
    pub(crate) whole: Arc<dyn BlockRead>,
}

impl BlockRead for Delta {
    fn len(&self) -> u64 {
        self.own.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.whole.read_at(offset, buf)
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        self.own.extent_at(offset, end)
    }

    fn grain(&self) -> u32 {
        self.own.grain()
    }
}
