//! What `iptables-save` wrote: tables, chains with their policies, rules.

use crate::firewall::{Chain, Firewall, Rule};
use crate::linux::started::Started;
use h2k_guest::{Look, Text};
use std::collections::BTreeMap;

/// For IPv4 and IPv6: who loads a file at start, and the file.
const FILES: [(&str, &[(&str, &str)]); 2] = [
    (
        "iptables",
        &[
            ("netfilter-persistent", "/etc/iptables/rules.v4"),
            ("iptables", "/etc/sysconfig/iptables"),
            ("iptables", "/etc/iptables/iptables.rules"),
            ("iptables", "/etc/iptables/rules-save"),
            ("iptables", "/var/lib/iptables/rules-save"),
            ("", "/etc/iptables.rules"),
            ("", "/etc/iptables.up.rules"),
        ],
    ),
    (
        "ip6tables",
        &[
            ("netfilter-persistent", "/etc/iptables/rules.v6"),
            ("ip6tables", "/etc/sysconfig/ip6tables"),
            ("ip6tables", "/etc/iptables/ip6tables.rules"),
            ("ip6tables", "/etc/iptables/rules6-save"),
            ("ip6tables", "/var/lib/ip6tables/rules-save"),
            ("", "/etc/ip6tables.rules"),
        ],
    ),
];

pub(super) fn look(look: &Look<'_>, started: &Started) -> Vec<Firewall> {
    let mut all = Vec::new();
    for (tool, files) in FILES {
        for (unit, path) in files {
            let Some(text) = look.text(path) else { continue };
            let mut found = Firewall::new(tool);
            found.enabled = started.state(unit).filter(|_| !unit.is_empty());
            found.chains = chains(&text);
            all.push(found);
        }
    }
    all
}

/// The chains of a saved set of rules.
pub(super) fn chains(text: &Text) -> Vec<Chain> {
    let mut all: Vec<Chain> = Vec::new();
    let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut table = "filter".to_owned();
    let mut chain = |table: &str, name: &str, line: &h2k_guest::Line<'_>, all: &mut Vec<Chain>| {
        let key = (table.to_owned(), name.to_owned());
        *places.entry(key).or_insert_with(|| {
            all.push(Chain {
                table: table.to_owned(),
                name: name.to_owned(),
                hook: None,
                policy: None,
                rules: Vec::new(),
                source: line.source(),
            });
            all.len().saturating_sub(1)
        })
    };
    for line in text.spoken() {
        if let Some(name) = line.text.strip_prefix('*') {
            name.trim().clone_into(&mut table);
        } else if let Some(rest) = line.text.strip_prefix(':') {
            let mut words = rest.split_whitespace();
            let (Some(name), policy) = (words.next(), words.next()) else {
                continue;
            };
            let at = chain(&table, name, &line, &mut all);
            if let Some(chain) = all.get_mut(at) {
                chain.policy = policy.filter(|p| *p != "-").map(str::to_ascii_lowercase);
            }
        } else {
            // Counters may stand before the rule: [12:3456]
            let said = line.text.strip_prefix('[').and_then(|r| r.split_once(']'));
            let said = said.map_or(line.text, |(_, rest)| rest.trim_start());
            let rule = said
                .strip_prefix("-A ")
                .or_else(|| said.strip_prefix("--append "))
                .or_else(|| said.strip_prefix("-I "));
            let Some(rule) = rule else { continue };
            let (name, rest) = rule
                .trim()
                .split_once(char::is_whitespace)
                .unwrap_or((rule.trim(), ""));
            let at = chain(&table, name, &line, &mut all);
            if let Some(chain) = all.get_mut(at) {
                chain.rules.push(Rule::new(rest.trim(), line.source()));
            }
        }
    }
    all
}
