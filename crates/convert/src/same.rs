//! Whether two names mean one file.

use h2k_image::Info;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode of what `path` leads to, if it is there.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = path.metadata().ok()?;
    Some((found.dev(), found.ino()))
}

/// Every host file of an image and its parents.
pub(crate) fn files(info: &Info) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut next = Some(info);
    while let Some(image) = next {
        all.push(image.name.clone());
        all.extend(image.files.iter().map(|f| f.name.clone()));
        next = image.parent.as_deref();
    }
    all.dedup();
    all
}

/// The file of `info`'s chain that `path` is, if it is one of them.
pub(crate) fn among(path: &Path, info: &Info) -> Option<PathBuf> {
    let me = identity(path)?;
    files(info).into_iter().find(|f| identity(f) == Some(me))
}
