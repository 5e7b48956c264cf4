//! Several images that change in place together, or stay as they are together.
//!
//! ```text
//! a.img   a.img.h2k-redo   the log of all of them: a.img, b.img, c.img
//! b.img   b.img.h2k-redo   a note: the log is that of a.img
//! c.img   c.img.h2k-redo   a note: the log is that of a.img
//! ```
//!
//! The notes are durable before the log's head is, and go before the log does: while the change is under way, no image
//! of it is opened. A log names files, and whoever could plant one would have them written to: so a file is written
//! only where the note beside it names that very log.

use super::{Log, directory, settled};
use crate::redo_log_of;
use crate::same::identity;
use h2k_block::{
    Access, BlockRead, BlockWrite, Class, Error, FileDisk, HostFile, Limits, Logged, Member, Overlay, Result,
    Sharing,
};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const NOTE: &[u8] =
    b"h2k-note: this image changes together with others; hyper2kvm recover finishes it. The first is:\n";
const END: &[u8] = b"\nend of note\n";
/// More than a path may have.
const LONGEST: u64 = 8192;

/// An image that is changed, and its edits.
pub(crate) struct Target<'a> {
    pub(crate) over: &'a Overlay,
    pub(crate) file: &'a dyn HostFile,
    pub(crate) path: &'a Path,
}

/// Writes the edits of every target to its file, which is the disk as it is. All or nothing, as [`super::apply`].
pub(crate) fn commit(targets: &[Target<'_>]) -> Result<()> {
    match targets {
        [] => Ok(()),
        [one] => super::logged(one.file, one.path, |log| {
            h2k_block::commit(one.over, one.file, log)
        }),
        [first, rest @ ..] => all(first, rest, targets),
    }
}

fn all(first: &Target<'_>, rest: &[Target<'_>], targets: &[Target<'_>]) -> Result<()> {
    let names: Result<Vec<Vec<u8>>> = targets.iter().map(|t| name_beside(first.path, t.path)).collect();
    let names = names?;
    for target in targets {
        target.file.flush()?;
    }
    let log = Log::begin(first.path)?;
    let mut notes = Vec::new();
    let mut noted = Ok(());
    for target in rest {
        noted = note(first.path, target.path, &mut notes);
        if noted.is_err() {
            break;
        }
    }
    let members: Vec<Member<'_>> = targets
        .iter()
        .zip(&names)
        .map(|(target, name)| Member {
            edits: target.over,
            disk: target.file,
            name,
        })
        .collect();
    let committed = noted.and_then(|()| h2k_block::commit_all(&members, &log.file));
    let disks: Vec<&dyn BlockWrite> = members.iter().map(|m| m.disk).collect();
    let recover = || h2k_block::recover_all(&disks, &log.file, Limits::default());
    let failed = settled(committed, recover, first.path)?;
    end(notes, log)?;
    failed.map_or(Ok(()), Err)
}

/// The log is the last to go: it alone knows whether anything is left to do.
fn end(notes: Vec<Log>, log: Log) -> Result<()> {
    for note in notes {
        note.end()?;
    }
    log.end()
}

fn note(first: &Path, path: &Path, notes: &mut Vec<Log>) -> Result<()> {
    let name = name_beside(path, first)?;
    let note = Log::begin(path)?;
    notes.push(note);
    let Some(note) = notes.last() else { return Ok(()) };
    let text = [NOTE, &name, END].concat();
    note.file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
    note.file.write_at(0, &text)?;
    note.file.flush()
}

/// How a file beside `from` names `to`: by its name alone in the same directory, so that both can be moved.
fn name_beside(from: &Path, to: &Path) -> Result<Vec<u8>> {
    let resolve = |path: &Path| {
        let found = directory(path).canonicalize();
        found.map_err(|e| Error::from(e).through(path.display().to_string()))
    };
    let (dir, name) = (resolve(to)?, to.file_name().unwrap_or_default());
    Ok(match dir == resolve(from)? {
        true => name.as_bytes().to_vec(),
        false => dir.join(name).into_os_string().into_vec(),
    })
}

/// What a file beside `from` calls `name`.
fn named(from: &Path, name: &[u8]) -> PathBuf {
    directory(from).join(std::ffi::OsStr::from_bytes(name))
}

/// The image whose log has the change of the image at `path`, where `log` is a note.
pub(super) fn leader_in(log: &Log, path: &Path) -> Result<Option<PathBuf>> {
    let len = log.file.len();
    if len > LONGEST {
        return Ok(None);
    }
    let mut text = vec![0; usize::try_from(len).unwrap_or(0)];
    log.file.read_at(0, &mut text)?;
    let name = text.strip_prefix(NOTE).and_then(|rest| rest.strip_suffix(END));
    Ok(name.map(|name| named(path, name)))
}

/// Finishes the change of the image at `path`, to which `leader` has the log. Says whether there was anything to finish.
pub(super) fn finish_led(
    file: FileDisk,
    path: &Path,
    leader: &Path,
    sharing: Sharing,
    limits: Limits,
) -> Result<bool> {
    // Where the first image is gone, its log may have gone with it: nobody knows then what was begun.
    let first = FileDisk::open(leader, Access::Edit, sharing).map_err(|e| {
        e.through(leader.display().to_string())
            .advise("the images changed together: put them back where they were, and recover again")
    })?;
    if redo_log_of(leader).symlink_metadata().is_err() {
        return Ok(false);
    }
    let log = Log::found(leader)?;
    let Some(disks) = h2k_block::logged(&log.file, limits)? else {
        return Ok(false);
    };
    let own = identity(path);
    if own.is_none()
        || disks
            .iter()
            .all(|disk| identity(&named(leader, &disk.name)) != own)
    {
        return Ok(false);
    }
    let opened = vec![(leader.to_owned(), first), (path.to_owned(), file)];
    finish(log, leader, &disks, opened, sharing, limits)
}

/// Finishes the change of `disks` that `log`, which lies beside the image at `leader`, records. Some are open already.
pub(super) fn finish(
    log: Log,
    leader: &Path,
    disks: &[Logged],
    mut opened: Vec<(PathBuf, FileDisk)>,
    sharing: Sharing,
    limits: Limits,
) -> Result<bool> {
    let mut files: Vec<FileDisk> = Vec::new();
    let mut notes = Vec::new();
    for disk in disks {
        let path = named(leader, &disk.name);
        let own = identity(&path);
        if own.is_none() || own != identity(leader) {
            notes.push(agreed(leader, &path)?);
        }
        let at = opened.iter().position(|(known, _)| identity(known) == own);
        files.push(match at {
            Some(at) => opened.swap_remove(at).1,
            None => FileDisk::open(&path, Access::Edit, sharing)?,
        });
    }
    let all: Vec<&dyn BlockWrite> = files.iter().map(|file| -> &dyn BlockWrite { file }).collect();
    let finished = h2k_block::recover_all(&all, &log.file, limits)?;
    end(notes, log)?;
    Ok(finished)
}

/// The note beside `path`, where it says that `leader` has the log.
fn agreed(leader: &Path, path: &Path) -> Result<Log> {
    let said = Log::found(path).and_then(|note| Ok((leader_in(&note, path)?, note)));
    match said {
        Ok((Some(said), note)) if identity(&said).is_some() && identity(&said) == identity(leader) => {
            Ok(note)
        }
        Err(e) if e.class() != Class::NotFound => Err(e),
        _ => Err(Error::new(
            Class::Refused,
            format!(
                "the redo log names {}, and nothing beside that says that it changes together with {}",
                path.display(),
                leader.display()
            ),
        )
        .advise("the images changed together: put them back where they were, and recover again")),
    }
}
