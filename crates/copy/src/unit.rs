use crate::hash::Mark;
use crate::plan::Job;
use h2k_block::{Batch, BlockRead, Body, Extent, Kind, Piece, Result, is_zero};

/// A job and everything it needs on its way through the stages. Reused, so that nothing is allocated per job.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    /// Its place in the order.
    pub(crate) seq: u64,
    /// What the sink gets.
    pub(crate) batch: Batch,
    /// What the map says of it.
    pub(crate) runs: Vec<Extent>,
    /// What it adds to the digest.
    pub(crate) mark: Mark,
    /// Bytes asked of the source.
    pub(crate) read: u64,
    /// Bytes in plain pieces.
    pub(crate) data: u64,
    /// Bytes read for nothing: they are zero.
    pub(crate) found_zero: u64,
}

impl Unit {
    /// Makes it that job. `runs` is filled already.
    pub(crate) fn begin(&mut self, job: Job) {
        self.seq = job.seq;
        self.batch.start = job.start;
        self.batch.len = job.len;
        self.batch.coded.clear();
        self.batch.pieces.clear();
        (self.read, self.data, self.found_zero) = (0, 0, 0);
    }

    /// First byte after it.
    pub(crate) fn end(&self) -> u64 {
        self.batch.start.saturating_add(self.batch.len)
    }

    /// Reads what has to be read and cuts it into pieces at multiples of `grain`. A grain of which the map
    /// calls only a part a hole or zero is read whole: the target cannot express the part.
    ///
    /// With `filled`, bytes that were not read are set to zero in the buffer (if anything was read).
    ///
    /// # Errors
    /// What the source says.
    pub(crate) fn fill(&mut self, disk: &dyn BlockRead, grain: u64, filled: bool) -> Result<()> {
        let end = self.end();
        let down = |at: u64| at.saturating_sub(at & grain.saturating_sub(1));
        let up = |at: u64| down(at.saturating_add(grain.saturating_sub(1)));
        let runs = std::mem::take(&mut self.runs);
        let skippable = |run: &Extent| {
            let a = up(run.start);
            // Whatever ends with the unit ends at a border, or with the disk.
            let b = if run.end() == end { end } else { down(run.end()) };
            (run.kind != Kind::Data && a < b).then_some((a, b))
        };
        let skips_all = runs
            .iter()
            .filter_map(skippable)
            .map(|(a, b)| b.saturating_sub(a));
        if skips_all.fold(0, u64::saturating_add) == self.batch.len {
            self.batch.guest.clear();
        } else {
            let len = usize::try_from(self.batch.len).unwrap_or(usize::MAX);
            self.batch.guest.stretch(len);
        }
        let mut at = self.batch.start;
        for run in &runs {
            let Some((a, b)) = skippable(run) else {
                continue;
            };
            self.read(disk, at, a, grain)?;
            if filled && let Some(guest) = self.guest(a, b) {
                guest.fill(0);
            }
            self.push(
                a,
                b,
                if run.kind == Kind::Zero {
                    Body::Zero
                } else {
                    Body::Hole
                },
            );
            at = b;
        }
        self.read(disk, at, end, grain)?;
        self.runs = runs;
        Ok(())
    }

    /// Reads `start..end` and says which grains hold something.
    fn read(&mut self, disk: &dyn BlockRead, start: u64, end: u64, grain: u64) -> Result<()> {
        if start >= end {
            return Ok(());
        }
        // The target may be longer than the source: what lies between them is zero.
        let there = disk.len().clamp(start, end);
        if there > start
            && let Some(guest) = self.guest(start, there)
        {
            disk.read_at(start, guest)?;
        }
        if let Some(guest) = self.guest(there, end) {
            guest.fill(0);
        }
        self.read = self.read.saturating_add(there.saturating_sub(start));
        let mut at = start;
        while at < end {
            let next = at.saturating_add(grain).min(end);
            let len = next.saturating_sub(at);
            if self.guest(at, next).is_none_or(|bytes| is_zero(bytes)) {
                self.push(at, next, Body::Zero);
                self.found_zero = self.found_zero.saturating_add(len);
            } else {
                self.push(at, next, Body::Plain);
                self.data = self.data.saturating_add(len);
            }
            at = next;
        }
        Ok(())
    }

    /// The buffer for `start..end`.
    fn guest(&mut self, start: u64, end: u64) -> Option<&mut [u8]> {
        let a = usize::try_from(start.saturating_sub(self.batch.start)).ok()?;
        let b = usize::try_from(end.saturating_sub(self.batch.start)).ok()?;
        self.batch.guest.get_mut(a..b)
    }

    /// Adds a piece; holes and zeros that touch become one.
    fn push(&mut self, start: u64, end: u64, body: Body) {
        let len = end.saturating_sub(start);
        match self.batch.pieces.last_mut() {
            Some(last) if last.body == body && body != Body::Plain => last.len = last.len.saturating_add(len),
            _ => self.batch.pieces.push(Piece {
                start,
                len,
                body,
                host: 0,
            }),
        }
    }
}
