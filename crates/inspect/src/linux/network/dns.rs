//! Names to addresses: resolv.conf(5), resolved.conf(5), hosts(5), nsswitch.conf(5).

use crate::linux::ini::{self, Dialect};
use crate::network::{Dns, Host};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};

/// Places a link of resolv.conf leads to, and who writes them.
const MANAGERS: [(&str, &str); 7] = [
    ("systemd/resolve", "systemd-resolved"),
    ("usr/lib/systemd/resolv.conf", "systemd-resolved"),
    ("NetworkManager", "networkmanager"),
    ("resolvconf", "resolvconf"),
    ("netconfig", "netconfig"),
    ("connman", "connman"),
    ("dhcpcd", "dhcpcd"),
];

pub(super) fn look(look: &Look<'_>) -> Dns {
    let mut dns = Dns::default();
    let path = "/etc/resolv.conf";
    if let Some(target) = look.target(path) {
        let target = String::from_utf8_lossy(&target).into_owned();
        let known = MANAGERS.iter().find(|(part, _)| target.contains(part));
        let manager = known.map(|(_, name)| (*name).to_owned());
        dns.manager = manager.map(|name| Fact::new(name, Source::file(path.as_bytes())));
        dns.resolv_conf_link = Some(Fact::new(target, Source::file(path.as_bytes())));
    }
    let text = look.text(path);
    if let Some(text) = &text {
        resolv_conf(text, &mut dns);
    }
    // What lies at the end of the link is made at run time and names the stub, or nothing on a disk.
    let stub = dns
        .name_servers
        .iter()
        .any(|s| matches!(s.value.as_str(), "127.0.0.53" | "127.0.0.54"));
    let resolved = dns
        .manager
        .as_ref()
        .is_some_and(|m| m.value == "systemd-resolved");
    if stub || resolved {
        dns.name_servers.retain(|s| !s.value.starts_with("127.0.0.5"));
        dns.manager
            .get_or_insert_with(|| Fact::new("systemd-resolved".to_owned(), Source::file(path.as_bytes())));
        resolved_conf(look, &mut dns);
    }
    if let (None, Some(text)) = (&dns.manager, &text) {
        let first = text.as_str().lines().take(3).collect::<Vec<_>>().join(" ");
        let writers = [
            ("NetworkManager", "networkmanager"),
            ("resolvconf", "resolvconf"),
            ("netconfig", "netconfig"),
            ("systemd-resolved", "systemd-resolved"),
            ("dhclient", "dhclient"),
            ("cloud-init", "cloud-init"),
            ("Connection Manager", "connman"),
            ("dhcpcd", "dhcpcd"),
        ];
        let writer = writers.iter().find(|(word, _)| first.contains(word));
        let name = writer.map_or("file", |(_, name)| *name);
        dns.manager = Some(Fact::new(name.to_owned(), text.source()));
    }
    for path in ["/etc/hosts", "/usr/etc/hosts"] {
        let Some(text) = look.text(path) else { continue };
        dns.hosts = hosts(&text);
        break;
    }
    let switches = [
        "/etc/nsswitch.conf",
        "/usr/etc/nsswitch.conf",
        "/usr/lib/nsswitch.conf",
    ];
    if let Some(text) = look.first_text(switches) {
        for line in text.spoken() {
            if let Some(order) = line.text.strip_prefix("hosts:") {
                let order = order.split('#').next().unwrap_or_default();
                let order = order.split_whitespace().map(str::to_owned).collect();
                dns.order = Some(line.fact(order));
            }
        }
    }
    dns
}

/// resolv.conf(5): of several `domain` and `search` lines the last one counts.
pub(super) fn resolv_conf(text: &Text, dns: &mut Dns) {
    for line in text.spoken().filter(|line| !line.text.starts_with(';')) {
        let Some((key, rest)) = line.text.split_once(char::is_whitespace) else {
            continue;
        };
        let words = || rest.split_whitespace().take_while(|w| !w.starts_with(['#', ';']));
        match key {
            "nameserver" => dns
                .name_servers
                .extend(words().take(1).map(|w| line.fact(w.to_owned()))),
            "domain" => dns.search = words().take(1).map(|w| line.fact(w.to_owned())).collect(),
            "search" => dns.search = words().map(|w| line.fact(w.to_owned())).collect(),
            "options" => dns.options.extend(words().map(|w| line.fact(w.to_owned()))),
            _ => {}
        }
    }
}

fn resolved_conf(look: &Look<'_>, dns: &mut Dns) {
    let main = [
        "/etc/systemd/resolved.conf",
        "/usr/lib/systemd/resolved.conf",
        "/lib/systemd/resolved.conf",
    ];
    let mut texts: Vec<Text> = look.first_text(main).into_iter().collect();
    texts.extend(drop_ins(
        look,
        &[
            "/etc/systemd/resolved.conf.d",
            "/run/systemd/resolved.conf.d",
            "/usr/lib/systemd/resolved.conf.d",
        ],
        b".conf",
    ));
    for text in &texts {
        for group in ini::groups(text, Dialect::Systemd) {
            if group.name != "Resolve" {
                continue;
            }
            for (key, list) in [
                ("DNS", &mut dns.name_servers),
                ("FallbackDNS", &mut dns.fallback_servers),
                ("Domains", &mut dns.search),
            ] {
                if group.get(key).is_some_and(|f| f.value.is_empty()) {
                    list.clear();
                }
                list.extend(group.words(key));
            }
            for key in ["DNSSEC", "DNSOverTLS", "LLMNR", "MulticastDNS", "DNSStubListener"] {
                let said = group.said(key);
                dns.options
                    .extend(said.map(|f| f.map(|value| format!("{key}={value}"))));
            }
        }
    }
}

/// The files of several directories in the order of their names; a name of an earlier directory counts for more.
pub(super) fn drop_ins(look: &Look<'_>, dirs: &[&str], ending: &[u8]) -> Vec<Text> {
    let mut found = std::collections::BTreeMap::new();
    for dir in dirs {
        for name in look.names(dir) {
            if name.ends_with(ending) {
                found
                    .entry(name.clone())
                    .or_insert_with(|| join(dir.as_bytes(), &name));
            }
        }
    }
    found.values().filter_map(|path| look.text(path)).collect()
}

/// hosts(5).
pub(crate) fn hosts(text: &Text) -> Vec<Host> {
    text.spoken()
        .filter_map(|line| {
            let mut words = line.text.split('#').next()?.split_whitespace();
            let address = words.next()?.to_owned();
            let names: Vec<String> = words.map(str::to_owned).collect();
            (!names.is_empty()).then(|| Host {
                address,
                names,
                source: line.source(),
            })
        })
        .collect()
}
