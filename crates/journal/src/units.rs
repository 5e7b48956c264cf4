//! What the units were doing when the journal last spoke of them, and how long they took to start.

use crate::entry::{Entry, EntryHead, Id};
use crate::events::{Event, Kind};
use crate::merge::Journal;
use crate::message;
use crate::query::Query;
use std::collections::BTreeMap;

/// What a unit was doing, in the words of `systemctl is-active`. It is what the manager last said, which is not what
/// it would say: a unit that was started without a word (a device, a scope) is in no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitState {
    /// It was started, and neither stopped nor failed since.
    Active,
    /// It was being started.
    Activating,
    /// It was being stopped.
    Deactivating,
    /// It was stopped, had done its work, or was kept from starting by a condition or by what it needs.
    Inactive,
    /// It failed.
    Failed,
}

impl UnitState {
    /// systemd's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
        }
    }
}

/// A unit in the journal of one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitLog {
    /// The unit.
    pub unit: String,
    /// Whether it is a unit of a user's manager.
    pub user: bool,
    /// What it was doing last, before the machine was switched off.
    pub state: UnitState,
    /// Since when, microseconds since 1970 UTC.
    pub since: u64,
    /// Why it failed, in systemd's word: `exit-code`, `timeout` …
    pub result: Option<String>,
    /// When its first start began, microseconds since the boot began; `None` where nothing says so (targets, slices).
    pub starting: Option<u64>,
    /// When its first start was done, microseconds since the boot began.
    pub started: Option<u64>,
    /// The message that tells its state: which of the journal's files, and its place in the order of writing.
    pub told: (usize, EntryHead),
}

impl UnitLog {
    /// How long its first start took, microseconds: from the message that it begins to the one that it is done. It is
    /// what `systemd-analyze blame` shows, give or take the time a message needs to be written.
    #[must_use]
    pub fn took(&self) -> Option<u64> {
        self.started?.checked_sub(self.starting?)
    }
}

/// What the journal of one boot says of units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// By name; those of users' managers behind those of the system.
    pub units: Vec<UnitLog>,
    /// When the machine began to be switched off, microseconds since 1970 UTC; `None` where it did not, or not in
    /// order. What units did after that does not count.
    pub shutdown: Option<u64>,
}

impl Units {
    /// The unit of the system's manager with this name.
    #[must_use]
    pub fn get(&self, unit: &str) -> Option<&UnitLog> {
        self.units.iter().find(|u| !u.user && u.unit == unit)
    }

    /// The units of the system's manager that took time to start, the slowest first.
    #[must_use]
    pub fn blame(&self) -> Vec<(&UnitLog, u64)> {
        let system = self.units.iter().filter(|u| !u.user);
        let mut slow: Vec<_> = system.filter_map(|u| Some((u, u.took()?))).collect();
        slow.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.unit.cmp(&b.0.unit)));
        slow
    }
}

impl Journal<'_> {
    /// What the units did during `boot`, as far as their manager said.
    #[must_use]
    pub fn units(&self, boot: Id) -> Units {
        let events = self.events(boot);
        let shutdown = self.shutdown(boot, &events);
        let mut known: BTreeMap<(bool, &str), Run> = BTreeMap::new();
        for event in &events {
            if shutdown.is_some_and(|at| event.head.monotonic >= at.monotonic) {
                break;
            }
            let run = known.entry((event.user, &event.unit)).or_insert(Run {
                state: UnitState::Inactive,
                over: false,
                last: event,
                starting: None,
                started: None,
            });
            run.hear(event, self);
        }
        let units = known.into_values().map(|run| run.log(self)).collect();
        Units {
            units,
            shutdown: shutdown.map(|head| head.realtime),
        }
    }

    /// The message with which the machine began to be switched off.
    fn shutdown(&self, boot: Id, events: &[Event]) -> Option<EntryHead> {
        let query = Query::all().boot(boot).with("MESSAGE_ID", message::SHUTDOWN);
        let said = self.entries(&query).next().map(|entry| entry.head);
        let system = |e: &&Event| !e.user;
        let target = events
            .iter()
            .filter(system)
            .rfind(|e| e.kind == Kind::Started && &*e.unit == "shutdown.target")
            .map(|end| {
                // What was wanted up to now is stopped before that target is reached.
                let before = events
                    .iter()
                    .filter(system)
                    .filter(|e| e.head.monotonic <= end.head.monotonic);
                let wanted = before.filter(|e| matches!(&*e.unit, "multi-user.target" | "graphical.target"));
                let mut first: Option<&Event> = None;
                for event in wanted {
                    match event.kind {
                        Kind::Stopping | Kind::Stopped => first = first.or(Some(event)),
                        _ => first = None,
                    }
                }
                first.unwrap_or(end).head
            });
        [said, target]
            .into_iter()
            .flatten()
            .min_by_key(|head| head.monotonic)
    }

    /// When a message was sent, microseconds since the boot began. Early ones wait until the journal is there to read
    /// them: what counts is the time their sender had.
    fn sent(&self, event: &Event) -> u64 {
        let head = &event.head;
        let Some(entry) = self.entry_at(event) else {
            return head.monotonic;
        };
        let number = |name: &str| entry.text(name)?.trim().parse::<u64>().ok();
        let late = number("_SOURCE_REALTIME_TIMESTAMP").and_then(|t| head.realtime.checked_sub(t));
        // A clock that was set in between makes nonsense of the difference.
        late.and_then(|late| head.monotonic.checked_sub(late))
            .unwrap_or(head.monotonic)
    }

    pub(crate) fn entry_at(&self, event: &Event) -> Option<Entry> {
        let file = self.files().get(event.file)?;
        file.entry(event.offset, &mut |_| ()).ok()
    }
}

/// A unit while the messages are gone through.
struct Run<'e> {
    state: UnitState,
    /// It has gone inactive since it last began to start: "started" then means that it is done.
    over: bool,
    last: &'e Event,
    starting: Option<u64>,
    started: Option<u64>,
}

impl<'e> Run<'e> {
    fn hear(&mut self, event: &'e Event, journal: &Journal<'_>) {
        let state = match event.kind {
            Kind::Starting => {
                self.over = false;
                if self.starting.is_none() && self.started.is_none() {
                    self.starting = Some(journal.sent(event));
                }
                UnitState::Activating
            }
            Kind::Started => {
                if self.started.is_none() {
                    self.started = Some(journal.sent(event));
                }
                if self.over && self.state != UnitState::Active {
                    UnitState::Inactive
                } else {
                    UnitState::Active
                }
            }
            Kind::Stopping => UnitState::Deactivating,
            Kind::Succeeded => {
                self.over = true;
                UnitState::Inactive
            }
            Kind::Failed => {
                self.over = true;
                UnitState::Failed
            }
            Kind::StartFailed => {
                // Systems before 2018 tell a failure by its job alone.
                let result = journal.entry_at(event).and_then(|e| e.text("JOB_RESULT"));
                match result.as_deref() {
                    Some("failed" | "timeout") => UnitState::Failed,
                    _ if self.state == UnitState::Failed => return,
                    _ => UnitState::Inactive,
                }
            }
            Kind::Restart => {
                self.over = false;
                UnitState::Activating
            }
            // A unit that failed stays so until it is started again.
            Kind::Stopped | Kind::Skipped if self.state == UnitState::Failed => return,
            Kind::Stopped | Kind::Skipped => {
                self.over = false;
                UnitState::Inactive
            }
        };
        if state != self.state || event.kind == Kind::Failed {
            self.last = event;
        }
        self.state = state;
    }

    fn log(self, journal: &Journal<'_>) -> UnitLog {
        let event = self.last;
        let failed = self.state == UnitState::Failed;
        let entry = failed.then(|| journal.entry_at(event)).flatten();
        UnitLog {
            unit: event.unit.to_string(),
            user: event.user,
            state: self.state,
            since: event.head.realtime,
            result: entry.and_then(|e| e.text("UNIT_RESULT").or_else(|| e.text("JOB_RESULT"))),
            starting: self.starting,
            started: self.started,
            told: (event.file, event.head),
        }
    }
}
