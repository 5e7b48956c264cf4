//! Copying files of a guest to the host.
//!
//! Nothing of the guest decides where a file goes: every name is made in a directory that is held open, no link is ever
//! followed on the host, and a file appears under its name when it is whole.

mod content;
mod host;
mod meta;

use crate::guest::{odd, text};
use crate::{Failure, Result};
use h2k_block::{Class, Error, Limits, Meter};
use h2k_fs::{FileKind, Stat};
use h2k_guest::{Next, Place, Tree, Visit, Walk};
use host::{Below, Dest};
use meta::Keeper;
use serde::Serialize;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use content::{Piece, data_runs, whole};

/// Directories deeper than this are not copied: each level is walked with open directories, and nobody has so many.
const DEEPEST: usize = 1000;

/// What to copy, and where.
#[derive(Clone, Debug)]
pub struct CopyOut {
    /// Paths in the guest. A link named here is followed, in the guest; links below are copied as links.
    pub from: Vec<Vec<u8>>,
    /// A directory that is there, to copy into; or a new name, where one thing is copied.
    pub to: PathBuf,
    /// Replace files that are there, and copy into directories that are.
    pub force: bool,
    /// Give files to the owners they have in the guest. The host permits it to root only.
    pub owners: bool,
    /// Make devices and pipes, too.
    pub devices: bool,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CopyOutReport {
    /// Regular files, other names of the same file not counted.
    pub files: u64,
    /// Directories made.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files that were copied already.
    pub hard_links: u64,
    /// Bytes of content read; holes are not read.
    pub bytes: u64,
    /// What was left out on purpose: devices, pipes, sockets.
    pub skipped: Vec<SkippedReport>,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SkippedReport {
    /// Its path in the guest.
    pub name: String,
    /// The path in hexadecimal, where it is not text.
    pub name_bytes: Option<String>,
    /// Why.
    pub message: String,
}

/// Is told of each file that could not be copied, with its path in the guest, while the rest goes on.
pub type OnTrouble<'a> = dyn FnMut(&[u8], &Error) + 'a;

impl CopyOut {
    /// Copies. A file that cannot be copied is told to `trouble`, and the rest goes on.
    ///
    /// # Errors
    /// When nothing can be copied: no such path, a destination that is no directory, or a full disk;
    /// [`Class::Cancelled`] when `stop` was set. What was copied until then stays, whole.
    pub fn run(&self, tree: &Tree, stop: &AtomicBool, trouble: &mut OnTrouble<'_>) -> Result<CopyOutReport> {
        let mut meter = Meter::new(Limits::default());
        let mut starts = Vec::new();
        for path in &self.from {
            let found = tree.find(path, &mut meter);
            let place = found.map_err(|e| Failure::from(e.through(text(path))).headed(not_copied(path)))?;
            starts.push((path, place));
        }
        let (dest, into) = self.destination()?;
        let mut run = Run {
            job: self,
            tree,
            stop,
            keeper: Keeper::new(self.owners),
            dest,
            linked: HashMap::new(),
            directories: Vec::new(),
            report: CopyOutReport::default(),
            piece: Piece::new(),
            trouble,
        };
        let mut outcome = Ok(());
        for (path, place) in starts {
            let name = last(path);
            let below = match (&into, name) {
                // The only source gets the new name.
                (Some(new), _) => vec![new.clone()],
                (None, Some(name)) => vec![name.to_vec()],
                // The root has no name: what is in it goes into the directory.
                (None, None) => Vec::new(),
            };
            outcome = run.copy(path, place, &below, &mut meter);
            if outcome.is_err() {
                break;
            }
        }
        // Also after a failure: what is there is to look as it should.
        run.settle();
        outcome.map_err(|e| {
            Failure::from(e)
                .about(&self.to)
                .leaving("what was copied before is whole and stays")
        })?;
        Ok(run.report)
    }

    /// The directory to make things in, and the name for the only source where that is not its own.
    fn destination(&self) -> Result<(Dest, Option<Vec<u8>>)> {
        let about = |e: Error, path: &Path| Failure::from(e).about(path);
        match Dest::open(&self.to) {
            Ok(dest) => return Ok((dest, None)),
            Err(e) if e.class() == Class::NotFound && self.from.len() == 1 => {}
            Err(e) if e.class() == Class::NotFound => {
                let error = Error::new(
                    Class::NotFound,
                    "several things are copied into a directory that is there",
                );
                return Err(about(
                    error.advise(format!("make it first: mkdir {}", self.to.display())),
                    &self.to,
                ));
            }
            // A file of that name: with --force it is replaced.
            Err(e) if e.class() == Class::Invalid && self.from.len() == 1 => {}
            Err(e) => return Err(about(e, &self.to)),
        }
        let name = self.to.file_name().map(OsStr::as_bytes).map(<[u8]>::to_vec);
        let parent = match self.to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let dest = Dest::open(parent).map_err(|e| about(e, parent))?;
        let name = name.ok_or_else(|| {
            about(
                Error::new(Class::Invalid, "this names no file that could be made"),
                &self.to,
            )
        })?;
        Ok((dest, Some(name)))
    }
}

fn not_copied(path: &[u8]) -> String {
    format!("{} is not copied", text(path))
}

/// The last component of a path that is a name; none for the root.
fn last(path: &[u8]) -> Option<&[u8]> {
    let name = h2k_fs::parts(path).last()?;
    (name != b"..").then_some(name)
}

struct Run<'a> {
    job: &'a CopyOut,
    tree: &'a Tree,
    stop: &'a AtomicBool,
    keeper: Keeper,
    dest: Dest,
    /// Files with several names that were copied: where the first one is.
    linked: HashMap<Place, Below>,
    /// Directories that were made: they get their attributes when nothing is made in them any more.
    directories: Vec<(Below, Stat, Place)>,
    report: CopyOutReport,
    piece: Piece,
    trouble: &'a mut OnTrouble<'a>,
}

impl Run<'_> {
    fn copy(&mut self, path: &[u8], place: Place, to: &Below, meter: &mut Meter) -> h2k_block::Result<()> {
        let tree = self.tree;
        let mut unlisted: Vec<(Vec<u8>, Error)> = Vec::new();
        let walked = tree.walk(
            place,
            Walk::default(),
            meter,
            &mut |visit| self.visit(path, to, visit),
            &mut |below, e| unlisted.push((below.to_vec(), e)),
        );
        for (below, e) in unlisted {
            (self.trouble)(&joined(path, &below), &e);
        }
        walked
    }

    fn visit(&mut self, start: &[u8], to: &Below, visit: Visit<'_>) -> h2k_block::Result<Next> {
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::new(Class::Cancelled, "stopped"));
        }
        let mut below = to.clone();
        below.extend(
            visit
                .path
                .split(|b| *b == b'/')
                .filter(|p| !p.is_empty())
                .map(<[u8]>::to_vec),
        );
        let done = match visit.stat {
            Ok(stat) => self.one(&below, visit.place, &stat),
            Err(e) => Err(e),
        };
        match done {
            Ok(()) => Ok(Next::Enter),
            // A full disk does not get emptier by trying the next file.
            Err(e) if matches!(e.class(), Class::NoSpace | Class::Cancelled | Class::ReadOnly) => Err(e),
            Err(e) => {
                (self.trouble)(&joined(start, visit.path), &e);
                Ok(Next::Pass)
            }
        }
    }

    fn one(&mut self, below: &Below, place: Place, stat: &Stat) -> h2k_block::Result<()> {
        let Some((name, above)) = below.split_last() else {
            // The guest's root becomes the destination, which is the user's own.
            return match stat.kind {
                FileKind::Dir => Ok(()),
                _ => Err(Error::new(Class::Invalid, "the root is no directory")),
            };
        };
        if below.len() > DEEPEST {
            return Err(Error::new(
                Class::Limit,
                format!("it lies more than {DEEPEST} directories deep"),
            ));
        }
        let dir = self.dest.enter(above)?;
        let force = self.job.force;
        match stat.kind {
            FileKind::Dir => {
                if dir.make_directory(name, force)? {
                    self.report.directories = self.report.directories.saturating_add(1);
                    self.directories.push((below.clone(), *stat, place));
                }
            }
            FileKind::File => return self.file(below, place, stat),
            FileKind::Link => {
                let target = self.tree.target(place)?;
                dir.make_link(name, &target, force)?;
                self.keeper.link(&dir, name, stat);
                self.report.symlinks = self.report.symlinks.saturating_add(1);
            }
            kind => {
                let made = self.job.devices && kind != FileKind::Socket;
                if made {
                    dir.make_special(name, kind, stat.device, self.keeper.special(stat), force)?;
                    self.keeper.link(&dir, name, stat);
                } else {
                    self.skip(below, kind);
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, below: &Below, place: Place, stat: &Stat) -> h2k_block::Result<()> {
        let Some((name, above)) = below.split_last() else {
            return Ok(());
        };
        if stat.links > 1
            && let Some(first) = self.linked.get(&place).cloned()
            && self.dest.link(&first, below, self.job.force)?
        {
            self.report.hard_links = self.report.hard_links.saturating_add(1);
            return Ok(());
        }
        let dir = self.dest.enter(above)?;
        let part = dir.make_file(name, self.job.force)?;
        let read = content::copy(
            self.tree,
            place,
            stat.len,
            part.file(),
            &mut self.piece,
            self.stop,
        )?;
        self.keeper.file(part.file(), stat, self.tree, place)?;
        part.finish(self.job.force)?;
        self.report.files = self.report.files.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(read);
        if stat.links > 1 {
            self.linked.insert(place, below.clone());
        }
        Ok(())
    }

    fn skip(&mut self, below: &Below, kind: FileKind) {
        let path = below.join(&b'/');
        let what = match kind {
            FileKind::Socket => "a socket exists only while its program runs",
            FileKind::Fifo => "a pipe is made with --devices only",
            _ => "a device is made with --devices only",
        };
        // Guests have hundreds of them at most; a damaged one may claim more.
        if self.report.skipped.len() < 10_000 {
            self.report.skipped.push(SkippedReport {
                name: text(&path),
                name_bytes: odd(&path),
                message: what.to_owned(),
            });
        }
    }

    /// Gives directories their attributes, the inner ones first.
    fn settle(&mut self) {
        while let Some((below, stat, place)) = self.directories.pop() {
            let done = self
                .dest
                .enter(&below)
                .and_then(|dir| self.keeper.directory(&dir, &stat, self.tree, place));
            if let Err(e) = done {
                (self.trouble)(&below.join(&b'/'), &e);
            }
        }
        if let Some(e) = self.keeper.lost.take() {
            (self.trouble)(b"extended attributes", &e);
        }
    }
}

fn joined(start: &[u8], below: &[u8]) -> Vec<u8> {
    match (start, below) {
        (_, []) => start.to_vec(),
        (b"/", _) => [b"/", below].concat(),
        _ => [start, b"/", below].concat(),
    }
}
