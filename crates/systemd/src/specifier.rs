//! Specifiers: what `%n` and its kin stand for.
//!
//! Source: systemd.unit(5), "Specifiers".

use crate::name::{Name, unescape, unescape_path};
use crate::units::Units;
use h2k_guest::Look;

/// Longest name of a host, and longest word of an os-release that is believed.
const LONGEST: usize = 255;

/// Longest text that specifiers may make. Command lines have some KiB.
const LARGEST: usize = 1 << 20;

/// What specifiers say of the host, as far as files do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    hostname: Option<String>,
    machine_id: Option<String>,
    release: Vec<(String, String)>,
}

impl Host {
    pub(crate) fn read(look: &Look<'_>) -> Self {
        let first = |path: &str| {
            let text = look.text(path)?;
            let line = text.spoken().next()?.text.to_owned();
            (line.len() <= LONGEST).then_some(line)
        };
        let release = look.first_text(["/etc/os-release", "/usr/lib/os-release"]);
        let release = release.iter().flat_map(|text| text.assignments());
        Self {
            hostname: first("/etc/hostname"),
            machine_id: first("/etc/machine-id").filter(|id| id.len() == 32),
            release: release
                .filter(|(_, value)| value.value.len() <= LONGEST)
                .map(|(key, value)| (key.to_owned(), value.value))
                .collect(),
        }
    }

    /// Whether this is the host called `name`, or with that machine-id; `None` where files name neither.
    pub(crate) fn is(&self, name: &str) -> Option<bool> {
        if self.hostname.is_none() && self.machine_id.is_none() {
            return None;
        }
        let host = self
            .hostname
            .as_deref()
            .is_some_and(|h| crate::glob::matches(name, h));
        Some(host || self.machine_id.as_deref() == Some(name))
    }

    pub(crate) fn release(&self, key: &str) -> String {
        let found = self.release.iter().rev().find(|(k, _)| k == key);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

impl Units<'_> {
    /// `text` with the specifiers of the unit `name` replaced; `None` where one of them is unknown or stands for what
    /// only a running system knows.
    #[must_use]
    pub fn expanded(&self, name: &Name, text: &str) -> Option<String> {
        if !text.contains('%') {
            return Some(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if out.len() > LARGEST {
                return None;
            }
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some(which) => out.push_str(&self.specifier(name, which)?),
                None => out.push('%'),
            }
        }
        Some(out)
    }

    fn specifier(&self, name: &Name, which: char) -> Option<String> {
        let plain = |bytes: Option<Vec<u8>>| Some(String::from_utf8_lossy(&bytes?).into_owned());
        let instance = || name.instance().unwrap_or_default();
        let last = || name.prefix().rsplit('-').next().unwrap_or_default();
        let fixed = |text: &str| Some(text.to_owned());
        let host = || self.host();
        let user = self.scope() == crate::Scope::User;
        match which {
            'n' => fixed(name.as_str()),
            'N' => fixed(name.stem()),
            'p' => fixed(name.prefix()),
            'P' => plain(unescape(name.prefix())),
            'i' => fixed(instance()),
            'I' => plain(unescape(instance())),
            'j' => fixed(last()),
            'J' => plain(unescape(last())),
            'f' => plain(match name.instance() {
                Some(instance) if !instance.is_empty() => unescape_path(instance),
                _ => unescape_path(name.prefix()),
            }),
            'H' | 'q' => host().hostname.clone(),
            'l' => host().hostname.as_ref()?.split('.').next().map(str::to_owned),
            'm' => host().machine_id.clone(),
            'o' => Some(host().release("ID")),
            'w' => Some(host().release("VERSION_ID")),
            'B' => Some(host().release("BUILD_ID")),
            'W' => Some(host().release("VARIANT_ID")),
            'M' => Some(host().release("IMAGE_ID")),
            'A' => Some(host().release("IMAGE_VERSION")),
            'T' => fixed("/tmp"),
            'V' => fixed("/var/tmp"),
            '%' => fixed("%"),
            't' if !user => fixed("/run"),
            'S' if !user => fixed("/var/lib"),
            'C' if !user => fixed("/var/cache"),
            'L' if !user => fixed("/var/log"),
            'E' if !user => fixed("/etc"),
            'h' if !user => fixed("/root"),
            'u' | 'g' if !user => fixed("root"),
            'U' | 'G' if !user => fixed("0"),
            's' if !user => fixed("/bin/sh"),
            'd' if !user => Some(format!("/run/credentials/{name}")),
            _ => None,
        }
    }
}
