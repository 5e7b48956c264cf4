//! `ifcfg-*` of Red Hat's network-scripts: one file an interface, beside it `route-*` and `route6-*`.
//!
//! Read by the description that came with initscripts (`sysconfig.txt`) and by nm-settings-ifcfg-rh(5).

use super::parse;
use crate::linux::ini::truth;
use crate::network::{Connection, Method, Route};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::BTreeMap;

const DIR: &str = "/etc/sysconfig/network-scripts";

/// What the scripts leave alone: `__sysconfig_… ignore` by its endings.
pub(super) const BACKUPS: [&str; 9] = [
    "~",
    ".bak",
    ".old",
    ".orig",
    ".rpmnew",
    ".rpmorig",
    ".rpmsave",
    ".swp",
    ".scpmbackup",
];

/// A file's settings; of a key that stands twice, the last counts.
pub(super) struct Settings {
    all: BTreeMap<String, Fact<String>>,
    pub(super) source: Source,
}

impl Settings {
    pub(super) fn new(text: &Text) -> Self {
        Self {
            all: text
                .assignments()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            source: text.source(),
        }
    }

    /// What is set and not empty.
    pub(super) fn get(&self, key: &str) -> Option<Fact<String>> {
        self.all.get(key).filter(|f| !f.value.is_empty()).cloned()
    }

    pub(super) fn truth(&self, key: &str) -> Option<Fact<bool>> {
        let said = self.get(key)?;
        Some(Fact::new(truth(&said.value)?, said.source))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<Fact<T>> {
        let said = self.get(key)?;
        Some(Fact::new(said.value.trim().parse().ok()?, said.source))
    }

    /// Keys that begin with `key` and end with a number, a word or nothing: `IPADDR`, `IPADDR0`, `IPADDR_1`.
    pub(super) fn series<'s>(&'s self, key: &'s str) -> impl Iterator<Item = (&'s str, &'s Fact<String>)> {
        let all = self.all.iter().filter(|(_, f)| !f.value.is_empty());
        all.filter_map(move |(k, value)| Some((k.strip_prefix(key)?, value)))
    }

    pub(super) fn words(&self, key: &str) -> Vec<Fact<String>> {
        let said = self.get(key);
        said.map(|f| crate::linux::ini::words(&f, char::is_whitespace))
            .unwrap_or_default()
    }
}

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let mut all = Vec::new();
    let common = look
        .text("/etc/sysconfig/network")
        .map(|text| Settings::new(&text));
    for name in look.names(DIR) {
        let file = String::from_utf8_lossy(&name).into_owned();
        let Some(short) = file.strip_prefix("ifcfg-") else {
            continue;
        };
        if BACKUPS.iter().any(|ending| short.ends_with(ending)) {
            continue;
        }
        let Some(text) = look.text(join(DIR.as_bytes(), &name)) else {
            continue;
        };
        let mut found = connection(&text, short);
        let device = found
            .interface
            .as_ref()
            .map_or(short, |f| f.value.as_str())
            .to_owned();
        for (kind, v6) in [("route", false), ("route6", true)] {
            for name in [device.as_str(), short] {
                if let Some(text) = look.text(format!("{DIR}/{kind}-{name}")) {
                    routes(&text, v6, &mut found);
                    break;
                }
            }
        }
        if let Some(common) = &common {
            inherit(common, &device, &mut found);
        }
        all.push(found);
    }
    members(&mut all);
    all
}

/// What /etc/sysconfig/network says for every interface.
fn inherit(common: &Settings, device: &str, found: &mut Connection) {
    let meant = common.get("GATEWAYDEV").is_none_or(|f| f.value == device);
    let fixed = found.ipv4.as_ref().is_some_and(|f| f.value == Method::Static);
    let none = !found.gateways.iter().any(|g| !parse::is_v6(&g.value));
    if meant && fixed && none && device != "lo" {
        found.gateways.extend(common.get("GATEWAY"));
    }
}

/// A controller is told of by its members.
pub(super) fn members(all: &mut [Connection]) {
    let mut of: BTreeMap<String, Vec<Fact<String>>> = BTreeMap::new();
    for member in all.iter() {
        if let (Some(controller), Some(interface)) = (&member.controller, &member.interface) {
            let fact = Fact::new(interface.value.clone(), controller.source.clone());
            of.entry(controller.value.clone()).or_default().push(fact);
        }
    }
    for connection in all {
        let keys = [connection.interface.as_ref(), connection.id.as_ref()];
        for key in keys.into_iter().flatten() {
            if let Some(members) = of.remove(&key.value) {
                connection.members.extend(members);
            }
        }
    }
}

/// One file; `short` is its name behind `ifcfg-`.
pub(super) fn connection(text: &Text, short: &str) -> Connection {
    let said = Settings::new(text);
    let mut found = Connection::new("ifcfg", short, text.source());
    if let Some(name) = said.get("NAME") {
        found.name = name.value;
    }
    found.id = said.get("UUID");
    found.interface = said.get("DEVICE");
    let alias = found.interface.as_ref().is_some_and(|f| f.value.contains(':'));
    found.kind = kind(&said, found.interface.as_ref().map_or(short, |f| &f.value));
    if let Some(mac) = said.get("HWADDR") {
        found.matching.macs.push(parse::mac_or_word(&mac.value));
    }
    let mac = said.get("MACADDR").or_else(|| said.get("GENERATE_MAC_ADDRESS"));
    found.cloned_mac = mac.map(|f| f.map(|m| parse::mac_or_word(&m)));
    found.mtu = said.number("MTU");
    let on = said.truth("ONBOOT");
    found.autostart = Some(on.unwrap_or_else(|| Fact::new(true, said.source.clone())));
    addresses(&said, alias, &mut found);
    methods(&said, &mut found);
    let mut servers: Vec<_> = said
        .series("DNS")
        .filter(|(n, _)| n.parse::<u8>().is_ok())
        .collect();
    servers.sort_by_key(|(n, _)| n.parse::<u8>().unwrap_or(u8::MAX));
    found.name_servers = servers.into_iter().map(|(_, f)| f.clone()).collect();
    found.search = said.words("DOMAIN");
    layers(&said, &mut found);
    found.ssid = said.get("ESSID");
    let mut secrets = said.all.keys();
    found.holds_secret = secrets.any(|key| {
        let value = key.starts_with("KEY") && key.get(3..).is_some_and(|n| n.len() <= 1) || key == "WPA_PSK";
        value || key.contains("PASSWORD") && !key.contains("FLAGS")
    });
    if truth(&said.get("NM_CONTROLLED").map(|f| f.value).unwrap_or_default()) == Some(false) {
        found
            .parameters
            .insert("nm-controlled".to_owned(), "no".to_owned());
    }
    if let Some(zone) = said.get("ZONE") {
        found.parameters.insert("zone".to_owned(), zone.value);
    }
    found
}

fn kind(said: &Settings, name: &str) -> Option<Fact<String>> {
    let known = said.get("TYPE").or_else(|| said.get("DEVICETYPE"));
    let team = said.get("TEAM_CONFIG");
    let bond = said.get("BONDING_OPTS").or_else(|| {
        said.truth("BONDING_MASTER")
            .filter(|f| f.value)
            .map(|f| f.map(|_| String::new()))
    });
    let vlan = said.truth("VLAN").filter(|f| f.value);
    let as_kind = |source: Source, kind: &str| Some(Fact::new(kind.to_owned(), source));
    if name == "lo" {
        return as_kind(said.source.clone(), "loopback");
    }
    if let Some(known) = known {
        let kind = match known.value.to_ascii_lowercase().as_str() {
            "wireless" => "wifi".to_owned(),
            "ovsbridge" => "ovs-bridge".to_owned(),
            kind => kind.to_owned(),
        };
        // Older files call a bond an Ethernet.
        if kind != "ethernet" || bond.is_none() && vlan.is_none() {
            return Some(Fact::new(kind, known.source));
        }
    }
    bond.map(|f| f.source)
        .and_then(|source| as_kind(source, "bond"))
        .or_else(|| as_kind(vlan?.source, "vlan"))
        .or_else(|| as_kind(team?.source, "team"))
}

fn addresses(said: &Settings, alias: bool, found: &mut Connection) {
    // `IPADDR`, then `IPADDR0` …: the numbers tell which mask and gateway belong to which.
    let mut all: Vec<_> = said.series("IPADDR").collect();
    all.retain(|(n, _)| n.is_empty() || n.bytes().all(|b| b.is_ascii_digit()));
    all.sort_by_key(|(n, _)| n.parse::<u32>().map_or(0, |n| n.saturating_add(1)));
    for (number, address) in all {
        let same = |key: &str| said.get(&format!("{key}{number}")).map(|f| f.value);
        let mask = same("PREFIX").or_else(|| same("NETMASK"));
        let mut address = parse::address_with(address, mask.as_deref());
        address.prefix = address.prefix.or_else(|| parse::classful(&address.address));
        address.label = found
            .interface
            .as_ref()
            .filter(|_| alias)
            .map(|f| f.value.clone());
        found.addresses.push(address);
    }
    let v6 = said
        .words("IPV6ADDR")
        .into_iter()
        .chain(said.words("IPV6ADDR_SECONDARIES"));
    found.addresses.extend(v6.map(|f| parse::address(&f)));
    let mut gateways: Vec<_> = said.series("GATEWAY").collect();
    gateways.retain(|(n, _)| n.bytes().all(|b| b.is_ascii_digit()));
    found
        .gateways
        .extend(gateways.into_iter().map(|(_, f)| f.clone()));
    found.gateways.extend(said.get("IPV6_DEFAULTGW"));
}

fn methods(said: &Settings, found: &mut Connection) {
    let fixed = |v6: bool| found.addresses.iter().find(|a| parse::is_v6(&a.address) == v6);
    let v4 = fixed(false).map(|a| Fact::new(Method::Static, a.source.clone()));
    let proto = said.get("BOOTPROTO").map(|f| {
        let word = f.value.to_ascii_lowercase();
        f.map(|_| match word.as_str() {
            "dhcp" | "bootp" => Method::Dhcp,
            "autoip" => Method::LinkLocal,
            "shared" => Method::Shared,
            _ => Method::Static,
        })
    });
    found.ipv4 = match proto {
        // `none` and `static` with no address give none.
        Some(f) if f.value == Method::Static && v4.is_none() => Some(f.map(|_| Method::Disabled)),
        Some(f) => Some(f),
        None => v4,
    };
    let dhcp = said.truth("DHCPV6C").filter(|f| f.value);
    let auto = said.truth("IPV6_AUTOCONF");
    let init = said.truth("IPV6INIT");
    let v6 = fixed(true).map(|a| Fact::new(Method::Static, a.source.clone()));
    found.ipv6 = match init {
        Some(f) if !f.value => Some(f.map(|_| Method::Disabled)),
        init => dhcp
            .map(|f| f.map(|_| Method::Dhcp))
            .or(v6)
            .or_else(|| auto.filter(|f| f.value).map(|f| f.map(|_| Method::Automatic)))
            .or_else(|| init.map(|f| f.map(|_| Method::Automatic))),
    };
}

fn layers(said: &Settings, found: &mut Connection) {
    let keys = [
        "MASTER",
        "MASTER_UUID",
        "BRIDGE",
        "BRIDGE_UUID",
        "TEAM_MASTER",
        "OVS_BRIDGE",
    ];
    found.controller = keys.iter().find_map(|key| said.get(key));
    if let Some(options) = said.get("BONDING_OPTS") {
        for option in options.value.split_whitespace() {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            found.parameters.insert(key.to_owned(), value.to_owned());
        }
    }
    for (key, name) in [
        ("STP", "stp"),
        ("DELAY", "delay"),
        ("BRIDGING_OPTS", "options"),
        ("ETHTOOL_OPTS", "ethtool"),
    ] {
        if let Some(value) = said.get(key) {
            found.parameters.insert(name.to_owned(), value.value);
        }
    }
    let is_vlan = found.kind.as_ref().is_some_and(|k| k.value == "vlan");
    if !is_vlan {
        return;
    }
    found.vlan = said.number("VLAN_ID");
    found.lower.extend(said.get("PHYSDEV"));
    // eth0.5 and vlan5 say it with their names.
    if let Some(interface) = found.interface.clone() {
        let (lower, number) = match interface.value.rsplit_once('.') {
            Some((lower, number)) => (Some(lower), Some(number)),
            None => (None, interface.value.strip_prefix("vlan")),
        };
        let number = number.and_then(|n| n.parse().ok());
        if found.vlan.is_none() {
            found.vlan = number.map(|n| Fact::new(n, interface.source.clone()));
        }
        if found.lower.is_empty() {
            found
                .lower
                .extend(lower.map(|l| Fact::new(l.to_owned(), interface.source.clone())));
        }
    }
}

/// `route-*`: either words of `ip route`, or `ADDRESS0=`, `NETMASK0=`, `GATEWAY0=`.
fn routes(text: &Text, v6: bool, found: &mut Connection) {
    let first = text.spoken().next();
    let listed = first.is_some_and(|line| {
        line.text.starts_with(|c: char| c.is_ascii_uppercase()) && line.text.contains('=')
    });
    let mut all: Vec<Route> = Vec::new();
    if listed && !v6 {
        let said = Settings::new(text);
        let mut addresses: Vec<_> = said.series("ADDRESS").collect();
        addresses.sort_by_key(|(n, _)| n.parse::<u32>().unwrap_or(u32::MAX));
        for (number, address) in addresses {
            let same = |key: &str| said.get(&format!("{key}{number}")).map(|f| f.value);
            let network = parse::network(&address.value, same("NETMASK").as_deref());
            let mut route = parse::route(&network, same("GATEWAY").as_deref(), address.source.clone());
            route.metric = same("METRIC").and_then(|m| m.parse().ok());
            all.push(route);
        }
    } else {
        all.extend(
            text.spoken()
                .filter_map(|line| parse::ip_route(line.text, &line.source())),
        );
    }
    for route in all {
        parse::add_route(found, route);
    }
}
