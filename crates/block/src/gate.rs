//! The gate: which file a name written inside an image may become.
//!
//! Names are resolved here, component by component, with directories held open and no link followed by the
//! kernel (`O_NOFOLLOW`). That gives what `openat2(RESOLVE_BENEATH)` gives, also where a container forbids that
//! call, and besides it lets absolute links through that stay inside. Nothing outside the allowed directories is
//! opened or even looked at: what lies outside is decided by name alone.

use crate::host::{directory_of, refused};
use crate::lock::Sharing;
use crate::{Access, Class, Error, FileDisk, Host, HostFile, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Symbolic links in one name; the kernel's own limit.
const LINKS: u32 = 40;
/// Directories held open at once.
const DEPTH: usize = 128;

/// The gate: regular files beneath the directories the user allowed, and nothing else.
///
/// A name means what the kernel would take it for, seen from the directory of the file it is written in. It is
/// refused when it leaves every allowed directory: by `..`, by a symbolic link, or by being absolute.
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
        let shown = referrer.with_file_name(name);
        // The referrer was opened before, so its directory is known and may be looked at.
        let base = directory_of(referrer)
            .canonicalize()
            .map_err(|e| crate::file::opening(referrer, e))?;
        for root in &self.roots {
            let Ok(root) = root.canonicalize() else {
                continue;
            };
            let Some(route) = route(&root, &base, name) else {
                continue;
            };
            match walk(&root, &route, access) {
                Ok(fd) => {
                    let file = FileDisk::adopt(File::from(fd), &shown, access, self.sharing)?;
                    return Ok(Arc::new(file));
                }
                Err(Stop::Climbs) => {}
                Err(Stop::Special) => {
                    return Err(Error::new(
                        Class::Refused,
                        format!("it names {}, which is not a regular file", name.display()),
                    )
                    .through(referrer.display().to_string()));
                }
                Err(Stop::Host(e)) => return Err(crate::file::opening(&shown, e.into())),
            }
        }
        Err(refused(referrer, name))
    }
}

/// Why a walk ended without a file.
enum Stop {
    /// The name leads out.
    Climbs,
    /// A device, a pipe, a socket.
    Special,
    /// What the host said.
    Host(Errno),
}

impl From<Errno> for Stop {
    fn from(e: Errno) -> Self {
        Self::Host(e)
    }
}

/// What is left to walk from `root` for a `name` written in the directory `base`, or `None` when the name leads
/// elsewhere. Both directories are absolute and free of links and `..`, and the name is followed only along
/// them: everything else could be a link, and would have to be looked at.
fn route(root: &Path, base: &Path, name: &Path) -> Option<PathBuf> {
    let mut at = if name.is_absolute() {
        PathBuf::from("/")
    } else {
        base.to_owned()
    };
    let mut rest = name.components();
    loop {
        let mut ahead = rest.clone();
        match ahead.next()? {
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(part) => {
                if let Ok(inner) = at.strip_prefix(root) {
                    return Some(inner.join(rest.as_path()));
                }
                at.push(part);
                if !root.starts_with(&at) {
                    return None;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
        rest = ahead;
    }
}

/// Opens what `name` leads to from `root`, which is absolute and free of links.
fn walk(root: &Path, name: &Path, access: Access) -> std::result::Result<OwnedFd, Stop> {
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // From the root to where we are: `..` goes back along this, never to where the kernel's `..` leads now.
    let mut path = vec![rustix::fs::openat(CWD, root, directory, Mode::empty())?];
    let mut todo = parts(name);
    let mut links = 0_u32;
    while let Some(part) = todo.pop() {
        let here = path.last().ok_or(Stop::Climbs)?;
        if part == ".." {
            path.pop();
            if path.is_empty() {
                return Err(Stop::Climbs);
            }
            continue;
        }
        let last = todo.is_empty();
        if last && access == Access::Create {
            return Ok(create(here, &part)?);
        }
        let stat = rustix::fs::statat(here, &part, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                links = links.saturating_add(1);
                if links > LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = rustix::fs::readlinkat(here, &part, Vec::new())?;
                let mut target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    target = route(root, Path::new("/"), &target).ok_or(Stop::Climbs)?;
                    path.truncate(1);
                }
                todo.append(&mut parts(&target));
            }
            FileType::Directory if !last => {
                if path.len() >= DEPTH {
                    return Err(Errno::NAMETOOLONG.into());
                }
                path.push(rustix::fs::openat(here, &part, directory, Mode::empty())?);
            }
            FileType::Directory => return Err(Errno::ISDIR.into()),
            FileType::RegularFile if last => return regular(here, &part, access),
            FileType::RegularFile => return Err(Errno::NOTDIR.into()),
            _ => return Err(Stop::Special),
        }
    }
    Err(Errno::ISDIR.into())
}

/// The components of `name`, the first one last.
fn parts(name: &Path) -> Vec<OsString> {
    let kept = name.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let mut parts: Vec<_> = kept.collect();
    parts.reverse();
    parts
}

fn create(here: &OwnedFd, part: &OsStr) -> std::result::Result<OwnedFd, Errno> {
    let flags = crate::file::flags(Access::Create) | OFlags::NOFOLLOW;
    rustix::fs::openat(here, part, flags, Mode::from_raw_mode(0o644))
}

/// Opens a regular file, and looks again: it may have been exchanged since it was looked at.
fn regular(here: &OwnedFd, part: &OsStr, access: Access) -> std::result::Result<OwnedFd, Stop> {
    let flags = crate::file::flags(access) | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(here, part, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(Stop::Special),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_followed_only_along_directories_that_are_known() {
        for (root, base, name, want) in [
            ("/srv/vm", "/srv/vm", "base", Some("base")),
            ("/srv/vm", "/srv/vm", "./a/../base", Some("a/../base")),
            ("/srv/vm", "/srv/vm/sub", "../base", Some("base")),
            ("/srv/vm", "/srv/vm/sub", "../sub/base", Some("sub/base")),
            ("/srv/vm", "/srv/vm", "../vm/base", Some("base")),
            ("/srv/vm", "/srv/vm", "../vm/../vm/base", Some("base")),
            ("/srv/vm", "/srv/vm", "/srv/vm/base", Some("base")),
            ("/srv/vm", "/elsewhere", "/srv/./vm/base", Some("base")),
            ("/srv/vm", "/srv/other", "../vm/base", Some("base")),
            ("/", "/srv/vm", "base", Some("srv/vm/base")),
            ("/srv/vm", "/srv/vm", "../base", None),
            ("/srv/vm", "/srv/vm", "/srv/vmx/base", None),
            // Where /srv/x leads is not known without looking at it.
            ("/srv/vm", "/srv/vm", "/srv/x/../vm/base", None),
            ("/srv/vm", "/srv/vm", "/etc/passwd", None),
            ("/srv/vm", "/srv/vm", "../../../../../etc/passwd", None),
            ("/srv/vm", "/srv/vm", "..", None),
            ("/srv/vm", "/srv/vm", ".", None),
        ] {
            let got = route(Path::new(root), Path::new(base), Path::new(name));
            assert_eq!(
                got.as_deref(),
                want.map(Path::new),
                "{name} in {base}, {root} allowed"
            );
        }
    }
}
