use crate::{Access, BlockWrite, Class, Error, FileDisk, HostFile, Result, Sharing};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The extension that a file has while it is written.
const PART: &str = "part";

/// Files that appear whole, or not at all.
///
/// Each file is written as `NAME.part`, locked against every other run until the end. [`Output::commit`] makes
/// all of them durable and then gives them their names, the first one created last: whoever finds that name finds
/// the others. Dropping the output before that removes what was written; a killed run leaves only `.part` files,
/// which the next run takes over.
#[derive(Debug, Default)]
pub struct Output {
    parts: Vec<Part>,
    replace: bool,
}

#[derive(Debug)]
struct Part {
    /// Its name until the end.
    part: PathBuf,
    /// Its name at the end.
    path: PathBuf,
    /// Kept open, so that the lock is held until the file has its name.
    file: Arc<FileDisk>,
}

impl Output {
    /// An output with no files yet. `replace` allows existing targets to be replaced.
    #[must_use]
    pub fn new(replace: bool) -> Self {
        Self {
            parts: Vec::new(),
            replace,
        }
    }

    /// The name that the file now called `name` will have: for containers that write their own name, or that of
    /// a second file, into themselves. A name that is not one of a part stays as it is.
    #[must_use]
    pub fn final_name(name: &Path) -> PathBuf {
        if name.extension().is_some_and(|e| e == PART) {
            name.with_extension("")
        } else {
            name.to_owned()
        }
    }

    /// Starts the file that will be called `path`.
    ///
    /// # Errors
    /// [`Class::Exists`] when `path` is there and may not be replaced, [`Class::Unsupported`] when it is a
    /// directory or a device, which are never replaced, [`Class::Busy`] when another run is writing it.
    pub fn create(&mut self, path: &Path) -> Result<Arc<dyn HostFile>> {
        self.vacant(path)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".");
        part.push(PART);
        let part = PathBuf::from(part);
        let file = Arc::new(claim(&part)?);
        self.parts.push(Part {
            part,
            path: path.to_owned(),
            file: file.clone(),
        });
        Ok(file)
    }

    /// The files so far: what each is called now, and what it will be called.
    pub fn parts(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.parts
            .iter()
            .map(|part| (part.part.as_path(), part.path.as_path()))
    }

    /// Makes every file durable and gives it its name.
    ///
    /// # Errors
    /// Whatever the host says. Then no new name is left behind; only files that replaced older ones stay.
    pub fn commit(mut self) -> Result<()> {
        for part in &self.parts {
            part.file.flush()?;
            self.vacant(&part.path)?;
        }
        let mut named = Vec::new();
        while let Some(part) = self.parts.pop() {
            match rename(&part, self.replace) {
                Ok(()) => named.push(part),
                Err(e) => {
                    if !self.replace {
                        for done in &named {
                            // The first error is the one to tell.
                            let _gone = rustix::fs::unlink(&done.path);
                        }
                    }
                    self.parts.push(part);
                    return Err(e);
                }
            }
        }
        // The names themselves have to survive a crash.
        let mut directories: Vec<_> = named.iter().map(|part| directory(&part.path)).collect();
        directories.sort_unstable();
        directories.dedup();
        for directory in directories {
            settle(directory)?;
        }
        Ok(())
    }

    /// Whether a file may be called `path`.
    fn vacant(&self, path: &Path) -> Result<()> {
        let Ok(there) = rustix::fs::lstat(path) else {
            return Ok(());
        };
        let refuse = |error: Error| Err(error.through(path.display().to_string()));
        match FileType::from_raw_mode(there.st_mode) {
            FileType::RegularFile | FileType::Symlink if self.replace => Ok(()),
            FileType::RegularFile | FileType::Symlink => refuse(exists()),
            FileType::Directory => refuse(Error::unsupported("the target is a directory")),
            _ => refuse(
                Error::unsupported("the target is a device, a pipe or a socket, and not a file")
                    .advise("convert into a file, then copy that where it has to go"),
            ),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for part in &self.parts {
            // Nothing to do about a file that is gone already.
            let _gone = rustix::fs::unlink(&part.part);
        }
    }
}

/// Creates `part` and locks it, or takes over what a killed run left there.
fn claim(part: &Path) -> Result<FileDisk> {
    // Each round either ends or has seen somebody else rename or remove the file in between.
    for _ in 0..16 {
        match FileDisk::open(part, Access::Create, Sharing::Careful) {
            Err(e) if e.class() == Class::Exists => {}
            other => return other,
        }
        let flags = crate::file::flags(Access::Edit) | OFlags::NOFOLLOW;
        let old = match rustix::fs::open(part, flags, Mode::empty()) {
            Ok(old) => File::from(old),
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(crate::file::opening(part, e.into())),
        };
        let stat = rustix::fs::fstat(&old).map_err(|e| crate::file::opening(part, e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
            return Err(Error::new(
                Class::Exists,
                "something that is no unfinished file has this name",
            )
            .through(part.display().to_string())
            .advise("remove it, or choose another name for the target"));
        }
        let old =
            FileDisk::adopt(old, part, Access::Edit, Sharing::Careful).map_err(|e| match e.class() {
                Class::Busy => Error::new(Class::Busy, "another run is writing this target")
                    .through(part.display().to_string())
                    .advise("wait for it, or choose another name"),
                _ => e,
            })?;
        // The lock is ours, but is this still the file of that name? It was renamed if its writer was just done.
        if old.same_as(part) {
            old.set_len(0)?;
            return Ok(old);
        }
    }
    Err(Error::new(Class::Busy, "other runs keep writing this target").through(part.display().to_string()))
}

fn rename(part: &Part, replace: bool) -> Result<()> {
    let (from, to) = (&part.part, &part.path);
    let flags = if replace {
        RenameFlags::empty()
    } else {
        RenameFlags::NOREPLACE
    };
    let done = match rustix::fs::renameat_with(CWD, from, CWD, to, flags) {
        // This file system cannot rename without replacing; a hard link cannot replace either.
        Err(Errno::INVAL | Errno::NOSYS) => link(from, to),
        other => other,
    };
    done.map_err(|e| match e {
        Errno::EXIST => exists().through(to.display().to_string()),
        e => crate::file::opening(to, e.into()),
    })
}

/// Renames by linking: fails when `to` exists. Where there are no links either, looks first.
fn link(from: &Path, to: &Path) -> rustix::io::Result<()> {
    match rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlink(from),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) if rustix::fs::lstat(to).is_ok() => Err(Errno::EXIST),
        Err(_) => rustix::fs::rename(from, to),
    }
}

/// Makes the names in `directory` durable, where the file system has a way to.
fn settle(directory: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(open) => open,
        // A directory one may write to and not read.
        Err(Errno::ACCESS) => return Ok(()),
        Err(e) => return Err(crate::file::opening(directory, e.into())),
    };
    match rustix::fs::fsync(&open) {
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP | Errno::ROFS) => Ok(()),
        Err(e) => Err(crate::file::opening(directory, e.into())),
    }
}

fn directory(path: &Path) -> &Path {
    crate::host::directory_of(path)
}

fn exists() -> Error {
    Error::new(Class::Exists, "the target exists already")
        .advise("choose another name, or say --force to replace it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_knows_the_name_it_will_have() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.01-flat.vmdk");
        let mut output = Output::new(false);
        let file = output.create(&path).unwrap();
        assert_ne!(file.name(), path);
        assert_eq!(Output::final_name(file.name()), path);
        assert_eq!(Output::final_name(&path), path);
    }
}
