use h2k_block::{BlockRead, Extent, Kind, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// How far ahead the map is asked at first. Formats load tables to answer; asking for all of a large disk at
/// once would load every one of them before the first byte moves, and again when the bytes are read.
const REACH: u64 = 1 << 30;

/// Cuts a disk into jobs, in ascending order: windows with data in them, and long stretches without.
///
/// A window is `window` bytes, aligned, a multiple of the sink's grain; only the disk's last one may be shorter.
/// Stretches begin and end at window borders too and are of one kind throughout. So the cuts depend on the
/// disk and the window alone, never on who asks when.
pub(crate) struct Plan<'a> {
    disk: &'a dyn BlockRead,
    /// Bytes to plan for; what lies past the end of the disk is a hole.
    total: u64,
    window: u64,
    /// The longest stretch without data that is one job.
    longest: u64,
    at: u64,
    seq: u64,
    reach: u64,
    /// The last two answers of the map, newest first: a stretch that ends inside a window is looked at twice.
    known: [Option<Extent>; 2],
}

/// One worker's next piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Counts from 0 without gaps.
    pub(crate) seq: u64,
    /// First byte.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) len: u64,
}

impl<'a> Plan<'a> {
    /// A plan for `total` bytes, of which `disk` has the first. `window` is a power of two.
    pub(crate) fn new(disk: &'a dyn BlockRead, total: u64, window: u64, longest: u64) -> Self {
        Self {
            disk,
            total,
            window,
            longest,
            at: 0,
            seq: 0,
            reach: REACH,
            known: [None; 2],
        }
    }

    /// Where the next job begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next job, and what the map says of it in `runs`: touching each other, of alternating kinds.
    /// `None` at the end of the disk.
    ///
    /// # Errors
    /// What the map says, with the offset it was asked for.
    pub(crate) fn next(&mut self, runs: &mut Vec<Extent>, stop: &AtomicBool) -> Result<Option<Job>> {
        runs.clear();
        let start = self.at;
        if start >= self.total {
            return Ok(None);
        }
        let mut end = self.stretch(start, stop)?;
        if end > start {
            let kind = self.extent(start)?.kind;
            runs.push(Extent::new(start, end.saturating_sub(start), kind));
        } else {
            end = start.saturating_add(self.window).min(self.total);
            self.runs(start, end, runs)?;
        }
        self.at = end;
        let seq = self.seq;
        self.seq = seq.saturating_add(1);
        Ok(Some(Job {
            seq,
            start,
            len: end.saturating_sub(start),
        }))
    }

    /// Where the whole windows from `start` end that are without data and of one kind.
    fn stretch(&mut self, start: u64, stop: &AtomicBool) -> Result<u64> {
        let first = self.extent(start)?;
        let limit = start.saturating_add(self.longest).min(self.total);
        let mut end = first.end();
        if first.kind == Kind::Data {
            return Ok(start);
        }
        while end < limit && !stop.load(Ordering::Relaxed) {
            let next = self.extent(end)?;
            if next.kind != first.kind {
                break;
            }
            end = next.end();
        }
        let end = end.min(limit);
        Ok(if end == self.total {
            end
        } else {
            end.saturating_sub(end & self.window.saturating_sub(1))
        })
    }

    fn runs(&mut self, start: u64, end: u64, runs: &mut Vec<Extent>) -> Result<()> {
        let mut at = start;
        while at < end {
            let found = self.extent(at)?;
            let len = found.end().min(end).saturating_sub(at);
            match runs.last_mut() {
                Some(last) if last.kind == found.kind => last.len = last.len.saturating_add(len),
                _ => runs.push(Extent::new(at, len, found.kind)),
            }
            at = at.saturating_add(len);
        }
        Ok(())
    }

    /// What the map says from `at` on; never empty.
    fn extent(&mut self, at: u64) -> Result<Extent> {
        for known in self.known.iter().flatten() {
            if known.start <= at && at < known.end() {
                return Ok(Extent::new(at, known.end().saturating_sub(at), known.kind));
            }
        }
        let here = self.disk.len();
        let found = if at >= here {
            Extent::new(at, self.total.saturating_sub(at), Kind::Hole)
        } else {
            let end = at.saturating_add(self.reach).min(here);
            let found = self.disk.extent_at(at, end)?;
            // Deserts are crossed in strides that double; where there is data the look ahead stays short.
            self.reach = if found.kind == Kind::Data {
                REACH
            } else if found.end() == end {
                self.reach.saturating_mul(2)
            } else {
                self.reach
            };
            Extent::new(at, found.len, found.kind)
        };
        self.known = [Some(found), self.known.first().copied().flatten()];
        Ok(found)
    }
}
