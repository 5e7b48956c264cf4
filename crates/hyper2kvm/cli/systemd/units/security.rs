//! How exposed services are.

use super::{Asked, UNITS, UnitArgs};
use crate::cli::{Context, Outcome, exit};
use crate::term::{Align, Table, shown};
use h2k_block::{Class, Error};
use h2k_convert::Failure;
use h2k_systemd::{Calls, Exposure, Kind, Load, Name, SYSCALLS_OF, security};

/// Say how much services could do to the rest of the guest, as systemd-analyze security --offline computes it
///
/// From 0.0 (PERFECT) to 10.0 (DANGEROUS): what a service's settings leave it, weighed by systemd's own weights. What a
/// program does itself to be safe is not seen. Without a unit, every service that runs on once it has been started is
/// listed, the most exposed first. Checks are those of systemd 252.
///
/// Ends with 1 where a service is more exposed than --threshold allows.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd analyze security server.vmdk\n  hyper2kvm systemd analyze security server.vmdk:ssh.service\n  hyper2kvm systemd analyze security --threshold 50 server.vmdk:ssh.service :cron.service\n\n{UNITS}"))]
pub(in crate::cli) struct Security {
    /// How exposed a service may be: 100 is an exposure of 10.0
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(..=100))]
    threshold: u32,
    #[command(flatten)]
    units: UnitArgs,
}

impl Security {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            let calls = Calls::new();
            let one_by_one = !asked.names.is_empty();
            let all = match one_by_one {
                true => named(asked, &calls)?,
                false => lasting(asked, &calls),
            };
            let report = serde_json::json!({"systemd": SYSCALLS_OF, "services": all});
            asked.tell("security", &report, || match one_by_one {
                true => all.iter().map(|one| checks(asked, one)).collect(),
                false => {
                    let rows = all.iter().map(|one| {
                        let exposure = tenths(one.exposure);
                        vec![one.unit.clone(), exposure, one.level.word().to_owned()]
                    });
                    asked.table(&["UNIT", "EXPOSURE", "LEVEL"], rows)
                }
            })?;
            let over = all.iter().any(|one| one.exposure > self.threshold);
            Ok(if over { exit::NOT_SO } else { exit::DONE })
        })
    }
}

/// Of the units that were asked for, which have to be services.
fn named(asked: &Asked<'_>, calls: &Calls) -> Result<Vec<Exposure>, Failure> {
    let judge = |name: &Name| {
        let unit = asked.units.unit(name);
        security(asked.units, &unit, calls).ok_or_else(|| {
            if name.kind() != Kind::Service {
                return Failure::invalid(format!("{name} is no service"));
            }
            let class = match unit.load {
                Load::NotFound => Class::NotFound,
                _ => Class::Unsupported,
            };
            let what = format!("{name} cannot be judged, it is {}", unit.load.word());
            Failure::from(Error::new(class, what))
        })
    };
    asked.names.iter().map(judge).collect()
}

/// Of every service that does not end by itself, the most exposed first.
fn lasting(asked: &Asked<'_>, calls: &Calls) -> Vec<Exposure> {
    let names = asked.units.names();
    let services = names
        .iter()
        .filter(|n| n.kind() == Kind::Service && !n.is_template());
    let mut all: Vec<Exposure> = services
        .filter_map(|name| {
            let unit = asked.units.unit(name);
            let once = unit.last("Service", "Type").is_some_and(|t| t.value == "oneshot");
            let alias = unit.name != *name;
            (!once && !alias).then(|| security(asked.units, &unit, calls))?
        })
        .collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.exposure), one.unit.clone()));
    all
}

/// Every check of a service, the worst first.
fn checks(asked: &Asked<'_>, one: &Exposure) -> String {
    let columns = [
        ("", Align::Left),
        ("CHECK", Align::Left),
        ("ABOUT", Align::Left),
        ("WEIGHT", Align::Right),
        ("EXPOSURE", Align::Right),
    ];
    let mut table = Table::new(&columns);
    let mut sorted: Vec<_> = one.checks.iter().collect();
    sorted.sort_by_key(|check| (std::cmp::Reverse(check.exposure), check.set));
    for check in sorted {
        let mark = match check.set {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "",
        };
        let exposure = match check.exposure {
            0 => String::new(),
            some => tenths(some),
        };
        let weight = check.weight.to_string();
        table.row([
            mark.to_owned(),
            check.name.to_owned(),
            check.about.to_owned(),
            weight,
            exposure,
        ]);
    }
    let table = table.render(asked.context.screen.out, "", &|_, cell| cell.to_owned());
    let overall = tenths(one.exposure);
    format!(
        "{table}\nexposure of {}: {overall} {}\n",
        shown(&one.unit),
        one.level.word()
    )
}

fn tenths(value: u32) -> String {
    format!("{:.1}", f64::from(value) / 10.0)
}
