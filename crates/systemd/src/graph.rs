//! What pulls in what, and what waits for what.
//!
//! Source: systemd.unit(5) and the manual page of each kind ("Automatic dependencies").

use crate::name::{Kind, Name, escape_path};
use crate::unit::{Load, Unit, boolean};
use crate::units::Units;
use h2k_guest::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Units of one graph. Real systems have some hundred.
const MOST: usize = 10_000;

/// Edges of one graph.
const EDGES: usize = 100_000;

/// How one unit depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dep {
    /// Fails without it.
    Requires,
    /// Fails where it is not already there.
    Requisite,
    /// Starts it.
    Wants,
    /// Goes when it goes.
    BindsTo,
    /// Is stopped and restarted with it.
    PartOf,
    /// Keeps it running.
    Upholds,
    /// Cannot be there with it.
    Conflicts,
    /// Is started earlier.
    Before,
    /// Is started later.
    After,
    /// Starts it when failed.
    OnFailure,
    /// Starts it when done.
    OnSuccess,
    /// Starts it when something happens: a timer, a path, a socket.
    Triggers,
}

impl Dep {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Requires,
        Self::Requisite,
        Self::Wants,
        Self::BindsTo,
        Self::PartOf,
        Self::Upholds,
        Self::Conflicts,
        Self::Before,
        Self::After,
        Self::OnFailure,
        Self::OnSuccess,
        Self::Triggers,
    ];

    /// The setting's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Requires => "Requires",
            Self::Requisite => "Requisite",
            Self::Wants => "Wants",
            Self::BindsTo => "BindsTo",
            Self::PartOf => "PartOf",
            Self::Upholds => "Upholds",
            Self::Conflicts => "Conflicts",
            Self::Before => "Before",
            Self::After => "After",
            Self::OnFailure => "OnFailure",
            Self::OnSuccess => "OnSuccess",
            Self::Triggers => "Triggers",
        }
    }

    /// Whether it makes the other start.
    #[must_use]
    pub fn starts(self) -> bool {
        matches!(self, Self::Requires | Self::Wants | Self::BindsTo | Self::Upholds)
    }

    /// Whether `systemctl list-dependencies` follows it.
    #[must_use]
    pub fn is_listed(self) -> bool {
        self.starts() || self == Self::Requisite
    }
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Of which kind.
    pub dep: Dep,
    /// On which unit, aliases followed.
    pub to: Name,
    /// What says so.
    pub source: Source,
}

/// Units with what they depend on.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    units: BTreeMap<Name, Unit>,
    edges: BTreeMap<Name, Vec<Edge>>,
    /// Whether there were more units or dependencies than are followed.
    pub cut: bool,
}

impl Graph {
    /// The units that `start` leads to over dependencies of any kind, as a manager would load them.
    #[must_use]
    pub fn from(units: &Units<'_>, start: &[Name]) -> Self {
        let mut graph = Self::default();
        let pulls = Pulls::of(units);
        let mut known: BTreeMap<Name, Name> = BTreeMap::new();
        let mut todo: VecDeque<Name> = start.iter().cloned().collect();
        let mut total = 0_usize;
        while let Some(name) = todo.pop_front() {
            let id = canonical(units, &mut known, &name);
            if graph.units.contains_key(&id) {
                continue;
            }
            if graph.units.len() >= MOST || total >= EDGES {
                graph.cut = true;
                break;
            }
            let unit = units.unit(&id);
            let mut edges = edges(units, &unit, &pulls);
            for edge in &mut edges {
                edge.to = canonical(units, &mut known, &edge.to);
            }
            edges.retain(|edge| edge.to != id);
            let mut seen = BTreeSet::new();
            edges.retain(|edge| seen.insert((edge.dep, edge.to.clone())));
            total = total.saturating_add(edges.len());
            todo.extend(edges.iter().map(|edge| edge.to.clone()));
            graph.edges.insert(id.clone(), edges);
            graph.units.insert(id, unit);
        }
        graph.cross(units);
        graph
    }

    /// Every unit there is a file of, and what they lead to.
    #[must_use]
    pub fn whole(units: &Units<'_>) -> Self {
        let all: Vec<Name> = units.names().into_iter().filter(|n| !n.is_template()).collect();
        Self::from(units, &all)
    }

    /// What only both ends together decide.
    fn cross(&mut self, units: &Units<'_>) {
        self.targets();
        self.mounts(units);
    }

    /// A target waits for what it wants, unless one of the two says otherwise.
    fn targets(&mut self) {
        let mut more: Vec<(Name, Edge)> = Vec::new();
        for (name, unit) in &self.units {
            if name.kind() != Kind::Target || unit.load != Load::Loaded || !has_defaults(unit) {
                continue;
            }
            for edge in self.edges.get(name).into_iter().flatten() {
                let pulled = edge.dep.starts() || matches!(edge.dep, Dep::Requisite | Dep::PartOf);
                let Some(other) = self.units.get(&edge.to).filter(|_| pulled) else {
                    continue;
                };
                let defaults = other.load == Load::Loaded && has_defaults(other) && other.fragment.is_some();
                let has = |from: &Name, dep, to: &Name| {
                    let mut edges = self.edges.get(from).into_iter().flatten();
                    edges.any(|e| e.dep == dep && e.to == *to)
                };
                // The other order would make a circle.
                let turned = has(name, Dep::Before, &edge.to) || has(&edge.to, Dep::After, name);
                if defaults && !turned {
                    more.push((name.clone(), implied(Dep::After, edge.to.clone())));
                }
            }
        }
        for (name, edge) in more {
            self.add(&name, edge);
        }
    }

    /// Units with paths wait for the mounts those lie on.
    fn mounts(&mut self, units: &Units<'_>) {
        let points: BTreeMap<String, Name> = self
            .units
            .iter()
            .filter(|(name, unit)| name.kind() == Kind::Mount && unit.fragment.is_some())
            .map(|(name, _)| (name.stem().to_owned(), name.clone()))
            .collect();
        let mut more: Vec<(Name, Edge)> = Vec::new();
        for (name, unit) in &self.units {
            for (path, source, strict) in paths(units, unit) {
                for prefix in prefixes(&path) {
                    let Some(mount) = escape_path(prefix.as_bytes()).and_then(|stem| points.get(&stem))
                    else {
                        continue;
                    };
                    if mount == name {
                        continue;
                    }
                    let edge = |dep| Edge {
                        dep,
                        to: mount.clone(),
                        source: source.clone(),
                    };
                    more.push((name.clone(), edge(Dep::After)));
                    if strict {
                        more.push((name.clone(), edge(Dep::Requires)));
                    }
                }
            }
        }
        for (name, edge) in more {
            self.add(&name, edge);
        }
    }

    fn add(&mut self, name: &Name, edge: Edge) {
        let edges = self.edges.entry(name.clone()).or_default();
        let known = edges.iter().any(|e| e.dep == edge.dep && e.to == edge.to);
        if !known && edges.len() < EDGES {
            edges.push(edge);
        }
    }

    /// The units, by name.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values()
    }

    /// The unit of this name, which is no alias.
    #[must_use]
    pub fn unit(&self, name: &Name) -> Option<&Unit> {
        self.units.get(name)
    }

    /// What `name` depends on.
    #[must_use]
    pub fn edges(&self, name: &Name) -> &[Edge] {
        self.edges.get(name).map_or(&[], Vec::as_slice)
    }

    /// What depends on `name`: the other unit, and how.
    #[must_use]
    pub fn dependents(&self, name: &Name) -> Vec<(&Name, &Edge)> {
        let all = self.edges.iter();
        let all = all.flat_map(|(from, edges)| edges.iter().map(move |edge| (from, edge)));
        all.filter(|(_, edge)| edge.to == *name).collect()
    }

    /// The units that starting `name` starts, itself first: the transaction, without what conflicts take out of it.
    #[must_use]
    pub fn started(&self, name: &Name) -> BTreeSet<Name> {
        let mut out = BTreeSet::new();
        let mut todo = vec![name.clone()];
        while let Some(name) = todo.pop() {
            let alive = self.units.get(&name).is_some_and(|u| u.load == Load::Loaded);
            if alive && out.insert(name.clone()) {
                let edges = self.edges(&name).iter().filter(|edge| edge.dep.starts());
                todo.extend(edges.map(|edge| edge.to.clone()));
            }
        }
        out
    }

    /// Circles in the order in which units of `among` start: each as the names on it. Not all there are, but one
    /// where there is one.
    #[must_use]
    pub fn circles(&self, among: &BTreeSet<Name>) -> Vec<Vec<Name>> {
        // Later to earlier: After, and Before turned round.
        let mut earlier: BTreeMap<&Name, BTreeSet<&Name>> = BTreeMap::new();
        for name in among {
            for edge in self.edges(name).iter().filter(|e| among.contains(&e.to)) {
                match edge.dep {
                    Dep::After => drop(earlier.entry(name).or_default().insert(&edge.to)),
                    Dep::Before => drop(earlier.entry(&edge.to).or_default().insert(name)),
                    _ => {}
                }
            }
        }
        let mut circles = Vec::new();
        let mut done: BTreeSet<&Name> = BTreeSet::new();
        for start in among {
            // Depth first, with the way we came; each unit is left for good once.
            let mut way: Vec<(&Name, Vec<&Name>)> = Vec::new();
            if !done.contains(start) {
                way.push((start, next(&earlier, start)));
            }
            while let Some((name, rest)) = way.last_mut() {
                let name = *name;
                let Some(to) = rest.pop() else {
                    done.insert(name);
                    way.pop();
                    continue;
                };
                if let Some(at) = way.iter().position(|(n, _)| *n == to) {
                    circles.push(way.iter().skip(at).map(|(n, _)| (*n).clone()).collect());
                } else if !done.contains(to) {
                    way.push((to, next(&earlier, to)));
                }
                if circles.len() >= 100 {
                    return circles;
                }
            }
        }
        circles
    }
}

fn next<'a>(earlier: &BTreeMap<&'a Name, BTreeSet<&'a Name>>, name: &Name) -> Vec<&'a Name> {
    earlier.get(name).into_iter().flatten().copied().collect()
}

fn canonical(units: &Units<'_>, known: &mut BTreeMap<Name, Name>, name: &Name) -> Name {
    if let Some(id) = known.get(name) {
        return id.clone();
    }
    let id = units.resolved(name).map_or_else(|| name.clone(), |(id, _)| id);
    known.insert(name.clone(), id.clone());
    id
}

/// Links in `.wants`, `.requires` and `.upholds`, by the unit whose directory they lie in.
struct Pulls(BTreeMap<String, Vec<(Dep, Name, Source)>>);

impl Pulls {
    fn of(units: &Units<'_>) -> Self {
        let mut all: BTreeMap<String, Vec<(Dep, Name, Source)>> = BTreeMap::new();
        let mut seen: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        for dir in &units.index.dirs {
            for pull in &dir.pulls {
                // A link to /dev/null in a stronger directory takes the one in a weaker away.
                if !seen.insert((&pull.unit, pull.how, &pull.name)) || pull.target == "/dev/null" {
                    continue;
                }
                let dep = match pull.how {
                    "wants" => Dep::Wants,
                    "requires" => Dep::Requires,
                    _ => Dep::Upholds,
                };
                let Some(name) = Name::parse(&pull.name) else {
                    continue;
                };
                let path = format!("{}/{}.{}/{}", dir.path, pull.unit, pull.how, pull.name);
                let list = all.entry(pull.unit.clone()).or_default();
                list.push((dep, name, Source::file(path.as_bytes())));
            }
        }
        Self(all)
    }

    /// What is pulled in by directories of `unit`, under all its names.
    fn into(&self, units: &Units<'_>, unit: &Name) -> Vec<Edge> {
        let mut names = vec![unit.to_string()];
        names.extend(unit.template().map(|t| t.to_string()));
        let aliases = units.aliases().iter().filter(|(_, of)| of == unit);
        names.extend(aliases.map(|(alias, _)| alias.to_string()));
        let mut out = Vec::new();
        for (dep, name, source) in names.iter().filter_map(|n| self.0.get(n)).flatten() {
            let name = match (name.is_template(), unit.instance()) {
                // What a template's directory pulls in is pulled in for each instance.
                (true, Some(instance)) => name.with_instance(instance),
                (true, None) => None,
                _ => Some(name.clone()),
            };
            out.extend(name.map(|to| Edge {
                dep: *dep,
                to,
                source: source.clone(),
            }));
        }
        out
    }
}

/// A dependency that systemd adds of itself.
fn implied(dep: Dep, to: Name) -> Edge {
    Edge {
        dep,
        to,
        source: Source::named("implied by the kind of unit"),
    }
}

/// Whether `DefaultDependencies` is on.
pub(crate) fn has_defaults(unit: &Unit) -> bool {
    unit.switch("Unit", "DefaultDependencies", true)
}

/// Everything `unit` says it depends on, and what goes with its kind.
fn edges(units: &Units<'_>, unit: &Unit, pulls: &Pulls) -> Vec<Edge> {
    if unit.load == Load::Masked || unit.load == Load::Error {
        return Vec::new();
    }
    let mut out = Vec::new();
    for dep in Dep::ALL {
        for setting in unit
            .settings
            .iter()
            .filter(|s| s.section == "Unit" && s.key == dep.word())
        {
            let named = units.named(unit, setting).into_iter();
            out.extend(named.map(|to| Edge {
                dep,
                to,
                source: setting.source.clone(),
            }));
        }
    }
    out.extend(pulls.into(units, &unit.name));
    crate::implied::add(units, unit, &mut |dep, to, source| {
        let Some(to) = to else { return };
        out.push(match source {
            Some(source) => Edge { dep, to, source },
            None => implied(dep, to),
        });
    });
    out
}

/// Paths a unit cannot do without, and whether their mounts are required too.
fn paths(units: &Units<'_>, unit: &Unit) -> Vec<(String, Source, bool)> {
    let mut out = Vec::new();
    let mut add = |setting: &crate::syntax::Setting, strict: bool| {
        let words = crate::syntax::words(&setting.value, crate::syntax::Escapes::Take).unwrap_or_default();
        for word in words {
            let Some(path) = units.expanded(&unit.name, &word) else {
                continue;
            };
            if path.starts_with('/') && path.len() <= 4096 {
                out.push((path, setting.source.clone(), strict));
            }
        }
    };
    for setting in &unit.settings {
        match (setting.section.as_str(), setting.key.as_str()) {
            ("Unit", "RequiresMountsFor")
            | ("Service", "RootDirectory" | "RootImage")
            | ("Mount", "Where") => {
                add(setting, true);
            }
            // What is mounted there comes after the automount: only the directory above has to be there before.
            ("Automount", "Where") => {
                let above = setting
                    .value
                    .trim_end_matches('/')
                    .rsplit_once('/')
                    .map(|(above, _)| above);
                let value = above.filter(|a| !a.is_empty()).unwrap_or("/").to_owned();
                add(
                    &crate::syntax::Setting {
                        value,
                        ..setting.clone()
                    },
                    true,
                );
            }
            ("Service" | "Socket" | "Mount" | "Swap", "WorkingDirectory") => add(setting, true),
            _ => {}
        }
    }
    if let Some(setting) = unit.last(unit.own(), "PrivateTmp")
        && boolean(&setting.value) == Some(true)
    {
        for path in ["/tmp", "/var/tmp"] {
            out.push((path.to_owned(), setting.source.clone(), true));
        }
    }
    out
}

/// `/a/b` and what it lies in: `/`, `/a`, `/a/b`.
fn prefixes(path: &str) -> Vec<String> {
    let mut out = vec!["/".to_owned()];
    let mut so_far = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()).take(256) {
        so_far.push('/');
        so_far.push_str(part);
        out.push(so_far.clone());
    }
    out
}
