use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome, exit};
use crate::term::{Align, Table, shown};
use h2k_journal::{Startup, span};
use serde::Serialize;

/// Show how long a boot took, and the units that took longest to start
///
/// The times of kernel, initramfs and user space are systemd's own count, from its message that start-up is complete.
/// A unit's time runs from the message that it is being started to the one that it is; units overlap, so these do not
/// add up to anything.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm journal startup server.vmdk
  hyper2kvm journal startup -b=-1 -n 50 server.vmdk
  hyper2kvm journal startup --svg server.vmdk > boot.svg")]
pub(in crate::cli) struct Args {
    /// The boot: 0 is the last one, -1 the one before; 1 is the first; or its 32 hexadecimal digits
    #[arg(short, long, value_name = "BOOT", require_equals = true, default_value = "0")]
    boot: String,
    /// How many units to show
    #[arg(short = 'n', long, value_name = "N", default_value = "20")]
    lines: usize,
    /// Draw when units were started, as SVG
    #[arg(long, conflicts_with = "lines")]
    svg: bool,
    #[command(flatten)]
    disks: DiskArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    boot: String,
    startup: Option<StartupReport>,
    units: Vec<UnitReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StartupReport {
    firmware_usec: Option<u64>,
    loader_usec: Option<u64>,
    kernel_usec: Option<u64>,
    initrd_usec: Option<u64>,
    userspace_usec: Option<u64>,
    total_usec: u64,
    cursor: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UnitReport {
    unit: String,
    took_usec: u64,
    starting_usec: Option<u64>,
    started_usec: Option<u64>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        self.disks.boot(&self.boot, context, |journal, boot| {
            let (units, startup) = (journal.units(boot), journal.startup(boot));
            let screen = &context.screen;
            if self.svg && !screen.json {
                screen.say(&units.svg(startup.as_ref()));
                return Ok(exit::DONE);
            }
            let slow = units.blame().into_iter().take(self.lines);
            let report = Report {
                boot: boot.to_string(),
                startup: startup.as_ref().map(|s| StartupReport {
                    firmware_usec: s.firmware,
                    loader_usec: s.loader,
                    kernel_usec: s.kernel,
                    initrd_usec: s.initrd,
                    userspace_usec: s.userspace,
                    total_usec: s.total(),
                    cursor: s.told.1.cursor(),
                }),
                units: slow
                    .map(|(unit, took)| UnitReport {
                        unit: unit.unit.clone(),
                        took_usec: took,
                        starting_usec: unit.starting,
                        started_usec: unit.started,
                    })
                    .collect(),
            };
            if screen.json {
                screen.document(&report);
                return Ok(exit::DONE);
            }
            screen.say(&match &startup {
                Some(startup) => format!("{}\n", sentence(startup)),
                None => "The journal does not say that start-up was completed in this boot.\n".to_owned(),
            });
            if !report.units.is_empty() {
                let mut table = Table::new(&[("TOOK", Align::Right), ("UNIT", Align::Left)]);
                for unit in &report.units {
                    table.row([span(unit.took_usec), shown(&unit.unit)]);
                }
                screen.say("\n");
                screen.say(&table.render(screen.out, "", &|_, cell| cell.to_owned()));
            }
            Ok(exit::DONE)
        })
    }
}

fn sentence(startup: &Startup) -> String {
    let parts = [
        (startup.firmware, "firmware"),
        (startup.loader, "loader"),
        (startup.kernel, "kernel"),
        (startup.initrd, "initrd"),
        (startup.userspace, "userspace"),
    ];
    let named: Vec<String> = parts
        .into_iter()
        .filter_map(|(time, what)| time.filter(|t| *t > 0).map(|t| format!("{} ({what})", span(t))))
        .collect();
    let early = [startup.firmware, startup.loader];
    let all = early
        .into_iter()
        .flatten()
        .fold(startup.total(), u64::saturating_add);
    format!("Startup finished in {} = {}", named.join(" + "), span(all))
}
