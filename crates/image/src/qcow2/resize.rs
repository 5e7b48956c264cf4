use super::Edit;
use h2k_block::{Error, HostFile, Limits, Result};
use std::sync::Arc;

/// What may be lost when a disk gets smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shrink {
    /// Nothing: what is cut off must be unallocated or zero by its metadata.
    #[default]
    Careful,
    /// Data: what is cut off is gone.
    Discard,
}

/// Works out how the guest's disk in `file` becomes `len` bytes long. Nothing is written: see [`Edit`].
///
/// New bytes read as zero, also over a backing file that is longer than the disk was.
///
/// # Errors
/// [`h2k_block::Class::Invalid`] when data would be cut off and `shrink` does not allow it;
/// [`h2k_block::Class::Unsupported`] for images with internal snapshots or bitmaps; else as [`super::check`].
pub fn resize(_file: Arc<dyn HostFile>, _len: u64, _shrink: Shrink, _limits: &Limits) -> Result<Edit> {
    Err(Error::unsupported("qcow2 is not resized yet"))
}
