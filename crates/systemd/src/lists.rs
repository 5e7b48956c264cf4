//! What `systemctl list-…` lists.

use crate::calendar::Calendar;
use crate::name::{Kind, Name};
use crate::state::State;
use crate::unit::{Load, Unit};
use crate::units::Units;
use crate::zone::Clocks;
use crate::{Graph, graph::Dep, span};
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// A unit file and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct UnitFile {
    /// Its name.
    pub unit: String,
    /// As `systemctl --root list-unit-files` computes it.
    pub state: State,
    /// What says so.
    pub source: Source,
    /// Whether presets want it enabled; absent where they are not about it.
    pub preset: Option<Fact<bool>>,
    /// Links in the distribution's own directories that have it started though nobody enabled it.
    pub vendor_wants: Vec<Source>,
    /// What it says it is.
    pub description: Option<String>,
}

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Timer {
    /// Its name.
    pub unit: String,
    /// What it starts.
    pub starts: String,
    /// Whether starting the system starts it.
    pub at_boot: bool,
    /// Whether what was missed is made up for.
    pub persistent: bool,
    /// When it starts it.
    pub rules: Vec<Rule>,
    /// When a calendar rule comes true next: microseconds since 1970 UTC.
    pub next: Option<i64>,
}

/// `OnCalendar=daily`, `OnBootSec=5min`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// The setting's name.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// The value as systemd would write it; absent where it means nothing.
    pub normal: Option<String>,
    /// Where it is set.
    pub source: Source,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Socket {
    /// Its name.
    pub unit: String,
    /// What it starts.
    pub starts: Option<String>,
    /// Whether starting the system starts it.
    pub at_boot: bool,
    /// Addresses, with the setting's name in front: `ListenStream 22`.
    pub listens: Vec<Fact<String>>,
}

/// A unit that mounts something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MountUnit {
    /// Its name.
    pub unit: String,
    /// What is mounted.
    pub what: String,
    /// Where.
    #[serde(rename = "where")]
    pub place: String,
    /// Which filesystem; empty where it is found out.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its options.
    pub options: String,
    /// Whether starting the system mounts it.
    pub at_boot: bool,
    /// Whether a generator makes the unit of fstab.
    pub generated: bool,
    /// Its file.
    pub source: Source,
}

/// A unit that the system starts, or could.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// Its name.
    pub unit: String,
    /// Whether its file could be loaded.
    pub load: Load,
    /// Whether starting the system starts it.
    pub at_boot: bool,
    /// What it says it is.
    pub description: String,
}

/// What every list of one system shares: its units, their dependencies, and what starting the default target starts.
#[derive(Debug)]
pub struct Lists<'u, 'a> {
    units: &'u Units<'a>,
    graph: Graph,
    started: std::collections::BTreeSet<Name>,
}

impl<'u, 'a> Lists<'u, 'a> {
    /// Of all units.
    #[must_use]
    pub fn new(units: &'u Units<'a>) -> Self {
        let graph = Graph::whole(units);
        let started = units.default_target().map(|target| graph.started(&target.value));
        Self {
            units,
            graph,
            started: started.unwrap_or_default(),
        }
    }

    /// The dependencies.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The units that starting the default target starts.
    #[must_use]
    pub fn started(&self) -> &std::collections::BTreeSet<Name> {
        &self.started
    }

    /// Every unit file.
    #[must_use]
    pub fn unit_files(&self) -> Vec<UnitFile> {
        let names = self.units.names();
        names.iter().filter_map(|name| self.unit_file(name)).collect()
    }

    /// The unit file of this name.
    #[must_use]
    pub fn unit_file(&self, name: &Name) -> Option<UnitFile> {
        let state = self.units.state(name)?;
        let described = !matches!(
            state.value,
            State::Alias | State::Masked | State::MaskedRuntime | State::Bad
        );
        let unit = described.then(|| {
            self.graph
                .unit(name)
                .cloned()
                .unwrap_or_else(|| self.units.unit(name))
        });
        let description = unit.filter(|u| u.last("Unit", "Description").is_some());
        Some(UnitFile {
            unit: name.to_string(),
            state: state.value,
            source: state.source,
            preset: state.value.has_preset().then(|| self.units.preset(name)),
            vendor_wants: self.units.vendor_wants(name),
            description: description.map(|u| u.description(self.units)),
        })
    }

    /// The units of one kind, or of all kinds, that have a file.
    #[must_use]
    pub fn units(&self, kind: Option<Kind>) -> Vec<Listed> {
        let all = self
            .graph
            .units()
            .filter(|u| kind.is_none_or(|k| u.name.kind() == k));
        all.filter(|u| u.fragment.is_some() || self.started.contains(&u.name))
            .map(|unit| Listed {
                unit: unit.name.to_string(),
                load: unit.load,
                at_boot: self.started.contains(&unit.name),
                description: unit.description(self.units),
            })
            .collect()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Unit> {
        let all = self.graph.units();
        all.filter(move |u| u.name.kind() == kind && u.load == Load::Loaded && u.fragment.is_some())
    }

    fn triggered(&self, unit: &Unit) -> Option<String> {
        let mut edges = self.graph.edges(&unit.name).iter();
        edges.find(|e| e.dep == Dep::Triggers).map(|e| e.to.to_string())
    }

    fn value(&self, unit: &Unit, key: &str) -> String {
        let setting = unit.last(unit.own(), key);
        let value = setting.map(|s| {
            self.units
                .expanded(&unit.name, &s.value)
                .unwrap_or_else(|| s.value.clone())
        });
        value.unwrap_or_default()
    }

    /// The timers. What comes true next is reckoned from `after`, microseconds since 1970 UTC, on `clocks`.
    #[must_use]
    pub fn timers(&self, after: i64, clocks: &Clocks<'_>) -> Vec<Timer> {
        self.of(Kind::Timer)
            .map(|unit| {
                let mut rules = Vec::new();
                let mut next: Option<i64> = None;
                let keys = [
                    "OnCalendar",
                    "OnActiveSec",
                    "OnBootSec",
                    "OnStartupSec",
                    "OnUnitActiveSec",
                    "OnUnitInactiveSec",
                ];
                for (key, setting) in keys
                    .iter()
                    .flat_map(|key| unit.all("Timer", key).into_iter().map(move |s| (*key, s)))
                {
                    let value = self
                        .units
                        .expanded(&unit.name, &setting.value)
                        .unwrap_or_else(|| setting.value.clone());
                    let calendar = (key == "OnCalendar").then(|| Calendar::parse(&value)).flatten();
                    let at = calendar.as_ref().and_then(|c| c.next(after, clocks));
                    next = [next, at].into_iter().flatten().min();
                    rules.push(Rule {
                        kind: key.to_owned(),
                        normal: match key {
                            "OnCalendar" => calendar.map(|c| c.to_string()),
                            _ => span::parse(&value).map(span::human),
                        },
                        value,
                        source: setting.source.clone(),
                    });
                }
                Timer {
                    unit: unit.name.to_string(),
                    starts: self.triggered(unit).unwrap_or_default(),
                    at_boot: self.started.contains(&unit.name),
                    persistent: unit.switch("Timer", "Persistent", false),
                    rules,
                    next,
                }
            })
            .collect()
    }

    /// The sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<Socket> {
        self.of(Kind::Socket)
            .map(|unit| {
                let keys = [
                    "ListenStream",
                    "ListenDatagram",
                    "ListenSequentialPacket",
                    "ListenFIFO",
                    "ListenSpecial",
                    "ListenNetlink",
                    "ListenMessageQueue",
                    "ListenUSBFunction",
                ];
                let listens = keys.iter().flat_map(|key| {
                    unit.all("Socket", key).into_iter().map(move |s| {
                        let value = self.units.expanded(&unit.name, &s.value);
                        let value = value.unwrap_or_else(|| s.value.clone());
                        Fact::new(format!("{key} {value}"), s.source.clone())
                    })
                });
                Socket {
                    unit: unit.name.to_string(),
                    starts: self.triggered(unit),
                    at_boot: self.started.contains(&unit.name),
                    listens: listens.collect(),
                }
            })
            .collect()
    }

    /// The units that mount something.
    #[must_use]
    pub fn mounts(&self) -> Vec<MountUnit> {
        self.of(Kind::Mount)
            .map(|unit| {
                let path = unit.fragment.clone().unwrap_or_default();
                MountUnit {
                    unit: unit.name.to_string(),
                    what: self.value(unit, "What"),
                    place: self.value(unit, "Where"),
                    kind: self.value(unit, "Type"),
                    options: self.value(unit, "Options"),
                    at_boot: self.started.contains(&unit.name),
                    generated: self
                        .units
                        .state(&unit.name)
                        .is_some_and(|s| s.value == State::Generated),
                    source: Source::file(path.as_bytes()),
                }
            })
            .collect()
    }
}
