//! Files of a guest as a tar archive.
//!
//! ```text
//! archive  member | member | … | two blocks of zeros
//! member   [pax header block | its records, padded] header block | content, padded to 512 bytes
//! ```
//!
//! POSIX.1-2017, pax interchange format; extended attributes as `SCHILY.xattr.*`, sparse files in GNU's format 1.0, both as
//! GNU tar and libarchive read them. Names and targets are bytes throughout. The archive depends on the files alone: the
//! same guest gives the same bytes.

mod file;
mod header;

pub use file::FileOut;

use crate::extract::{OnTrouble, Piece, data_runs, whole};
use crate::{Failure, Result, text};
use h2k_block::{Class, Error, Limits, Meter};
use h2k_fs::{FileKind, Stat};
use h2k_guest::{Next, Place, Tree, Visit, Walk};
use header::{Member, Records};
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Everything in an archive begins at a multiple of this.
const BLOCK: u64 = 512;
/// A file with more runs than this is stored with its holes.
const MOST_RUNS: usize = 100_000;

/// What to put into an archive.
#[derive(Clone, Debug)]
pub struct TarOut {
    /// A directory or file in the guest; a link is followed, in the guest. Members are named from here, with `./` in
    /// front.
    pub from: Vec<u8>,
    /// Whether extended attributes are archived.
    pub xattrs: bool,
    /// Whether holes are left out of sparse files, which is GNU's extension.
    pub sparse: bool,
}

/// What was archived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TarOutReport {
    /// Members of all kinds.
    pub members: u64,
    /// Regular files among them, other names of the same file not counted.
    pub files: u64,
    /// Bytes of content read.
    pub bytes: u64,
    /// Length of the archive.
    pub length: u64,
}

impl TarOut {
    /// Writes the archive to `to`. What cannot be read is told to `trouble`: a file is left out, and one that breaks off
    /// is filled up with zeros, since its length is written already.
    ///
    /// # Errors
    /// When there is no such path, when `to` cannot be written, and [`Class::Cancelled`] when `stop` was set.
    pub fn run(
        &self,
        tree: &Tree,
        to: &mut dyn Write,
        stop: &AtomicBool,
        trouble: &mut OnTrouble<'_>,
    ) -> Result<TarOutReport> {
        let mut meter = Meter::new(Limits::default());
        let named = |e: Error| Failure::from(e.through(text(&self.from))).headed("nothing is archived");
        let place = tree.find(&self.from, &mut meter).map_err(named)?;
        let mut run = Run {
            job: self,
            tree,
            to,
            stop,
            linked: HashMap::new(),
            report: TarOutReport::default(),
            piece: Piece::new(),
            trouble,
        };
        run.all(place, &mut meter)?;
        Ok(run.report)
    }
}

struct Run<'a> {
    job: &'a TarOut,
    tree: &'a Tree,
    to: &'a mut dyn Write,
    stop: &'a AtomicBool,
    /// Files with several names: the name they are archived under.
    linked: HashMap<Place, Vec<u8>>,
    report: TarOutReport,
    piece: Piece,
    trouble: &'a mut OnTrouble<'a>,
}

impl Run<'_> {
    fn all(&mut self, start: Place, meter: &mut Meter) -> h2k_block::Result<()> {
        let tree = self.tree;
        let mut unlisted: Vec<(Vec<u8>, Error)> = Vec::new();
        let walked = tree.walk(
            start,
            Walk::default(),
            meter,
            &mut |visit| self.visit(visit),
            &mut |path, e| unlisted.push((path.to_vec(), e)),
        );
        for (path, e) in unlisted {
            (self.trouble)(&path, &e);
        }
        walked?;
        self.put(&[0; 1024])
    }

    fn visit(&mut self, visit: Visit<'_>) -> h2k_block::Result<Next> {
        if self.stop.load(Ordering::Acquire) {
            return Err(Error::new(Class::Cancelled, "stopped"));
        }
        let mut name = b"./".to_vec();
        if visit.path.is_empty() {
            // A file that was named itself has its own name.
            if visit.stat.as_ref().is_ok_and(|s| s.kind != FileKind::Dir) {
                name.extend_from_slice(h2k_fs::parts(&self.job.from).last().unwrap_or_default());
            }
        } else {
            name.extend_from_slice(visit.path);
        }
        let done = match &visit.stat {
            Ok(stat) => self.one(&name, visit.place, stat),
            Err(_) => Ok(Err(())),
        };
        match (done?, visit.stat) {
            (Ok(()), _) => Ok(Next::Enter),
            (Err(()), Err(e)) => {
                (self.trouble)(visit.path, &e);
                Ok(Next::Pass)
            }
            (Err(()), Ok(_)) => Ok(Next::Enter),
        }
    }

    /// Archives one thing. The outer error ends the archive; the inner one was told.
    fn one(
        &mut self,
        name: &[u8],
        place: Place,
        stat: &Stat,
    ) -> h2k_block::Result<std::result::Result<(), ()>> {
        let tell = |run: &mut Self, e: Error| {
            (run.trouble)(name, &e);
            Ok(Err(()))
        };
        let mut records = Records::default();
        if self.job.xattrs {
            match self.tree.xattrs(place, &mut Meter::new(Limits::default())) {
                Ok(all) => all.iter().for_each(|(name, value)| records.xattr(name, value)),
                Err(e) => (self.trouble)(name, &e),
            }
        }
        let mut member = Member::new(name, stat);
        match stat.kind {
            FileKind::File => return self.file(name, place, stat, member, records),
            FileKind::Dir if !name.ends_with(b"/") => member.name.push(b'/'),
            FileKind::Dir => {}
            FileKind::Link => match self.tree.target(place) {
                Ok(target) => member.target = target,
                Err(e) => return tell(self, e),
            },
            FileKind::Socket => {
                let e = Error::unsupported("a socket exists only while its program runs; it is left out");
                return tell(self, e);
            }
            _ => {}
        }
        self.header(&member, records)?;
        Ok(Ok(()))
    }

    fn file(
        &mut self,
        name: &[u8],
        place: Place,
        stat: &Stat,
        mut member: Member,
        mut records: Records,
    ) -> h2k_block::Result<std::result::Result<(), ()>> {
        if stat.links > 1 {
            if let Some(first) = self.linked.get(&place) {
                member.kind = b'1';
                member.target.clone_from(first);
                self.header(&member, Records::default())?;
                return Ok(Ok(()));
            }
            self.linked.insert(place, name.to_vec());
        }
        // What cannot be read at all is left out, and not an empty file.
        let mut first = [0; 1];
        let runs = match self.job.sparse && stat.len > 0 {
            true => data_runs(self.tree, place, stat.len, BLOCK, MOST_RUNS),
            false => Ok(None),
        };
        let readable = self.tree.read_at(place, 0, &mut first).and(runs);
        let runs = match readable {
            Ok(runs) => runs.filter(|runs| !whole(runs, stat.len)),
            Err(e) => {
                (self.trouble)(name, &e);
                self.linked.remove(&place);
                return Ok(Err(()));
            }
        };
        let map = runs.as_ref().map(|runs| sparse_map(runs, stat.len));
        let whole_file: Vec<Range<u64>> = std::iter::once(0..stat.len).collect();
        let runs = runs.unwrap_or(whole_file);
        member.size = runs
            .iter()
            .fold(0_u64, |sum, r| sum.saturating_add(r.end.saturating_sub(r.start)));
        if let Some(map) = &map {
            records.sparse(&member.name, stat.len);
            member.size = member.size.saturating_add(length(map));
            member.name = sparse_name(name);
        }
        self.header(&member, records)?;
        if let Some(map) = &map {
            self.put(map)?;
        }
        for run in runs {
            self.content(name, place, run)?;
        }
        let tail = member.size.checked_rem(BLOCK).filter(|tail| *tail > 0);
        if let Some(tail) = tail {
            self.zeros(BLOCK.saturating_sub(tail))?;
        }
        self.report.files = self.report.files.saturating_add(1);
        Ok(Ok(()))
    }

    /// Writes a run of a file. Where it cannot be read, zeros: the reader of the archive counts on its length.
    fn content(&mut self, name: &[u8], place: Place, run: Range<u64>) -> h2k_block::Result<()> {
        let mut written = 0_u64;
        let mut refused = None;
        let to = &mut *self.to;
        let len = run.end.saturating_sub(run.start);
        let read = self
            .piece
            .each(self.tree, place, run, self.stop, &mut |_, bytes| {
                if let Err(e) = to.write_all(bytes) {
                    refused = Some(e);
                    return Err(Error::new(Class::Io, "the archive"));
                }
                written = written.saturating_add(length(bytes));
                Ok(())
            });
        if let Some(e) = refused {
            return Err(e.into());
        }
        self.report.length = self.report.length.saturating_add(written);
        self.report.bytes = self.report.bytes.saturating_add(written);
        match read {
            Err(e) if e.class() == Class::Cancelled => Err(e),
            Err(e) => {
                (self.trouble)(name, &e);
                self.zeros(len.saturating_sub(written))
            }
            Ok(()) => Ok(()),
        }
    }

    fn header(&mut self, member: &Member, records: Records) -> h2k_block::Result<()> {
        let bytes = member.encode(records);
        self.put(&bytes)?;
        self.report.members = self.report.members.saturating_add(1);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> h2k_block::Result<()> {
        self.to.write_all(bytes)?;
        self.report.length = self.report.length.saturating_add(length(bytes));
        Ok(())
    }

    fn zeros(&mut self, mut len: u64) -> h2k_block::Result<()> {
        while len > 0 {
            let zeros = h2k_block::zeros(len.min(1 << 16));
            self.put(zeros)?;
            len = len.saturating_sub(length(zeros).max(1));
            if self.stop.load(Ordering::Acquire) {
                return Err(Error::new(Class::Cancelled, "stopped"));
            }
        }
        Ok(())
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// GNU's sparse format 1.0: decimal numbers on lines of their own, how many runs and each one's start and length, padded.
/// A hole at the end is a run of no length there.
fn sparse_map(runs: &[Range<u64>], len: u64) -> Vec<u8> {
    let mut all: Vec<Range<u64>> = runs.to_vec();
    if all.last().is_none_or(|last| last.end < len) {
        all.push(len..len);
    }
    let mut map = format!("{}\n", all.len());
    for run in &all {
        map.push_str(&format!("{}\n{}\n", run.start, run.end.saturating_sub(run.start)));
    }
    let mut map = map.into_bytes();
    map.resize(map.len().next_multiple_of(512), 0);
    map
}

/// What a program that knows nothing of sparse files calls one.
fn sparse_name(name: &[u8]) -> Vec<u8> {
    let at = name
        .iter()
        .rposition(|b| *b == b'/')
        .map_or(0, |i| i.saturating_add(1));
    let (dir, base) = name.split_at(at);
    [dir, b"GNUSparseFile.0/", base].concat()
}
