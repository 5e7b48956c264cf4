//! `timedatectl` offline.

use crate::{Name, Scope, State, Units};
use h2k_guest::{Fact, Look, Source, Text};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a guest keeps the time. What the time is, and whether it is right, only a running machine knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TimeDate {
    /// The time zone by name, `Europe/Berlin`; absent where the guest has a zone that is a link to nothing known. A
    /// guest without any has `UTC`.
    pub time_zone: Option<Fact<String>>,
    /// Whether the hardware clock runs in local time, which the hypervisor has to be told.
    pub local_rtc: Fact<bool>,
    /// The services that set the clock by the network.
    pub ntp: Vec<NtpUnit>,
}

/// A service that sets the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NtpUnit {
    /// The unit.
    pub unit: String,
    /// Whether it is started with the system.
    pub enabled: bool,
    /// What says so.
    pub source: Source,
}

const NTP: [&str; 8] = [
    "systemd-timesyncd.service",
    "chronyd.service",
    "chrony.service",
    "ntpd.service",
    "ntp.service",
    "ntpsec.service",
    "openntpd.service",
    "ntpd-rs.service",
];

/// `timedatectl status` and `show`.
#[must_use]
pub fn time_date(look: &Look<'_>) -> TimeDate {
    TimeDate {
        time_zone: zone(look),
        local_rtc: local_rtc(look),
        ntp: ntp(look),
    }
}

fn zone(look: &Look<'_>) -> Option<Fact<String>> {
    const LINK: &[u8] = b"/etc/localtime";
    if let Some(target) = look.target(LINK) {
        let target = String::from_utf8_lossy(&target).into_owned();
        let (_, name) = target.split_once("zoneinfo/")?;
        let name = name.strip_prefix("posix/").unwrap_or(name);
        return Some(Fact::new(name.to_owned(), Source::file(LINK)));
    }
    // Systems whose zone is a copy write its name elsewhere: Debian, older Red Hat and SUSE.
    if let Some(text) = look.text("/etc/timezone") {
        let line = text.spoken().next();
        if let Some(line) = line {
            return Some(line.fact(line.text.to_owned()));
        }
    }
    for key in ["ZONE", "TIMEZONE"] {
        let named = look
            .text("/etc/sysconfig/clock")
            .and_then(|text| text.assigned(key));
        if let Some(named) = named.filter(|n| !n.value.is_empty()) {
            return Some(named);
        }
    }
    let none = !look.exists(LINK);
    none.then(|| Fact::new("UTC".to_owned(), Source::named("/etc/localtime is not there")))
}

/// The third line of adjtime(5); without it the clock runs in UTC.
fn local_rtc(look: &Look<'_>) -> Fact<bool> {
    let text = look.text("/etc/adjtime");
    let line = text.as_ref().and_then(|text| text.lines().nth(2));
    match line {
        Some(line) => line.fact(line.text.trim() == "LOCAL"),
        None => Fact::new(false, Source::named("/etc/adjtime has no third line")),
    }
}

fn ntp(look: &Look<'_>) -> Vec<NtpUnit> {
    let units = Units::new(look, Scope::System, false);
    let found = NTP.into_iter().filter_map(|unit| {
        let name = Name::parse(unit)?;
        let state = units.state(&name)?;
        // Another name of one that is listed itself, or of one with a name nobody knows.
        let name = match state.value {
            State::Alias => units.unit(&name).name,
            _ => name,
        };
        let state = units.state(&name)?;
        let vendor = units.vendor_wants(&name).into_iter().next();
        let (enabled, source) = match state.value {
            State::Enabled | State::EnabledRuntime => (true, state.source),
            State::Masked | State::MaskedRuntime => (false, state.source),
            // Nobody enabled it, but the distribution has it started.
            _ => match vendor {
                Some(link) => (true, link),
                None => (false, state.source),
            },
        };
        Some(NtpUnit {
            unit: name.to_string(),
            enabled,
            source,
        })
    });
    let mut all: Vec<NtpUnit> = Vec::new();
    for unit in found {
        if !all.iter().any(|known| known.unit == unit.unit) {
            all.push(unit);
        }
    }
    all
}

/// `timedatectl list-timezones`: the names in the guest's own time zone data, sorted.
#[must_use]
pub fn time_zones(look: &Look<'_>) -> Vec<String> {
    let mut all = BTreeSet::new();
    if let Some(text) = look.text("/usr/share/zoneinfo/tzdata.zi") {
        for line in text.spoken() {
            let mut words = line.text.split_whitespace();
            let name = match words.next() {
                Some("Z") => words.next(),
                Some("L") => words.nth(1),
                _ => None,
            };
            all.extend(name.map(str::to_owned));
        }
    } else {
        let tables = ["zone1970.tab", "zone.tab"].map(|name| format!("/usr/share/zoneinfo/{name}"));
        let text = look.first_text(&tables);
        let lines = text.iter().flat_map(Text::spoken);
        all.extend(lines.filter_map(|line| line.text.split('\t').nth(2).map(str::to_owned)));
    }
    if !all.is_empty() {
        all.insert("UTC".to_owned());
    }
    all.into_iter().collect()
}
