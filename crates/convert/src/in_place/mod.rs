//! Changing images in place: all or nothing, whatever happens in between.

mod together;

pub(crate) use together::{Target, commit};

use crate::redo_log_of;
use h2k_block::{Access, Error, FileDisk, HostFile, Limits, Result, Sharing};
use h2k_image::qcow2::Edit;
use std::path::{Path, PathBuf};

/// A file beside an image while the image is changed: the redo log, or a note that says where that one is.
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
    make_room(edit, file)?;
    logged(file, path, |log| edit.commit(file, log))
}

/// Makes `file` as long as `edit` needs it: a log may only be believed when it is. What is added belongs to nobody.
pub(crate) fn make_room(edit: &Edit, file: &dyn HostFile) -> Result<()> {
    if file.len() < edit.len() {
        file.set_len(edit.len())?;
    }
    Ok(())
}

fn logged(file: &dyn HostFile, path: &Path, commit: impl FnOnce(&FileDisk) -> Result<()>) -> Result<()> {
    file.flush()?;
    let log = Log::begin(path)?;
    let committed = commit(&log.file);
    let recover = || h2k_block::recover(file, &log.file, Limits::default());
    let failed = settled(committed, recover, path)?;
    log.end()?;
    failed.map_or(Ok(()), Err)
}

/// What was begun is finished if it can be; what was not begun leaves no log behind: the error is the answer then.
fn settled(
    committed: Result<()>,
    recover: impl FnOnce() -> Result<bool>,
    path: &Path,
) -> Result<Option<Error>> {
    let Err(e) = committed else { return Ok(None) };
    match recover() {
        Ok(finished) => Ok((!finished).then_some(e)),
        Err(_) => Err(e.advise(format!(
            "the change is incomplete and must be finished: hyper2kvm recover {}",
            path.display()
        ))),
    }
}

/// Finishes the change of the image at `path` that the log beside it records, also where other images change with it.
/// Says whether there was anything to finish.
pub(crate) fn finish(file: FileDisk, path: &Path, sharing: Sharing, limits: Limits) -> Result<bool> {
    let log = Log::found(path)?;
    if let Some(leader) = together::leader_in(&log, path)? {
        // Finishing all of them opens every note.
        drop(log);
        let finished = together::finish_led(file, path, &leader, sharing, limits)?;
        if !finished {
            Log::found(path)?.end()?;
        }
        return Ok(finished);
    }
    let finished = match h2k_block::logged(&log.file, limits)? {
        Some(disks) if disks.iter().any(|disk| !disk.name.is_empty()) => {
            return together::finish(log, path, &disks, vec![(path.to_owned(), file)], sharing, limits);
        }
        _ => h2k_block::recover(&file, &log.file, limits)?,
    };
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

    fn found(image: &Path) -> Result<Self> {
        let path = redo_log_of(image);
        let file = FileDisk::open(&path, Access::Edit, Sharing::Careful)?;
        Ok(Self { path, file })
    }

    fn end(self) -> Result<()> {
        rustix::fs::unlink(&self.path)
            .map_err(|e| Error::from(e).through(self.path.display().to_string()))?;
        sync_directory(&self.path)
    }
}

/// The directory of a file.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Makes what was created or removed beside `file` survive a crash.
fn sync_directory(file: &Path) -> Result<()> {
    let dir = directory(file);
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let synced = rustix::fs::open(dir, flags, rustix::fs::Mode::empty()).and_then(rustix::fs::fsync);
    synced.map_err(|e| Error::from(e).through(dir.display().to_string()))
}
