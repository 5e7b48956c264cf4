use h2k_block::{BlockRead, Error, Result};

/// A disk whose size is known and whose bytes are encrypted: for descriptions of an image.
pub(crate) struct Sealed {
    len: u64,
    /// Makes the error that every read ends in.
    refusal: Box<dyn Fn() -> Error + Send + Sync>,
}

impl Sealed {
    pub(crate) fn new(len: u64, refusal: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        Self {
            len,
            refusal: Box::new(refusal),
        }
    }
}

impl BlockRead for Sealed {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, _offset: u64, _into: &mut [u8]) -> Result<()> {
        Err((self.refusal)())
    }
}
