//! Names of units, and how strings and paths become part of them.
//!
//! Source: systemd.unit(5), "String escaping for inclusion in unit names".

use std::fmt;

/// Longest name of a unit, from systemd.unit(5).
const LONGEST: usize = 255;

/// What a unit is, by the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A process.
    Service,
    /// A socket that starts a service.
    Socket,
    /// A group of units.
    Target,
    /// A device.
    Device,
    /// A mounted filesystem.
    Mount,
    /// A filesystem mounted when it is looked at.
    Automount,
    /// Swap space.
    Swap,
    /// A clock that starts a unit.
    Timer,
    /// A path that starts a unit when it changes.
    Path,
    /// A group of processes whose resources are accounted for together.
    Slice,
    /// Processes somebody else started.
    Scope,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::Socket,
        Self::Target,
        Self::Device,
        Self::Mount,
        Self::Automount,
        Self::Swap,
        Self::Timer,
        Self::Path,
        Self::Slice,
        Self::Scope,
    ];

    /// The ending, without its dot.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Socket => "socket",
            Self::Target => "target",
            Self::Device => "device",
            Self::Mount => "mount",
            Self::Automount => "automount",
            Self::Swap => "swap",
            Self::Timer => "timer",
            Self::Path => "path",
            Self::Slice => "slice",
            Self::Scope => "scope",
        }
    }

    /// The section of a unit file that only this kind has; empty where there is none.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Socket => "Socket",
            Self::Mount => "Mount",
            Self::Automount => "Automount",
            Self::Swap => "Swap",
            Self::Timer => "Timer",
            Self::Path => "Path",
            Self::Slice => "Slice",
            Self::Scope => "Scope",
            Self::Target | Self::Device => "",
        }
    }
}

/// The valid name of a unit: `ssh.service`, `getty@.service` (a template), `getty@tty1.service` (an instance).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    text: String,
    kind: Kind,
    /// Where `@` is.
    at: Option<usize>,
}

impl Name {
    /// `text`, if it can be the name of a unit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stem, ending) = text.rsplit_once('.')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == ending)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        let at = stem.find('@');
        if stem.is_empty() || text.len() > LONGEST || !stem.bytes().all(allowed) || at == Some(0) {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            kind,
            at,
        })
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Without the ending.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.text.rsplit_once('.').map_or("", |(stem, _)| stem)
    }

    /// What comes before `@`, or before the ending.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let stem = self.stem();
        self.at.and_then(|at| stem.get(..at)).unwrap_or(stem)
    }

    /// What comes between `@` and the ending: empty for a template, `None` for a plain unit.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.stem().get(self.at?.saturating_add(1)..)
    }

    /// Whether it is a template: `getty@.service`.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.instance() == Some("")
    }

    /// Whether it is an instance of a template: `getty@tty1.service`.
    #[must_use]
    pub fn is_instance(&self) -> bool {
        self.instance().is_some_and(|i| !i.is_empty())
    }

    /// The template an instance is made from.
    #[must_use]
    pub fn template(&self) -> Option<Self> {
        if !self.is_instance() {
            return None;
        }
        Self::parse(&format!("{}@.{}", self.prefix(), self.kind.word()))
    }

    /// The same with another instance.
    #[must_use]
    pub fn with_instance(&self, instance: &str) -> Option<Self> {
        self.at?;
        Self::parse(&format!("{}@{instance}.{}", self.prefix(), self.kind.word()))
    }

    /// The unit of another kind with the same stem: the service of a socket.
    #[must_use]
    pub fn sibling(&self, kind: Kind) -> Option<Self> {
        Self::parse(&format!("{}.{}", self.stem(), kind.word()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `text` as it may stand in a unit's name: `/` becomes `-`, what else a name cannot have becomes `\x2d` and the like.
#[must_use]
pub fn escape(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, byte) in text.iter().enumerate() {
        match byte {
            b'/' => out.push('-'),
            b'.' if i == 0 => out.push_str("\\x2e"),
            b if b.is_ascii_alphanumeric() || b":_.".contains(b) => out.push(char::from(*b)),
            b => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out
}

/// A path as it may stand in a unit's name: `/home/user` is `home-user`, `/` is `-`. `None` for a path with `..` or
/// without any name.
#[must_use]
pub fn escape_path(path: &[u8]) -> Option<String> {
    let parts: Vec<&[u8]> = path
        .split(|b| *b == b'/')
        .filter(|p| !p.is_empty() && *p != b".")
        .collect();
    let root = path.first() == Some(&b'/');
    if parts.contains(&&b".."[..]) || (parts.is_empty() && !root) {
        return None;
    }
    Some(match parts.is_empty() {
        true => "-".to_owned(),
        false => escape(&parts.join(&b'/')),
    })
}

/// What [`escape`] was given; `None` for what it cannot have made.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'-' => out.push(b'/'),
            b'\\' => {
                let digits = tail.strip_prefix(b"x")?.first_chunk::<2>()?;
                let digits = std::str::from_utf8(digits).ok()?;
                if digits.starts_with('+') {
                    return None;
                }
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = tail.get(3..)?;
            }
            other => out.push(*other),
        }
    }
    Some(out)
}

/// What [`escape_path`] was given; `None` for what it cannot have made.
#[must_use]
pub fn unescape_path(text: &str) -> Option<Vec<u8>> {
    if text == "-" {
        return Some(b"/".to_vec());
    }
    let path = unescape(text)?;
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let odd = |p: &&[u8]| p.is_empty() || *p == b"." || *p == b"..";
    if parts.iter().any(odd) {
        return None;
    }
    Some([b"/", path.as_slice()].concat())
}
