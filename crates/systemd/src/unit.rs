//! One unit, as its files describe it.

use crate::name::{Kind, Name};
use crate::syntax::{Escapes, Setting, words};
use crate::units::{Lead, Units};
use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether a unit could be loaded, in systemd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// It has a file, or needs none.
    Loaded,
    /// There is no file.
    NotFound,
    /// Its file is `/dev/null` or empty.
    Masked,
    /// Its file cannot be understood.
    BadSetting,
    /// Its file cannot be read.
    Error,
}

impl Load {
    /// As systemctl spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::NotFound => "not-found",
            Self::Masked => "masked",
            Self::BadSetting => "bad-setting",
            Self::Error => "error",
        }
    }
}

/// A unit with everything its files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name, aliases followed.
    pub name: Name,
    /// Whether there is something to say.
    pub load: Load,
    /// Its file.
    pub fragment: Option<String>,
    /// Files that add to it, in the order in which they are read.
    pub drop_ins: Vec<String>,
    /// What they say, in order.
    pub settings: Vec<Setting>,
    /// What in them says nothing, and why.
    pub problems: Vec<(Source, String)>,
}

impl Unit {
    /// The last value of `key`, if it is not empty.
    #[must_use]
    pub fn last(&self, section: &str, key: &str) -> Option<&Setting> {
        let found = self
            .settings
            .iter()
            .rev()
            .find(|s| s.section == section && s.key == key);
        found.filter(|s| !s.value.is_empty())
    }

    /// The values of `key`, without those that an empty one takes back.
    #[must_use]
    pub fn all(&self, section: &str, key: &str) -> Vec<&Setting> {
        let mut out: Vec<&Setting> = Vec::new();
        for setting in self
            .settings
            .iter()
            .filter(|s| s.section == section && s.key == key)
        {
            if setting.value.is_empty() {
                out.clear();
            } else {
                out.push(setting);
            }
        }
        out
    }

    /// Whether a switch is on; `default` where nothing is said, or nothing that means something.
    #[must_use]
    pub fn switch(&self, section: &str, key: &str, default: bool) -> bool {
        self.last(section, key)
            .and_then(|s| boolean(&s.value))
            .unwrap_or(default)
    }

    /// The section of its own kind.
    #[must_use]
    pub fn own(&self) -> &'static str {
        self.name.kind().section()
    }

    /// Its description; its name where it has none.
    #[must_use]
    pub fn description(&self, units: &Units<'_>) -> String {
        let said = self.last("Unit", "Description");
        let said = said.map(|s| {
            units
                .expanded(&self.name, &s.value)
                .unwrap_or_else(|| s.value.clone())
        });
        said.unwrap_or_else(|| self.name.to_string())
    }
}

/// As systemd reads switches.
#[must_use]
pub fn boolean(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    match value.as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

impl Units<'_> {
    /// The unit that `name` stands for, aliases and templates followed.
    #[must_use]
    pub fn unit(&self, name: &Name) -> Unit {
        let Some((name, lead)) = self.resolved(name) else {
            return blank(name.clone(), Load::Error, None);
        };
        let path = match lead {
            Some(Lead::File(path, _) | Lead::Linked(path, _)) => Some(path),
            Some(Lead::Masked(_, path)) => return blank(name, Load::Masked, Some(path)),
            Some(Lead::Broken(path)) => return blank(name, Load::Error, Some(path)),
            Some(Lead::Alias(_, path)) => return blank(name, Load::Error, Some(path)),
            None => None,
        };
        let drop_ins = self.index.drop_ins(self.look, &self.drop_in_names(&name));
        let load = match (&path, name.kind()) {
            (Some(_), _) => Load::Loaded,
            // These need no file.
            (None, Kind::Slice | Kind::Device | Kind::Scope) => Load::Loaded,
            (None, _) => Load::NotFound,
        };
        let mut unit = blank(name, load, path);
        for file in unit.fragment.iter().chain(&drop_ins) {
            let parsed = self.parsed(file);
            unit.settings.extend(parsed.settings.iter().cloned());
            unit.problems.extend(parsed.problems.iter().cloned());
            if parsed.broken {
                unit.load = Load::BadSetting;
            }
        }
        if unit.name.kind() == Kind::Service && unit.load == Load::Loaded && !self.can_run(&unit) {
            unit.load = Load::BadSetting;
        }
        unit.drop_ins = drop_ins;
        unit
    }

    /// Whether a service has something to do: a command, or success without one.
    fn can_run(&self, unit: &Unit) -> bool {
        let section = unit.own();
        let has = |key: &str| !unit.all(section, key).is_empty();
        has("ExecStart")
            || has("ExecStop")
            || has("SuccessAction")
            || !unit.all("Unit", "SuccessAction").is_empty()
    }

    /// The names of directories of drop-ins, the strongest first. Source: systemd.unit(5), "Description".
    fn drop_in_names(&self, name: &Name) -> Vec<String> {
        let mut out = vec![name.to_string()];
        let aliases = self.aliases();
        out.extend(
            aliases
                .iter()
                .filter(|(_, of)| of == name)
                .map(|(alias, _)| alias.to_string()),
        );
        out.extend(name.template().map(|t| t.to_string()));
        let ending = name.kind().word();
        let mut prefix = name.prefix();
        let at = if name.instance().is_some() { "@" } else { "" };
        if let Some(less) = prefix.strip_suffix('-') {
            prefix = less;
        }
        while let Some((less, _)) = prefix.rsplit_once('-') {
            out.push(format!("{less}-{at}.{ending}"));
            prefix = less;
        }
        out.push(ending.to_owned());
        out
    }

    /// Names that stand for others, and what they stand for.
    #[must_use]
    pub fn aliases(&self) -> &[(Name, Name)] {
        self.aliases.get_or_init(|| {
            let mut out = Vec::new();
            for dir in &self.index.dirs {
                for (name, item) in &dir.items {
                    let crate::index::Item::Link(_) = item else {
                        continue;
                    };
                    let Some(name) = Name::parse(name) else { continue };
                    let stands_for = self.resolved(&name).map(|(other, _)| other);
                    if let Some(other) = stands_for.filter(|other| *other != name) {
                        out.push((name, other));
                    }
                }
            }
            out.sort();
            out.dedup();
            out
        })
    }

    /// The units that a setting names, specifiers replaced; names that cannot be are left out.
    pub(crate) fn named(&self, unit: &Unit, setting: &Setting) -> Vec<Name> {
        let words = words(&setting.value, Escapes::Keep).unwrap_or_default();
        let expanded = words.iter().filter_map(|word| self.expanded(&unit.name, word));
        expanded.filter_map(|word| Name::parse(&word)).collect()
    }
}

fn blank(name: Name, load: Load, fragment: Option<String>) -> Unit {
    Unit {
        name,
        load,
        fragment,
        drop_ins: Vec::new(),
        settings: Vec::new(),
        problems: Vec::new(),
    }
}
