//! Several files as one stream.

use crate::entry::{Entry, EntryHead};
use crate::file::File;
use crate::query::Query;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many warnings one stream keeps.
const WARNINGS: usize = 100;

/// The journal files of a machine, read as one.
#[derive(Default)]
pub struct Journal<'f> {
    files: Vec<File<'f>>,
}

impl<'f> Journal<'f> {
    /// The files together, in any order.
    #[must_use]
    pub fn new(files: Vec<File<'f>>) -> Self {
        Self { files }
    }

    /// The files; [`Entry::file`] counts in here.
    #[must_use]
    pub fn files(&self) -> &[File<'f>] {
        &self.files
    }

    /// Every value that `field` has in any of the files, sorted. Files whose tables are damaged are left out.
    #[must_use]
    pub fn values(&self, field: &str) -> Vec<Vec<u8>> {
        let found = self.files.iter().filter_map(|file| file.values(field).ok());
        let values: BTreeSet<Vec<u8>> = found.flatten().map(|(value, _)| value).collect();
        values.into_iter().collect()
    }

    /// The entries that `query` chooses, oldest first, as `journalctl` orders them: by sequence number where files
    /// count together, else by the time since boot within one boot, else by the clock. What two files both have is
    /// shown once.
    #[must_use]
    pub fn entries<'a>(&'a self, query: &Query) -> Entries<'a> {
        self.read(query, false)
    }

    /// The same entries, newest first.
    #[must_use]
    pub fn latest<'a>(&'a self, query: &Query) -> Entries<'a> {
        self.read(query, true)
    }

    fn read<'a>(&'a self, query: &Query, back: bool) -> Entries<'a> {
        let mut warnings = Vec::new();
        let heads = self.files.iter().enumerate().map(|(number, file)| {
            let mut selected = file.select(query);
            if back {
                selected.list.reverse();
            }
            if let Some(e) = selected.trouble {
                warnings.push(format!("{}: {e}", file.name()));
            }
            Stream {
                number,
                file,
                offsets: selected.list.into_iter(),
                look: selected.look,
                next: None,
            }
        });
        let streams = heads.collect();
        let mut entries = Entries {
            streams,
            back,
            query: query.clone(),
            warnings,
        };
        for i in 0..entries.streams.len() {
            entries.advance(i);
        }
        entries
    }
}

struct Stream<'a> {
    number: usize,
    file: &'a File<'a>,
    offsets: std::vec::IntoIter<u64>,
    look: bool,
    next: Option<(u64, EntryHead)>,
}

/// Entries in order. What cannot be read is left out and told in [`warnings`](Self::warnings).
pub struct Entries<'a> {
    streams: Vec<Stream<'a>>,
    back: bool,
    query: Query,
    warnings: Vec<String>,
}

impl Entries<'_> {
    /// What was odd so far; after the first hundred no more are kept.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How many entries are left, without reading what they say where that is not needed to choose them.
    #[must_use]
    pub fn remaining(mut self) -> u64 {
        let mut count: u64 = 0;
        while self.streams.iter().any(|stream| stream.look) {
            if self.next().is_none() {
                return count;
            }
            count = count.saturating_add(1);
        }
        while self.step().is_some() {
            count = count.saturating_add(1);
        }
        count
    }

    /// The stream with the next entry, and that entry, which is taken from all streams that have it.
    fn step(&mut self) -> Option<(usize, u64)> {
        let waiting = self.streams.iter().enumerate();
        let heads = waiting.filter_map(|(i, stream)| stream.next.map(|(at, head)| (i, at, head)));
        let before = |a: &EntryHead, b: &EntryHead| {
            let order = order(a, b);
            if self.back { order.is_gt() } else { order.is_lt() }
        };
        let first = heads.reduce(|a, b| if before(&b.2, &a.2) { b } else { a });
        let (i, offset, head) = first?;
        // What other files have too.
        for other in 0..self.streams.len() {
            let same = self
                .streams
                .get(other)
                .and_then(|stream| stream.next)
                .is_some_and(|(_, theirs)| other == i || order(&theirs, &head).is_eq());
            if same {
                self.advance(other);
            }
        }
        Some((i, offset))
    }

    /// Steps one stream to its next readable entry.
    fn advance(&mut self, i: usize) {
        let Some(stream) = self.streams.get_mut(i) else {
            return;
        };
        stream.next = None;
        for offset in stream.offsets.by_ref() {
            match stream.file.head(offset) {
                Ok(head) if self.query.in_time(&head) => {
                    stream.next = Some((offset, head));
                    return;
                }
                Ok(_) => {}
                Err(e) if self.warnings.len() < WARNINGS => {
                    self.warnings.push(format!("{}: {e}", stream.file.name()));
                }
                Err(_) => {}
            }
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let (i, offset) = self.step()?;
            let stream = self.streams.get(i)?;
            let (file, number, look) = (stream.file, stream.number, stream.look);
            let warnings = &mut self.warnings;
            let mut warn = |what: String| {
                if warnings.len() < WARNINGS {
                    warnings.push(format!("{}: {what}", file.name()));
                }
            };
            match file.entry(offset, &mut warn) {
                Ok(entry) if look && !self.query.chooses(&entry) => {}
                Ok(entry) => {
                    return Some(Entry {
                        file: number,
                        ..entry
                    });
                }
                Err(e) => warn(e.to_string()),
            }
        }
    }
}

/// Which of two entries of different files comes first.
pub(crate) fn order(a: &EntryHead, b: &EntryHead) -> Ordering {
    let mut order = Ordering::Equal;
    if a.seqnum_id == b.seqnum_id {
        order = a.seqnum.cmp(&b.seqnum);
    }
    if order.is_eq() && a.boot == b.boot {
        order = a.monotonic.cmp(&b.monotonic);
    }
    order
        .then_with(|| a.realtime.cmp(&b.realtime))
        .then_with(|| a.xor_hash.cmp(&b.xor_hash))
}
