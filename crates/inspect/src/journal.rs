//! What a guest logged, and what its last boot was like.

use h2k_fs::Civil;
use h2k_guest::{Fact, Look, Source};
use h2k_journal::{EntryHead, Query, find};
use schemars::JsonSchema;
use serde::Serialize;

/// How many boots, messages and slow units are shown; there may be more.
const SHOWN: usize = 20;

/// The journal of a system. What a machine logged says what it was like when it was last on, not what it will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Journal {
    /// The machine that wrote the newest journal file.
    pub machine_id: Option<Fact<String>>,
    /// Journal files that could be opened.
    pub files: usize,
    /// Bytes the journal files occupy on their volume.
    pub disk_usage: u64,
    /// How many boots the journal knows.
    pub boots_total: usize,
    /// The last twenty of them, the newest last.
    pub boots: Vec<Boot>,
    /// What the newest boot was like.
    pub last_boot: Option<LastBoot>,
    /// Logs kept as text, where there is no journal: `/var/log/messages`, `/var/log/syslog`.
    pub text_logs: Vec<Source>,
}

/// One time the machine was on. Times are UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Boot {
    /// Its number.
    pub id: String,
    /// Time of its first message.
    pub first: String,
    /// Time of its last message.
    pub last: String,
    /// Messages that belong to it, those that two files have counted twice.
    pub entries: u64,
}

/// The newest boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LastBoot {
    /// Its number.
    pub id: String,
    /// When the machine began to be switched off; absent where it was not, or not in order.
    pub shut_down: Option<String>,
    /// How long starting took.
    pub startup: Option<Startup>,
    /// Units that failed, and had not been started again when the machine was last on.
    pub failed_units: Vec<FailedUnit>,
    /// The system's units that took longest to start, slowest first; twenty at most.
    pub slowest_units: Vec<SlowUnit>,
    /// How many messages are errors or worse (priority 0 to 3).
    pub errors_total: u64,
    /// The last twenty of them, the newest last.
    pub errors: Vec<Message>,
}

/// How long starting took, in microseconds, by systemd's own count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Startup {
    /// Firmware, where it is known.
    pub firmware_usec: Option<u64>,
    /// Boot loader, where it is known.
    pub loader_usec: Option<u64>,
    /// The kernel, until it started the initramfs or init.
    pub kernel_usec: Option<u64>,
    /// The initramfs, where there is one.
    pub initrd_usec: Option<u64>,
    /// From init to the default target.
    pub userspace_usec: Option<u64>,
    /// Kernel, initramfs and user space together.
    pub total_usec: u64,
    /// The message that says so.
    pub source: Source,
}

/// A unit that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FailedUnit {
    /// Its name.
    pub unit: String,
    /// Whether it is a unit of a user's manager.
    pub user: bool,
    /// Why, in systemd's word: `exit-code`, `timeout`, `dependency` …
    pub result: Option<String>,
    /// How many times.
    pub times: u64,
    /// When last, UTC.
    pub at: String,
    /// The message that says so.
    pub source: Source,
}

/// A unit that took its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SlowUnit {
    /// Its name.
    pub unit: String,
    /// Microseconds from the message that it is being started to the one that it is.
    pub took_usec: u64,
    /// The last message about its state.
    pub source: Source,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Message {
    /// When, UTC.
    pub at: String,
    /// Severity as in syslog: 0 emergency to 3 error.
    pub priority: Option<u8>,
    /// Who wrote it: the identifier it chose, or the name of the program.
    pub from: Option<String>,
    /// What it says, cut after a thousand characters.
    pub message: String,
    /// Where it is.
    pub source: Source,
}

/// Files that syslog daemons write everything to.
const TEXT_LOGS: [&str; 2] = ["/var/log/messages", "/var/log/syslog"];

pub(crate) fn look(look: &Look<'_>) -> Journal {
    let found = find(look, look.limits()).unwrap_or_else(|e| {
        look.failed(Source::named("/var/log/journal"), &e);
        h2k_journal::Found::default()
    });
    for (path, error) in &found.unreadable {
        look.failed(Source::named(path.clone()), error);
    }
    let journal = &found.journal;
    let source = |(file, head): (usize, EntryHead)| {
        let path = journal.files().get(file).map_or("the journal", |f| f.name());
        Source::named(format!("{path} (sequence number {})", head.seqnum))
    };
    let newest = journal.files().iter().max_by_key(|f| f.header().realtimes.1);
    let boots = journal.boots();
    let shown = boots
        .iter()
        .skip(boots.len().saturating_sub(SHOWN))
        .map(|boot| Boot {
            id: boot.id.to_string(),
            first: utc(boot.first),
            last: utc(boot.last),
            entries: boot.entries,
        });
    let usage = journal.files().iter().filter_map(|f| look.stat(f.name()));
    let text_logs = if journal.files().is_empty() {
        let there = TEXT_LOGS.into_iter().filter(|path| look.is_file(path));
        there.map(Source::named).collect()
    } else {
        Vec::new()
    };
    Journal {
        machine_id: newest.map(|f| {
            Fact::new(
                f.header().machine_id.to_string(),
                Source::named(format!("the header of {}", f.name())),
            )
        }),
        files: journal.files().len(),
        disk_usage: usage.fold(0, |sum, stat| sum.saturating_add(stat.allocated)),
        boots_total: boots.len(),
        boots: shown.collect(),
        last_boot: boots.last().map(|boot| last_boot(journal, boot.id, &source)),
        text_logs,
    }
}

fn last_boot(
    journal: &h2k_journal::Journal<'_>,
    boot: h2k_journal::Id,
    source: &dyn Fn((usize, EntryHead)) -> Source,
) -> LastBoot {
    let units = journal.units(boot);
    let failures = journal.failures(boot);
    let lasting = failures.into_iter().filter(|failure| !failure.recovered);
    let slowest = units.blame().into_iter().take(SHOWN);
    let errors = Query::all().boot(boot).severe(3);
    let mut newest: Vec<Message> = journal
        .latest(&errors)
        .take(SHOWN)
        .map(|entry| Message {
            at: utc(entry.head.realtime),
            priority: entry.priority(),
            from: entry.text("SYSLOG_IDENTIFIER").or_else(|| entry.text("_COMM")),
            message: entry
                .text("MESSAGE")
                .unwrap_or_default()
                .chars()
                .take(1000)
                .collect(),
            source: source((entry.file, entry.head)),
        })
        .collect();
    newest.reverse();
    LastBoot {
        id: boot.to_string(),
        shut_down: units.shutdown.map(utc),
        startup: journal.startup(boot).map(|startup| Startup {
            firmware_usec: startup.firmware,
            loader_usec: startup.loader,
            kernel_usec: startup.kernel,
            initrd_usec: startup.initrd,
            userspace_usec: startup.userspace,
            total_usec: startup.total(),
            source: source(startup.told),
        }),
        failed_units: lasting
            .map(|failure| FailedUnit {
                source: source(failure.told),
                unit: failure.unit,
                user: failure.user,
                result: failure.result,
                times: failure.times,
                at: utc(failure.at),
            })
            .collect(),
        slowest_units: slowest
            .map(|(unit, took)| SlowUnit {
                unit: unit.unit.clone(),
                took_usec: took,
                source: source(unit.told),
            })
            .collect(),
        errors_total: journal.entries(&errors).remaining(),
        errors: newest,
    }
}

/// Microseconds since 1970.
fn utc(microseconds: u64) -> String {
    let seconds = i64::try_from(microseconds.div_euclid(1_000_000)).unwrap_or(i64::MAX);
    format!("{} UTC", Civil::of(seconds))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test reads a fixture")]
mod tests {
    use super::*;
    use h2k_block::Limits;
    use h2k_fs::MemFs;
    use h2k_guest::Tree;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn a_journal_on_a_volume_of_its_own_tells_the_last_boot() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journal/systemd");
        let packed = std::fs::read(home.join("small-compact.journal.zst")).unwrap();
        let mut root = MemFs::new();
        root.dir("/var").unwrap();
        root.file("/etc/fstab", "").unwrap();
        let mut var = MemFs::new();
        let path = "/var/log/journal/0123/system.journal";
        var.file(
            "/log/journal/0123/system.journal",
            h2k_testkit::corpus::unzstd(&packed),
        )
        .unwrap();
        var.file("/log/journal/0123/bad.journal", "bad").unwrap();
        let mut tree = Tree::new("/dev/sda1", Arc::new(root));
        let limits = Limits::default();
        let mut meter = h2k_block::Meter::new(limits);
        tree.mount(b"/var", "/dev/sda2", Arc::new(var), &mut meter)
            .unwrap();
        let files = Look::new(&tree, &limits);
        let journal = look(&files);
        assert_eq!((journal.files, journal.boots_total), (1, 2));
        assert!(journal.disk_usage > 0);
        assert_eq!(journal.boots[0].first, "2023-11-14 22:13:20 UTC");
        let last = journal.last_boot.unwrap();
        let failed: Vec<_> = last
            .failed_units
            .iter()
            .map(|u| (u.unit.as_str(), u.result.as_deref()))
            .collect();
        assert_eq!(failed, [("web.service", Some("timeout"))]);
        assert_eq!(
            last.failed_units[0].source.as_str(),
            format!("{path} (sequence number 4)")
        );
        assert_eq!((last.errors_total, last.errors.len(), last.startup), (1, 1, None));
        let unread = files.take_unread();
        assert_eq!(unread.len(), 1);
        assert_eq!(unread[0].source.as_str(), "/var/log/journal/0123/bad.journal");
    }
}
