//! Whether a unit is enabled, as `systemctl --root is-enabled` says it.

use crate::index::Rank;
use crate::name::{Kind, Name};
use crate::syntax::{Escapes, words};
use crate::units::{LINKS, Lead, Units};
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// The state of a unit file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A link in `/etc` has it started.
    Enabled,
    /// A link in `/run` has it started until the next boot.
    EnabledRuntime,
    /// Known through a link from `/etc` to a file elsewhere, and not started.
    Linked,
    /// The same from `/run`.
    LinkedRuntime,
    /// Another name of a unit.
    Alias,
    /// Cannot be started.
    Masked,
    /// The same until the next boot.
    MaskedRuntime,
    /// Cannot be enabled: others start it.
    Static,
    /// Not enabled.
    Disabled,
    /// Not enabled, but others of its kind or under another name may be.
    Indirect,
    /// Made by a generator at every boot.
    Generated,
    /// Cannot be read, or leads nowhere.
    Bad,
}

impl State {
    /// As systemctl spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::EnabledRuntime => "enabled-runtime",
            Self::Linked => "linked",
            Self::LinkedRuntime => "linked-runtime",
            Self::Alias => "alias",
            Self::Masked => "masked",
            Self::MaskedRuntime => "masked-runtime",
            Self::Static => "static",
            Self::Disabled => "disabled",
            Self::Indirect => "indirect",
            Self::Generated => "generated",
            Self::Bad => "bad",
        }
    }

    /// Whether `systemctl is-enabled` calls it good.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Self::Enabled
                | Self::EnabledRuntime
                | Self::Alias
                | Self::Static
                | Self::Indirect
                | Self::Generated
        )
    }

    /// Whether presets are about units in this state.
    #[must_use]
    pub fn has_preset(self) -> bool {
        !matches!(self, Self::Alias | Self::Static | Self::Generated)
    }
}

/// The `[Install]` section of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Install {
    /// Units that get a `.wants` link when this one is enabled.
    pub wanted_by: Vec<String>,
    /// Units that get a `.requires` link.
    pub required_by: Vec<String>,
    /// Units that get an `.upholds` link.
    pub upheld_by: Vec<String>,
    /// Names that become links to it.
    pub alias: Vec<String>,
    /// Units enabled together with it.
    pub also: Vec<String>,
    /// The instance enabled where none is named.
    pub default_instance: Option<String>,
}

impl Install {
    /// Whether enabling it would make links.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        let lists = [&self.wanted_by, &self.required_by, &self.upheld_by, &self.alias];
        lists.iter().any(|list| !list.is_empty())
    }
}

/// What one directory knows of a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    SameName,
    Yes,
}

impl Units<'_> {
    /// The `[Install]` section of the unit file at `path`, drop-ins of `name` included.
    #[must_use]
    pub fn install(&self, name: &Name, path: &str) -> Install {
        let mut out = Install::default();
        let mut names = vec![name.as_str().to_owned()];
        names.extend(name.template().map(|t| t.as_str().to_owned()));
        let mut files = self.index.drop_ins(self.look, &names);
        // systemctl reads a file that lies outside the search path behind its drop-ins.
        match path.rsplit_once('/').is_some_and(|(dir, _)| self.index.has(dir)) {
            true => files.insert(0, path.to_owned()),
            false => files.push(path.to_owned()),
        }
        for file in files {
            for setting in &self.parsed(&file).settings {
                if setting.section != "Install" {
                    continue;
                }
                let list = match setting.key.as_str() {
                    "WantedBy" => &mut out.wanted_by,
                    "RequiredBy" => &mut out.required_by,
                    "UpheldBy" => &mut out.upheld_by,
                    "Alias" if may_alias(name.kind()) => &mut out.alias,
                    "Also" => &mut out.also,
                    "DefaultInstance" => {
                        let value = self.expanded(name, &setting.value);
                        if name.instance().is_some() {
                            out.default_instance = value.filter(|v| !v.is_empty());
                        }
                        continue;
                    }
                    _ => continue,
                };
                if setting.value.is_empty() {
                    list.clear();
                }
                list.extend(words(&setting.value, Escapes::Keep).unwrap_or_default());
            }
        }
        out
    }

    /// The state of `name`, and what says so; `None` where there is no such unit.
    #[must_use]
    pub fn state(&self, name: &Name) -> Option<Fact<State>> {
        self.state_through(name, LINKS)
    }

    fn state_through(&self, name: &Name, links: usize) -> Option<Fact<State>> {
        let lead = self.lead(name).or_else(|| self.lead(&name.template()?))?;
        let file = |path: &str| Source::file(path.as_bytes());
        let (path, dir) = match lead {
            Lead::Masked(dir, path) => {
                return Some(Fact::new(self.masked(dir), file(&path)));
            }
            Lead::Alias(other, path) => {
                // An instance is what its alias stands for; a plain name is an alias and nothing more.
                if let Some(instance) = name.instance().filter(|i| !i.is_empty()) {
                    let other = if other.is_template() {
                        other.with_instance(instance)?
                    } else {
                        other
                    };
                    return match links.checked_sub(1) {
                        Some(left) => self.state_through(&other, left),
                        None => Some(Fact::new(State::Bad, file(&path))),
                    };
                }
                let state = match self.resolved(name).and_then(|(_, lead)| lead) {
                    None | Some(Lead::Broken(_)) => State::Bad,
                    Some(Lead::Masked(dir, _)) => self.masked(dir),
                    Some(_) => State::Alias,
                };
                return Some(Fact::new(state, file(&path)));
            }
            Lead::Broken(path) => return Some(Fact::new(State::Bad, file(&path))),
            Lead::File(path, dir) if self.rank(dir) == Rank::Generator => {
                return Some(Fact::new(State::Generated, file(&path)));
            }
            Lead::File(path, dir) => (path, dir),
            // No directory is weaker than one that is not in the search path.
            Lead::Linked(path, _) => (path, usize::MAX),
        };
        let install = self.install(name, &path);
        if let Some(found) = self.enabled(name, &install, dir, true) {
            return Some(found);
        }
        if let Some(found) = self.enabled(name, &install, dir, false) {
            return Some(found.map(|_| State::Indirect));
        }
        let state = if install.has_rules() {
            State::Disabled
        } else if !install.also.is_empty() {
            State::Indirect
        } else {
            State::Static
        };
        Some(Fact::new(state, file(&path)))
    }

    fn masked(&self, dir: usize) -> State {
        match self.rank(dir) {
            Rank::Runtime => State::MaskedRuntime,
            _ => State::Masked,
        }
    }

    /// What links say of `name`, whose file lies in directory number `home`. With `by_name`, only links under names
    /// that enabling it would make count.
    fn enabled(&self, name: &Name, install: &Install, home: usize, by_name: bool) -> Option<Fact<State>> {
        let default = self.default_instance(name, install);
        let mut runtime = None;
        let mut elsewhere = None;
        let mut same = None;
        let mut same_runtime = None;
        for (i, dir) in self.index.dirs.iter().enumerate() {
            // A file of that name in a weaker directory says nothing of this unit.
            let weaker = i > home;
            let mut known = Known::No;
            let mut source = String::new();
            for pull in &dir.pulls {
                // Here names alone count: where the link leads does not, and aliases do not.
                let itself = pull.name == name.as_str() || Some(pull.name.as_str()) == default.as_deref();
                let instance = || Name::parse(&pull.name).and_then(|n| n.template());
                if itself || (!by_name && name.is_template() && instance().as_ref() == Some(name)) {
                    known = Known::Yes;
                    source = format!("{}/{}.{}/{}", dir.path, pull.unit, pull.how, pull.name);
                    break;
                }
            }
            if known == Known::No {
                for (link, item) in &dir.items {
                    let crate::index::Item::Link(target) = item else {
                        continue;
                    };
                    let itself = link == name.as_str() && last(target) == name.as_str() && !weaker;
                    if itself {
                        known = Known::SameName;
                        source = format!("{}/{link}", dir.path);
                    } else if self.speaks(name, install, link, target, weaker, by_name) {
                        known = Known::Yes;
                        source = format!("{}/{link}", dir.path);
                        break;
                    }
                }
            }
            let slot = match (known, dir.rank, dir.path == self.scope().config()) {
                (Known::No, ..) => continue,
                (Known::Yes, _, true) => {
                    return Some(Fact::new(State::Enabled, Source::file(source.as_bytes())));
                }
                (Known::Yes, Rank::Runtime, _) => &mut runtime,
                (Known::Yes, ..) => &mut elsewhere,
                (Known::SameName, _, true) => &mut same,
                (Known::SameName, Rank::Runtime, _) => &mut same_runtime,
                (Known::SameName, ..) => continue,
            };
            slot.get_or_insert(source);
        }
        let elsewhere = elsewhere.filter(|_| name.is_instance());
        let found = [
            (runtime, State::EnabledRuntime),
            (elsewhere, State::Static),
            (same, State::Linked),
            (same_runtime, State::LinkedRuntime),
        ];
        let mut found = found.into_iter();
        found.find_map(|(source, state)| Some(Fact::new(state, Source::file(source?.as_bytes()))))
    }

    /// Whether a link is about `name`.
    fn speaks(
        &self,
        name: &Name,
        install: &Install,
        link: &str,
        target: &str,
        weaker: bool,
        by_name: bool,
    ) -> bool {
        let of_it = (link == name.as_str() && !weaker) || last(target) == name.as_str();
        of_it && (!by_name || self.is_known_as(name, install, link))
    }

    /// Whether `link` is a name that enabling the unit would make.
    fn is_known_as(&self, name: &Name, install: &Install, link: &str) -> bool {
        if link == name.as_str() || install.alias.iter().any(|alias| alias == link) {
            return true;
        }
        self.default_instance(name, install).as_deref() == Some(link)
    }

    /// The instance that enabling a template enables.
    fn default_instance(&self, name: &Name, install: &Install) -> Option<String> {
        let instance = install.default_instance.as_deref()?;
        let instance = name.is_template().then(|| name.with_instance(instance))??;
        Some(instance.as_str().to_owned())
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Source: systemd.unit(5), "Alias=".
fn may_alias(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Service | Kind::Socket | Kind::Target | Kind::Device | Kind::Timer | Kind::Path
    )
}
