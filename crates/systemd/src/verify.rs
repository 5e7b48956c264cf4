//! What is wrong with units, before anybody starts them.

use crate::calendar::Calendar;
use crate::graph::{Dep, Graph};
use crate::name::{Kind, Name};
use crate::span;
use crate::syntax::{Escapes, words};
use crate::unit::{Load, Unit};
use crate::units::Units;
use crate::zone::Clocks;
use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Keys that systemd 252 knows, below their sections, as `systemd --dump-configuration-items` lists them.
const KNOWN: &str = include_str!("../data/settings-252.txt");

/// Something wrong with a unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// The unit.
    pub unit: String,
    /// One word: `syntax`, `unknown`, `value`, `missing-unit`, `missing-file`, `cycle`, `load`.
    pub kind: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub source: Source,
}

/// The keys of each section.
struct Known(BTreeMap<&'static str, BTreeSet<&'static str>>);

impl Known {
    fn new() -> Self {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut section = "";
        for line in KNOWN.lines() {
            match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                Some(name) => section = name,
                None => drop(all.entry(section).or_default().insert(line)),
            }
        }
        Self(all)
    }
}

/// What is wrong with the units of `graph`, by unit.
#[must_use]
pub fn verify(units: &Units<'_>, graph: &Graph) -> Vec<Problem> {
    let known = Known::new();
    let clocks = Clocks::of(units.look);
    let mut out = Vec::new();
    for unit in graph.units() {
        if unit.load == Load::NotFound || unit.load == Load::Masked {
            continue;
        }
        let mut add = |kind: &str, message: String, source: &Source| {
            out.push(Problem {
                unit: unit.name.to_string(),
                kind: kind.to_owned(),
                message,
                source: source.clone(),
            });
        };
        let file = unit.fragment.as_deref().unwrap_or_default();
        match unit.load {
            Load::Error => add(
                "load",
                "its file cannot be read, or is a link that leads nowhere".to_owned(),
                &Source::file(file.as_bytes()),
            ),
            Load::BadSetting => add(
                "load",
                "systemd would refuse to load it".to_owned(),
                &Source::file(file.as_bytes()),
            ),
            _ => {}
        }
        for (source, problem) in &unit.problems {
            add("syntax", problem.clone(), source);
        }
        settings(units, unit, (&known, &clocks), &mut add);
        for edge in graph.edges(&unit.name) {
            let needed = matches!(edge.dep, Dep::Requires | Dep::BindsTo | Dep::Requisite);
            let there = graph
                .unit(&edge.to)
                .is_none_or(|other| other.load != Load::NotFound);
            if needed && !there && edge.to.kind() != Kind::Device {
                add(
                    "missing-unit",
                    format!("{} {}, which there is not", edge.dep.word(), edge.to),
                    &edge.source,
                );
            }
        }
    }
    let among: BTreeSet<Name> = graph.units().map(|u| u.name.clone()).collect();
    let start = units
        .default_target()
        .map(|t| graph.started(&t.value))
        .filter(|s| !s.is_empty());
    for circle in graph.circles(&start.unwrap_or(among)) {
        let names: Vec<String> = circle.iter().map(ToString::to_string).collect();
        let Some(first) = names.first() else { continue };
        out.push(Problem {
            unit: first.clone(),
            kind: "cycle".to_owned(),
            message: format!("each waits for the next: {}, {first}", names.join(", ")),
            source: Source::named("the order of units"),
        });
    }
    out.sort();
    out.dedup();
    out
}

fn settings(
    units: &Units<'_>,
    unit: &Unit,
    (known, clocks): (&Known, &Clocks<'_>),
    add: &mut dyn FnMut(&str, String, &Source),
) {
    let own = unit.own();
    for setting in &unit.settings {
        let (section, key) = (setting.section.as_str(), setting.key.as_str());
        // Names that begin so are left to others.
        if section.starts_with("X-") || key.starts_with("X-") {
            continue;
        }
        let fits = matches!(section, "Unit" | "Install") || section == own;
        let keys = known.0.get(section).filter(|_| fits);
        match keys {
            None => add(
                "unknown",
                format!(
                    "section [{section}] means nothing in a {}",
                    unit.name.kind().word()
                ),
                &setting.source,
            ),
            Some(keys) if !keys.contains(key) => {
                add(
                    "unknown",
                    format!("systemd 252 knows no {key} in [{section}]"),
                    &setting.source,
                );
            }
            Some(_) => {}
        }
        if setting.value.is_empty() {
            continue;
        }
        let value = units.expanded(&unit.name, &setting.value);
        match key {
            "OnCalendar" => {
                let wrong = match value.as_deref().map(Calendar::parse) {
                    Some(None) => "is no calendar expression",
                    Some(Some(c)) if clocks.zone(c.zone()).is_none() => {
                        "names a time zone that the guest has no data of"
                    }
                    _ => continue,
                };
                add("value", format!("{} {wrong}", setting.value), &setting.source);
            }
            "OnBootSec" | "OnStartupSec" | "OnActiveSec" | "OnUnitActiveSec" | "OnUnitInactiveSec"
                if value.as_deref().is_some_and(|v| span::parse(v).is_none()) =>
            {
                add(
                    "value",
                    format!("{} is no span of time", setting.value),
                    &setting.source,
                );
            }
            _ if key.starts_with("Exec") => command(units, unit, setting, add),
            _ => {}
        }
    }
}

/// Whether the program of a command is there.
fn command(
    units: &Units<'_>,
    unit: &Unit,
    setting: &crate::syntax::Setting,
    add: &mut dyn FnMut(&str, String, &Source),
) {
    let Some(words) = words(&setting.value, Escapes::Take) else {
        add(
            "value",
            "the command has a quote that does not end".to_owned(),
            &setting.source,
        );
        return;
    };
    let Some(first) = words.first() else { return };
    let program = first.trim_start_matches(['@', '-', ':', '+', '!']);
    let Some(path) = units.expanded(&unit.name, program) else {
        return;
    };
    let rooted = ["RootDirectory", "RootImage"]
        .iter()
        .any(|key| unit.last(unit.own(), key).is_some());
    if !path.starts_with('/') || rooted || first.trim_start_matches(['@', ':', '+', '!']).starts_with('-') {
        return;
    }
    let runs = units
        .look
        .stat(&path)
        .is_some_and(|s| s.kind == h2k_fs::FileKind::File && s.mode.is_none_or(|m| m & 0o111 != 0));
    if !runs {
        add(
            "missing-file",
            format!("{path} is no program that could be run"),
            &setting.source,
        );
    }
}
