use super::{list, show, tell, value, yes};
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome};
use h2k_systemd::ctl::{TimeDate, time_date, time_zones};

/// Show the time zone, the hardware clock's mode and what sets the clock, as timedatectl would
///
/// What the time is in the guest, and whether it is right, only a running machine knows.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Show how the guest keeps the time
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd timedate status server.vmdk")]
    Status(DiskArgs),
    /// Show the same as NAME=value
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd timedate show server.vmdk")]
    Show(DiskArgs),
    /// List the time zones the guest has data of
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd timedate list-timezones server.vmdk")]
    ListTimezones(DiskArgs),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Status(disks) => disks.look(context, |look| {
                let found = time_date(look);
                let units: Vec<String> = found
                    .ntp
                    .iter()
                    .map(|unit| {
                        format!(
                            "{} ({})",
                            unit.unit,
                            if unit.enabled { "enabled" } else { "disabled" }
                        )
                    })
                    .collect();
                let lines = [
                    ("Time zone", value(found.time_zone.as_ref())),
                    ("RTC in local TZ", Some(yes(found.local_rtc.value))),
                    ("NTP enabled", Some(yes(ntp(&found)))),
                    ("NTP services", (!units.is_empty()).then(|| units.join(", "))),
                ];
                tell(context, &found, &lines)
            }),
            Self::Show(disks) => disks.look(context, |look| {
                let found = time_date(look);
                let lines = [
                    ("Timezone", value(found.time_zone.as_ref())),
                    ("LocalRTC", Some(yes(found.local_rtc.value))),
                    ("CanNTP", Some(yes(!found.ntp.is_empty()))),
                    ("NTP", Some(yes(ntp(&found)))),
                ];
                show(context, &found, &lines)
            }),
            Self::ListTimezones(disks) => {
                disks.look(context, |look| list(context, "time-zones", &time_zones(look)))
            }
        }
    }
}

fn ntp(found: &TimeDate) -> bool {
    found.ntp.iter().any(|unit| unit.enabled)
}
