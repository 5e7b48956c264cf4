//! What an engineer asks of a machine that is switched off.

use crate::entry::{Entry, EntryHead, Id};
use crate::merge::{Entries, Journal};
use crate::query::Query;
use std::collections::BTreeMap;

/// Numbers of messages, from systemd's catalog.
mod message {
    /// A start job has failed: `UNIT`, `JOB_RESULT`.
    pub(super) const START_FAILED: &str = "be02cf6855d2428ba40df7e9d022f03d";
    /// A unit has entered the failed state: `UNIT`, `UNIT_RESULT`.
    pub(super) const UNIT_FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";
    /// A start job has finished successfully: `UNIT`.
    pub(super) const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
    /// System start-up is complete: `KERNEL_USEC`, `INITRD_USEC`, `USERSPACE_USEC`.
    pub(super) const STARTUP_FINISHED: &str = "b07a249cd024414a82dd00cd181378ff";
}

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
}

/// How long a boot took. Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Startup {
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
                for (value, entries) in values {
                    let Some(id) = Id::parse(&value) else { continue };
                    let mut count = crate::layout::wide(entries.len());
                    let ends = [entries.first(), entries.last()];
                    for head in ends.into_iter().flatten().filter_map(|at| file.head(*at).ok()) {
                        add(&head, id, std::mem::take(&mut count));
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

    /// Entries of `boot`, or of all boots, that are errors or worse (priority 3 and below).
    #[must_use]
    pub fn errors(&self, boot: Option<Id>) -> Entries<'_> {
        let query = Query::all().severe(3);
        self.entries(&match boot {
            Some(boot) => query.boot(boot),
            None => query,
        })
    }

    /// The units that failed during `boot`, by name; those of users' managers behind those of the system.
    #[must_use]
    pub fn failures(&self, boot: Id) -> Vec<Failure> {
        let query = Query::all()
            .boot(boot)
            .with("MESSAGE_ID", message::START_FAILED)
            .with("MESSAGE_ID", message::UNIT_FAILED)
            .with("MESSAGE_ID", message::STARTED);
        let mut failed: BTreeMap<(bool, String), Failure> = BTreeMap::new();
        for entry in self.entries(&query) {
            let (user, unit) = match (entry.text("UNIT"), entry.text("USER_UNIT")) {
                (Some(unit), _) => (false, unit),
                (None, Some(unit)) => (true, unit),
                (None, None) => continue,
            };
            let known = failed.get_mut(&(user, unit.clone()));
            if entry.get("MESSAGE_ID") == Some(message::STARTED.as_bytes()) {
                if let Some(failure) = known {
                    failure.recovered = true;
                }
                continue;
            }
            // One failure is told twice: that the unit failed, and then that its job did.
            let job = entry.get("MESSAGE_ID") == Some(message::START_FAILED.as_bytes());
            let echo = job && known.as_ref().is_some_and(|failure| !failure.recovered);
            let times = known.map_or(0, |failure| failure.times);
            let result = entry.text("UNIT_RESULT").or_else(|| entry.text("JOB_RESULT"));
            let failure = failed.entry((user, unit.clone())).or_insert_with(|| Failure {
                unit,
                user,
                at: 0,
                result: None,
                message: None,
                times,
                recovered: false,
            });
            failure.at = entry.head.realtime;
            failure.recovered = false;
            if !echo {
                failure.times = times.saturating_add(1);
                failure.result = result;
                failure.message = entry.text("MESSAGE");
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
            at: entry.head.realtime,
            firmware: number(&entry, "FIRMWARE_USEC"),
            loader: number(&entry, "LOADER_USEC"),
            kernel: number(&entry, "KERNEL_USEC"),
            initrd: number(&entry, "INITRD_USEC"),
            userspace: number(&entry, "USERSPACE_USEC"),
        })
    }
}
