//! NetworkManager's keyfiles: nm-settings-keyfile(5), NetworkManager.conf(5).

use super::parse;
use crate::linux::ini::{self, Dialect, Group, group, truth, words};
use crate::network::{Connection, Match, Method, Route};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Text};
use std::collections::BTreeMap;

/// Where profiles lie; of two with one UUID, the earlier place counts.
const DIRS: [&str; 3] = [
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
];

/// Types as NetworkManager spelled them when they were D-Bus names.
const OLD_NAMES: [(&str, &str); 4] = [
    ("802-3-ethernet", "ethernet"),
    ("802-11-wireless", "wifi"),
    ("802-11-wireless-security", "wifi-security"),
    ("802-11-olpc-mesh", "olpc-mesh"),
];

/// Sections whose keys tell what a device is and never hold a secret.
const PLAIN: [&str; 11] = [
    "bond",
    "bridge",
    "bond-port",
    "bridge-port",
    "ip-tunnel",
    "ipvlan",
    "macvlan",
    "team",
    "tun",
    "vxlan",
    "vrf",
];

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let mut all: Vec<Connection> = Vec::new();
    let mut by_id: BTreeMap<String, String> = BTreeMap::new();
    for dir in DIRS {
        for name in look.names(dir) {
            let ending = name.ends_with(b".nmconnection");
            if ignored(&name) || !ending && dir != "/etc/NetworkManager/system-connections" {
                continue;
            }
            let path = join(dir.as_bytes(), &name);
            let Some(text) = look.text(&path) else { continue };
            let mut connection = keyfile(&text);
            if let Some(id) = &connection.id {
                match by_id.get(&id.value) {
                    Some(other) => {
                        connection.ignored = Some(format!("{other} has the same UUID and counts instead"))
                    }
                    None => {
                        by_id.insert(id.value.clone(), connection.source.to_string());
                    }
                }
            }
            let stat = look
                .stat(&path)
                .filter(|_| dir != "/usr/lib/NetworkManager/system-connections");
            let open = stat.is_some_and(|s| {
                s.mode.is_some_and(|mode| mode & 0o077 != 0) || s.uid.is_some_and(|uid| uid != 0)
            });
            if open {
                connection.ignored.get_or_insert_with(|| {
                    "NetworkManager refuses it: others than root may read it, or own it".to_owned()
                });
            }
            all.push(connection);
        }
    }
    all
}

/// Names that NetworkManager leaves alone: backups, and what editors and package managers leave behind.
fn ignored(name: &[u8]) -> bool {
    let endings = [
        "~",
        ".bak",
        ".swp",
        ".swx",
        ".rpmsave",
        ".rpmorig",
        ".rpmnew",
        ".dpkg-dist",
        ".dpkg-old",
        ".orig",
        ".nmmeta",
    ];
    name.starts_with(b".") || endings.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// Settings of NetworkManager.conf that decide on what this report tells, as `key=value`.
pub(super) fn settings(look: &Look<'_>) -> Vec<Fact<String>> {
    let mut texts = look
        .text("/etc/NetworkManager/NetworkManager.conf")
        .into_iter()
        .collect::<Vec<_>>();
    let dirs = [
        "/etc/NetworkManager/conf.d",
        "/run/NetworkManager/conf.d",
        "/usr/lib/NetworkManager/conf.d",
    ];
    texts.extend(super::dns::drop_ins(look, &dirs, b".conf"));
    let about = [
        "plugins",
        "dns",
        "rc-manager",
        "dhcp",
        "managed",
        "unmanaged-devices",
        "no-auto-default",
    ];
    let mut found = Vec::new();
    for text in &texts {
        for group in ini::groups(text, Dialect::Keyfile) {
            for (key, value) in group.entries {
                let plain = key.trim_end_matches(['+', '-']);
                if about.contains(&plain) || plain.ends_with("cloned-mac-address") {
                    found.push(value.map(|value| format!("{}.{key}={value}", group.name)));
                }
            }
        }
    }
    found
}

/// A profile.
pub(super) fn keyfile(text: &Text) -> Connection {
    let mut groups = ini::groups(text, Dialect::Keyfile);
    for group in &mut groups {
        if let Some((_, new)) = OLD_NAMES.iter().find(|(old, _)| *old == group.name) {
            (*new).clone_into(&mut group.name);
        }
    }
    let file = text.path().rsplit(|b| *b == b'/').next().unwrap_or_default();
    let file = String::from_utf8_lossy(file).into_owned();
    let file = file.strip_suffix(".nmconnection").unwrap_or(&file).to_owned();
    let mut connection = Connection::new("networkmanager", file, text.source());
    connection.holds_secret = groups.iter().any(holds_secret);
    if let Some(main) = group(&groups, "connection") {
        about(main, &mut connection);
    }
    for name in ["ethernet", "wifi", "infiniband", "wireguard", "bridge", "vlan"] {
        if let Some(group) = group(&groups, name) {
            hardware(group, &mut connection);
        }
    }
    if let Some(group) = group(&groups, "match") {
        matching(group, &mut connection.matching);
    }
    if let Some(group) = group(&groups, "wifi") {
        connection.ssid = group.said("ssid");
    }
    if let Some(group) = group(&groups, "vlan") {
        connection.vlan = group.get("id").and_then(number);
        connection.lower.extend(group.said("parent"));
        if let Some(name) = group.said("interface-name") {
            connection.interface.get_or_insert(name);
        }
    }
    for group in groups.iter().filter(|g| PLAIN.contains(&g.name.as_str())) {
        for (key, value) in &group.entries {
            if key == "parent" {
                connection.lower.push(value.clone());
            } else if !matches!(key.as_str(), "mac-address" | "interface-name" | "config") {
                connection.parameters.insert(key.clone(), value.value.clone());
            }
        }
    }
    for (name, v6) in [("ipv4", false), ("ipv6", true)] {
        if let Some(group) = group(&groups, name) {
            ip(group, v6, &mut connection);
        }
    }
    connection
}

fn about(main: &Group, connection: &mut Connection) {
    if let Some(id) = main.said("id") {
        connection.name = id.value;
    }
    connection.id = main.said("uuid");
    connection.kind = main.said("type").map(|kind| {
        kind.map(|kind| match OLD_NAMES.iter().find(|(old, _)| *old == kind) {
            Some((_, new)) => (*new).to_owned(),
            None => kind,
        })
    });
    connection.interface = main.said("interface-name");
    let auto = main.said("autoconnect");
    let auto = auto.and_then(|said| Some(Fact::new(truth(&said.value)?, said.source)));
    connection.autostart = Some(auto.unwrap_or_else(|| Fact::new(true, main.source.clone())));
    connection.controller = main.said("controller").or_else(|| main.said("master"));
    for key in ["zone", "port-type", "slave-type"] {
        if let Some(value) = main.said(key) {
            connection.parameters.insert(key.to_owned(), value.value);
        }
    }
}

fn hardware(group: &Group, connection: &mut Connection) {
    if let Some(mac) = group.said("mac-address") {
        // Of a bridge it is what it presents.
        if group.name == "bridge" {
            connection.cloned_mac = Some(mac.map(|m| parse::mac_or_word(&m)));
        } else {
            connection.matching.macs.push(parse::mac_or_word(&mac.value));
        }
    }
    if let Some(mac) = group.said("cloned-mac-address") {
        connection.cloned_mac = Some(mac.map(|m| parse::mac_or_word(&m)));
    }
    let mtu: Option<Fact<u32>> = group.get("mtu").and_then(number);
    if let Some(mtu) = mtu.filter(|m| m.value != 0) {
        connection.mtu = Some(mtu);
    }
}

fn matching(group: &Group, matching: &mut Match) {
    let list = |key: &str| -> Vec<String> {
        let values = group.said(key).into_iter();
        values
            .flat_map(|v| words(&v, |c| c == ';'))
            .map(|f| f.value)
            .collect()
    };
    matching.names.extend(list("interface-name"));
    matching.drivers.extend(list("driver"));
    matching.paths.extend(list("path"));
    let kernel = list("kernel-command-line").into_iter();
    matching
        .others
        .extend(kernel.map(|v| format!("kernel-command-line={v}")));
}

fn ip(group: &Group, v6: bool, connection: &mut Connection) {
    let method = group.said("method").map(|said| {
        said.map(|word| match word.as_str() {
            "auto" if v6 => Method::Automatic,
            "auto" | "dhcp" => Method::Dhcp,
            "manual" => Method::Static,
            "link-local" => Method::LinkLocal,
            "shared" => Method::Shared,
            "disabled" | "ignore" => Method::Disabled,
            _ => Method::Other,
        })
    });
    if v6 {
        connection.ipv6 = method;
    } else {
        connection.ipv4 = method;
    }
    let mut routes: Vec<(String, Route)> = Vec::new();
    for (key, value) in &group.entries {
        let numbered = |word: &str| {
            let rest = key
                .strip_prefix(word)?
                .strip_prefix('s')
                .unwrap_or(key.strip_prefix(word)?);
            rest.bytes().all(|b| b.is_ascii_digit()).then_some(rest)
        };
        if numbered("address").is_some() {
            addresses(value, connection);
        } else if let Some(number) = numbered("route") {
            routes.extend(route(value).map(|r| (number.to_owned(), r)));
        } else if let Some(number) = key.strip_prefix("route").and_then(|k| k.strip_suffix("_options"))
            && let Some((_, route)) = routes.iter_mut().find(|(n, _)| n == number)
        {
            for option in value.value.split(',') {
                if let Some(table) = option.strip_prefix("table=") {
                    route.table = Some(table.to_owned());
                }
            }
        }
    }
    for (_, route) in routes {
        parse::add_route(connection, route);
    }
    connection.gateways.extend(group.said("gateway"));
    let list = |key: &str| {
        group
            .said(key)
            .map(|v| words(&v, |c| c == ';' || c == ','))
            .unwrap_or_default()
    };
    connection.name_servers.extend(list("dns"));
    connection.search.extend(list("dns-search"));
}

/// `address1=10.0.0.5/24,10.0.0.1`, and the older `addresses=10.0.0.5;24;10.0.0.1;`.
fn addresses(value: &Fact<String>, connection: &mut Connection) {
    let same = |text: &str| Fact::new(text.to_owned(), value.source.clone());
    let none = |gateway: &&str| !gateway.is_empty() && *gateway != "0.0.0.0" && *gateway != "::";
    if !value.value.contains('/') && value.value.contains(';') {
        let mut parts = value.value.split(';').map(str::trim);
        while let Some(address) = parts.next().filter(|a| !a.is_empty()) {
            let mask = parts.next();
            connection
                .addresses
                .push(parse::address_with(&same(address), mask));
            connection.gateways.extend(parts.next().filter(none).map(same));
        }
        return;
    }
    for one in value.value.split(';').filter(|one| !one.trim().is_empty()) {
        let mut parts = one.split([',', ' ']).map(str::trim).filter(|p| !p.is_empty());
        if let Some(address) = parts.next() {
            connection.addresses.push(parse::address(&same(address)));
        }
        connection.gateways.extend(parts.next().filter(none).map(same));
    }
}

/// `route1=10.0.0.0/8,10.1.1.1,100`.
fn route(value: &Fact<String>) -> Option<Route> {
    let mut parts = value.value.split([',', ';']).map(str::trim);
    let destination = parts.next().filter(|d| !d.is_empty())?;
    let mut found = parse::route(destination, parts.next(), value.source.clone());
    found.metric = parts.next().and_then(|metric| metric.parse().ok());
    Some(found)
}

fn number<T: std::str::FromStr>(fact: &Fact<String>) -> Option<Fact<T>> {
    let value = fact.value.parse().ok()?;
    Some(Fact::new(value, fact.source.clone()))
}

/// Whether a section has a key for a secret, whatever the profile says of where secrets are kept.
fn holds_secret(group: &Group) -> bool {
    let keys = ["psk", "private-key", "preshared-key", "pin", "leap-password"];
    let secret = |key: &str| {
        !key.ends_with("-flags")
            && (keys.contains(&key)
                || key.contains("password") && !key.contains("type")
                || key.starts_with("wep-key") && !key.contains("type"))
    };
    let said = group.entries.iter().filter(|(_, value)| !value.value.is_empty());
    let secrets = group.name.ends_with("-secrets");
    // 802-1x names a file under private-key: that is a path, yet it leads to one.
    said.into_iter().any(|(key, _)| secrets || secret(key))
}
