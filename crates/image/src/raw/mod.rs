//! Raw: the disk's bytes and nothing else. Holes are the host file's holes.

mod sink;

use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Extent, HostFile, RawSpan, Result};
use std::sync::Arc;

pub(crate) use sink::create;
pub use sink::{Options, Preallocation};

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    let mut info = Info::new(file.name().to_owned(), Format::Raw, file.len());
    info.files.push(FileInfo::of(&*file));
    Ok(Image {
        disk: Arc::new(RawDisk(file)),
        info,
    })
}

/// A host file seen as a disk whose bytes can be cloned.
pub(crate) struct RawDisk(pub(crate) Arc<dyn HostFile>);

impl BlockRead for RawDisk {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.0.read_at(offset, buf)
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        self.0.extent_at(offset, end)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        Ok(Some(RawSpan {
            file: self.0.clone(),
            offset,
            len: end.saturating_sub(offset),
        }))
    }
}
