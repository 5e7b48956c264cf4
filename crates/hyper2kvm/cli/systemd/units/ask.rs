//! Questions about single units.

use super::lists::when;
use super::{Asked, UNITS, UnitArgs, no_journal, word};
use crate::cli::{Context, Outcome, exit};
use crate::term::{Fields, shown};
use h2k_systemd::{Dep, Graph, Lists, Load, Name, State, together};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Say whether units are enabled, as systemctl --root is-enabled does
///
/// Ends with 0 where all are enabled (or static, indirect, generated, an alias), 1 where one is not, 4 where there is no
/// such unit.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd is-enabled server.vmdk:ssh.service :cron.service\n\n{UNITS}"))]
pub(in crate::cli) struct Enabled {
    #[command(flatten)]
    units: UnitArgs,
}

impl Enabled {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            asked.some()?;
            let states: Vec<(&Name, Option<State>)> = asked
                .names
                .iter()
                .map(|n| (n, asked.units.state(n).map(|s| s.value)))
                .collect();
            let codes = states.iter().map(|(_, state)| match state {
                None => exit::NO_UNIT,
                Some(state) if state.is_good() => exit::DONE,
                Some(_) => exit::NOT_SO,
            });
            let code = codes.max().unwrap_or(exit::DONE);
            let report: Vec<Value> = asked
                .names
                .iter()
                .map(|n| match asked.units.state(n) {
                    Some(state) => json!({"unit": n.as_str(), "state": state.value, "source": state.source}),
                    None => json!({"unit": n.as_str(), "state": null, "source": null}),
                })
                .collect();
            asked.tell("units", &report, || {
                let lines = states
                    .iter()
                    .map(|(_, s)| format!("{}\n", s.map_or("not-found", State::word)));
                lines.collect()
            })?;
            Ok(code)
        })
    }
}

/// Say whether units were active when the guest was last on
///
/// Ends with 0 where all were, 3 where one was not, 4 where there is no such unit.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd is-active server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Active {
    #[command(flatten)]
    units: UnitArgs,
}

impl Active {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units
            .ask(context, |asked| asked.was("active", exit::NOT_ACTIVE))
    }
}

/// Say whether units had failed when the guest was last on
///
/// Ends with 0 where all had, 1 where one had not, 4 where there is no such unit.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd is-failed server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Failed {
    #[command(flatten)]
    units: UnitArgs,
}

impl Failed {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| asked.was("failed", exit::NOT_SO))
    }
}

impl Asked<'_> {
    fn some(&self) -> Result<(), h2k_convert::Failure> {
        if self.names.is_empty() {
            self.one().map(drop)
        } else {
            Ok(())
        }
    }

    /// Whether every unit was `wanted` in the last boot; `otherwise` is the code where one was not.
    fn was(&self, wanted: &str, otherwise: u8) -> Outcome {
        self.some()?;
        let Some((boot, units)) = self.last_boot()? else {
            return Err(no_journal());
        };
        let mut code = exit::DONE;
        let mut states = Vec::new();
        for name in &self.names {
            let unit = self.units.unit(name);
            let state = units.get(unit.name.as_str()).map(|u| u.state.word());
            let known = state.is_some() || unit.load != Load::NotFound;
            let state = state.unwrap_or(if known { "inactive" } else { "unknown" });
            states.push((name, state));
            code = code.max(match (known, state == wanted) {
                (false, _) => exit::NO_UNIT,
                (true, true) => exit::DONE,
                (true, false) => otherwise,
            });
        }
        let report: Vec<Value> = states
            .iter()
            .map(|(n, state)| json!({"unit": n.as_str(), "last-boot": state, "boot-began-usec": boot.first}))
            .collect();
        self.tell("units", &report, || {
            states.iter().map(|(_, s)| format!("{s}\n")).collect()
        })?;
        Ok(code)
    }
}

/// Show what is known of units: state, files, conditions, and what they did in the last boot
///
/// Ends with 0 where the unit was active, 3 where it was not or nobody knows, 4 where there is no such unit.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd status server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    units: UnitArgs,
}

impl Status {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            asked.some()?;
            let last = asked.last_boot()?;
            let lists = Lists::new(asked.units);
            let mut code = exit::DONE;
            let mut reports = Vec::new();
            let mut text = String::new();
            for name in &asked.names {
                let unit = asked.units.unit(name);
                let log = last.as_ref().and_then(|(_, units)| units.get(unit.name.as_str()));
                let active = log.map(|l| l.state.word());
                code = code.max(match (unit.load, active) {
                    (Load::NotFound, _) => exit::NO_UNIT,
                    (_, Some("active")) => exit::DONE,
                    _ => exit::NOT_ACTIVE,
                });
                let state = asked.units.state(name);
                let conditions = asked.units.conditions(&unit);
                let holds = together(&conditions);
                let at_boot = lists.started().contains(&unit.name);
                let mut by: Vec<String> = Vec::new();
                for (from, edge) in lists.graph().dependents(&unit.name) {
                    if (edge.dep.starts() || edge.dep == Dep::Triggers) && !by.contains(&from.to_string()) {
                        by.push(from.to_string());
                    }
                }
                let mut fields = Fields::default();
                fields.add("unit", shown(&format!("{} - {}", unit.name, unit.description(asked.units))));
                let file = unit.fragment.clone().unwrap_or_default();
                fields.add("load", shown(&format!("{} {file}", unit.load.word())));
                fields.add("state", state.as_ref().map_or("-", |s| s.value.word()));
                if !unit.drop_ins.is_empty() {
                    fields.add("drop-ins", shown(&unit.drop_ins.join(" ")));
                }
                fields.add("at boot", if at_boot { "yes" } else { "no" });
                fields.add("started by", shown(&by.join(" ")));
                for condition in &conditions {
                    let line = format!("{}={}: {}", condition.kind, condition.value, condition.holds.word());
                    fields.add("condition", shown(&line));
                }
                if let Some(log) = log {
                    let result = log.result.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
                    let line = format!("{}{result} since {}", log.state.word(), when(log.since));
                    fields.add("last boot", shown(&line));
                }
                text.push_str(&fields.render(asked.context.screen.out, ""));
                text.push('\n');
                reports.push(json!({
                    "unit": unit.name.as_str(), "description": unit.description(asked.units), "load": unit.load,
                    "state": state, "fragment": unit.fragment, "drop-ins": unit.drop_ins, "at-boot": at_boot,
                    "started-by": by, "conditions": conditions, "conditions-hold": holds, "last-boot": active,
                    "result": log.and_then(|l| l.result.clone()), "since-usec": log.map(|l| l.since),
                }));
            }
            asked.tell("units", &reports, || text)?;
            Ok(code)
        })
    }
}

/// Show everything that the files of units set, and what they depend on
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd show server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    units: UnitArgs,
}

impl Show {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            asked.some()?;
            let graph = Graph::whole(asked.units);
            let reports: Vec<BTreeMap<String, Value>> =
                asked.names.iter().map(|n| properties(asked, &graph, n)).collect();
            asked.tell("units", &reports, || {
                let mut text = String::new();
                for (i, report) in reports.iter().enumerate() {
                    if i > 0 {
                        text.push('\n');
                    }
                    for (key, value) in report {
                        let values = match value {
                            Value::Array(all) => all.clone(),
                            one => vec![one.clone()],
                        };
                        let values = values
                            .iter()
                            .map(|v| v.as_str().map_or_else(|| v.to_string(), shown));
                        text.push_str(&format!(
                            "{}={}\n",
                            shown(key),
                            values.collect::<Vec<_>>().join(" ")
                        ));
                    }
                }
                text
            })
        })
    }
}

/// Names and values as systemctl show has them: settings by their own name, dependencies as lists.
pub(super) fn properties(asked: &Asked<'_>, graph: &Graph, name: &Name) -> BTreeMap<String, Value> {
    let unit = asked.units.unit(name);
    let mut out: BTreeMap<String, Value> = BTreeMap::new();
    for setting in &unit.settings {
        if setting.section == "Install" || Dep::ALL.iter().any(|d| d.word() == setting.key) {
            continue;
        }
        let value = asked
            .units
            .expanded(&unit.name, &setting.value)
            .unwrap_or_else(|| setting.value.clone());
        let list = out
            .entry(setting.key.clone())
            .or_insert_with(|| Value::Array(Vec::new()));
        match list {
            Value::Array(all) if value.is_empty() => all.clear(),
            Value::Array(all) => all.push(word(value)),
            _ => {}
        }
    }
    for dep in Dep::ALL {
        let edges = graph.edges(&unit.name).iter().filter(|e| e.dep == dep);
        let names: Vec<Value> = edges.map(|e| word(e.to.as_str())).collect();
        if !names.is_empty() {
            out.insert(dep.word().to_owned(), Value::Array(names));
        }
    }
    let aliases = asked.units.aliases().iter().filter(|(_, of)| *of == unit.name);
    let names: BTreeSet<String> = aliases
        .map(|(a, _)| a.to_string())
        .chain([unit.name.to_string()])
        .collect();
    out.insert("Id".to_owned(), word(unit.name.as_str()));
    out.insert("Names".to_owned(), json!(names));
    out.insert("Description".to_owned(), word(unit.description(asked.units)));
    out.insert("LoadState".to_owned(), word(unit.load.word()));
    if let Some(path) = &unit.fragment {
        out.insert("FragmentPath".to_owned(), word(path));
    }
    if !unit.drop_ins.is_empty() {
        out.insert("DropInPaths".to_owned(), json!(unit.drop_ins));
    }
    if let Some(state) = asked.units.state(&unit.name) {
        out.insert("UnitFileState".to_owned(), word(state.value.word()));
        let preset = if asked.units.preset(&unit.name).value {
            "enabled"
        } else {
            "disabled"
        };
        out.insert("UnitFilePreset".to_owned(), word(preset));
    }
    out
}

/// Print the files of units, drop-ins behind them
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd cat server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Cat {
    #[command(flatten)]
    units: UnitArgs,
}

impl Cat {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            asked.some()?;
            let mut files = Vec::new();
            let mut code = exit::DONE;
            for name in &asked.names {
                let unit = asked.units.unit(name);
                if unit.fragment.is_none() {
                    asked.context.screen.warn(&format!("there is no file of {name}"));
                    code = exit::FAILED;
                }
                for path in unit.fragment.iter().chain(&unit.drop_ins) {
                    files.push((path.clone(), asked.units.text(path).unwrap_or_default()));
                }
            }
            let report: Vec<Value> = files
                .iter()
                .map(|(path, text)| json!({"name": path, "content": text}))
                .collect();
            asked.tell("files", &report, || {
                let all = files.iter().map(|(path, text)| {
                    let lines: Vec<String> = text.lines().map(shown).collect();
                    format!("# {}\n{}\n", shown(path), lines.join("\n"))
                });
                all.collect::<Vec<_>>().join("\n")
            })?;
            Ok(code)
        })
    }
}

/// Show what units start, as a tree; without a unit, what the default target starts
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Examples:\n  hyper2kvm systemd list-dependencies server.vmdk\n  hyper2kvm systemd list-dependencies --reverse server.vmdk:ssh.service\n  hyper2kvm systemd list-dependencies --after server.vmdk:ssh.service\n\n{UNITS}"))]
pub(in crate::cli) struct Dependencies {
    /// Show what starts the unit instead
    #[arg(long)]
    reverse: bool,
    /// Show what is started before the unit
    #[arg(long, conflicts_with_all = ["before", "reverse"])]
    after: bool,
    /// Show what is started after the unit
    #[arg(long, conflicts_with = "reverse")]
    before: bool,
    /// Go on below units that are no targets
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    units: UnitArgs,
}

/// Lines of one tree.
const LINES: usize = 100_000;

impl Dependencies {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        self.units.ask(context, |asked| {
            let graph = Graph::whole(asked.units);
            let mut starts = asked.names.clone();
            if starts.is_empty() {
                starts.extend(asked.units.default_target().map(|t| t.value));
            }
            let mut lines: Vec<(usize, Name)> = Vec::new();
            for start in starts {
                let start = asked.units.unit(&start).name;
                self.tree(&graph, start, &mut lines);
            }
            let report: Vec<Value> = lines
                .iter()
                .map(|(depth, n)| json!({"unit": n.as_str(), "depth": depth}))
                .collect();
            asked.tell("dependencies", &report, || {
                lines
                    .iter()
                    .map(|(depth, n)| format!("{}{n}\n", "  ".repeat(*depth)))
                    .collect()
            })
        })
    }

    fn next(&self, graph: &Graph, name: &Name) -> Vec<Name> {
        let mut out: BTreeSet<Name> = BTreeSet::new();
        let order = if self.after {
            Some(Dep::After)
        } else {
            self.before.then_some(Dep::Before)
        };
        let wanted = |dep: Dep| order.map_or(dep.is_listed(), |o| o == dep);
        if self.reverse {
            let into = graph.dependents(name).into_iter().filter(|(_, e)| wanted(e.dep));
            out.extend(into.map(|(from, _)| from.clone()));
        } else {
            out.extend(
                graph
                    .edges(name)
                    .iter()
                    .filter(|e| wanted(e.dep))
                    .map(|e| e.to.clone()),
            );
        }
        if let Some(order) = order {
            // An order is said at either end.
            let other = if order == Dep::After {
                Dep::Before
            } else {
                Dep::After
            };
            let into = graph.dependents(name).into_iter().filter(|(_, e)| e.dep == other);
            out.extend(into.map(|(from, _)| from.clone()));
        }
        out.into_iter().collect()
    }

    /// Each unit's dependencies are shown once: the second time its name has to do, and circles end.
    fn tree(&self, graph: &Graph, start: Name, lines: &mut Vec<(usize, Name)>) {
        let mut shown: BTreeSet<Name> = BTreeSet::new();
        let mut todo = vec![(0_usize, start)];
        while let Some((depth, name)) = todo.pop() {
            if lines.len() >= LINES {
                return;
            }
            let deeper = depth == 0 || self.all || name.kind() == h2k_systemd::Kind::Target;
            lines.push((depth, name.clone()));
            if deeper && shown.insert(name.clone()) {
                let next = self.next(graph, &name);
                todo.extend(next.into_iter().rev().map(|n| (depth.saturating_add(1), n)));
            }
        }
    }
}
