//! Smaller tools: dhcpcd.conf(5), ConnMan's provisioning files, OpenRC's netifrc; and those that are only named.

use super::parse;
use crate::linux::ini::{self, Dialect, words};
use crate::network::{Connection, Method};
use h2k_block::Error;
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::BTreeMap;

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let mut all = Vec::new();
    if let Some(text) = look.text("/etc/dhcpcd.conf") {
        all.extend(dhcpcd(&text));
    }
    all.extend(connman(look));
    if let Some(text) = look.text("/etc/conf.d/net") {
        all.extend(netifrc(&text));
    }
    not_read(look);
    all
}

/// Configuration that is seen and not understood: it says so instead of going missing.
fn not_read(look: &Look<'_>) {
    let named = [
        ("/etc/wicked/ifconfig", ".xml", "wicked's own XML"),
        ("/etc/netctl", "", "a profile of netctl"),
        ("/etc/rc.d", "rc.inet1.conf", "Slackware's rc.inet1.conf"),
    ];
    for (dir, ending, what) in named {
        for name in look.names(dir) {
            let path = join(dir.as_bytes(), &name);
            if name.ends_with(ending.as_bytes()) && look.is_file(&path) {
                look.failed(
                    Source::file(&path),
                    &Error::unsupported(format!("{what} is not read")),
                );
            }
        }
    }
}

/// `interface eth0`, and until the next one `static ip_address=…`.
pub(super) fn dhcpcd(text: &Text) -> Vec<Connection> {
    let mut all = vec![Connection::new("dhcpcd", "*", text.source())];
    for line in text.spoken() {
        let said = line.text.split(" #").next().unwrap_or_default().trim();
        let (key, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
        let rest = rest.trim();
        if matches!(key, "interface" | "ssid" | "profile") {
            let mut found = Connection::new("dhcpcd", rest, line.source());
            match key {
                "interface" => found.interface = Some(line.fact(rest.to_owned())),
                "ssid" => found.ssid = Some(line.fact(rest.to_owned())),
                _ => found.parameters.extend([("profile".to_owned(), rest.to_owned())]),
            }
            all.push(found);
            continue;
        }
        let Some(found) = all.last_mut() else { continue };
        match key {
            "noipv4" => found.ipv4 = Some(line.fact(Method::Disabled)),
            "noipv6" => found.ipv6 = Some(line.fact(Method::Disabled)),
            "nodhcp" => found.ipv4 = Some(line.fact(Method::LinkLocal)),
            "denyinterfaces" | "allowinterfaces" => {
                found.parameters.insert(key.to_owned(), rest.to_owned());
            }
            "static" => fixed(rest, &line, found),
            _ => {}
        }
    }
    let dhcp = |c: &mut Connection| {
        c.ipv4
            .get_or_insert_with(|| Fact::new(Method::Dhcp, c.source.clone()));
    };
    all.iter_mut().for_each(dhcp);
    all
}

fn fixed(rest: &str, line: &h2k_guest::Line<'_>, found: &mut Connection) {
    let Some((key, value)) = rest.split_once('=') else {
        return;
    };
    let fact = line.fact(value.trim().to_owned());
    match key.trim() {
        "ip_address" => {
            found.ipv4 = Some(line.fact(Method::Static));
            found.addresses.push(parse::address(&fact));
        }
        "ip6_address" => {
            found.ipv6 = Some(line.fact(Method::Static));
            found.addresses.push(parse::address(&fact));
        }
        "routers" => found.gateways.extend(words(&fact, char::is_whitespace)),
        "domain_name_servers" => found.name_servers.extend(words(&fact, char::is_whitespace)),
        "domain_search" | "domain_name" => found.search.extend(words(&fact, char::is_whitespace)),
        "interface_mtu" => found.mtu = value.trim().parse().ok().map(|m| line.fact(m)),
        _ => {}
    }
}

/// `/var/lib/connman/*.config`, and the settings ConnMan itself keeps of a service.
fn connman(look: &Look<'_>) -> Vec<Connection> {
    let dir = b"/var/lib/connman";
    let mut all = Vec::new();
    for name in look.names(dir) {
        let path = join(dir, &name);
        let text = if name.ends_with(b".config") {
            look.text(&path)
        } else {
            look.text(join(&path, b"settings"))
        };
        let Some(text) = text else { continue };
        for group in ini::groups(&text, Dialect::Keyfile) {
            let service = group.name.strip_prefix("service_");
            let kept = name == group.name.as_bytes();
            if service.is_none() && !kept {
                continue;
            }
            let mut found = Connection::new("connman", service.unwrap_or(&group.name), group.source.clone());
            let kind = group.said("Type").map(|f| f.value);
            let kind = kind.or_else(|| group.name.split('_').next().filter(|_| kept).map(str::to_owned));
            found.kind = kind.map(|kind| Fact::new(kind, group.source.clone()));
            found.interface = group.said("DeviceName");
            found.ssid = group.said("SSID").or_else(|| group.said("Name").filter(|_| kept));
            let mac = group.said("MAC");
            found.matching.macs.extend(mac.and_then(|m| parse::mac(&m.value)));
            found.holds_secret = ["Passphrase", "PrivateKeyPassphrase"]
                .iter()
                .any(|key| group.said(key).is_some());
            found.autostart = group.said("AutoConnect").map(|f| f.map(|v| v == "true"));
            for (key, v6) in [
                ("IPv4", false),
                ("IPv6", true),
                ("IPv4.method", false),
                ("IPv6.method", true),
            ] {
                if let Some(said) = group.said(key) {
                    method(&said, v6, &mut found);
                }
            }
            let servers = group
                .said("Nameservers")
                .map(|f| words(&f, |c| c == ',' || c == ';'));
            found.name_servers = servers.unwrap_or_default();
            all.push(found);
        }
    }
    all
}

/// `dhcp`, `off`, `auto`, or `10.0.0.5/255.255.255.0/10.0.0.1`.
fn method(said: &Fact<String>, v6: bool, found: &mut Connection) {
    let fact = |text: &str| Fact::new(text.to_owned(), said.source.clone());
    let method = match said.value.as_str() {
        "dhcp" => Method::Dhcp,
        "off" => Method::Disabled,
        "auto" if v6 => Method::Automatic,
        "auto" => Method::LinkLocal,
        "manual" => Method::Static,
        fixed => {
            let mut parts = fixed.split('/');
            let address = parts.next().unwrap_or_default();
            found
                .addresses
                .push(parse::address_with(&fact(address), parts.next()));
            found
                .gateways
                .extend(parts.next().filter(|g| !g.is_empty()).map(fact));
            Method::Static
        }
    };
    let method = Some(Fact::new(method, said.source.clone()));
    if v6 {
        found.ipv6 = method;
    } else {
        found.ipv4 = method;
    }
}

/// `config_eth0="10.0.0.5/24 …"`, `routes_eth0="default via 10.0.0.1"`: netifrc, as its `net.example` describes it.
fn netifrc(text: &Text) -> Vec<Connection> {
    let mut all: BTreeMap<String, Connection> = BTreeMap::new();
    for (key, value) in shell(text) {
        let Some((key, name)) = key.rsplit_once('_') else {
            continue;
        };
        let known = [
            "config",
            "routes",
            "dns_servers",
            "dns_search",
            "dns_domain",
            "mtu",
            "mac",
            "slaves",
            "bridge",
            "vlans",
        ];
        if !known.contains(&key) {
            continue;
        }
        let found = all.entry(name.to_owned()).or_insert_with(|| {
            let mut found = Connection::new("netifrc", name, value.source.clone());
            found.interface = Some(Fact::new(name.to_owned(), value.source.clone()));
            found
        });
        let lines = || {
            value
                .value
                .split(['\n', ';'])
                .map(str::trim)
                .filter(|l| !l.is_empty())
        };
        let same = |text: &str| Fact::new(text.to_owned(), value.source.clone());
        match key {
            "config" => {
                for line in lines() {
                    let mut words = line.split_whitespace();
                    let first = words.next().unwrap_or_default();
                    let of = |method| Some(Fact::new(method, value.source.clone()));
                    match first {
                        "dhcp" => found.ipv4 = of(Method::Dhcp),
                        "dhcpv6" => found.ipv6 = of(Method::Dhcp),
                        "null" => found.ipv4 = of(Method::Disabled),
                        _ if first.starts_with(|c: char| c.is_ascii_hexdigit()) => {
                            let mask = words.skip_while(|w| *w != "netmask").nth(1);
                            found.addresses.push(parse::address_with(&same(first), mask));
                            if parse::is_v6(first) {
                                found.ipv6 = of(Method::Static);
                            } else {
                                found.ipv4 = of(Method::Static);
                            }
                        }
                        _ => {}
                    }
                }
            }
            "routes" => {
                for route in lines().filter_map(|line| parse::ip_route(line, &value.source)) {
                    parse::add_route(found, route);
                }
            }
            "dns_servers" => found.name_servers.extend(words(&value, char::is_whitespace)),
            "dns_search" | "dns_domain" => found.search.extend(words(&value, char::is_whitespace)),
            "mtu" => {
                found.mtu = value
                    .value
                    .parse()
                    .ok()
                    .map(|m| Fact::new(m, value.source.clone()))
            }
            "mac" => found.cloned_mac = Some(same(&parse::mac_or_word(&value.value))),
            "slaves" | "bridge" => {
                let kind = if key == "bridge" { "bridge" } else { "bond" };
                found.kind = Some(same(kind));
                found.members = words(&value, char::is_whitespace);
            }
            _ => {}
        }
    }
    all.into_values().collect()
}

/// Assignments whose quotes may close on a later line; old files have lists in parentheses.
fn shell(text: &Text) -> Vec<(String, Fact<String>)> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let said = line.text.trim();
        let Some((key, value)) = said.split_once('=').filter(|_| !said.starts_with('#')) else {
            continue;
        };
        let (open, close) = match value.chars().next() {
            Some('"') => ('"', '"'),
            Some('\'') => ('\'', '\''),
            Some('(') => ('(', ')'),
            _ => {
                all.push((key.to_owned(), line.fact(value.to_owned())));
                continue;
            }
        };
        let mut whole = value.strip_prefix(open).unwrap_or(value).to_owned();
        let mut closed = whole.contains(close);
        while !closed {
            let Some(next) = lines.next() else { break };
            whole.push('\n');
            whole.push_str(next.text);
            closed = next.text.contains(close);
        }
        let end = whole.find(close).unwrap_or(whole.len());
        whole.truncate(end);
        if open == '(' {
            whole = whole.replace('"', "\n");
        }
        all.push((key.trim().to_owned(), line.fact(whole)));
    }
    all
}
