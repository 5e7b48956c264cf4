//! QEMU copy-on-write, versions 2 and 3.

mod check;
mod edit;
mod repair;
mod resize;

pub use check::check;
pub use edit::Edit;
pub use repair::{Repair, Repaired, repair};
pub use resize::{Shrink, resize};

use crate::{Image, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result, Sink};
use std::sync::Arc;

/// How the container is made.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// Whether `file` looks like this format.
pub(crate) fn probe(_file: &dyn BlockRead) -> Result<bool> {
    Ok(false)
}

/// Opens the image in `file`.
pub(crate) fn open(_file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    Err(Error::unsupported("qcow2 is not read yet"))
}

/// Starts a container for `len` bytes in `file`.
pub(crate) fn create(_file: Arc<dyn HostFile>, _options: &Options, _len: u64) -> Result<Box<dyn Sink>> {
    Err(Error::unsupported("qcow2 is not written yet"))
}
