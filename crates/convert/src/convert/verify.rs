//! Reading a finished target again, before it gets its name.

use super::Ready;
use crate::Watch;
use h2k_block::{Access, Class, Error, FileDisk, Host, HostFile, Joined, Output, Part, Result, Sharing};
use h2k_copy::{Digest, Options};
use h2k_image::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Names the files of an output by the names they will have.
struct Parts(Vec<(PathBuf, PathBuf)>);

impl Host for Parts {
    fn open(&self, referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let wanted = referrer.with_file_name(name);
        let part = self.0.iter().find(|(_, path)| *path == wanted);
        let Some((part, _)) = part else {
            return Err(Error::new(
                Class::Refused,
                format!(
                    "the target names {}, which was not made with it",
                    wanted.display()
                ),
            ));
        };
        reopen(part, access)
    }
}

/// Opens a part again. The writer's own locks are still held, so none are asked for.
fn reopen(part: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
    let file = FileDisk::open(part, access, Sharing::Force)?;
    forget_cached(&file);
    Ok(Arc::new(file))
}

/// Lets the host drop what it still holds of the file in memory, so that reading asks the storage. A wish.
fn forget_cached(file: &FileDisk) {
    if let Some(file) = file.descriptor() {
        let _wish = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

/// Reads the finished target with a reader that knows nothing of the writer, and compares digests.
pub(super) fn verify(
    output: &Output,
    file: &dyn HostFile,
    ready: &Ready,
    wanted: Option<&Digest>,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<()> {
    let parts = Parts(
        output
            .parts()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect(),
    );
    let opened = h2k_image::open(
        reopen(file.name(), Access::Read)?,
        &parts,
        &OpenOptions {
            format: Some(ready.target.format()),
            // A reference to a parent is not followed: what was written is in the target itself.
            alone: true,
            ..OpenOptions::default()
        },
    )
    .map_err(|e| e.through("verifying the target"))?;
    let options = Options {
        bytes_per_second: None,
        ..options.clone()
    };
    // Some formats round the size of a disk up: what is compared is what was copied.
    let disk = Joined::new(vec![Part {
        disk: Some(opened.disk),
        offset: 0,
        len: ready.disk.len(),
    }])?;
    let found =
        h2k_copy::digest(&disk, &options, stop, watch).map_err(|e| e.through("verifying the target"))?;
    match (wanted, &found.digest) {
        (Some(wanted), Some(found)) if wanted == found => Ok(()),
        _ => Err(Error::new(
            Class::Corrupt,
            "the target, read again, does not hold what was written to it",
        )
        .advise("check the memory and the storage of this machine before trusting any copy made on it")),
    }
}
