//! What gives interfaces their names: udev's rules and `.link` files, `/etc/iftab`, `/etc/mactab`, the kernel's words.

use super::{networkd, parse};
use crate::linux::cmdline::{self, values};
use crate::network::{Match, NameRule};
use h2k_guest::{Fact, Line, Look, Source};

pub(super) fn rules(look: &Look<'_>) -> Vec<NameRule> {
    let mut all = Vec::new();
    for text in look.texts_in("/etc/udev/rules.d", ".rules") {
        // A line that ends with a backslash goes on; rules that name interfaces never do that in the wild, and are
        // short.
        all.extend(text.spoken().filter_map(|line| udev(&line)));
    }
    for (path, tool) in [("/etc/iftab", "iftab"), ("/etc/mactab", "mactab")] {
        if let Some(text) = look.text(path) {
            all.extend(text.spoken().filter_map(|line| tab(&line, tool)));
        }
    }
    // dracut's ifname=NAME:MAC
    for (value, word) in values(&cmdline::words(look), "ifname") {
        if let Some((name, mac)) = value.split_once(':') {
            let found = rule(Some(name), "dracut", word.source.clone());
            all.push(with_mac(found, mac));
        }
    }
    all.extend(networkd::links(look));
    all
}

fn rule(name: Option<&str>, tool: &str, source: Source) -> NameRule {
    NameRule {
        name: name.map(str::to_owned),
        policy: Vec::new(),
        aliases: Vec::new(),
        matching: Match::default(),
        tool: tool.to_owned(),
        ignored: None,
        source,
    }
}

fn with_mac(mut rule: NameRule, mac: &str) -> NameRule {
    rule.matching.macs.push(parse::mac_or_word(mac));
    rule
}

/// A rule of udev(7) that names a network interface.
fn udev(line: &Line<'_>) -> Option<NameRule> {
    let mut found = rule(None, "udev", line.source());
    let mut net = false;
    for (key, operator, value) in assignments(line.text) {
        let asks = operator == "==";
        match key {
            "SUBSYSTEM" | "SUBSYSTEMS" if asks => net |= value == "net",
            "NAME" if !asks => found.name = Some(value.to_owned()),
            "ATTR{address}" | "ATTRS{address}" | "SYSFS{address}" if asks => {
                found.matching.macs.push(parse::mac_or_word(value));
            }
            "KERNEL" if asks => found.matching.names.push(value.to_owned()),
            "DRIVERS" | "DRIVER" if asks && value != "?*" => found.matching.drivers.push(value.to_owned()),
            "KERNELS" | "ID" | "DEVPATH" if asks => found.matching.paths.push(value.to_owned()),
            "ACTION" | "DRIVERS" => {}
            _ if asks => found.matching.others.push(format!("{key}=={value}")),
            _ => {}
        }
    }
    (net && found.name.is_some()).then_some(found)
}

/// `KEY=="value", KEY{attribute}="value"`.
fn assignments(line: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (key, after) = rest.split_once('"')?;
        let (value, after) = after.split_once('"')?;
        rest = after;
        let key = key.trim_start_matches([',', ' ', '\t']).trim_end();
        let plain = key.trim_end_matches(['=', '!', '+', '-', ':']);
        let operator = key.get(plain.len()..).unwrap_or_default();
        Some((plain.trim_end(), operator.trim(), value))
    })
}

/// `eth0 mac 00:50:56:ab:cd:ef`, or the address alone.
fn tab(line: &Line<'_>, tool: &str) -> Option<NameRule> {
    let mut words = line.text.split_whitespace();
    let found = rule(Some(words.next()?), tool, line.source());
    let mac = words.find(|w| parse::mac(w).is_some())?;
    Some(with_mac(found, mac))
}

/// What switches whole ways of naming on or off.
pub(super) fn switches(look: &Look<'_>) -> Vec<Fact<String>> {
    let mut all: Vec<Fact<String>> = Vec::new();
    let words = cmdline::words(look);
    for key in [
        "net.ifnames",
        "biosdevname",
        "net.naming-scheme",
        "net.naming_scheme",
    ] {
        for (_, word) in values(&words, key) {
            if !all.iter().any(|f| f.value == word.value) {
                all.push(word.clone());
            }
        }
    }
    for name in look.names("/etc/udev/rules.d") {
        let path = h2k_guest::look::join(b"/etc/udev/rules.d", &name);
        let about = String::from_utf8_lossy(&name).contains("net-");
        if about && look.target(&path).as_deref() == Some(b"/dev/null") {
            let what = format!("{} is turned off", String::from_utf8_lossy(&name));
            all.push(Fact::new(what, Source::file(&path)));
        }
    }
    for text in look.texts_in("/etc/udev/hwdb.d", ".hwdb") {
        let named = text.spoken().filter(|line| line.text.starts_with("ID_NET_NAME"));
        all.extend(named.map(|line| line.fact(line.text.to_owned())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_guest::Text;

    #[test]
    fn persistent_rules_bind_names_to_addresses() {
        let text = Text::new(
            b"/etc/udev/rules.d/70-persistent-net.rules",
            b"# PCI device 0x15ad:0x07b0 (vmxnet3)\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", \
              ATTR{address}==\"00:50:56:AB:cd:ef\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n\
              SUBSYSTEM==\"block\", NAME=\"x\"\n",
        );
        let all: Vec<_> = text.spoken().filter_map(|line| udev(&line)).collect();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].name.as_deref(), Some("eth0"));
        assert_eq!(all[0].matching.macs, ["00:50:56:ab:cd:ef"]);
        assert_eq!(all[0].matching.names, ["eth*"]);
        assert_eq!(all[0].matching.others, ["ATTR{dev_id}==0x0", "ATTR{type}==1"]);
        assert_eq!(
            all[0].source.as_str(),
            "/etc/udev/rules.d/70-persistent-net.rules:2"
        );
    }
}
