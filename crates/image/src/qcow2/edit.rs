use super::refcount::read_padded;
use h2k_block::{BlockRead, BlockWrite, Error, HostFile, Overlay, Result};
use std::sync::Arc;

/// A change to an existing image, kept apart from it until somebody commits it.
///
/// [`Edit::commit`] changes the file in place, all or nothing. To leave the file as it is, copy
/// [`Edit::bytes`] (the changed image, byte for byte) into a new one.
pub struct Edit {
    overlay: Arc<Overlay>,
}

impl Edit {
    /// The changed file: its bytes, [`Edit::len`] of them.
    #[must_use]
    pub fn bytes(&self) -> Arc<dyn BlockRead> {
        self.overlay.clone()
    }

    /// Length of the changed file in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.overlay.len()
    }

    /// Whether the changed file has no bytes at all: never, an image has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether committing would change nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.overlay.dirty_pages() == 0
    }

    /// Changes `file`, which must be the file the edit was made from, open for [`h2k_block::Access::Edit`]. `log` is
    /// a fresh file beside it; if this is interrupted, [`h2k_block::recover`] with the same log finishes the work, and
    /// until the log is whole the image is as it was. The caller removes the log afterwards.
    ///
    /// # Errors
    /// [`h2k_block::Class::ReadOnly`] when the file is open for reading; else whatever the host says.
    pub fn commit(&self, file: &dyn HostFile, log: &dyn HostFile) -> Result<()> {
        // Bytes past the old end belong to nobody until the log is redone, so growing comes first.
        if file.len() < self.len() {
            file.set_len(self.len())?;
        }
        h2k_block::commit(&self.overlay, file, log)
    }
}

/// An edit in the making.
pub(super) struct Draft {
    file: Arc<dyn HostFile>,
    overlay: Arc<Overlay>,
}

impl Draft {
    /// Nothing is changed yet.
    pub(super) fn new(file: Arc<dyn HostFile>) -> Self {
        let len = file.len();
        Self {
            overlay: Arc::new(overlay(&file, len)),
            file,
        }
    }

    /// The file as changed so far.
    pub(super) fn file(&self) -> &Overlay {
        &self.overlay
    }

    /// Makes the file at least `len` bytes long; what is new is zero.
    pub(super) fn extend(&mut self, len: u64) -> Result<()> {
        if len <= self.overlay.len() {
            return Ok(());
        }
        let longer = overlay(&self.file, len);
        self.overlay.each(&mut |at, bytes| longer.write_at(at, bytes))?;
        self.overlay = Arc::new(longer);
        Ok(())
    }

    /// Writes bytes that the file has or that [`Draft::extend`] made.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.overlay.write_at(offset, bytes)
    }

    /// Writes a number, if it is another one.
    pub(super) fn set(&self, offset: u64, word: u64) -> Result<()> {
        let mut was = [0; 8];
        self.overlay.read_at(offset, &mut was)?;
        if u64::from_be_bytes(was) == word {
            return Ok(());
        }
        self.write(offset, &word.to_be_bytes())
    }

    pub(super) fn finish(self) -> Edit {
        Edit {
            overlay: self.overlay,
        }
    }
}

fn overlay(file: &Arc<dyn HostFile>, len: u64) -> Overlay {
    Overlay::new(Arc::new(Grown {
        file: file.clone(),
        len,
    }))
}

/// A file that goes on in zeros.
struct Grown {
    file: Arc<dyn HostFile>,
    len: u64,
}

impl BlockRead for Grown {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let bytes = read_padded(&*self.file, offset, buf.len())?;
        if bytes.len() != buf.len() {
            return Err(Error::corrupt("file", offset, "ends before"));
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }
}
