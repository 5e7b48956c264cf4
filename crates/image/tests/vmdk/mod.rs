//! VMDK.
#![allow(
    clippy::disallowed_methods,
    reason = "tests write the files that the engine then reads"
)]

mod build;
mod chains;
mod checking;
mod corpus;
mod hostile;
mod oracle;
mod properties;
mod reading;
mod writing;

use h2k_block::{DirHost, MemHost, Result, Sharing};
use h2k_image::{Image, OpenOptions, open};
use std::path::Path;
use std::sync::Arc;

/// Opens the file at `path` with everything beside it. Without locks: between fork and exec an oracle started by
/// another test holds a copy of every descriptor of this process, and with it the lock of a file just written.
pub fn open_path(path: &Path) -> Result<Image> {
    let host = DirHost::beside(path, Sharing::Force);
    let file = h2k_block::FileDisk::open(path, h2k_block::Access::Read, Sharing::Force)?;
    open(Arc::new(file), &host, &OpenOptions::default())
}

/// Opens the file called `name` in `host`.
pub fn open_mem(host: &MemHost, name: &str) -> Result<Image> {
    open(host.get(name).unwrap(), host, &OpenOptions::default())
}

/// All bytes of a small disk.
pub fn content(image: &Image) -> Vec<u8> {
    let mut all = vec![0xee; image.disk.len() as usize];
    image.disk.read_at(0, &mut all).unwrap();
    all
}
