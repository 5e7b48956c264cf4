//! The firewall of Windows: the switches of its profiles, and its rules.

use super::{SOFTWARE, SYSTEM, hive};
use crate::firewall::{Firewall, Firewalls, Rule, Zone};
use crate::report::Asking;
use h2k_guest::Look;
use h2k_guest::registry::{RegKey, RegValue};

const LOCAL: &str = "CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy";
const POLICY: &str = "Policies\\Microsoft\\WindowsFirewall";

/// Keys of profiles, and what they are called.
const PROFILES: [(&str, &str); 4] = [
    ("DomainProfile", "domain"),
    ("StandardProfile", "private"),
    ("PrivateProfile", "private"),
    ("PublicProfile", "public"),
];

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Firewalls {
    let mut firewalls = Vec::new();
    let system = hive(asking, look, SYSTEM);
    let software = hive(asking, look, SOFTWARE);
    let local = system.as_ref().and_then(|s| s.key(look, LOCAL));
    let policy = software.as_ref().and_then(|s| s.key(look, POLICY));
    for (tool, key) in [("windows", local), ("windows-group-policy", policy)] {
        let Some(key) = key else { continue };
        let mut firewall = Firewall::new(tool);
        firewall.zones = zones(&key);
        let rules = key.subkey("FirewallRules");
        firewall.rules = rules
            .iter()
            .flat_map(RegKey::values)
            .filter_map(|value| rule(&value))
            .collect();
        if tool == "windows" {
            let service = system
                .as_ref()
                .and_then(|s| s.key(look, "CurrentControlSet\\Services\\MpsSvc"));
            firewall.enabled = service
                .and_then(|s| s.number("Start"))
                .map(|f| f.map(|start| start < 3));
        }
        if !firewall.zones.is_empty() || !firewall.rules.is_empty() {
            firewalls.push(firewall);
        }
    }
    Firewalls { firewalls }
}

fn zones(key: &RegKey<'_>) -> Vec<Zone> {
    let found = PROFILES.iter().filter_map(|(name, word)| {
        let profile = key.subkey(name)?;
        let mut zone = Zone::new(*word, profile.source());
        zone.enabled = profile.flag("EnableFirewall").map(|f| f.value);
        // What comes in is refused unless the profile says otherwise.
        let action = profile.number("DefaultInboundAction");
        zone.target = Some(
            if action.is_some_and(|f| f.value == 0) {
                "accept"
            } else {
                "drop"
            }
            .to_owned(),
        );
        let exceptions = profile.flag("DoNotAllowExceptions").is_some_and(|f| f.value);
        if exceptions {
            zone.rules
                .push(Rule::new("DoNotAllowExceptions", profile.source()));
        }
        // Windows XP keeps its exceptions in each profile.
        for (list, kind) in [
            ("GloballyOpenPorts\\List", "port"),
            ("AuthorizedApplications\\List", "application"),
        ] {
            let list = profile.subkey(list);
            zone.rules.extend(
                list.iter()
                    .flat_map(RegKey::values)
                    .filter_map(|value| old_rule(&value, kind)),
            );
        }
        Some(zone)
    });
    found.collect()
}

/// `445:TCP:*:Enabled:@xpsp2res.dll,-22005`, `C:\x.exe:*:Enabled:A program`.
fn old_rule(value: &RegValue<'_>, kind: &str) -> Option<Rule> {
    let text = value.text()?;
    let (subject, rest) = text
        .rsplit_once(":*:")
        .or_else(|| text.rsplit_once(":LocalSubNet:"))?;
    let (state, name) = rest.split_once(':').unwrap_or((rest, ""));
    let mut rule = Rule::new(text.clone(), value.source());
    rule.enabled = state.eq_ignore_ascii_case("Enabled");
    rule.name = (!name.is_empty()).then(|| name.to_owned());
    rule.direction = Some("in".to_owned());
    rule.action = Some("allow".to_owned());
    rule.parts.insert(kind.to_owned(), vec![subject.to_owned()]);
    Some(rule)
}

/// `v2.10|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=80|Name=…|` (MS-FASP 2.2.20, "Firewall rule").
fn rule(value: &RegValue<'_>) -> Option<Rule> {
    let text = value.text()?;
    let mut rule = Rule::new(text.clone(), value.source());
    for (key, said) in text.split('|').filter_map(|part| part.split_once('=')) {
        let lower = || said.to_lowercase();
        match key {
            "Action" => {
                rule.action = Some(if said.eq_ignore_ascii_case("Block") {
                    "deny".to_owned()
                } else {
                    lower()
                })
            }
            "Active" => rule.enabled = said.eq_ignore_ascii_case("TRUE"),
            "Dir" => rule.direction = Some(lower()),
            "Name" => rule.name = Some(said.to_owned()),
            _ => {
                let all = rule.parts.entry(part_name(key)).or_default();
                all.push(if key == "Protocol" {
                    protocol(said)
                } else {
                    said.to_owned()
                });
            }
        }
    }
    // A text without an action is of a kind that is not known.
    rule.action.is_some().then_some(rule)
}

fn part_name(key: &str) -> String {
    match key {
        "Protocol" => "protocol",
        "LPort" | "LPort2_10" => "local-port",
        "RPort" | "RPort2_10" => "remote-port",
        "LA4" | "LA6" => "local-address",
        "RA4" | "RA6" | "RA42" | "RA62" => "remote-address",
        "App" => "application",
        "Svc" => "service",
        "Profile" => "profile",
        "Desc" => "description",
        "EmbedCtxt" => "group",
        "ICMP4" | "ICMP6" => "icmp",
        "Edge" => "edge",
        "IFType" => "interface-type",
        other => return other.to_lowercase(),
    }
    .to_owned()
}

/// The protocols that people know by name; others stay numbers (IANA).
fn protocol(number: &str) -> String {
    match number {
        "1" => "icmp",
        "2" => "igmp",
        "6" => "tcp",
        "17" => "udp",
        "41" => "ipv6",
        "47" => "gre",
        "58" => "icmpv6",
        other => other,
    }
    .to_owned()
}
