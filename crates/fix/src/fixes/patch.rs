//! Changing a text at some places, and nowhere else.

use crate::view::View;
use std::ops::Range;

/// One line of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    /// Where it begins in the text.
    pub(super) start: usize,
    /// Without its end.
    pub(super) text: &'a [u8],
}

impl Line<'_> {
    /// Whether nothing is said in it: it is empty, or a comment after `#`.
    pub(super) fn silent(&self) -> bool {
        self.text.trim_ascii_start().first().is_none_or(|b| *b == b'#')
    }

    /// Where it lies in the text.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.text.len())
    }

    /// Its words, as ranges of the text.
    pub(super) fn words(&self) -> Vec<Range<usize>> {
        words(self.text, self.start)
    }
}

/// The lines of a text.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0_usize;
    bytes.split(|b| *b == b'\n').zip(1..).map(move |(text, number)| {
        let line = Line { number, start, text };
        start = start.saturating_add(text.len()).saturating_add(1);
        line
    })
}

/// What stands between white space in `text`, which begins at `start`.
pub(super) fn words(text: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let mut from = None;
    for (at, byte) in text.iter().enumerate() {
        match (byte.is_ascii_whitespace(), from) {
            (false, None) => from = Some(at),
            (true, Some(begin)) => {
                all.push(start.saturating_add(begin)..start.saturating_add(at));
                from = None;
            }
            _ => {}
        }
    }
    if let Some(begin) = from {
        all.push(start.saturating_add(begin)..start.saturating_add(text.len()));
    }
    all
}

/// A part of a text; empty where it has no such part.
pub(super) fn part<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}

/// A text, and what takes the place of some of its parts.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    bytes: &'a [u8],
    cuts: Vec<(Range<usize>, Vec<u8>)>,
}

impl<'a> Patch<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            cuts: Vec::new(),
        }
    }

    /// `with` is where `range` was. Parts are named in order, and none twice.
    pub(super) fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) {
        self.cuts.push((range, with.into()));
    }

    /// The line is gone, with its end.
    pub(super) fn drop_line(&mut self, line: &Line<'_>) {
        let range = line.range();
        let end = range.end.saturating_add(1).min(self.bytes.len());
        self.cuts.push((range.start..end, Vec::new()));
    }

    pub(super) fn changed(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// The text with everything in its place.
    pub(super) fn done(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        for (range, with) in &self.cuts {
            out.extend_from_slice(part(self.bytes, &(at..range.start)));
            out.extend_from_slice(with);
            at = range.end;
        }
        out.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        out
    }
}

/// The files in a directory whose names end with `ending`.
pub(super) fn listed(view: &View<'_>, dir: &str, ending: &str) -> Vec<String> {
    let names = view.look.names(dir);
    let names = names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let names = names.filter(|name| name.ends_with(ending)).take(4096);
    names.map(|name| format!("{dir}/{name}")).collect()
}
