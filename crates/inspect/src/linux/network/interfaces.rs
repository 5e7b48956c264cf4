//! `/etc/network/interfaces` of ifupdown, and what ifupdown-ng of Alpine makes of it: interfaces(5), bridge-utils-interfaces(5),
//! the READMEs of ifenslave and vlan.

use super::parse;
use crate::network::{Connection, Method};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::{BTreeMap, BTreeSet};

const MAIN: &str = "/etc/network/interfaces";
/// How deep files may name others.
const DEEPEST: usize = 8;
/// How many files are read.
const FILES: usize = 1024;
/// How many patterns are tried for each interface.
const PATTERNS: usize = 64;

/// A line with its continuations.
struct Said {
    key: String,
    rest: String,
    source: Source,
}

impl Said {
    fn words(&self) -> impl Iterator<Item = &str> {
        self.rest.split_whitespace()
    }

    fn fact(&self) -> Fact<String> {
        Fact::new(self.rest.clone(), self.source.clone())
    }

    fn facts(&self) -> impl Iterator<Item = Fact<String>> {
        self.words().map(|w| Fact::new(w.to_owned(), self.source.clone()))
    }
}

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let Some(text) = look.text(MAIN) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    read(look, &text, DEEPEST, &mut BTreeSet::new(), &mut lines);
    connections(&lines)
}

/// A file's lines, and in their place those of the files it names.
fn read(look: &Look<'_>, text: &Text, deeper: usize, seen: &mut BTreeSet<Vec<u8>>, lines: &mut Vec<Said>) {
    if !seen.insert(text.path().to_vec()) || seen.len() > FILES {
        return;
    }
    for line in said(text) {
        let dir = match line.key.as_str() {
            "source-directory" | "source-dir" => true,
            "source" => false,
            _ => {
                lines.push(line);
                continue;
            }
        };
        for pattern in line.words() {
            for file in named(look, pattern, dir) {
                if let Some(text) = look.text(&file).filter(|_| deeper > 0) {
                    read(look, &text, deeper.saturating_sub(1), seen, lines);
                }
            }
        }
    }
}

/// The files a pattern names. Stars may stand in the last part of the path, as they do in all that is known.
fn named(look: &Look<'_>, pattern: &str, dir: bool) -> Vec<Vec<u8>> {
    let whole = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/network/{pattern}")
    };
    if dir {
        // run-parts takes names of letters, digits, hyphens and underscores only.
        let plain = |name: &&Vec<u8>| {
            name.iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let names = look.names(&whole);
        return names
            .iter()
            .filter(plain)
            .map(|name| join(whole.as_bytes(), name))
            .collect();
    }
    let Some((folder, last)) = whole
        .rsplit_once('/')
        .filter(|(_, last)| last.contains(['*', '?', '[']))
    else {
        return vec![whole.into_bytes()];
    };
    let names = look.names(folder);
    let fits = names
        .iter()
        .filter(|name| !name.starts_with(b".") && super::glob::matches(last, &String::from_utf8_lossy(name)));
    fits.map(|name| join(folder.as_bytes(), name)).collect()
}

/// Lines joined where a backslash ends them.
fn said(text: &Text) -> Vec<Said> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut whole = line.text.trim().to_owned();
        if whole.starts_with('#') {
            continue;
        }
        while whole.ends_with('\\') {
            whole.pop();
            let Some(next) = lines.next() else { break };
            whole.push(' ');
            whole.push_str(next.text.trim());
        }
        let mut parts = whole.splitn(2, char::is_whitespace);
        let key = parts.next().unwrap_or_default();
        if !key.is_empty() {
            all.push(Said {
                key: key.to_owned(),
                rest: parts.next().unwrap_or_default().trim().to_owned(),
                source: line.source(),
            });
        }
    }
    all
}

fn connections(lines: &[Said]) -> Vec<Connection> {
    let mut all: Vec<Connection> = Vec::new();
    let mut auto: Vec<(String, Source)> = Vec::new();
    let mut own = false;
    for line in lines {
        match line.key.as_str() {
            "auto" => {
                auto.extend(line.words().map(|w| (w.to_owned(), line.source.clone())));
                own = false;
            }
            key if key.starts_with("allow-") => {
                let started = key == "allow-hotplug" || key == "allow-auto";
                auto.extend(
                    line.words()
                        .filter(|_| started)
                        .map(|w| (w.to_owned(), line.source.clone())),
                );
                own = false;
            }
            "iface" => {
                all.extend(iface(line));
                own = true;
            }
            "mapping" | "template" | "no-auto-down" | "no-scripts" | "rename" => own = false,
            key => {
                if let Some(connection) = all.last_mut().filter(|_| own) {
                    option(key, line, connection);
                }
            }
        }
    }
    let (patterns, names): (Vec<_>, Vec<_>) = auto.into_iter().partition(|(word, _)| word.starts_with('/'));
    let names: BTreeMap<String, Source> = names.into_iter().rev().collect();
    for connection in &mut all {
        finish(connection);
        // `auto /en*` and `auto /en*=net` mean all whose names fit: ifupdown of Debian 9 and later.
        let fits = |word: &str| {
            let pattern = word
                .trim_start_matches('/')
                .split(['=', '/'])
                .next()
                .unwrap_or_default();
            super::glob::matches(pattern, &connection.name)
        };
        let named = names.get(&connection.name);
        let found = named.or_else(|| {
            patterns
                .iter()
                .take(PATTERNS)
                .find(|(word, _)| fits(word))
                .map(|(_, s)| s)
        });
        let fallback = (false, connection.source.clone());
        let (value, source) = found.map_or(fallback, |source| (true, source.clone()));
        connection.autostart = Some(Fact::new(value, source));
    }
    all
}

/// `iface eth0 inet static`; Alpine and ifupdown-ng know `iface eth0` alone.
fn iface(line: &Said) -> Option<Connection> {
    let mut words = line.words();
    let name = words.next()?;
    let mut found = Connection::new("interfaces", name, line.source.clone());
    let fact = |value: &str| Fact::new(value.to_owned(), line.source.clone());
    found.interface = Some(fact(name));
    let (family, method) = (words.next(), words.next());
    let word = method.unwrap_or_default();
    let method = match word {
        "dhcp" => Some(Method::Dhcp),
        "static" => Some(Method::Static),
        "auto" => Some(Method::Automatic),
        "manual" => Some(Method::Disabled),
        "loopback" => Some(Method::Static),
        "ppp" | "wvdial" | "tunnel" | "v4tunnel" | "6to4" | "bootp" | "ipv4ll" => Some(Method::Other),
        _ => None,
    };
    let method = method.map(|m| Fact::new(m, line.source.clone()));
    match family {
        Some("inet6") => found.ipv6 = method,
        Some("inet") => found.ipv4 = method,
        _ => {}
    }
    if word == "loopback" {
        found.kind = Some(fact("loopback"));
    }
    if matches!(word, "tunnel" | "v4tunnel" | "6to4") {
        found.kind = Some(fact("tunnel"));
    }
    Some(found)
}

fn option(key: &str, line: &Said, found: &mut Connection) {
    // Words that mean the same with - and _.
    let plain = key.replace('_', "-");
    match plain.as_str() {
        "address" => found.addresses.push(parse::address(&line.fact())),
        "netmask" => {
            if let Some(last) = found.addresses.last_mut() {
                last.prefix = last.prefix.or_else(|| parse::prefix(&line.rest));
            } else {
                // It may stand before its address.
                found.parameters.insert("netmask".to_owned(), line.rest.clone());
            }
        }
        "gateway" => found.gateways.extend(line.facts().take(1)),
        "dns-nameservers" | "dns-nameserver" => found.name_servers.extend(line.facts()),
        "dns-search" | "dns-domain" => found.search.extend(line.facts()),
        "mtu" => found.mtu = line.rest.parse().ok().map(|m| Fact::new(m, line.source.clone())),
        "hwaddress" => {
            let word = line.words().find(|w| *w != "ether").unwrap_or_default();
            found.cloned_mac = Some(Fact::new(parse::mac_or_word(word), line.source.clone()));
        }
        "bridge-ports" => {
            kind("bridge", line, found);
            let none = |f: &Fact<String>| !matches!(f.value.as_str(), "none" | "regex" | "all");
            found.members.extend(line.facts().filter(none));
        }
        "bond-slaves" | "bond-members" | "slaves" => {
            kind("bond", line, found);
            found.members.extend(line.facts().filter(|f| f.value != "none"));
        }
        "bond-master" => found.controller = Some(line.fact()),
        "vlan-raw-device" => {
            kind("vlan", line, found);
            found.lower.push(line.fact());
        }
        "vlan-id" => {
            kind("vlan", line, found);
            found.vlan = line.rest.parse().ok().map(|v| Fact::new(v, line.source.clone()));
        }
        "wpa-ssid" | "wireless-essid" => {
            kind("wifi", line, found);
            found.ssid = Some(line.fact().map(|s| s.trim_matches('"').to_owned()));
        }
        "wpa-psk" | "wpa-password" | "wpa-private-key-passwd" => found.holds_secret = true,
        "use" => {
            for word in line
                .words()
                .filter(|w| matches!(*w, "bond" | "bridge" | "vlan" | "wifi" | "vrf"))
            {
                kind(word, line, found);
            }
        }
        "up" | "post-up" | "pre-up" => command(&line.rest, &line.source, found),
        "pointopoint" | "endpoint" | "local" | "mode" | "scope" | "metric" | "broadcast" | "network" => {
            found.parameters.insert(plain, line.rest.clone());
        }
        _ if plain.starts_with("bond-") || plain.starts_with("bridge-") => {
            let (layer, name) = plain.split_once('-').unwrap_or_default();
            kind(layer, line, found);
            found.parameters.insert(name.to_owned(), line.rest.clone());
        }
        _ if plain.starts_with("wireless-key") || plain.starts_with("wpa-") => {
            found.holds_secret |= plain.starts_with("wireless-key") || plain.contains("passw");
        }
        _ => {}
    }
}

fn kind(kind: &str, line: &Said, found: &mut Connection) {
    // A member has bond-master and bond-mode of its own.
    if found.kind.is_none() && found.controller.is_none() {
        found.kind = Some(Fact::new(kind.to_owned(), line.source.clone()));
    }
}

/// Routes that commands add: `up ip route add 10.0.0.0/8 via 10.1.1.1`, `up route add -net 10.0.0.0/8 gw 10.1.1.1`.
fn command(text: &str, source: &Source, found: &mut Connection) {
    let text = text.split(['|', ';', '&']).next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let program = words.first().and_then(|w| w.rsplit('/').next());
    let rest = words.get(1..).unwrap_or_default();
    let added = match program {
        Some("ip") => {
            let mut rest = rest.iter().skip_while(|w| w.starts_with('-'));
            let route = matches!(rest.next(), Some(&("route" | "ro" | "r")));
            let add = matches!(rest.next(), Some(&("add" | "replace" | "append")));
            let rest: Vec<&str> = rest.copied().collect();
            (route && add)
                .then(|| parse::ip_route(&rest.join(" "), source))
                .flatten()
        }
        Some("route") => {
            let after = |word: &str| {
                let at = rest.iter().position(|w| *w == word)?;
                rest.get(at.checked_add(1)?).copied()
            };
            let plain = rest
                .iter()
                .filter(|w| !matches!(**w, "add" | "-net" | "-host" | "-A" | "inet6"));
            let add = rest.contains(&"add");
            plain.copied().next().filter(|_| add).map(|to| {
                let mut route =
                    parse::route(&parse::network(to, after("netmask")), after("gw"), source.clone());
                route.metric = after("metric").and_then(|m| m.parse().ok());
                route
            })
        }
        _ => None,
    };
    if let Some(route) = added {
        parse::add_route(found, route);
    }
}

/// What names say where no option does: `eth0.5`, `vlan5`, `eth0:1`.
fn finish(found: &mut Connection) {
    if let Some(mask) = found.parameters.remove("netmask") {
        for address in &mut found.addresses {
            address.prefix = address.prefix.or_else(|| parse::prefix(&mask));
        }
    }
    for address in &mut found.addresses {
        address.prefix = address.prefix.or_else(|| parse::classful(&address.address));
        if found.name.contains(':') {
            address.label = Some(found.name.clone());
        }
    }
    let fact = |value: &str| Fact::new(value.to_owned(), found.source.clone());
    if found.kind.is_none()
        && let Some((lower, number)) = found.name.rsplit_once('.')
    {
        if let Ok(number) = number.parse() {
            found.vlan = Some(Fact::new(number, found.source.clone()));
            found.kind = Some(fact("vlan"));
            found.lower.push(fact(lower));
        }
    } else if found.vlan.is_none()
        && found.kind.as_ref().is_some_and(|k| k.value == "vlan")
        && let Some(number) = found
            .name
            .strip_prefix("vlan")
            .or(found.name.rsplit_once('.').map(|(_, n)| n))
    {
        found.vlan = number.parse().ok().map(|n| Fact::new(n, found.source.clone()));
    }
}
