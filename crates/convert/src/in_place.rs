//! Changing an image in place: all or nothing, whatever happens in between.

use crate::redo_log_of;
use h2k_block::{Access, Error, FileDisk, HostFile, Limits, Overlay, Result, Sharing};
use h2k_image::qcow2::Edit;
use std::path::{Path, PathBuf};

/// A change under way: a redo log beside the image.
struct Log {
    path: PathBuf,
    file: FileDisk,
}

/// Applies `edit` to `file`, which is the image at `path`. Either the change is complete when this returns, or the
/// image is as it was, or a whole redo log lies beside it and [`crate::Recover`] finishes the work.
pub(crate) fn apply(edit: &Edit, file: &dyn HostFile, path: &Path) -> Result<()> {
    if edit.is_nothing() && edit.len() == file.len() {
        return Ok(());
    }
    // A log may only be believed when the image is already as long as the log will need.
    if file.len() < edit.len() {
        file.set_len(edit.len())?;
    }
    logged(file, path, |log| edit.commit(file, log))
}

/// Writes the edits of `over` to `file`, which is the disk at `path` as it is. All or nothing, as [`apply`].
pub(crate) fn commit(over: &Overlay, file: &dyn HostFile, path: &Path) -> Result<()> {
    logged(file, path, |log| h2k_block::commit(over, file, log))
}

fn logged(file: &dyn HostFile, path: &Path, commit: impl FnOnce(&FileDisk) -> Result<()>) -> Result<()> {
    file.flush()?;
    let log = Log::begin(path)?;
    match commit(&log.file) {
        Ok(()) => log.end(),
        // What was begun is finished if it can be; what was not begun leaves no log behind.
        Err(e) => match h2k_block::recover(file, &log.file, Limits::default()) {
            Ok(finished) => {
                log.end()?;
                if finished { Ok(()) } else { Err(e) }
            }
            Err(_) => Err(e.advise(format!(
                "the change is incomplete and must be finished: hyper2kvm recover {}",
                path.display()
            ))),
        },
    }
}

/// Finishes the change of the image at `path` that `log` records. Says whether there was anything to finish.
pub(crate) fn finish(file: &dyn HostFile, path: &Path, limits: Limits) -> Result<bool> {
    let path = redo_log_of(path);
    let log = Log {
        file: FileDisk::open(&path, Access::Edit, Sharing::Careful)?,
        path,
    };
    let finished = h2k_block::recover(file, &log.file, limits)?;
    log.end()?;
    Ok(finished)
}

impl Log {
    fn begin(image: &Path) -> Result<Self> {
        let path = redo_log_of(image);
        let file = FileDisk::open(&path, Access::Create, Sharing::Careful)?;
        // Before the first byte of the image changes, the log must be one that a crash cannot make disappear.
        sync_directory(&path)?;
        Ok(Self { path, file })
    }

    fn end(self) -> Result<()> {
        rustix::fs::unlink(&self.path)
            .map_err(|e| Error::from(e).through(self.path.display().to_string()))?;
        sync_directory(&self.path)
    }
}

/// Makes what was created or removed beside `file` survive a crash.
fn sync_directory(file: &Path) -> Result<()> {
    let dir = match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let synced = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).and_then(rustix::fs::fsync);
    synced.map_err(|e| Error::from(e).through(dir.display().to_string()))
}
