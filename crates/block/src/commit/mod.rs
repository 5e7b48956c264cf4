//! Edits reach disks all together or not at all: a redo log, written once, for every format and filesystem.
//!
//! ```text
//! log:    head, 64 bytes │ body: records
//! head:   magic │ version │ body length │ disks' length │ fingerprint │ CRC-32C of the body │ CRC-32C of the head
//! record: kind │ offset │ length │ bytes (kind 1) or nothing (kind 2, zeros)
//!         kind 3 │ length of a disk │ length of its name │ name: the records after it are of that disk
//! ```
//!
//! The body is durable before the head is written: the head is the point of no return. From then on the log is
//! redone from its beginning as often as it takes. The fingerprint is taken from pages the edits leave alone, so
//! it is the same before, during and after, and differs on a disk the log was not made for, or one that somebody
//! wrote to in between.
//!
//! Version 1 is of one disk without a name and has no records of kind 3. Version 2 begins with one.

mod head;
mod record;

use crate::{BlockWrite, Class, Edit, Error, HostFile, Limits, Meter, Overlay, Result};
use head::{HEAD, HEAD_BYTES, Head};
use record::{RECORD, Writer};

const PAGE: u64 = 4096;
/// More disks than a machine has.
const MOST_DISKS: usize = 256;
/// As long as a path may be.
const LONGEST_NAME: usize = 4096;

/// One of several disks that change together.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// What becomes of it.
    pub edits: &'a Overlay,
    /// The disk itself.
    pub disk: &'a dyn BlockWrite,
    /// What a recovery finds the disk by, at most 4,096 bytes.
    pub name: &'a [u8],
}

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("name", &String::from_utf8_lossy(self.name))
            .finish_non_exhaustive()
    }
}

/// A disk that an unfinished commit changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its name in the log; empty where the log was made of one disk.
    pub name: Vec<u8>,
    /// Its length in bytes.
    pub len: u64,
}

/// Writes `edits` to `disk`. If this stops half-way, [`recover`] with the same log finishes the work.
///
/// # Errors
/// [`Class::Invalid`] when `log` holds an unfinished commit: that one has to be recovered first. Else whatever the
/// disk or the log says.
pub fn commit(edits: &Overlay, disk: &dyn BlockWrite, log: &dyn HostFile) -> Result<()> {
    let name = &[];
    written(&[Member { edits, disk, name }], 1, log)
}

/// Writes the edits of every member to its disk: where one of them has its edits, all of them get theirs. If this
/// stops half-way, [`recover_all`] with the same log finishes the work.
///
/// # Errors
/// As [`commit`].
pub fn commit_all(members: &[Member<'_>], log: &dyn HostFile) -> Result<()> {
    if members.len() > MOST_DISKS || members.iter().any(|m| m.name.len() > LONGEST_NAME) {
        return Err(Error::new(
            Class::Limit,
            format!("at most {MOST_DISKS} disks with names of {LONGEST_NAME} bytes are changed together"),
        ));
    }
    written(members, 2, log)
}

fn written(members: &[Member<'_>], version: u32, log: &dyn HostFile) -> Result<()> {
    if pending(log)? {
        return Err(
            Error::new(Class::Invalid, "the log holds a commit that was not finished")
                .advise("finish it first with: hyper2kvm recover"),
        );
    }
    if members.iter().all(|m| m.edits.dirty_pages() == 0) {
        return Ok(());
    }
    let mut len = 0_u64;
    for member in members {
        if version > 1 {
            len = len.saturating_add(RECORD).saturating_add(length(member.name));
        }
        member.edits.edits(&mut |edit| {
            let bytes = match edit {
                Edit::Bytes(_, bytes) => length(bytes),
                Edit::Zeros(_) => 0,
            };
            len = len.saturating_add(RECORD).saturating_add(bytes);
            Ok(())
        })?;
    }
    // What an older log left behind must not be taken for this one's head.
    log.set_len(0)?;
    log.set_len(HEAD.saturating_add(len))?;
    let mut body = Writer::new(log, HEAD);
    for member in members {
        if version > 1 {
            body.disk(member.disk.len(), member.name)?;
        }
        member.edits.edits(&mut |edit| body.edit(&edit))?;
    }
    let (end, sum) = body.end()?;
    if end != HEAD.saturating_add(len) {
        return Err(Error::new(
            Class::Invalid,
            "the edits changed while they were being committed",
        ));
    }
    log.flush()?;
    let disks: Vec<&dyn BlockWrite> = members.iter().map(|m| m.disk).collect();
    let mut head = Head {
        version,
        body: len,
        disks: total(disks.iter().map(|disk| disk.len())),
        fingerprint: 0,
        sum,
    };
    // Reads the log back: what is redone is what is there.
    head.fingerprint = head.fingerprint_of(&disks, log, &mut unmetered())?;
    log.write_at(0, &head.bytes())?;
    log.flush()?;
    head.redo(&disks, log, &mut unmetered())?;
    forget(log)
}

/// Whether `log` holds a commit that was begun and not finished.
///
/// # Errors
/// When the log cannot be read; [`Class::Unsupported`] when a newer version wrote it.
pub fn pending(log: &dyn HostFile) -> Result<bool> {
    Ok(Head::read(log)?.is_some())
}

/// The disks that the unfinished commit in `log` changes, in the order [`recover_all`] wants them; `None` where no
/// commit began.
///
/// # Errors
/// As [`pending`]; [`Class::Corrupt`] when the log is damaged.
pub fn logged(log: &dyn HostFile, limits: Limits) -> Result<Option<Vec<Logged>>> {
    match Head::read(log)? {
        Some(head) => Ok(Some(head.logged(log, &mut Meter::new(limits))?)),
        None => Ok(None),
    }
}

/// Finishes an interrupted commit, if `log` holds one. Says whether it did; where it did not, the commit never
/// began and the disk is as it was.
///
/// # Errors
/// [`Class::Invalid`] when the log was made for another disk, or the disk was changed since;
/// [`Class::Corrupt`] when the log is damaged; else whatever the disk or the log says.
pub fn recover(disk: &dyn BlockWrite, log: &dyn HostFile, limits: Limits) -> Result<bool> {
    recover_all(&[disk], log, limits)
}

/// As [`recover`], of a commit of several disks: those that [`logged`] tells, in their order.
///
/// # Errors
/// As [`recover`].
pub fn recover_all(disks: &[&dyn BlockWrite], log: &dyn HostFile, limits: Limits) -> Result<bool> {
    let Some(head) = Head::read(log)? else {
        return Ok(false);
    };
    let foreign = |why: String| {
        Err(Error::new(Class::Invalid, why)
            .at("redo log", 0)
            .advise("give the log together with the disk it was made for"))
    };
    let logged = head.logged(log, &mut Meter::new(limits))?;
    if logged.len() != disks.len() {
        return foreign(format!(
            "the log was made for {} disks, {} are here",
            logged.len(),
            disks.len()
        ));
    }
    for (told, disk) in logged.iter().zip(disks) {
        if told.len != disk.len() {
            return foreign(format!(
                "the log was made for a disk of {} bytes, this one has {}",
                told.len,
                disk.len()
            ));
        }
    }
    let mut meter = Meter::new(limits);
    if head.fingerprint_of(disks, log, &mut meter)? != head.fingerprint {
        return foreign(
            "the log was made for another disk, or this one was written to after the commit stopped"
                .to_owned(),
        );
    }
    head.redo(disks, log, &mut meter)?;
    forget(log)?;
    Ok(true)
}

fn unmetered() -> Meter {
    Meter::new(Limits {
        bytes: u64::MAX,
        steps: u64::MAX,
        depth: u16::MAX,
    })
}

fn forget(log: &dyn HostFile) -> Result<()> {
    log.write_at(0, &[0; HEAD_BYTES])?;
    log.flush()
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn total(lens: impl Iterator<Item = u64>) -> u64 {
    lens.fold(0, u64::saturating_add)
}
