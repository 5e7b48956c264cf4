use h2k_block::{BlockRead, HostFile, Overlay, Result};
use std::sync::Arc;

/// A change to an existing image, kept apart from it until somebody commits it.
///
/// [`Edit::commit`] changes the file in place, all or nothing. To leave the file as it is, copy
/// [`Edit::bytes`] (the changed image, byte for byte) into a new one.
pub struct Edit {
    pub(super) overlay: Arc<Overlay>,
    pub(super) len: u64,
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
        self.len
    }

    /// Whether the changed file has no bytes at all: never, an image has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether committing would change nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.overlay.dirty_pages() == 0
    }

    /// Changes `file`, which must be the file the edit was made from. `log` is a fresh file beside it; if this is
    /// interrupted, [`h2k_block::recover`] with the same log finishes the work, and until the log is whole the
    /// image is as it was. The caller removes the log afterwards.
    ///
    /// # Errors
    /// Whatever the host says.
    pub fn commit(&self, file: &dyn HostFile, log: &dyn HostFile) -> Result<()> {
        // Bytes past the old end belong to nobody until the log is redone, so growing comes first.
        if file.len() < self.len {
            file.set_len(self.len)?;
        }
        h2k_block::commit(&self.overlay, file, log)
    }
}
