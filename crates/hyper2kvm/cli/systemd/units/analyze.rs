//! What systemd-analyze would say.

use super::calendar::Expressions;
use super::lists::when;
use super::{Asked, UNITS, UnitArgs, ask, no_journal, security::Security};
use crate::cli::{Context, Outcome, exit};
use crate::term::shown;
use h2k_convert::Failure;
use h2k_systemd::{Dep, Graph, Holds, Name, SYSCALLS_OF, span, syscall_sets, together, verify};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Say what systemd-analyze would say of a guest, without running it
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    Time(Time),
    Blame(Blame),
    CriticalChain(Chain),
    Dot(Dot),
    Dump(Dump),
    Verify(Verify),
    Security(Security),
    Condition(Conditions),
    SyscallFilter(Filter),
    Calendar(Expressions),
}

impl Command {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Time(args) => args.units.ask(context, time),
            Self::Blame(args) => args.units.ask(context, blame),
            Self::CriticalChain(args) => args.units.ask(context, chain),
            Self::Dot(args) => args.units.ask(context, dot),
            Self::Dump(args) => args.units.ask(context, dump),
            Self::Verify(args) => args.units.ask(context, problems),
            Self::Security(args) => args.run(context),
            Self::Condition(args) => args.run(context),
            Self::SyscallFilter(args) => args.run(context),
            Self::Calendar(args) => args.run(context),
        }
    }
}

macro_rules! analysis {
    ($(#[$doc:meta])* $name:ident, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, clap::Args)]
        #[command(after_long_help = concat!("Examples:\n  hyper2kvm systemd analyze ", $example))]
        pub(in crate::cli) struct $name {
            #[command(flatten)]
            units: UnitArgs,
        }
    };
}

analysis!(
    /// Say how long the last boot took, as its journal has it
    Time,
    "time server.vmdk"
);
analysis!(
    /// List the units that took longest to start in the last boot
    Blame,
    "blame server.vmdk"
);
analysis!(
    /// Show which units the last boot waited for
    ///
    /// From the default target, or the unit named, the unit that was started last of those it waited for, and so on.
    Chain,
    "critical-chain server.vmdk"
);
analysis!(
    /// Print the dependencies of units as a graph for dot(1)
    ///
    /// Black Requires, dark blue Requisite, gold BindsTo, dark grey Wants, red Conflicts, green After.
    Dot,
    "dot server.vmdk:ssh.service | dot -Tsvg > ssh.svg"
);
analysis!(
    /// Print everything that is known of every unit, or of those named
    Dump,
    "dump server.vmdk"
);
analysis!(
    /// Say what is wrong with units: settings nobody knows, programs and units that are missing, circles
    ///
    /// Ends with 0 where nothing is, 1 where something is.
    Verify,
    "verify server.vmdk"
);

fn time(asked: &Asked<'_>) -> Outcome {
    let found = asked.journal()?;
    let boot = found.journal.last_boot().ok_or_else(no_journal)?;
    let startup = found.journal.startup(boot.id);
    let report = startup.map(|s| {
        json!({"boot-began-usec": boot.first, "firmware-usec": s.firmware, "loader-usec": s.loader, "kernel-usec": s.kernel,
            "initrd-usec": s.initrd, "userspace-usec": s.userspace, "total-usec": s.total()})
    });
    asked.tell("startup", &report, || {
        let Some(s) = startup else {
            return "The last boot did not get so far as to tell how long it took.\n".to_owned();
        };
        let parts = [
            ("firmware", s.firmware),
            ("loader", s.loader),
            ("kernel", s.kernel),
            ("initrd", s.initrd),
            ("userspace", s.userspace),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter_map(|(name, n)| Some(format!("{} ({name})", span::human((*n)?))))
            .collect();
        let began = when(boot.first);
        format!(
            "{} = {}, in the boot that began {began}\n",
            parts.join(" + "),
            span::human(s.total())
        )
    })
}

fn blame(asked: &Asked<'_>) -> Outcome {
    let (_, units) = asked.last_boot()?.ok_or_else(no_journal)?;
    let all = units.blame();
    let report: Vec<Value> = all
        .iter()
        .map(|(u, took)| json!({"unit": u.unit, "took-usec": took}))
        .collect();
    asked.tell("blame", &report, || {
        let rows = all
            .iter()
            .map(|(u, took)| vec![span::human(*took), u.unit.clone()]);
        asked.table(&["TOOK", "UNIT"], rows)
    })
}

fn chain(asked: &Asked<'_>) -> Outcome {
    let (_, units) = asked.last_boot()?.ok_or_else(no_journal)?;
    let graph = Graph::whole(asked.units);
    let start = match asked.names.first() {
        Some(name) => Some(asked.units.unit(name).name),
        None => asked.units.default_target().map(|t| t.value),
    };
    let mut links: Vec<(Name, Option<u64>, Option<u64>)> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = start;
    while let Some(name) = at.take().filter(|n| seen.insert(n.clone())) {
        let log = units.get(name.as_str());
        links.push((
            name.clone(),
            log.and_then(|l| l.started),
            log.and_then(h2k_journal::UnitLog::took),
        ));
        let before = graph
            .edges(&name)
            .iter()
            .filter(|e| e.dep == Dep::After)
            .map(|e| &e.to);
        let turned = graph
            .dependents(&name)
            .into_iter()
            .filter(|(_, e)| e.dep == Dep::Before)
            .map(|(from, _)| from);
        let waited = before.chain(turned).filter(|n| !seen.contains(*n));
        let timed = waited.filter_map(|n| Some((units.get(n.as_str())?.started?, n)));
        at = timed.max().map(|(_, n)| n.clone());
    }
    let report: Vec<Value> = links
        .iter()
        .map(|(n, started, took)| json!({"unit": n.as_str(), "started-usec": started, "took-usec": took}))
        .collect();
    asked.tell("chain", &report, || {
        let lines = links.iter().enumerate().map(|(depth, (name, started, took))| {
            let at = started
                .map(|s| format!(" @{}", span::human(s)))
                .unwrap_or_default();
            let took = took.map(|t| format!(" +{}", span::human(t))).unwrap_or_default();
            format!("{}{name}{at}{took}\n", "  ".repeat(depth))
        });
        lines.collect()
    })
}

fn dot(asked: &Asked<'_>) -> Outcome {
    let graph = Graph::whole(asked.units);
    let chosen: BTreeSet<Name> = asked.names.iter().map(|n| asked.units.unit(n).name).collect();
    let colours = [
        (Dep::Requires, "black"),
        (Dep::Requisite, "darkblue"),
        (Dep::BindsTo, "gold"),
        (Dep::Wants, "grey66"),
        (Dep::Conflicts, "red"),
        (Dep::After, "green"),
    ];
    let mut edges = Vec::new();
    for unit in graph.units() {
        for edge in graph.edges(&unit.name) {
            let Some((_, colour)) = colours.iter().find(|(dep, _)| *dep == edge.dep) else {
                continue;
            };
            if chosen.is_empty() || chosen.contains(&unit.name) || chosen.contains(&edge.to) {
                edges.push((unit.name.to_string(), edge.to.to_string(), edge.dep, *colour));
            }
        }
    }
    let report: Vec<Value> = edges
        .iter()
        .map(|(a, b, dep, _)| json!({"from": a, "to": b, "kind": dep.word()}))
        .collect();
    // A backslash would begin an escape in dot's own syntax.
    let quoted = |name: &str| name.replace('\\', "\\\\");
    asked.tell("edges", &report, || {
        let lines = edges.iter().map(|(a, b, _, colour)| {
            format!("\t\"{}\"->\"{}\" [color=\"{colour}\"];\n", quoted(a), quoted(b))
        });
        format!("digraph systemd {{\n{}}}\n", lines.collect::<String>())
    })
}

fn dump(asked: &Asked<'_>) -> Outcome {
    let graph = Graph::whole(asked.units);
    let chosen: BTreeSet<Name> = asked.names.iter().map(|n| asked.units.unit(n).name).collect();
    let units = graph
        .units()
        .filter(|u| chosen.is_empty() || chosen.contains(&u.name));
    let all: Vec<_> = units
        .map(|u| (u.name.to_string(), ask::properties(asked, &graph, &u.name)))
        .collect();
    let report: Vec<&std::collections::BTreeMap<String, Value>> = all.iter().map(|(_, p)| p).collect();
    asked.tell("units", &report, || {
        let mut text = String::new();
        for (name, properties) in &all {
            text.push_str(&format!("-> Unit {name}:\n"));
            for (key, value) in properties {
                text.push_str(&format!("\t{}: {}\n", shown(key), shown(&value.to_string())));
            }
        }
        text
    })
}

fn problems(asked: &Asked<'_>) -> Outcome {
    let graph = match asked.names.as_slice() {
        [] => Graph::whole(asked.units),
        names => Graph::from(asked.units, names),
    };
    let chosen: BTreeSet<String> = asked
        .names
        .iter()
        .map(|n| asked.units.unit(n).name.to_string())
        .collect();
    let mut all = verify(asked.units, &graph);
    all.retain(|p| chosen.is_empty() || chosen.contains(&p.unit));
    asked.tell("problems", &all, || {
        let rows = all
            .iter()
            .map(|p| vec![p.unit.clone(), p.message.clone(), p.source.as_str().to_owned()]);
        if all.is_empty() {
            String::new()
        } else {
            asked.table(&["UNIT", "PROBLEM", "SOURCE"], rows)
        }
    })?;
    Ok(if all.is_empty() { exit::DONE } else { exit::NOT_SO })
}

/// Say whether the conditions of a unit hold, as far as files tell
///
/// Ends with 0 where all hold or only the running guest could say, 1 where one does not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd analyze condition server.vmdk:ssh.service\n  hyper2kvm systemd analyze condition --that 'ConditionPathExists=/etc/ssh' server.vmdk\n\n{UNITS}"))]
pub(in crate::cli) struct Conditions {
    /// Ask this condition instead of a unit's; may be repeated
    #[arg(long, value_name = "CONDITION=VALUE")]
    that: Vec<String>,
    #[command(flatten)]
    units: UnitArgs,
}

impl Conditions {
    fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            let mut all = Vec::new();
            for text in &self.that {
                let parts = text.split_once('=');
                let word = parts.and_then(|(kind, _)| {
                    kind.strip_prefix("Condition")
                        .or_else(|| kind.strip_prefix("Assert"))
                });
                let (Some((kind, value)), Some(word)) = (parts, word) else {
                    return Err(Failure::invalid(format!("{} is no condition", shown(text)))
                        .advise("write it as in a unit: ConditionPathExists=/etc/ssh"));
                };
                all.push(h2k_systemd::Condition {
                    kind: kind.to_owned(),
                    value: value.to_owned(),
                    holds: asked.units.holds(word.trim(), value.trim()),
                    source: h2k_guest::Source::named("the command line"),
                });
            }
            if self.that.is_empty() {
                all = asked.units.conditions(&asked.units.unit(asked.one()?));
            }
            let holds = together(&all);
            let report = json!({"conditions": all, "hold": holds});
            asked.tell("result", &report, || {
                let lines = all
                    .iter()
                    .map(|c| format!("{}={}: {}\n", shown(&c.kind), shown(&c.value), c.holds.word()));
                lines.collect::<String>() + &format!("together: {}\n", holds.word())
            })?;
            Ok(if holds == Holds::No {
                exit::NOT_SO
            } else {
                exit::DONE
            })
        })
    }
}

/// List sets of system calls that SystemCallFilter= names, as systemd 252 has them
///
/// Sets are built into systemd and lie in no file of a guest, so this asks none.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Examples:\n  hyper2kvm systemd analyze syscall-filter\n  hyper2kvm systemd analyze syscall-filter @mount"
)]
pub(in crate::cli) struct Filter {
    /// Show these sets only
    #[arg(value_name = "SET")]
    sets: Vec<String>,
}

impl Filter {
    fn run(self, context: &Context) -> Outcome {
        let all = syscall_sets();
        if let Some(odd) = self
            .sets
            .iter()
            .find(|name| !all.iter().any(|s| s.name == **name))
        {
            return Err(Failure::invalid(format!(
                "systemd {SYSCALLS_OF} has no set {}",
                shown(odd)
            )));
        }
        let wanted = |name: &str| self.sets.is_empty() || self.sets.iter().any(|s| s == name);
        let all: Vec<_> = all.into_iter().filter(|s| wanted(s.name)).collect();
        let screen = &context.screen;
        if screen.json {
            let sets: Vec<Value> = all
                .iter()
                .map(|s| json!({"name": s.name, "members": s.members().collect::<Vec<_>>()}))
                .collect();
            screen.document(&json!({"systemd": SYSCALLS_OF, "sets": sets}));
            return Ok(exit::DONE);
        }
        for set in all {
            let members: String = set.members().map(|m| format!("    {m}\n")).collect();
            screen.say(&format!("{}\n{members}", screen.out.bold(set.name)));
        }
        Ok(exit::DONE)
    }
}
