//! What an engineer asks of a machine that is switched off.

use crate::entry::{Entry, EntryHead, Id};
use crate::events::Kind;
use crate::merge::{Entries, Journal};
use crate::message;
use crate::query::Query;
use std::collections::BTreeMap;

/// One time the machine was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Its number.
    pub id: Id,
    /// Time of its first entry, microseconds since 1970 UTC.
    pub first: u64,
    /// Time of its last entry, microseconds since 1970 UTC.
    pub last: u64,
    /// Entries that belong to it, those that several files have counted once for each.
    pub entries: u64,
}

/// A unit that failed during a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The unit.
    pub unit: String,
    /// Whether it is a unit of a user's manager.
    pub user: bool,
    /// When it failed last, microseconds since 1970 UTC.
    pub at: u64,
    /// Why, in systemd's word: `exit-code`, `timeout`, `dependency`, …
    pub result: Option<String>,
    /// systemd's sentence.
    pub message: Option<String>,
    /// How many times it failed in this boot.
    pub times: u64,
    /// Whether it was started successfully after that.
    pub recovered: bool,
    /// The message that tells it: which of the journal's files, and its place in the order of writing.
    pub told: (usize, EntryHead),
}

/// How long a boot took. Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The message that tells it: which of the journal's files, and its place in the order of writing.
    pub told: (usize, EntryHead),
    /// When start-up was complete, since 1970 UTC.
    pub at: u64,
    /// Firmware, where it is known.
    pub firmware: Option<u64>,
    /// Boot loader, where it is known.
    pub loader: Option<u64>,
    /// The kernel, until it started the initramfs or init.
    pub kernel: Option<u64>,
    /// The initramfs, where there is one.
    pub initrd: Option<u64>,
    /// From init to the default target.
    pub userspace: Option<u64>,
}

impl Startup {
    /// Kernel, initramfs and user space together, as systemd adds them up.
    #[must_use]
    pub fn total(&self) -> u64 {
        let parts = [self.kernel, self.initrd, self.userspace];
        parts.into_iter().flatten().fold(0, u64::saturating_add)
    }
}

impl Journal<'_> {
    /// The boots, oldest first.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        let mut boots: BTreeMap<Id, Boot> = BTreeMap::new();
        let mut add = |head: &EntryHead, id: Id, entries: u64| {
            let boot = boots.entry(id).or_insert(Boot {
                id,
                first: head.realtime,
                last: head.realtime,
                entries: 0,
            });
            boot.first = boot.first.min(head.realtime);
            boot.last = boot.last.max(head.realtime);
            boot.entries = boot.entries.saturating_add(entries);
        };
        for file in self.files() {
            // The values of `_BOOT_ID` know their entries: two reads a boot instead of one an entry.
            if let Some(values) = file.values("_BOOT_ID").ok().filter(|values| !values.is_empty()) {
                for (value, at) in values {
                    let Some(id) = Id::parse(&value) else { continue };
                    let Ok(Some(mut ends)) = file.ends(at) else {
                        continue;
                    };
                    for head in [ends.first, ends.last]
                        .map(|at| file.head(at))
                        .into_iter()
                        .flatten()
                    {
                        add(&head, id, std::mem::take(&mut ends.count));
                    }
                }
                continue;
            }
            for head in file.all().list.into_iter().filter_map(|at| file.head(at).ok()) {
                add(&head, head.boot, 1);
            }
        }
        let mut boots: Vec<_> = boots.into_values().collect();
        boots.sort_by_key(|boot| (boot.first, boot.last, boot.id));
        boots
    }

    /// The boot that ended last.
    #[must_use]
    pub fn last_boot(&self) -> Option<Boot> {
        self.boots().pop()
    }

    /// Entries of `boot`, or of all boots, that are errors or worse (priority 3 and below).
    #[must_use]
    pub fn errors(&self, boot: Option<Id>) -> Entries<'_> {
        let query = Query::all().severe(3);
        self.entries(&match boot {
            Some(boot) => query.boot(boot),
            None => query,
        })
    }

    /// The units that failed during `boot`, by name; those of users' managers behind those of the system. A unit that
    /// could not be started because of another one is among them, with the result `dependency`.
    #[must_use]
    pub fn failures(&self, boot: Id) -> Vec<Failure> {
        let mut failed: BTreeMap<(bool, String), Failure> = BTreeMap::new();
        for event in self.events(boot) {
            let key = (event.user, event.unit.to_string());
            match event.kind {
                Kind::Started => {
                    if let Some(failure) = failed.get_mut(&key) {
                        failure.recovered = true;
                    }
                    continue;
                }
                Kind::Failed | Kind::StartFailed => {}
                _ => continue,
            }
            let failure = failed.entry(key).or_insert_with(|| Failure {
                unit: event.unit.to_string(),
                user: event.user,
                at: 0,
                result: None,
                message: None,
                times: 0,
                recovered: false,
                told: (event.file, event.head),
            });
            // One failure is told twice: that the unit failed, and then that its job did.
            let echo = event.kind == Kind::StartFailed && failure.times > 0 && !failure.recovered;
            failure.at = event.head.realtime;
            failure.recovered = false;
            if !echo {
                let entry = self.entry_at(&event);
                let text = |name: &str| entry.as_ref().and_then(|e| e.text(name));
                failure.times = failure.times.saturating_add(1);
                failure.result = text("UNIT_RESULT").or_else(|| text("JOB_RESULT"));
                failure.message = text("MESSAGE");
                failure.told = (event.file, event.head);
            }
        }
        failed.into_values().collect()
    }

    /// How long `boot` took to start; `None` where it did not get that far, or does not say.
    #[must_use]
    pub fn startup(&self, boot: Id) -> Option<Startup> {
        let query = Query::all()
            .boot(boot)
            .with("MESSAGE_ID", message::STARTUP_FINISHED);
        let entry = self.entries(&query).next()?;
        let number = |entry: &Entry, name: &str| entry.text(name)?.trim().parse().ok();
        Some(Startup {
            told: (entry.file, entry.head),
            at: entry.head.realtime,
            firmware: number(&entry, "FIRMWARE_USEC"),
            loader: number(&entry, "LOADER_USEC"),
            kernel: number(&entry, "KERNEL_USEC"),
            initrd: number(&entry, "INITRD_USEC"),
            userspace: number(&entry, "USERSPACE_USEC"),
        })
    }
}
