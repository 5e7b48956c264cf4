use super::none;
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome, exit};
use crate::term::{Align, Table, shown, utc};
use serde::Serialize;

/// List the boots the journal knows, oldest first
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal boots server.vmdk
  hyper2kvm journal boots --json server.vmdk")]
pub(in crate::cli) struct Boots {
    #[command(flatten)]
    disks: DiskArgs,
}

/// List the units that failed during a boot
///
/// As the manager said then, with the reason and how often; a unit that was started again afterwards is marked so. A
/// unit that was not started because of another one has the result dependency.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal failed server.vmdk
  hyper2kvm journal failed -b=-1 server.vmdk

Exit code: 0, whether units failed or not.")]
pub(in crate::cli) struct Failed {
    /// The boot: 0 is the last one, -1 the one before; 1 is the first; or its 32 hexadecimal digits
    #[arg(short, long, value_name = "BOOT", require_equals = true, default_value = "0")]
    boot: String,
    #[command(flatten)]
    disks: DiskArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BootsReport {
    boots: Vec<BootReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BootReport {
    index: i64,
    boot: String,
    first_usec: u64,
    last_usec: u64,
    entries: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FailedReport {
    boot: String,
    failed: Vec<FailedUnit>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FailedUnit {
    unit: String,
    user: bool,
    result: Option<String>,
    times: u64,
    at_usec: u64,
    recovered: bool,
    message: Option<String>,
    cursor: String,
}

impl Boots {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.journal(context, |found, _| {
            if found.journal.files().is_empty() {
                return Err(none());
            }
            let boots = found.journal.boots();
            let last = i64::try_from(boots.len()).unwrap_or(i64::MAX);
            let boots = (1_i64..).zip(boots).map(|(n, boot)| BootReport {
                index: n.saturating_sub(last),
                boot: boot.id.to_string(),
                first_usec: boot.first,
                last_usec: boot.last,
                entries: boot.entries,
            });
            let report = BootsReport {
                boots: boots.collect(),
            };
            let screen = &context.screen;
            if screen.json {
                screen.document(&report);
                return Ok(exit::DONE);
            }
            let mut table = Table::new(&[
                ("IDX", Align::Right),
                ("BOOT", Align::Left),
                ("FIRST ENTRY", Align::Left),
                ("LAST ENTRY", Align::Left),
                ("ENTRIES", Align::Right),
            ]);
            for boot in &report.boots {
                table.row([
                    boot.index.to_string(),
                    boot.boot.clone(),
                    time(boot.first_usec),
                    time(boot.last_usec),
                    boot.entries.to_string(),
                ]);
            }
            screen.say(&table.render(screen.out, "", &|_, cell| cell.to_owned()));
            Ok(exit::DONE)
        })
    }
}

impl Failed {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.boot(&self.boot, context, |journal, boot| {
            let failed = journal.failures(boot).into_iter().map(|failure| FailedUnit {
                cursor: failure.told.1.cursor(),
                unit: failure.unit,
                user: failure.user,
                result: failure.result,
                times: failure.times,
                at_usec: failure.at,
                recovered: failure.recovered,
                message: failure.message,
            });
            let report = FailedReport {
                boot: boot.to_string(),
                failed: failed.collect(),
            };
            let screen = &context.screen;
            if screen.json {
                screen.document(&report);
                return Ok(exit::DONE);
            }
            let mut table = Table::new(&[
                ("UNIT", Align::Left),
                ("RESULT", Align::Left),
                ("TIMES", Align::Right),
                ("LAST", Align::Left),
                ("STARTED SINCE", Align::Left),
            ]);
            for unit in &report.failed {
                let whose = if unit.user { " (a user's)" } else { "" };
                table.row([
                    shown(&unit.unit) + whose,
                    shown(unit.result.as_deref().unwrap_or("-")),
                    unit.times.to_string(),
                    time(unit.at_usec),
                    if unit.recovered { "yes" } else { "no" }.to_owned(),
                ]);
            }
            if report.failed.is_empty() {
                screen.note(&format!("no unit failed in boot {}", report.boot));
            } else {
                screen.say(&table.render(screen.out, "", &|_, cell| cell.to_owned()));
            }
            Ok(exit::DONE)
        })
    }
}

/// Microseconds since 1970.
pub(super) fn time(at: u64) -> String {
    utc(i64::try_from(at.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}
