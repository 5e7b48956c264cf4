use crate::{BlockWrite, Class, Error, MemDisk, RawSpan, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file on the host: a disk whose owner may also change its length, out loud.
pub trait HostFile: BlockWrite {
    /// Makes the file `len` bytes long. New bytes read as zero; `len()` answers the new length from now on. A block
    /// device is used up to `len` and keeps its bytes.
    ///
    /// # Errors
    /// Whatever the host says.
    fn set_len(&self, len: u64) -> Result<()>;

    /// The file's name: for messages, and as the place that names inside it are relative to.
    fn name(&self) -> &Path;

    /// What makes this file the same file under another name. `None` for files in memory.
    fn identity(&self) -> Option<Identity> {
        None
    }

    /// Bytes the file occupies on the host, if the host tells.
    fn allocated(&self) -> Option<u64> {
        None
    }

    /// Makes the host set blocks aside for `range`, growing the file if need be. A wish in memory.
    ///
    /// # Errors
    /// [`Class::NoSpace`] when there are none.
    fn reserve(&self, _range: Range<u64>) -> Result<()> {
        Ok(())
    }

    /// Copies `from` to `offset` inside the host's kernel, sharing blocks where it can. Says how many
    /// bytes from the beginning were copied: 0 when the host has no such way, never more than `from.len`.
    ///
    /// # Errors
    /// Only when the file cannot be written at all.
    fn take_from(&self, _offset: u64, _from: &RawSpan) -> Result<u64> {
        Ok(0)
    }

    /// The open file, where there is one.
    fn descriptor(&self) -> Option<&File> {
        None
    }
}

/// Device and inode: what tells a loop in a chain from two files of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// What a caller wants to do with a file it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look only.
    Read,
    /// Look and change.
    Edit,
    /// Make it; it must not exist.
    Create,
}

/// Where names become files. Images name other files (parents, extents, data files); every such name comes
/// through here, and nowhere else.
pub trait Host: Send + Sync {
    /// Opens the file that `name` means when it is written inside the file called `referrer`.
    ///
    /// # Errors
    /// [`Class::Refused`] when the user has not allowed that place; else as [`FileDisk::open`](crate::FileDisk::open).
    fn open(&self, referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>>;
}

/// Refuses. The default for input nobody vouched for.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn open(&self, referrer: &Path, name: &Path, _access: Access) -> Result<Arc<dyn HostFile>> {
        Err(refused(referrer, name))
    }
}

/// Files in memory, for tests and for embedders that have no files.
#[derive(Debug, Default)]
pub struct MemHost(Mutex<BTreeMap<PathBuf, Arc<MemDisk>>>);

impl MemHost {
    /// Puts a file there, replacing what was.
    pub fn put(&self, name: impl Into<PathBuf>, bytes: Vec<u8>) -> Arc<MemDisk> {
        let name = name.into();
        let file = Arc::new(MemDisk::named(name.clone(), bytes));
        self.files().insert(name, file.clone());
        file
    }

    /// The file called `name`, if it is there.
    #[must_use]
    pub fn get(&self, name: impl AsRef<Path>) -> Option<Arc<MemDisk>> {
        self.files().get(name.as_ref()).cloned()
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Arc<MemDisk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for MemHost {
    fn open(&self, referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let wanted = lexical(&directory_of(referrer).join(name)).ok_or_else(|| refused(referrer, name))?;
        let mut files = self.files();
        if access == Access::Create {
            if files.contains_key(&wanted) {
                return Err(Error::new(Class::Exists, "the file exists already"));
            }
            files.insert(
                wanted.clone(),
                Arc::new(MemDisk::named(wanted.clone(), Vec::new())),
            );
        }
        let found = files
            .get(&wanted)
            .cloned()
            .map(|file| -> Arc<dyn HostFile> { file });
        found.ok_or_else(|| Error::new(Class::NotFound, "no such file").through(wanted.display().to_string()))
    }
}

pub(crate) fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `path` without `.` and `..`, or `None` when it climbs above its own start.
fn lexical(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            other => out.push(other),
        }
    }
    Some(out)
}

pub(crate) fn refused(referrer: &Path, name: &Path) -> Error {
    Error::new(
        Class::Refused,
        format!(
            "it names {}, which is outside the directories that may be opened",
            name.display()
        ),
    )
    .through(referrer.display().to_string())
    .advise("if you trust this image, allow the directory with --allow-dir")
}
