//! A directory of the host, and things made in it: by name in an open directory, without following any link.

use h2k_block::{Class, Error, Result};
use h2k_fs::FileKind;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, makedev};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// A path below the destination, component by component; none of them is empty, `.` or `..`.
pub(super) type Below = Vec<Vec<u8>>;

/// The destination.
pub(super) struct Dest {
    root: Rc<OwnedFd>,
    /// The directory that was entered last: the next file most likely goes there, too.
    recent: Option<(Below, Dir)>,
}

/// A directory below the destination, held open.
#[derive(Clone)]
pub(super) struct Dir(Rc<OwnedFd>);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dest {
    /// Opens the directory the user named; links in its name are the user's own and followed.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let root = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()).map_err(|e| match e {
            Errno::NOTDIR => Error::new(Class::Invalid, format!("{} is not a directory", path.display())),
            e => e.into(),
        })?;
        Ok(Self {
            root: Rc::new(root),
            recent: None,
        })
    }

    /// The directory at `path`, reached without following a link.
    pub(super) fn enter(&mut self, path: &[Vec<u8>]) -> Result<Dir> {
        if let Some((below, dir)) = &self.recent
            && below == path
        {
            return Ok(dir.clone());
        }
        let mut here = Rc::clone(&self.root);
        for name in path {
            let flags = DIRECTORY | OFlags::NOFOLLOW;
            let next = rustix::fs::openat(&*here, os(name)?, flags, Mode::empty());
            here = Rc::new(next.map_err(|e| failed(e, name))?);
        }
        let dir = Dir(here);
        self.recent = Some((path.to_vec(), dir.clone()));
        Ok(dir)
    }

    /// Gives the file at `first` the name `second` as well. `false` when this host cannot: then it is copied again.
    pub(super) fn link(&mut self, first: &Below, second: &Below, force: bool) -> Result<bool> {
        let (Some((name, above)), Some((new, there))) = (first.split_last(), second.split_last()) else {
            return Ok(false);
        };
        let from = self.enter(above)?;
        let to = self.enter(there)?;
        to.vacant(new, force)?;
        match rustix::fs::linkat(&*from.0, os(name)?, &*to.0, os(new)?, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::OPNOTSUPP) => Ok(false),
            Err(e) => Err(failed(e, new)),
        }
    }
}

/// A name as the host takes it.
fn os(name: &[u8]) -> Result<&OsStr> {
    let plain =
        !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && !matches!(name, b"." | b"..");
    match plain {
        true => Ok(OsStr::from_bytes(name)),
        false => Err(Error::new(Class::Invalid, "no host can hold a file of this name")),
    }
}

fn failed(e: Errno, name: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(name).into_owned();
    match e {
        Errno::EXIST => exists(),
        Errno::LOOP | Errno::NOTDIR => Error::new(
            Class::Exists,
            format!("{shown} is there and is no directory; a link there is not followed"),
        ),
        Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => {
            let why = Error::from(e);
            Error::new(
                Class::Unsupported,
                format!(
                    "the host's file system cannot hold a file of this name ({})",
                    why.sentence()
                ),
            )
            .advise("copy to another file system, or use tar-out")
        }
        e => e.into(),
    }
}

fn exists() -> Error {
    Error::new(Class::Exists, "there is something of this name already")
        .advise("--force replaces files and copies into directories; or choose an empty directory")
}

impl Dir {
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Makes room for `name`: with `force`, what is there and is no directory goes.
    fn vacant(&self, name: &[u8], force: bool) -> Result<()> {
        let there = match rustix::fs::statat(&*self.0, os(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(failed(e, name)),
            Ok(stat) => stat,
        };
        if !force || FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            return Err(exists());
        }
        rustix::fs::unlinkat(&*self.0, os(name)?, AtFlags::empty()).map_err(|e| failed(e, name))
    }

    /// Makes a directory only its maker may enter, yet. `false` when it was there.
    pub(super) fn make_directory(&self, name: &[u8], force: bool) -> Result<bool> {
        match rustix::fs::mkdirat(&*self.0, os(name)?, Mode::RWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) if force => {
                let there = rustix::fs::statat(&*self.0, os(name)?, AtFlags::SYMLINK_NOFOLLOW);
                let there = there.map_err(|e| failed(e, name))?;
                match FileType::from_raw_mode(there.st_mode) {
                    FileType::Directory => Ok(false),
                    _ => Err(failed(Errno::NOTDIR, name)),
                }
            }
            Err(e) => Err(failed(e, name)),
        }
    }

    pub(super) fn make_link(&self, name: &[u8], target: &[u8], force: bool) -> Result<()> {
        self.vacant(name, force)?;
        if target.is_empty() || target.contains(&0) {
            return Err(Error::new(
                Class::Unsupported,
                "no host can hold a link with this target",
            ));
        }
        rustix::fs::symlinkat(OsStr::from_bytes(target), &*self.0, os(name)?).map_err(|e| failed(e, name))
    }

    pub(super) fn make_special(
        &self,
        name: &[u8],
        kind: FileKind,
        device: Option<(u32, u32)>,
        mode: Mode,
        force: bool,
    ) -> Result<()> {
        self.vacant(name, force)?;
        let (kind, device) = match (kind, device) {
            (FileKind::Fifo, _) => (FileType::Fifo, 0),
            (FileKind::CharDevice, Some((major, minor))) => {
                (FileType::CharacterDevice, makedev(major, minor))
            }
            (FileKind::BlockDevice, Some((major, minor))) => (FileType::BlockDevice, makedev(major, minor)),
            _ => return Err(Error::unsupported("a device without a number")),
        };
        let made = rustix::fs::mknodat(&*self.0, os(name)?, kind, mode, device);
        made.map_err(|e| match e {
            Errno::PERM => {
                Error::new(Class::Refused, "only root may make devices").advise("leave --devices out")
            }
            e => failed(e, name),
        })
    }

    /// Begins a file: it has a name of its own until it is whole.
    pub(super) fn make_file(&self, name: &[u8], force: bool) -> Result<Part> {
        let there = rustix::fs::statat(&*self.0, os(name)?, AtFlags::SYMLINK_NOFOLLOW);
        match there {
            Err(Errno::NOENT) => {}
            Err(e) => return Err(failed(e, name)),
            Ok(stat) => {
                let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if !force || directory {
                    return Err(exists());
                }
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let process = rustix::process::getpid().as_raw_nonzero();
        for attempt in 0..1000_u32 {
            let part = format!(".h2k-{process}-{attempt}.part");
            match rustix::fs::openat(&*self.0, part.as_str(), flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => {
                    return Ok(Part {
                        dir: self.clone(),
                        part: Some(part),
                        name: name.to_vec(),
                        file: File::from(fd),
                    });
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(failed(e, name)),
            }
        }
        Err(Error::new(
            Class::Busy,
            "the directory is full of unfinished files",
        ))
    }
}

/// A file that is not whole yet; gone again unless it is finished.
pub(super) struct Part {
    dir: Dir,
    part: Option<String>,
    name: Vec<u8>,
    file: File,
}

impl Part {
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name.
    pub(super) fn finish(mut self, force: bool) -> Result<()> {
        let Some(part) = self.part.as_deref() else {
            return Ok(());
        };
        let (dir, name) = (&*self.dir.0, os(&self.name)?);
        let flags = if force {
            RenameFlags::empty()
        } else {
            RenameFlags::NOREPLACE
        };
        let done = match rustix::fs::renameat_with(dir, part, dir, name, flags) {
            // This file system cannot rename without replacing; a hard link cannot replace either.
            Err(Errno::INVAL | Errno::NOSYS) if !force => {
                rustix::fs::linkat(dir, part, dir, name, AtFlags::empty())
            }
            Ok(()) => {
                self.part = None;
                Ok(())
            }
            other => other,
        };
        done.map_err(|e| failed(e, &self.name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // Nothing to do about a file that is gone already.
            let _gone = rustix::fs::unlinkat(&*self.dir.0, part.as_str(), AtFlags::empty());
        }
    }
}
