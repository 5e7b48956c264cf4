use crate::{Access, Class, Error, FileDisk, HostFile, Result, Sharing};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The extension that a file has while it is written.
const PART: &str = "part";

/// Files that appear together and whole, or not at all.
///
/// Each file is written as `NAME.part`. [`Output::commit`] makes them durable and renames them;
/// dropping the output before that removes them.
#[derive(Debug, Default)]
pub struct Output {
    parts: Vec<(PathBuf, PathBuf)>,
    replace: bool,
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
    /// [`Class::Exists`] when `path` is there and may not be replaced, [`Class::Busy`] when another
    /// run is writing it.
    pub fn create(&mut self, path: &Path) -> Result<Arc<dyn HostFile>> {
        if !self.replace && path.symlink_metadata().is_ok() {
            return Err(Error::new(Class::Exists, "the target exists already")
                .through(path.display().to_string())
                .advise("choose another name, or say --force to replace it"));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".");
        part.push(PART);
        let part = PathBuf::from(part);
        let file = match FileDisk::open(&part, Access::Create, Sharing::Careful) {
            // Left behind by a run that was killed: nobody holds its lock, so it is ours now.
            Err(e) if e.class() == Class::Exists => {
                let old = FileDisk::open(&part, Access::Edit, Sharing::Careful)?;
                old.set_len(0)?;
                old
            }
            other => other?,
        };
        self.parts.push((part, path.to_owned()));
        Ok(Arc::new(file))
    }

    /// The files so far: what each is called now, and what it will be called.
    pub fn parts(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.parts
            .iter()
            .map(|(part, path)| (part.as_path(), path.as_path()))
    }

    /// Makes every file durable and gives it its name.
    ///
    /// # Errors
    /// Whatever the host says; files not yet renamed are removed.
    pub fn commit(mut self) -> Result<()> {
        while let Some((part, path)) = self.parts.first().cloned() {
            let flags = if self.replace {
                rustix::fs::RenameFlags::empty()
            } else {
                rustix::fs::RenameFlags::NOREPLACE
            };
            rustix::fs::renameat_with(rustix::fs::CWD, &part, rustix::fs::CWD, &path, flags)
                .map_err(|e| crate::file::opening(&path, e.into()))?;
            self.parts.remove(0);
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for (part, _) in &self.parts {
            // Nothing to do about a file that is gone already.
            let _gone = rustix::fs::unlink(part);
        }
    }
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
