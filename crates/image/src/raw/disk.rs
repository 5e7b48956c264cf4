//! Reading: one file, or numbered parts of one disk.

use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Class, Extent, HostFile, Joined, Part, RawSpan, Result};
use std::sync::Arc;

/// Opens the image in `file`, and the parts that follow it.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let name = file.name().to_owned();
    let parts = parts(file.clone(), opening)?;
    let files: Vec<FileInfo> = parts.iter().map(|part| FileInfo::of(&**part)).collect();
    let disk: Arc<dyn BlockRead> = if parts.len() == 1 {
        Arc::new(RawDisk(file))
    } else {
        let part = |file: Arc<dyn HostFile>| Part {
            len: file.len(),
            offset: 0,
            disk: Some(Arc::new(RawDisk(file))),
        };
        Arc::new(Joined::new(parts.into_iter().map(part).collect())?)
    };
    let mut info = Info::new(name, Format::Raw, disk.len());
    if files.len() > 1 {
        info.subformat = Some("split".to_owned());
    }
    info.files = files;
    Ok(Image { disk, info })
}

/// `file`, and if the user named one that ends in `.000` or `.001`, the files beside it that go on counting. Parents
/// and extents are one file each, whatever they are called.
fn parts(file: Arc<dyn HostFile>, opening: &Opening<'_>) -> Result<Vec<Arc<dyn HostFile>>> {
    let mut parts = vec![file.clone()];
    let name = file.name().file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| Some((name.strip_suffix(".000").or(name.strip_suffix(".001"))?, name)));
    let Some((stem, name)) = stem.filter(|_| opening.is_first()) else {
        return Ok(parts);
    };
    let first = usize::from(name.ends_with('1'));
    // Three digits end here.
    while parts.len() < 999 {
        let number = parts.len().saturating_add(first);
        match opening.sibling(&*file, &format!("./{stem}.{number:03}")) {
            Ok(next) => parts.push(next),
            // Nothing there, or nowhere to look: that was the last one.
            Err(e) if matches!(e.class(), Class::NotFound | Class::Refused) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(parts)
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
