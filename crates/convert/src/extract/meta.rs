//! Modes, owners, times and extended attributes, as far as the host lets us.

use super::host::Dir;
use h2k_block::{Class, Error, Limits, Meter, Result};
use h2k_fs::{Stat, Time};
use h2k_guest::{Place, Tree};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

/// Keeps what the host permits to keep.
pub(super) struct Keeper {
    owners: bool,
    root: bool,
    /// The first extended attribute that could not be kept: told once, it is most likely the same for all.
    pub(super) lost: Option<Error>,
}

impl Keeper {
    pub(super) fn new(owners: bool) -> Self {
        Self {
            owners,
            root: rustix::process::geteuid().is_root(),
            lost: None,
        }
    }

    /// Of a regular file.
    pub(super) fn file(&mut self, file: &File, stat: &Stat, tree: &Tree, place: Place) -> Result<()> {
        self.keep(file, stat, tree, place, 0o644)
    }

    /// Of a directory that nothing is made in any more.
    pub(super) fn directory(&mut self, dir: &Dir, stat: &Stat, tree: &Tree, place: Place) -> Result<()> {
        self.keep(dir.fd(), stat, tree, place, 0o755)
    }

    /// Owner first: changing it takes special bits and capabilities away. Times last.
    fn keep(&mut self, fd: impl AsFd, stat: &Stat, tree: &Tree, place: Place, mode: u16) -> Result<()> {
        let owned = self.owners && rustix::fs::fchown(&fd, uid(stat), gid(stat)).is_ok();
        let mode = mode_of(stat, mode, owned);
        rustix::fs::fchmod(&fd, mode)?;
        // After the mode, which would overwrite an access list's mask.
        self.xattrs(&fd, tree, place);
        rustix::fs::futimens(&fd, &times(stat))?;
        Ok(())
    }

    fn xattrs(&mut self, fd: impl AsFd, tree: &Tree, place: Place) {
        let mut meter = Meter::new(Limits::default());
        let all = match tree.xattrs(place, &mut meter) {
            Ok(all) => all,
            Err(e) => {
                self.lost.get_or_insert(e);
                return;
            }
        };
        for (name, value) in &all {
            let public = name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_");
            // What decides about rights on this host is root's business, and part of keeping owners.
            if !(public || self.root && self.owners) {
                continue;
            }
            let named = OsStr::from_bytes(name);
            match rustix::fs::fsetxattr(&fd, named, value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(e) => {
                    let shown = String::from_utf8_lossy(name);
                    let what = match e {
                        Errno::OPNOTSUPP => "the host's file system does not keep it".to_owned(),
                        e => Error::from(e).sentence().to_owned(),
                    };
                    self.lost.get_or_insert_with(|| {
                        Error::new(Class::Unsupported, format!("{shown}, and maybe others: {what}"))
                    });
                }
            }
        }
    }

    /// The mode of a device or pipe.
    pub(super) fn special(&self, stat: &Stat) -> Mode {
        mode_of(stat, 0o600, self.owners && self.root)
    }

    /// Of a link, and what else cannot be opened: everything but the mode.
    pub(super) fn link(&mut self, dir: &Dir, name: &[u8], stat: &Stat) {
        let name = OsStr::from_bytes(name);
        if self.owners {
            // Only root may; that a link is somebody else's matters to nobody.
            let _kept = rustix::fs::chownat(dir.fd(), name, uid(stat), gid(stat), AtFlags::SYMLINK_NOFOLLOW);
        }
        // Some file systems keep no times of links.
        let _kept = rustix::fs::utimensat(dir.fd(), name, &times(stat), AtFlags::SYMLINK_NOFOLLOW);
    }
}

fn uid(stat: &Stat) -> Option<Uid> {
    stat.uid.filter(|id| *id != u32::MAX).map(Uid::from_raw)
}

fn gid(stat: &Stat) -> Option<Gid> {
    stat.gid.filter(|id| *id != u32::MAX).map(Gid::from_raw)
}

/// Set-user-ID and its kin mean something only for the owner they were given for.
fn mode_of(stat: &Stat, default: u16, owned: bool) -> Mode {
    let bits = stat.mode.unwrap_or(default);
    let kept = if owned { 0o7777 } else { 0o1777 };
    Mode::from_raw_mode(u32::from(bits & kept))
}

fn times(stat: &Stat) -> Timestamps {
    let spec = |time: Time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanos.min(999_999_999)),
    };
    Timestamps {
        last_access: spec(stat.accessed),
        last_modification: spec(stat.modified),
    }
}
