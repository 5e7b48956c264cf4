//! ufw: `/etc/ufw/ufw.conf`, `/etc/default/ufw`, and the rules users gave, each behind a line that tells what was meant.

use super::iptables;
use crate::firewall::{Firewall, Rule};
use crate::linux::started::Started;
use h2k_guest::{Look, Text};

pub(super) fn look(look: &Look<'_>, started: &Started) -> Option<Firewall> {
    let config = look.text("/etc/ufw/ufw.conf")?;
    let mut found = Firewall::new("ufw");
    let on = config
        .assigned("ENABLED")
        .map(|f| f.map(|v| v.eq_ignore_ascii_case("yes")));
    // It needs both: its own word, and somebody who starts it.
    let unit = started.state("ufw");
    found.enabled = match (on, unit) {
        (Some(on), Some(unit)) if on.value && !unit.value => Some(unit),
        (on, unit) => on.or(unit),
    };
    found.settings.extend(
        config
            .assigned("LOGLEVEL")
            .map(|f| f.map(|v| format!("LOGLEVEL={v}"))),
    );
    if let Some(text) = look.text("/etc/default/ufw") {
        let keys = [
            "IPV6",
            "DEFAULT_INPUT_POLICY",
            "DEFAULT_OUTPUT_POLICY",
            "DEFAULT_FORWARD_POLICY",
            "DEFAULT_APPLICATION_POLICY",
        ];
        for key in keys {
            let said = text.assigned(key);
            found
                .settings
                .extend(said.map(|f| f.map(|v| format!("{key}={v}"))));
        }
    }
    for path in [
        "/etc/ufw/user.rules",
        "/etc/ufw/user6.rules",
        "/lib/ufw/user.rules",
        "/lib/ufw/user6.rules",
    ] {
        if let Some(text) = look.text(path) {
            rules(&text, &mut found);
        }
    }
    for path in [
        "/etc/ufw/before.rules",
        "/etc/ufw/after.rules",
        "/etc/ufw/before6.rules",
        "/etc/ufw/after6.rules",
    ] {
        if let Some(text) = look.text(path) {
            found.chains.extend(
                iptables::chains(&text)
                    .into_iter()
                    .filter(|c| !c.rules.is_empty()),
            );
        }
    }
    Some(found)
}

/// `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=…`: action, protocol, port and address it goes to,
/// port and address it comes from, direction.
fn rules(text: &Text, found: &mut Firewall) {
    for line in text.lines() {
        let Some(tuple) = line.text.trim().strip_prefix("### tuple ###") else {
            continue;
        };
        let words: Vec<&str> = tuple.split_whitespace().collect();
        let comment = words.iter().find_map(|w| w.strip_prefix("comment="));
        let plain: Vec<&str> = words
            .iter()
            .copied()
            .filter(|w| !w.starts_with("comment="))
            .collect();
        let ways = ["in", "out", "in_", "out_"];
        let way = plain
            .iter()
            .rev()
            .find(|w| ways.iter().any(|way| w.starts_with(way)));
        let mut rule = Rule::new(plain.join(" "), line.source());
        rule.action = plain.first().map(|w| w.trim_start_matches("route:").to_owned());
        let routed = plain.first().is_some_and(|w| w.starts_with("route:"));
        rule.direction = way.map(|w| if w.starts_with("in") { "in" } else { "out" }.to_owned());
        if routed {
            rule.direction = Some("forward".to_owned());
        }
        // ufw writes comments in hexadecimal.
        rule.name = comment.map(|hex| unhex(hex).unwrap_or_else(|| hex.to_owned()));
        found.rules.push(rule);
    }
}

fn unhex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}
