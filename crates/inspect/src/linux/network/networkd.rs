//! systemd-networkd: systemd.network(5), systemd.netdev(5), systemd.link(5).

use super::parse;
use crate::linux::ini::{self, Dialect, Group, truth};
use crate::network::{Connection, Match, Method, NameRule, Route};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::BTreeMap;

/// Where files lie; of two with one name, the earlier place counts.
const DIRS: [&str; 5] = [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];

/// A file with its drop-ins.
struct Unit {
    name: String,
    groups: Vec<Group>,
    source: Source,
    ignored: Option<String>,
}

impl Unit {
    fn all<'u>(&'u self, name: &'u str) -> impl DoubleEndedIterator<Item = &'u Group> {
        self.groups.iter().filter(move |g| g.name == name)
    }

    /// All sections of that name as one: most keys may stand in any of them.
    fn one(&self, name: &str) -> Group {
        let entries = self.all(name).flat_map(|g| g.entries.clone());
        let source = self.all(name).next().map_or(&self.source, |g| &g.source);
        Group {
            name: name.to_owned(),
            source: source.clone(),
            entries: entries.collect(),
        }
    }
}

/// The files that end with `ending`, in the order of their names, in which the first that matches counts.
fn units(look: &Look<'_>, ending: &str) -> Vec<Unit> {
    let mut files: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut seen = Vec::new();
    for dir in DIRS {
        // /lib is /usr/lib where the two were merged.
        let Some(real) = look.canonical(dir) else { continue };
        if seen.contains(&real) {
            continue;
        }
        for name in look.names(dir) {
            if name.ends_with(ending.as_bytes()) {
                let path = join(dir.as_bytes(), &name);
                files.entry(name).or_default().push(path);
            }
        }
        seen.push(real);
    }
    let mut units = Vec::new();
    for (name, paths) in files {
        let mut counts: Option<String> = None;
        for path in paths {
            let source = Source::file(&path);
            let name = String::from_utf8_lossy(&name).into_owned();
            let masked = look.target(&path).as_deref() == Some(b"/dev/null");
            let text = if masked { None } else { look.text(&path) };
            let mut groups = text
                .as_ref()
                .map(|t| ini::groups(t, Dialect::Systemd))
                .unwrap_or_default();
            if counts.is_none() {
                for more in drop_ins(look, &name) {
                    groups.extend(ini::groups(&more, Dialect::Systemd));
                }
            }
            let ignored = match &counts {
                Some(path) => Some(format!("{path} counts instead")),
                None if masked => Some("it is a link to /dev/null, which takes it out".to_owned()),
                None => None,
            };
            counts.get_or_insert_with(|| source.to_string());
            units.push(Unit {
                name,
                groups,
                source,
                ignored,
            });
        }
    }
    units
}

fn drop_ins(look: &Look<'_>, name: &str) -> Vec<Text> {
    let dirs: Vec<String> = DIRS.iter().map(|dir| format!("{dir}/{name}.d")).collect();
    let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
    super::dns::drop_ins(look, &dirs, b".conf")
}

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let mut all: Vec<Connection> = units(look, ".netdev").iter().map(netdev).collect();
    let made: BTreeMap<String, usize> = all
        .iter()
        .enumerate()
        .filter(|(_, device)| device.ignored.is_none())
        .filter_map(|(at, device)| Some((device.interface.as_ref()?.value.clone(), at)))
        .collect();
    for unit in units(look, ".network") {
        let (connection, stacked) = network(&unit);
        for (device, source) in stacked {
            // What lies on this interface is told here, and the device it makes elsewhere.
            let device = made.get(&device).filter(|_| connection.ignored.is_none());
            let Some(device) = device.and_then(|at| all.get_mut(*at)) else {
                continue;
            };
            let own = connection.matching.names.first();
            let own = own.map(|name| Fact::new(name.clone(), source));
            if matches!(
                device.kind.as_ref().map(|k| k.value.as_str()),
                Some("bond" | "bridge" | "vrf")
            ) {
                device.members.extend(own);
            } else {
                device.lower.extend(own);
            }
        }
        all.push(connection);
    }
    all
}

fn matching(unit: &Unit) -> Match {
    let mut found = Match::default();
    for (key, value) in &unit.one("Match").entries {
        let words = || value.value.split_whitespace().map(str::to_owned);
        match key.as_str() {
            "Name" | "OriginalName" => found.names.extend(words()),
            "MACAddress" | "PermanentMACAddress" => {
                found.macs.extend(words().map(|m| parse::mac_or_word(&m)))
            }
            "Driver" => found.drivers.extend(words()),
            "Path" => found.paths.extend(words()),
            _ => found.others.push(format!("{key}={}", value.value)),
        }
    }
    found
}

fn netdev(unit: &Unit) -> Connection {
    let mut found = Connection::new("networkd", &*unit.name, unit.source.clone());
    found.ignored.clone_from(&unit.ignored);
    let main = unit.one("NetDev");
    found.kind = main.said("Kind");
    found.interface = main.said("Name");
    found.cloned_mac = main.said("MACAddress").map(|f| f.map(|m| parse::mac_or_word(&m)));
    found.mtu = main.said("MTUBytes").and_then(|f| size(&f));
    for group in &unit.groups {
        let secret = |key: &str| {
            matches!(
                key,
                "PrivateKey" | "PresharedKey" | "Key" | "PrivateKeyFile" | "PresharedKeyFile" | "KeyFile"
            )
        };
        found.holds_secret |= group.entries.iter().any(|(key, _)| secret(key));
        match group.name.as_str() {
            "VLAN" => {
                found.vlan = group
                    .said("Id")
                    .and_then(|f| Some(Fact::new(f.value.parse().ok()?, f.source)))
            }
            "Bond" | "Bridge" | "VXLAN" | "Tunnel" | "MACVLAN" | "IPVLAN" | "VRF" | "Peer" => {
                for (key, value) in group.entries.iter().filter(|(key, _)| !secret(key)) {
                    found.parameters.insert(key.clone(), value.value.clone());
                }
            }
            _ => {}
        }
    }
    found
}

/// A file for an interface, and the names of the devices that lie on it or take it in.
fn network(unit: &Unit) -> (Connection, Vec<(String, Source)>) {
    let mut found = Connection::new("networkd", &*unit.name, unit.source.clone());
    found.ignored.clone_from(&unit.ignored);
    found.matching = matching(unit);
    let link = unit.one("Link");
    found.cloned_mac = link.said("MACAddress").map(|f| f.map(|m| parse::mac_or_word(&m)));
    found.mtu = link.said("MTUBytes").and_then(|f| size(&f));
    let unmanaged = link
        .said("Unmanaged")
        .is_some_and(|f| truth(&f.value) == Some(true));
    if unmanaged {
        found
            .ignored
            .get_or_insert_with(|| "networkd is told to leave the interface alone".to_owned());
    }
    let main = unit.one("Network");
    found.controller = ["Bond", "Bridge", "VRF"].iter().find_map(|key| main.said(key));
    let mut stacked = Vec::new();
    for key in [
        "Bond", "Bridge", "VRF", "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "VXLAN", "Tunnel", "L2TP",
    ] {
        let all = main.words(key).into_iter();
        stacked.extend(all.map(|f| (f.value, f.source)));
    }
    found
        .addresses
        .extend(main.all("Address").into_iter().map(parse::address));
    for group in unit.all("Address") {
        if let Some(address) = group.said("Address") {
            let mut address = parse::address(&address);
            address.label = group.said("Label").map(|f| f.value);
            found.addresses.push(address);
        }
    }
    found.gateways.extend(main.all("Gateway").into_iter().cloned());
    unit.all("Route").for_each(|group| route(group, &mut found));
    found.name_servers = main.words("DNS");
    found.search = main.words("Domains");
    (found.ipv4, found.ipv6) = methods(&main, &found);
    (found, stacked)
}

fn methods(main: &Group, found: &Connection) -> (Option<Fact<Method>>, Option<Fact<Method>>) {
    let dhcp = main.said("DHCP");
    let by_dhcp = |v6: bool| {
        let said = dhcp.as_ref()?;
        let on = match said.value.as_str() {
            "ipv4" | "v4" => !v6,
            "ipv6" | "v6" => v6,
            "both" => true,
            word => truth(word)?,
        };
        on.then(|| Fact::new(Method::Dhcp, said.source.clone()))
    };
    let fixed = |v6: bool| {
        let first = found.addresses.iter().find(|a| parse::is_v6(&a.address) == v6);
        first.map(|a| Fact::new(Method::Static, a.source.clone()))
    };
    let local = |v6: bool| {
        let said = main.said("LinkLocalAddressing")?;
        let on = match said.value.as_str() {
            "ipv4" => !v6,
            "ipv6" => v6,
            word => truth(word)?,
        };
        Some(said.map(|_| if on { Method::LinkLocal } else { Method::Disabled }))
    };
    let announced = main.said("IPv6AcceptRA");
    let announced = announced
        .filter(|f| truth(&f.value) == Some(true))
        .map(|f| f.map(|_| Method::Automatic));
    (
        by_dhcp(false).or_else(|| fixed(false)).or_else(|| local(false)),
        by_dhcp(true)
            .or_else(|| fixed(true))
            .or(announced)
            .or_else(|| local(true)),
    )
}

fn route(group: &Group, found: &mut Connection) {
    let gateway = group.said("Gateway");
    let to = group.said("Destination");
    let (destination, source) = match (&to, &gateway) {
        (Some(to), _) => (to.value.as_str(), &to.source),
        (None, Some(gateway)) => ("default", &gateway.source),
        (None, None) => return,
    };
    let via = gateway.as_ref().map(|g| g.value.as_str());
    let mut route: Route = parse::route(destination, via, source.clone());
    route.metric = group.said("Metric").and_then(|f| f.value.parse().ok());
    route.table = group.said("Table").map(|f| f.value);
    parse::add_route(found, route);
}

/// Bytes, with the units systemd knows.
fn size(fact: &Fact<String>) -> Option<Fact<u32>> {
    let text = fact.value.trim();
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (text.get(..at)?, 1024_u32),
        (at, 'M') => (text.get(..at)?, 1 << 20),
        _ => (text, 1),
    };
    let bytes = digits.trim().parse::<u32>().ok()?.checked_mul(factor)?;
    Some(Fact::new(bytes, fact.source.clone()))
}

/// Files that give interfaces their names.
pub(super) fn links(look: &Look<'_>) -> Vec<NameRule> {
    let all = units(look, ".link").into_iter();
    all.map(|unit| {
        let link = unit.one("Link");
        let words = |key: &str| link.words(key).into_iter().map(|f| f.value).collect();
        NameRule {
            name: link.said("Name").map(|f| f.value),
            policy: words("NamePolicy"),
            aliases: words("AlternativeName"),
            matching: matching(&unit),
            tool: "udev".to_owned(),
            ignored: unit.ignored,
            source: unit.source,
        }
    })
    .collect()
}
