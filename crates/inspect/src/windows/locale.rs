//! Time zone, clock, language and keyboard, and the variables every program is given.

use super::{SOFTWARE, SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::RegKey;
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Time zone, clock, language and keyboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsLocale {
    /// The time zone: `W. Europe Standard Time`.
    pub time_zone: Option<Fact<String>>,
    /// Minutes to be added to local standard time for UTC: -60 in Berlin.
    pub bias: Option<Fact<i32>>,
    /// The same when the registry was last written: with summer time in summer.
    pub active_bias: Option<Fact<i32>>,
    /// Whether the clock of the machine shows UTC; without this, it shows local time.
    pub clock_is_utc: Option<Fact<bool>>,
    /// The language Windows was installed in, as an identifier of four digits: `0407`.
    pub install_language: Option<Fact<String>>,
    /// The language programs take for the system's: `0409`.
    pub default_language: Option<Fact<String>>,
    /// How new users write dates and numbers: `de-DE`.
    pub format: Option<Fact<String>>,
    /// The keyboard at the logon screen, by its identifier: `00000407`.
    pub keyboards: Vec<Fact<String>>,
    /// Code pages: the one of Windows' own programs, and that of the console.
    pub code_pages: Vec<Fact<String>>,
}

/// Variables that every program is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsEnvironment {
    /// In the order of the registry.
    pub variables: Vec<WindowsVariable>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsVariable {
    /// `Path`.
    pub name: String,
    /// As written: variables in it are not replaced.
    pub value: String,
    /// Where it was read.
    pub source: Source,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> WindowsLocale {
    let mut found = WindowsLocale::default();
    if let Some(system) = hive(asking, look, SYSTEM) {
        let control = |path: &str| system.key(look, &format!("CurrentControlSet\\Control\\{path}"));
        if let Some(zone) = control("TimeZoneInformation") {
            found.time_zone = zone
                .words("TimeZoneKeyName")
                .or_else(|| zone.words("StandardName"));
            found.bias = signed(&zone, "Bias");
            found.active_bias = signed(&zone, "ActiveTimeBias");
            found.clock_is_utc = zone.flag("RealTimeIsUniversal");
        }
        if let Some(language) = control("Nls\\Language") {
            found.install_language = language.words("InstallLanguage");
            found.default_language = language.words("Default");
        }
        if let Some(pages) = control("Nls\\CodePage") {
            found.code_pages = ["ACP", "OEMCP"]
                .iter()
                .filter_map(|name| pages.words(name))
                .collect();
        }
    }
    if let Some(user) = hive(asking, look, "HKU\\.DEFAULT") {
        let international = user.key(look, "Control Panel\\International");
        found.format = international.and_then(|k| k.words("LocaleName").or_else(|| k.words("sLanguage")));
        let keyboards = user.key(look, "Keyboard Layout\\Preload");
        let values = keyboards.iter().flat_map(RegKey::values);
        found.keyboards = values
            .filter_map(|v| Some(Fact::new(v.text()?, v.source())))
            .collect();
    }
    if found.time_zone.is_none()
        && let Some(software) = hive(asking, look, SOFTWARE)
    {
        // Windows up to 5.2 names no zone where its bias is.
        let zone = software.key(look, "Microsoft\\Windows NT\\CurrentVersion\\Time Zones");
        found.time_zone = zone.and_then(|k| k.words("TimeZone"));
    }
    found
}

/// A number that may be negative: 32 bits in two's complement.
fn signed(key: &RegKey<'_>, name: &str) -> Option<Fact<i32>> {
    let fact = key.number(name)?;
    let bits = u32::try_from(fact.value).ok()?;
    Some(Fact::new(i32::from_le_bytes(bits.to_le_bytes()), fact.source))
}

pub(crate) fn environment(asking: &Asking<'_>, look: &Look<'_>) -> WindowsEnvironment {
    let system = hive(asking, look, SYSTEM);
    let key = system
        .as_ref()
        .and_then(|s| s.key(look, "CurrentControlSet\\Control\\Session Manager\\Environment"));
    let values = key.iter().flat_map(RegKey::values);
    let variables = values.filter_map(|value| {
        Some(WindowsVariable {
            name: value.name(),
            value: value.text()?,
            source: value.source(),
        })
    });
    WindowsEnvironment {
        variables: variables.collect(),
    }
}
