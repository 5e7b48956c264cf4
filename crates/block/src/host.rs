use crate::lock::Sharing;
use crate::{BlockWrite, Class, Error, FileDisk, MemDisk, RawSpan, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file on the host: a disk whose owner may also change its length, out loud.
pub trait HostFile: BlockWrite {
    /// Makes the file `len` bytes long. New bytes read as zero; `len()` answers the new length from now on.
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
    /// [`Class::Refused`] when the user has not allowed that place; else as [`FileDisk::open`].
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

/// The gate: files beneath the directories the user allowed, and nothing else.
///
/// Names are resolved by the kernel beneath an allowed directory (`openat2`, `RESOLVE_BENEATH`), so that
/// no symbolic link and no `..` leads out, whatever changes while we look.
#[derive(Clone, Debug)]
pub struct DirHost {
    roots: Vec<PathBuf>,
    sharing: Sharing,
}

impl DirHost {
    /// Allows the directories in `roots`.
    #[must_use]
    pub fn new(roots: Vec<PathBuf>, sharing: Sharing) -> Self {
        Self { roots, sharing }
    }

    /// Allows the directory that holds `image`.
    #[must_use]
    pub fn beside(image: &Path, sharing: Sharing) -> Self {
        Self::new(vec![directory_of(image).to_owned()], sharing)
    }

    /// Allows one more directory.
    pub fn allow(&mut self, root: PathBuf) {
        self.roots.push(root);
    }
}

impl Host for DirHost {
    fn open(&self, referrer: &Path, name: &Path, access: Access) -> Result<Arc<dyn HostFile>> {
        let wanted = directory_of(referrer).join(name);
        for root in &self.roots {
            let Some(inner) = beneath(root, &wanted) else {
                continue;
            };
            let dir = rustix::fs::open(
                root,
                rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )
            .map_err(|e| crate::file::opening(root, e.into()))?;
            let found = rustix::fs::openat2(
                dir,
                &inner,
                crate::file::flags(access),
                rustix::fs::Mode::from_raw_mode(if access == Access::Create { 0o644 } else { 0 }),
                rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_MAGICLINKS,
            );
            return match found {
                Ok(fd) => Ok(Arc::new(FileDisk::adopt(
                    File::from(fd),
                    &wanted,
                    access,
                    self.sharing,
                )?)),
                Err(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP) => Err(refused(referrer, name)),
                Err(e) => Err(crate::file::opening(&wanted, e.into())),
            };
        }
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

fn directory_of(file: &Path) -> &Path {
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

/// The part of `wanted` below `root`, if it is below it by name or by what the name stands for.
fn beneath(root: &Path, wanted: &Path) -> Option<PathBuf> {
    let by_name = |root: &Path, wanted: &Path| {
        let (root, wanted) = (lexical(root)?, lexical(wanted)?);
        wanted.strip_prefix(&root).ok().map(Path::to_owned)
    };
    by_name(root, wanted).or_else(|| {
        let root = root.canonicalize().ok()?;
        let directory = directory_of(wanted).canonicalize().ok()?;
        by_name(&root, &directory.join(wanted.file_name()?))
    })
}

fn refused(referrer: &Path, name: &Path) -> Error {
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
