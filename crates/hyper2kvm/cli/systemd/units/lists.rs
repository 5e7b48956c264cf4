//! Lists of units.

use super::{Asked, UnitArgs, no_journal};
use crate::cli::systemd::yes;
use crate::cli::{Context, Outcome, exit};
use crate::term::{shown, utc};
use h2k_fs::Civil;
use h2k_systemd::{Clocks, Kind, Lists, TimeZone};
use serde_json::json;

macro_rules! list {
    ($(#[$doc:meta])* $name:ident, $example:literal, $answer:ident) => {
        $(#[$doc])*
        #[derive(Debug, clap::Args)]
        #[command(after_long_help = concat!("Examples:\n  hyper2kvm systemd ", $example))]
        pub(in crate::cli) struct $name {
            #[command(flatten)]
            units: UnitArgs,
        }

        impl $name {
            pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
                self.units.ask(context, $answer)
            }
        }
    };
}

list!(
    /// List the units that starting the guest would start, and all others that have a file
    ///
    /// What a unit was doing is known from the journal, as of the last boot.
    Units,
    "list-units server.vmdk",
    units
);
list!(
    /// List unit files with their states, as systemctl --root list-unit-files computes them
    ///
    /// Units that a generator would make are listed as generated. Units that the distribution has started without
    /// anybody enabling them say by which link.
    UnitFiles,
    "list-unit-files server.vmdk",
    unit_files
);
list!(
    /// List timers, what they start and when they come true next
    ///
    /// Calendar rules are reckoned from now, on the guest's own clocks: nobody knows when the guest is started.
    Timers,
    "list-timers server.vmdk",
    timers
);
list!(
    /// List sockets, where they listen and what they start
    Sockets,
    "list-sockets server.vmdk",
    sockets
);
list!(
    /// List units that mount something, those made of fstab among them
    Mounts,
    "list-mounts server.vmdk",
    mounts
);
list!(
    /// List targets
    Targets,
    "list-targets server.vmdk",
    targets
);
list!(
    /// List units that had failed when the guest was last on
    Failed,
    "list-failed server.vmdk",
    failed
);
list!(
    /// Print the default target
    Default,
    "get-default server.vmdk",
    default
);

/// The units that are asked for; all where none is.
fn wanted(asked: &Asked<'_>, name: &str) -> bool {
    asked.names.is_empty() || asked.names.iter().any(|n| n.as_str() == name)
}

fn units(asked: &Asked<'_>) -> Outcome {
    let lists = Lists::new(asked.units);
    let last = asked.last_boot()?;
    let active = |unit: &str| {
        let (_, units) = last.as_ref()?;
        Some(units.get(unit)?.state.word())
    };
    let all: Vec<_> = lists
        .units(None)
        .into_iter()
        .filter(|u| wanted(asked, &u.unit))
        .collect();
    let report: Vec<_> = all
        .iter()
        .map(|u| json!({"unit": u.unit, "load": u.load, "at-boot": u.at_boot, "last-boot": active(&u.unit), "description": u.description}))
        .collect();
    asked.tell("units", &report, || {
        let rows = all.iter().map(|u| {
            let last = active(&u.unit).unwrap_or("-").to_owned();
            vec![
                u.unit.clone(),
                u.load.word().to_owned(),
                yes(u.at_boot),
                last,
                u.description.clone(),
            ]
        });
        asked.table(&["UNIT", "LOAD", "AT BOOT", "LAST BOOT", "DESCRIPTION"], rows)
    })
}

fn unit_files(asked: &Asked<'_>) -> Outcome {
    let lists = Lists::new(asked.units);
    let all: Vec<_> = lists
        .unit_files()
        .into_iter()
        .filter(|u| wanted(asked, &u.unit))
        .collect();
    asked.tell("unit-files", &all, || {
        let rows = all.iter().map(|u| {
            let preset = match u.preset.as_ref().map(|p| p.value) {
                None => "-",
                Some(true) => "enabled",
                Some(false) => "disabled",
            };
            let vendor: Vec<&str> = u
                .vendor_wants
                .iter()
                .map(|s| s.as_str().rsplit('/').nth(1).unwrap_or_default())
                .collect();
            vec![
                u.unit.clone(),
                u.state.word().to_owned(),
                preset.to_owned(),
                vendor.join(" "),
            ]
        });
        asked.table(&["UNIT FILE", "STATE", "PRESET", "STARTED BY VENDOR'S"], rows)
    })
}

fn timers(asked: &Asked<'_>) -> Outcome {
    let clocks = Clocks::of(asked.look);
    let lists = Lists::new(asked.units);
    let mut all = lists.timers(now(), &clocks);
    all.retain(|t| wanted(asked, &t.unit));
    all.sort_by_key(|t| (t.next.unwrap_or(i64::MAX), t.unit.clone()));
    asked.tell("timers", &all, || {
        let rows = all.iter().map(|t| {
            let rules: Vec<String> = t
                .rules
                .iter()
                .map(|r| format!("{}={}", r.kind, r.value))
                .collect();
            let next = t
                .next
                .map_or_else(|| "-".to_owned(), |next| on(clocks.own(), next));
            vec![
                t.unit.clone(),
                yes(t.at_boot),
                next,
                rules.join(" "),
                t.starts.clone(),
            ]
        });
        asked.table(&["UNIT", "AT BOOT", "NEXT", "RULES", "STARTS"], rows)
    })
}

fn sockets(asked: &Asked<'_>) -> Outcome {
    let lists = Lists::new(asked.units);
    let mut all = lists.sockets();
    all.retain(|s| wanted(asked, &s.unit));
    asked.tell("sockets", &all, || {
        let rows = all.iter().flat_map(|s| {
            s.listens.iter().map(|listen| {
                let starts = s.starts.clone().unwrap_or_else(|| "-".to_owned());
                vec![listen.value.clone(), s.unit.clone(), yes(s.at_boot), starts]
            })
        });
        asked.table(&["LISTENS", "UNIT", "AT BOOT", "STARTS"], rows)
    })
}

fn mounts(asked: &Asked<'_>) -> Outcome {
    let lists = Lists::new(asked.units);
    let mut all = lists.mounts();
    all.retain(|m| wanted(asked, &m.unit));
    asked.tell("mounts", &all, || {
        let rows = all.iter().map(|m| {
            vec![
                m.place.clone(),
                m.what.clone(),
                m.kind.clone(),
                m.options.clone(),
                yes(m.at_boot),
                m.unit.clone(),
            ]
        });
        asked.table(&["WHERE", "WHAT", "TYPE", "OPTIONS", "AT BOOT", "UNIT"], rows)
    })
}

fn targets(asked: &Asked<'_>) -> Outcome {
    let lists = Lists::new(asked.units);
    let mut all = lists.units(Some(Kind::Target));
    all.retain(|t| wanted(asked, &t.unit));
    asked.tell("targets", &all, || {
        let rows = all.iter().map(|t| {
            vec![
                t.unit.clone(),
                t.load.word().to_owned(),
                yes(t.at_boot),
                t.description.clone(),
            ]
        });
        asked.table(&["TARGET", "LOAD", "AT BOOT", "DESCRIPTION"], rows)
    })
}

fn failed(asked: &Asked<'_>) -> Outcome {
    let Some((boot, units)) = asked.last_boot()? else {
        return Err(no_journal());
    };
    let failed = units
        .units
        .iter()
        .filter(|u| u.state == h2k_journal::UnitState::Failed);
    let all: Vec<_> = failed.filter(|u| wanted(asked, &u.unit)).collect();
    let report: Vec<_> = all
        .iter()
        .map(|u| json!({"unit": u.unit, "user": u.user, "result": u.result, "since-usec": u.since}))
        .collect();
    asked.tell("failed", &report, || {
        let mut text = format!("As of the last boot, which began {}:\n", when(boot.first));
        let rows = all.iter().map(|u| {
            vec![
                u.unit.clone(),
                u.result.clone().unwrap_or_else(|| "-".to_owned()),
                when(u.since),
            ]
        });
        text.push_str(&asked.table(&["UNIT", "RESULT", "SINCE"], rows));
        text
    })
}

/// Now, in microseconds since 1970 UTC.
pub(super) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// Microseconds since 1970 UTC, as clocks of a zone show them.
pub(super) fn on(zone: &TimeZone, micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (ahead, name) = zone.at(seconds);
    format!(
        "{} {}",
        Civil::of(seconds.saturating_add(i64::from(ahead))),
        shown(&name)
    )
}

/// Microseconds since 1970 as a time.
pub(super) fn when(micros: u64) -> String {
    utc(i64::try_from(micros.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

fn default(asked: &Asked<'_>) -> Outcome {
    let found = asked
        .units
        .default_target()
        .map(|t| t.map(|name| name.to_string()));
    let code = if found.is_some() { exit::DONE } else { exit::FAILED };
    asked.tell("default", &found, || match &found {
        Some(target) => format!("{}\n", target.value),
        None => "none\n".to_owned(),
    })?;
    Ok(code)
}
