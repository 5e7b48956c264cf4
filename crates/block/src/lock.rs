//! The locks QEMU takes on image files, so that a disk in use is noticed from both sides.
//!
//! Facts (QEMU's behaviour, seen from outside in `/proc/locks`): open-file-description
//! locks on single bytes. Byte 100+n is read-locked while permission n is held, byte 200+n while
//! permission n is *not* shared with others. Permissions: 0 consistent read, 1 write, 2 write unchanged,
//! 3 resize. Two that begin in the same moment may each see the other and both step back; among runs of our own
//! one byte more, locked exclusively before the others, decides who goes on.

use crate::{Class, Error, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;

/// Whether others may use a file while we have it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Refuse files that somebody writes to, let nobody start writing while we read, and let nobody read while we
    /// write: what we make or edit is not whole until we are done. The default.
    #[default]
    Careful,
    /// Take no locks and look at none: what is read may change under us.
    Force,
}

const HELD: i64 = 100;
const UNSHARED: i64 = 200;
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// Locked exclusively by whoever of us writes. QEMU does not look at it.
const OURS: i64 = 300;

/// Takes the locks for reading or for writing; takes none when somebody minds.
pub(crate) fn take(file: &File, writable: bool, sharing: Sharing) -> Result<()> {
    if sharing == Sharing::Force {
        return Ok(());
    }
    let taken = take_all(file, writable);
    if taken.is_err() {
        release(file);
    }
    taken
}

/// Gives the locks back. Closing the file does that too, but only when its last copy is closed, and a process that
/// another thread is just starting holds copies of all descriptors until it runs its own program.
pub(crate) fn release(file: &File) {
    let all = libc::flock {
        l_len: OURS.saturating_sub(HELD).saturating_add(1),
        ..byte(libc::F_UNLCK, HELD)
    };
    // Nothing to do about a file system without locks.
    let _released = fcntl(file, FcntlArg::F_OFD_SETLK(&all));
}

fn take_all(file: &File, writable: bool) -> Result<()> {
    let held: &[i64] = if writable {
        &[CONSISTENT_READ, WRITE, RESIZE]
    } else {
        &[CONSISTENT_READ]
    };
    let unshared: &[i64] = if writable {
        &[CONSISTENT_READ, WRITE, RESIZE]
    } else {
        &[WRITE, RESIZE]
    };
    if writable {
        set(file, libc::F_WRLCK, OURS)?;
    }
    for bit in held {
        set(file, libc::F_RDLCK, HELD.saturating_add(*bit))?;
    }
    for bit in unshared {
        set(file, libc::F_RDLCK, UNSHARED.saturating_add(*bit))?;
    }
    // Then look whether somebody minds: a permission we hold that they do not share, or the reverse.
    for bit in held {
        look(file, UNSHARED.saturating_add(*bit))?;
    }
    for bit in unshared {
        look(file, HELD.saturating_add(*bit))?;
    }
    Ok(())
}

fn byte(kind: i32, at: i64) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: 0, // SEEK_SET
        l_start: at,
        l_len: 1,
        l_pid: 0,
    }
}

fn set(file: &File, kind: i32, at: i64) -> Result<()> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(kind, at))) {
        Ok(_) => Ok(()),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Err(busy()),
        // A file system without locks (some network mounts) cannot tell us; QEMU goes on too.
        Err(_) => Ok(()),
    }
}

fn look(file: &File, at: i64) -> Result<()> {
    let mut found = byte(libc::F_WRLCK, at);
    match fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)) {
        Ok(_) if i32::from(found.l_type) != libc::F_UNLCK => Err(busy()),
        _ => Ok(()),
    }
}

fn busy() -> Error {
    Error::new(
        Class::Busy,
        "another process has this image open, and one of the two would write to it",
    )
    .advise("shut down the virtual machine that uses it; --force-share reads a disk in use at your own risk")
}

#[cfg(test)]
mod tests {
    use crate::{Access, FileDisk, Sharing};
    use std::fs::File;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_locks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        FileDisk::open(&path, Access::Create, Sharing::Careful).unwrap();
        let open = || FileDisk::open(&path, Access::Edit, Sharing::Careful);
        let flags = crate::file::flags(Access::Edit);
        let file = File::from(rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap());
        // What a process that another thread is starting has until it runs its own program.
        let copy = file.try_clone().unwrap();
        let disk = FileDisk::adopt(file, &path, Access::Edit, Sharing::Careful).unwrap();
        assert!(open().is_err());
        drop(disk);
        open().unwrap();
        drop(copy);
    }
}
