//! The content of a file, in large pieces and without its holes.

use h2k_block::{Class, Error, Kind, Result};
use h2k_guest::{Place, Tree};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// A buffer that is used again for every file.
pub(crate) struct Piece(Vec<u8>);

impl Piece {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Shows the bytes of `range`, piece by piece.
    pub(crate) fn each(
        &mut self,
        tree: &Tree,
        file: Place,
        range: Range<u64>,
        stop: &AtomicBool,
        show: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.0.is_empty() {
            self.0 = vec![0; PIECE];
        }
        let mut at = range.start;
        while at < range.end {
            if stop.load(Ordering::Acquire) {
                return Err(Error::new(Class::Cancelled, "stopped"));
            }
            let left = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX);
            let room = self.0.get_mut(..left.min(PIECE)).unwrap_or_default();
            let read = tree.read_at(file, at, room)?;
            if read == 0 {
                return Err(short(at, range.end));
            }
            show(at, room.get(..read).unwrap_or_default())?;
            at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

fn short(at: u64, end: u64) -> Error {
    Error::corrupt(
        "file",
        at,
        format!("the content ends here, {end} bytes were promised"),
    )
}

/// The run that begins at `at`: up to where, and whether anything is stored there.
fn run(tree: &Tree, file: Place, at: u64, len: u64) -> Result<(u64, bool)> {
    let run = tree.extent_at(file, at, len)?.run;
    let end = run.start.saturating_add(run.len).min(len);
    if end <= at {
        return Err(Error::corrupt("file", at, "an extent of no length"));
    }
    Ok((end, run.kind == Kind::Data))
}

/// The parts of a file that are stored, widened to `unit` bytes and joined; `None` when there are more than `most`.
pub(crate) fn data_runs(
    tree: &Tree,
    file: Place,
    len: u64,
    unit: u64,
    most: usize,
) -> Result<Option<Vec<Range<u64>>>> {
    let mut all: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while at < len {
        let (end, data) = run(tree, file, at, len)?;
        if data {
            let start = at.saturating_sub(at.checked_rem(unit).unwrap_or(0));
            let until = end.checked_next_multiple_of(unit).unwrap_or(len).min(len);
            match all.last_mut() {
                Some(last) if last.end >= start => last.end = last.end.max(until),
                _ => all.push(start..until),
            }
            if all.len() > most {
                return Ok(None);
            }
        }
        at = end;
    }
    Ok(Some(all))
}

/// Whether a file has no holes: then nothing is gained by looking for them.
pub(crate) fn whole(runs: &[Range<u64>], len: u64) -> bool {
    match runs {
        [] => len == 0,
        [only] => *only == (0..len),
        _ => false,
    }
}

/// Copies the content of `file` into `to`, leaving holes out. Answers with the bytes that were read.
pub(super) fn copy(
    tree: &Tree,
    file: Place,
    len: u64,
    to: &File,
    piece: &mut Piece,
    stop: &AtomicBool,
) -> Result<u64> {
    let mut copied = 0_u64;
    let mut at = 0;
    while at < len {
        let (end, data) = run(tree, file, at, len)?;
        if data {
            piece.each(tree, file, at..end, stop, &mut |at, bytes| {
                copied = copied.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
                Ok(to.write_all_at(bytes, at)?)
            })?;
        } else if stop.load(Ordering::Acquire) {
            return Err(Error::new(Class::Cancelled, "stopped"));
        }
        at = end;
    }
    to.set_len(len)?;
    Ok(copied)
}
