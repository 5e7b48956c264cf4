//! VMDK.
#![allow(
    clippy::disallowed_methods,
    reason = "tests write the files that the engine then reads"
)]

mod corpus;

use h2k_block::{DirHost, Result, Sharing};
use h2k_image::{Image, OpenOptions, open};
use std::path::Path;
use std::sync::Arc;

/// Opens the file at `path` with everything beside it.
pub fn open_path(path: &Path) -> Result<Image> {
    let host = DirHost::beside(path, Sharing::Careful);
    let file = h2k_block::FileDisk::open(path, h2k_block::Access::Read, Sharing::Careful)?;
    open(Arc::new(file), &host, &OpenOptions::default())
}
