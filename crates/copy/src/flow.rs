use crate::hash::{Marker, Tally};
use crate::pace::Pace;
use crate::plan::Plan;
use crate::unit::Unit;
use crate::{Options, Report, Watch, crew};
use h2k_block::{BlockRead, Class, Error, Result, Sink};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes a worker deals with at once, unless the target's grain is larger.
const WINDOW: u64 = 1 << 20;

/// The largest window that a source's wish alone is good for.
const WISH: u64 = 2 << 20;

/// Memory for units: so much, and so much more for each worker.
const BUDGET: u64 = 16 << 20;
const BUDGET_PER_WORKER: u64 = 6 << 20;

/// Windows of a stretch without data that is hashed: short enough to stop in between and to be shared out.
const HASHED_WINDOWS: u64 = 16;

/// One pass over a disk: a job is read, scanned and encoded by any worker in any order, digested and placed in
/// ascending order by whoever comes by when it is its turn, and stored by any worker again.
///
/// There is no thread for a stage and no queue with a bound of its own: a worker without work takes the latest
/// stage that has any, and the number of units bounds the memory. What orders the stages is the [`Desk`].
pub(crate) struct Flow<'a> {
    from: &'a dyn BlockRead,
    to: Option<&'a dyn Sink>,
    verb: &'static str,
    grain: u64,
    marker: Option<Marker>,
    pace: Pace<'a>,
    stop: &'a AtomicBool,
    /// Set with the first failure, so that nobody naps on.
    halt: AtomicBool,
    plan: Mutex<Plan<'a>>,
    desk: Mutex<Desk>,
    bell: Condvar,
    most_units: usize,
}

/// Where every unit is. The lock is held for moments only; all work is done outside.
#[derive(Default)]
struct Desk {
    idle: Vec<Unit>,
    /// Units made so far.
    units: usize,
    /// Read and encoded, waiting for their turn.
    ready: BTreeMap<u64, Unit>,
    /// Placed, not stored yet.
    placed: VecDeque<Unit>,
    /// Whose turn it is to be placed.
    turn: u64,
    /// Somebody is placing; `tally` is with them.
    placing: bool,
    /// Somebody is storing. Hosts let one thread at a time write to a file: a second one would burn its time
    /// waiting for the first, which it can spend on reading and encoding.
    storing: bool,
    tally: Option<Box<Tally>>,
    /// No jobs are left in the plan.
    planned: bool,
    /// Jobs begun and jobs finished.
    begun: u64,
    finished: u64,
    /// The failure with the lowest place in the order, among those that happened before everybody stopped.
    failure: Option<(u64, Error)>,
    report: Report,
}

/// What a worker does next.
enum Task {
    Store(Unit),
    Place(Unit, Option<Box<Tally>>),
    Begin(Unit),
}

impl<'a> Flow<'a> {
    /// Passes all of `from` by `to` (or by nobody, if only the digest is wanted).
    pub(crate) fn run(
        from: &'a dyn BlockRead,
        to: Option<&'a dyn Sink>,
        options: &Options,
        stop: &'a AtomicBool,
        watch: &'a dyn Watch,
    ) -> Result<Report> {
        let grain = to.map_or(65536, |sink| u64::from(sink.grain()));
        if !grain.is_power_of_two() {
            return Err(Error::new(
                Class::Invalid,
                format!("a grain of {grain} bytes is not a power of two"),
            ));
        }
        let total = to.map_or(from.len(), Sink::len);
        if total < from.len() {
            return Err(Error::new(
                Class::Invalid,
                format!("the target has {total} bytes, the source {}", from.len()),
            ));
        }
        let wish = u64::from(from.grain()).min(WISH).next_power_of_two();
        let window = WINDOW.max(grain).max(wish);
        let workers = crew::size(options);
        let most_units = most_units(workers, window);
        let workers = workers.min(most_units);
        let tally = options.digest.map(|kind| Tally::new(kind, window, total));
        let longest = match options.digest {
            Some(kind) if kind.reads_holes() => window.saturating_mul(HASHED_WINDOWS),
            _ => u64::MAX,
        };
        let flow = Self {
            from,
            to,
            verb: if to.is_some() { "copying" } else { "reading" },
            grain,
            marker: tally.as_ref().map(Tally::marker),
            pace: Pace::new(total, options.bytes_per_second, watch),
            stop,
            halt: AtomicBool::new(false),
            plan: Mutex::new(Plan::new(from, total, window, longest)),
            desk: Mutex::new(Desk {
                tally: tally.map(Box::new),
                ..Desk::default()
            }),
            bell: Condvar::new(),
            most_units,
        };
        crew::run(workers, || flow.work());
        flow.done(total)
    }

    fn done(self, total: u64) -> Result<Report> {
        let desk = self.desk.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = desk.failure {
            return Err(error);
        }
        let mut report = desk.report;
        report.skipped = total.saturating_sub(report.data.saturating_add(report.found_zero));
        report.digest = desk.tally.map(|tally| tally.finish());
        report.elapsed = self.pace.elapsed();
        self.pace.tell();
        Ok(report)
    }

    /// One worker's life.
    fn work(&self) {
        let _alarm = Alarm(self);
        while let Some(task) = self.task() {
            match task {
                Task::Store(unit) => self.store(unit),
                Task::Place(unit, tally) => self.place(unit, tally),
                Task::Begin(unit) => self.begin(unit),
            }
        }
    }

    /// Waits for something to do. `None` when all is done, or lost.
    fn task(&self) -> Option<Task> {
        let mut desk = self.desk();
        loop {
            if self.halt.load(Ordering::Relaxed) {
                return None;
            }
            if self.stop.load(Ordering::Relaxed) {
                let cancelled = Error::new(Class::Cancelled, "stopped on request");
                self.fail(&mut desk, u64::MAX, cancelled);
                return None;
            }
            if !desk.storing
                && let Some(unit) = desk.placed.pop_front()
            {
                desk.storing = true;
                return Some(Task::Store(unit));
            }
            let turn = desk.turn;
            if !desk.placing
                && let Some(unit) = desk.ready.remove(&turn)
            {
                desk.placing = true;
                return Some(Task::Place(unit, desk.tally.take()));
            }
            if desk.planned {
                if desk.begun == desk.finished {
                    return None;
                }
            } else if let Some(unit) = desk.idle.pop() {
                return Some(Task::Begin(unit));
            } else if desk.units < self.most_units {
                desk.units = desk.units.saturating_add(1);
                return Some(Task::Begin(Unit::default()));
            }
            desk = self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Plans, reads, scans, hashes and encodes: all that needs no order.
    fn begin(&self, mut unit: Unit) {
        let planned = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let job = plan.next(&mut unit.runs, self.stop);
            if let Ok(Some(job)) = &job {
                // Counted before anybody can see a later job, or the end of the plan.
                self.desk().begun = job.seq.saturating_add(1);
            }
            job
        };
        match planned {
            Ok(Some(job)) => unit.begin(job),
            Ok(None) => {
                self.desk().planned = true;
                self.bell.notify_all();
                return;
            }
            Err(e) => {
                let mut desk = self.desk();
                let seq = desk.begun;
                self.fail(&mut desk, seq, e.through(format!("{} the disk", self.verb)));
                return;
            }
        }
        match self.prepare(&mut unit) {
            Ok(()) => {
                self.desk().ready.insert(unit.seq, unit);
                self.bell.notify_all();
            }
            Err(e) => self.fail_in(&unit, e),
        }
    }

    fn prepare(&self, unit: &mut Unit) -> Result<()> {
        unit.fill(self.from, self.grain, self.marker.is_some())?;
        self.pace.read(unit.read, [&self.halt, self.stop]);
        if let Some(marker) = self.marker {
            marker.mark(&unit.batch, &mut unit.mark);
        }
        match self.to {
            Some(sink) => sink.encode(&mut unit.batch),
            None => Ok(()),
        }
    }

    fn place(&self, mut unit: Unit, mut tally: Option<Box<Tally>>) {
        if let Some(tally) = &mut tally {
            tally.add(&unit.batch, &unit.mark);
        }
        let placed = self.to.map_or(Ok(()), |sink| sink.place(&mut unit.batch));
        if let Err(e) = placed {
            return self.fail_in(&unit, e);
        }
        let mut desk = self.desk();
        desk.placing = false;
        desk.tally = tally;
        desk.turn = desk.turn.saturating_add(1);
        desk.placed.push_back(unit);
        drop(desk);
        self.bell.notify_all();
    }

    fn store(&self, unit: Unit) {
        if let Err(e) = self.to.map_or(Ok(()), |sink| sink.store(&unit.batch)) {
            return self.fail_in(&unit, e);
        }
        self.pace.dealt(unit.batch.len);
        let mut desk = self.desk();
        desk.storing = false;
        desk.finished = desk.finished.saturating_add(1);
        desk.report.data = desk.report.data.saturating_add(unit.data);
        desk.report.found_zero = desk.report.found_zero.saturating_add(unit.found_zero);
        desk.idle.push(unit);
        drop(desk);
        self.bell.notify_all();
    }

    fn fail_in(&self, unit: &Unit, e: Error) {
        let range = format!(
            "{} bytes {:#x}..{:#x} of the disk",
            self.verb,
            unit.batch.start,
            unit.end()
        );
        self.fail(&mut self.desk(), unit.seq, e.through(range));
    }

    fn fail(&self, desk: &mut Desk, seq: u64, e: Error) {
        if desk.failure.as_ref().is_none_or(|(first, _)| seq < *first) {
            desk.failure = Some((seq, e));
        }
        self.halt.store(true, Ordering::Relaxed);
        self.bell.notify_all();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the other workers when one panics: what it held will never come.
struct Alarm<'a, 'b>(&'a Flow<'b>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lost = Error::new(Class::Invalid, "a worker panicked");
            self.0.fail(&mut self.0.desk(), u64::MAX, lost);
        }
    }
}

/// How many units may exist: two for each worker and one more, within the budget. Units have a window for the
/// guest's bytes and another one for what they are encoded to.
fn most_units(workers: usize, window: u64) -> usize {
    let count = u64::try_from(workers).unwrap_or(u64::MAX);
    let budget = BUDGET.saturating_add(count.saturating_mul(BUDGET_PER_WORKER));
    let fit = budget.checked_div(window.saturating_mul(2)).unwrap_or(1);
    let wanted = count.saturating_mul(2).saturating_add(1);
    usize::try_from(fit.min(wanted).max(1)).unwrap_or(1)
}
