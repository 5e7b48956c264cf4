use crate::pace::Pace;
use crate::plan::Plan;
use crate::{Difference, Options, Watch, crew};
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const WINDOW: u64 = 1 << 20;

/// Two disks side by side, as far as a plan is concerned: data where either has data.
struct Pair<'a>(&'a dyn BlockRead, &'a dyn BlockRead);

impl BlockRead for Pair<'_> {
    fn len(&self) -> u64 {
        self.0.len().max(self.1.len())
    }

    fn fetch(&self, _offset: u64, _buf: &mut [u8]) -> Result<()> {
        Err(Error::new(
            Class::Invalid,
            "a pair of disks has no bytes of its own",
        ))
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let of = |disk: &dyn BlockRead| match disk.len() {
            len if offset < len => disk.extent_at(offset, end.min(len)),
            _ => Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Hole)),
        };
        let (a, b) = (of(self.0)?, of(self.1)?);
        let kind = match (a.kind, b.kind) {
            (Kind::Data, _) | (_, Kind::Data) => Kind::Data,
            _ => Kind::Hole,
        };
        Ok(Extent::new(offset, a.len.min(b.len), kind))
    }
}

/// One comparison.
struct Comparing<'a> {
    pair: &'a Pair<'a>,
    plan: Mutex<Plan<'a>>,
    pace: Pace<'a>,
    stop: &'a AtomicBool,
    halt: AtomicBool,
    /// The lowest difference so far; `u64::MAX` for none.
    first: AtomicU64,
    failure: Mutex<Option<(u64, Error)>>,
}

/// See [`crate::compare`].
pub(crate) fn run(
    a: &dyn BlockRead,
    b: &dyn BlockRead,
    options: &Options,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Option<Difference>> {
    let pair = Pair(a, b);
    let total = pair.len();
    let this = Comparing {
        pair: &pair,
        plan: Mutex::new(Plan::new(&pair, total, WINDOW, u64::MAX)),
        pace: Pace::new(total, options.bytes_per_second, watch),
        stop,
        halt: AtomicBool::new(false),
        first: AtomicU64::new(u64::MAX),
        failure: Mutex::new(None),
    };
    crew::run(crew::size(options), || this.work());
    let first = this.first.into_inner();
    match this.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // What lies after a difference does not matter any more, not even if it cannot be read.
        Some((at, error)) if at <= first => Err(error),
        _ => {
            this.pace.tell();
            Ok((first != u64::MAX).then_some(Difference { offset: first }))
        }
    }
}

impl Comparing<'_> {
    fn work(&self) {
        let (mut runs, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if self.halt.load(Ordering::Relaxed) {
                return;
            }
            if self.stop.load(Ordering::Relaxed) {
                return self.fail(0, Error::new(Class::Cancelled, "stopped on request"));
            }
            let (at, job) = {
                let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
                (plan.at(), plan.next(&mut runs, self.stop))
            };
            match job {
                Ok(Some(job)) if job.start < self.first.load(Ordering::Relaxed) => {
                    if let Err(e) = self.window(&runs, &mut a, &mut b) {
                        let end = job.start.saturating_add(job.len);
                        let range = format!("comparing bytes {:#x}..{end:#x} of the disks", job.start);
                        self.fail(job.start, e.through(range));
                    }
                    self.pace.dealt(job.len);
                }
                Ok(_) => return,
                Err(e) => return self.fail(at, e.through("comparing the disks")),
            }
        }
    }

    /// Compares what the map calls data.
    fn window(&self, runs: &[Extent], a: &mut Vec<u8>, b: &mut Vec<u8>) -> Result<()> {
        for run in runs.iter().filter(|run| run.kind == Kind::Data) {
            let read = self.side(self.pair.0, run, a)?;
            let read = read.saturating_add(self.side(self.pair.1, run, b)?);
            self.pace.read(read, [&self.halt, self.stop]);
            if a != b {
                let same = a.iter().zip(b.iter()).take_while(|(a, b)| a == b).count();
                let offset = run.start.saturating_add(u64::try_from(same).unwrap_or(u64::MAX));
                self.first.fetch_min(offset, Ordering::Relaxed);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads one side of `run`; what lies past its end is zero. Says how much was read.
    fn side(&self, disk: &dyn BlockRead, run: &Extent, buf: &mut Vec<u8>) -> Result<u64> {
        buf.resize(usize::try_from(run.len).unwrap_or(usize::MAX), 0);
        let there = disk.len().saturating_sub(run.start).min(run.len);
        let split = usize::try_from(there).unwrap_or(usize::MAX);
        if let Some((read, beyond)) = buf.split_at_mut_checked(split) {
            if !read.is_empty() {
                disk.read_at(run.start, read)?;
            }
            beyond.fill(0);
        }
        Ok(there)
    }

    fn fail(&self, at: u64, e: Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.as_ref().is_none_or(|(first, _)| at < *first) {
            *failure = Some((at, e));
        }
        self.halt.store(true, Ordering::Relaxed);
    }
}
