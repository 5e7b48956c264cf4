//! Conditions and assertions of units, as far as files answer them.
//!
//! Source: systemd.unit(5), "Conditions and Asserts".

use crate::glob;
use crate::unit::Unit;
use crate::units::Units;
use h2k_fs::FileKind;
use h2k_guest::{Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Whether something holds when the guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Only the running guest could say.
    Unknown,
}

impl Holds {
    /// One word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }

    fn of(answer: bool) -> Self {
        if answer { Self::Yes } else { Self::No }
    }

    fn turned(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// A condition, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Condition {
    /// `ConditionPathExists`, `AssertUser` …
    pub kind: String,
    /// Its value, `|` and `!` in front where they are.
    pub value: String,
    /// Whether it holds.
    pub holds: Holds,
    /// Where it is set.
    pub source: Source,
}

/// Directories that are empty, or made anew, when a guest starts.
const MADE: [&str; 5] = ["/run", "/proc", "/sys", "/dev", "/tmp"];

impl Units<'_> {
    /// The conditions and assertions of a unit.
    #[must_use]
    pub fn conditions(&self, unit: &Unit) -> Vec<Condition> {
        let mut out: Vec<Condition> = Vec::new();
        for setting in unit.settings.iter().filter(|s| s.section == "Unit") {
            let key = setting.key.as_str();
            let Some(word) = key
                .strip_prefix("Condition")
                .or_else(|| key.strip_prefix("Assert"))
            else {
                continue;
            };
            if setting.value.is_empty() {
                // An empty one takes back all of its sort.
                let sort = key.strip_suffix(word).unwrap_or_default();
                out.retain(|c| !c.kind.starts_with(sort));
                continue;
            }
            let value = self.expanded(&unit.name, &setting.value);
            let holds = value
                .as_ref()
                .map_or(Holds::Unknown, |value| self.holds(word, value));
            out.push(Condition {
                kind: key.to_owned(),
                value: value.unwrap_or_else(|| setting.value.clone()),
                holds,
                source: setting.source.clone(),
            });
        }
        out
    }

    /// Whether one condition holds: `word` is its name without `Condition`, `value` has `|` and `!` in front.
    #[must_use]
    pub fn holds(&self, word: &str, value: &str) -> Holds {
        let value = value.strip_prefix('|').unwrap_or(value).trim_start();
        let (negated, value) = match value.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, value),
        };
        let answer = self.answer(word, value);
        if negated { answer.turned() } else { answer }
    }

    fn answer(&self, word: &str, value: &str) -> Holds {
        let look = self.look;
        let files = matches!(
            word,
            "PathExists"
                | "PathExistsGlob"
                | "PathIsDirectory"
                | "PathIsSymbolicLink"
                | "DirectoryNotEmpty"
                | "FileNotEmpty"
                | "FileIsExecutable"
        );
        if files {
            let below = |dir: &str| {
                value
                    .strip_prefix(dir)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !value.starts_with('/') || MADE.iter().any(|dir| below(dir)) {
                return Holds::Unknown;
            }
        }
        match word {
            "PathExists" => Holds::of(look.exists(value)),
            "PathExistsGlob" => Holds::of(globbed(look, value)),
            "PathIsDirectory" => Holds::of(look.is_dir(value)),
            "PathIsSymbolicLink" => Holds::of(look.target(value).is_some()),
            "DirectoryNotEmpty" => Holds::of(!look.names(value).is_empty()),
            "FileNotEmpty" => Holds::of(
                look.stat(value)
                    .is_some_and(|s| s.kind == FileKind::File && s.len > 0),
            ),
            "FileIsExecutable" => Holds::of(
                look.stat(value)
                    .is_some_and(|s| s.kind == FileKind::File && s.mode.is_none_or(|m| m & 0o111 != 0)),
            ),
            "User" if self.scope() == crate::Scope::System => {
                Holds::of(matches!(value, "root" | "0" | "@system"))
            }
            "Group" if self.scope() == crate::Scope::System => Holds::of(matches!(value, "root" | "0")),
            "Host" => self.host().is(value).map_or(Holds::Unknown, Holds::of),
            "OSRelease" => self.release(value),
            "FirstBoot" => self.first_boot(value),
            _ => Holds::Unknown,
        }
    }

    /// `ID=debian`, `VERSION_ID!=12`; versions in an order are left to systemd.
    fn release(&self, value: &str) -> Holds {
        let mut answer = Holds::Yes;
        for term in value.split_ascii_whitespace() {
            let Some(at) = term.find(|c: char| "=!<>$".contains(c)) else {
                return Holds::Unknown;
            };
            let (key, rest) = term.split_at_checked(at).unwrap_or((term, ""));
            let quoted = |text: &str| text.trim_matches(['"', '\'']).to_owned();
            let have = self.host().release(key);
            let one = match (
                rest.strip_prefix("!="),
                rest.strip_prefix('=').filter(|r| !r.starts_with(['=', '$'])),
            ) {
                (Some(text), _) => have != quoted(text),
                (None, Some(text)) => have == quoted(text),
                (None, None) => return Holds::Unknown,
            };
            if !one {
                answer = Holds::No;
            }
        }
        answer
    }

    /// A system starts for the first time while its machine-id says so, or is not there.
    fn first_boot(&self, value: &str) -> Holds {
        let Some(wanted) = crate::unit::boolean(value) else {
            return Holds::Unknown;
        };
        let id = self.look.head("/etc/machine-id", 64);
        let first = id.is_none_or(|id| id.trim_ascii() == b"uninitialized");
        Holds::of(first == wanted)
    }
}

/// What a unit's conditions come to: all that are not alternatives have to hold, and one of those that are.
#[must_use]
pub fn together(conditions: &[Condition]) -> Holds {
    let mut all = Holds::Yes;
    let mut any: Option<Holds> = None;
    for condition in conditions {
        let holds = condition.holds;
        if condition.value.starts_with('|') {
            any = Some(match (any, holds) {
                (Some(Holds::Yes), _) | (_, Holds::Yes) => Holds::Yes,
                (Some(Holds::Unknown), _) | (_, Holds::Unknown) => Holds::Unknown,
                _ => Holds::No,
            });
        } else {
            all = both(all, holds);
        }
    }
    both(all, any.unwrap_or(Holds::Yes))
}

fn both(a: Holds, b: Holds) -> Holds {
    match (a, b) {
        (Holds::No, _) | (_, Holds::No) => Holds::No,
        (Holds::Yes, Holds::Yes) => Holds::Yes,
        _ => Holds::Unknown,
    }
}

/// Whether something matches a pattern, part by part.
fn globbed(look: &Look<'_>, pattern: &str) -> bool {
    let mut dirs: Vec<Vec<u8>> = vec![Vec::new()];
    for part in pattern.split('/').filter(|p| !p.is_empty()).take(64) {
        let mut next = Vec::new();
        for dir in &dirs {
            if !part.contains(['*', '?', '[']) {
                next.push(h2k_guest::look::join(dir, part.as_bytes()));
                continue;
            }
            let here: &[u8] = if dir.is_empty() { b"/" } else { dir };
            for name in look.names(here) {
                let shown = String::from_utf8_lossy(&name).into_owned();
                let hidden = shown.starts_with('.') && !part.starts_with('.');
                if !hidden && glob::matches(part, &shown) && next.len() < 10_000 {
                    next.push(h2k_guest::look::join(dir, &name));
                }
            }
        }
        next.retain(|path| look.stat_itself(path).is_some());
        dirs = next;
    }
    !dirs.is_empty()
}
