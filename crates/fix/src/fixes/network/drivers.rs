//! Conditions on the old machine's network driver, in whatever file they stand.

use super::pins;
use crate::fixes::text::{Becomes, files, lines};
use crate::view::View;
use std::collections::BTreeSet;

/// Drivers of interfaces that hypervisors show.
const OLD: [&str; 12] = [
    "vmxnet3",
    "vmxnet",
    "vlance",
    "pcnet32",
    "e1000",
    "e1000e",
    "igb",
    "hv_netvsc",
    "netvsc",
    "xen-netfront",
    "xen_netfront",
    "vif",
];

/// What drives the interfaces of the new machine.
const NEW: &str = "virtio_net";

/// A file and what it becomes.
pub(super) struct Changed {
    pub(super) path: Vec<u8>,
    pub(super) content: String,
    /// What it says of the old machine.
    pub(super) what: String,
}

fn old(driver: &str) -> bool {
    let plain = driver.trim().trim_matches(['"', '\'']).trim_end_matches('*');
    OLD.contains(&plain)
}

/// The files that ask for a driver of the old machine, without that.
pub(super) fn look(view: &View<'_>) -> Vec<Changed> {
    type Change = fn(&str, &mut String) -> Becomes;
    let places: [(&str, &[&str], Change); 4] = [
        ("/etc/systemd/network", &[".link", ".network"], ini),
        ("/etc/NetworkManager/system-connections", &[""], ini),
        ("/etc/netplan", &[".yaml"], netplan),
        ("/etc/udev/rules.d", &[".rules"], udev),
    ];
    let mut all = Vec::new();
    for (dir, endings, change) in places {
        for (path, text) in files(view, dir, endings) {
            let mut what = BTreeSet::new();
            let mut section = String::new();
            let content = lines(&text, |line| {
                let becomes = change(line, &mut section);
                if matches!(becomes, Becomes::This(_)) {
                    what.insert(line.trim().to_owned());
                }
                becomes
            });
            if let Some(content) = content {
                let what = what.into_iter().collect::<Vec<_>>().join("; ");
                all.push(Changed { path, content, what });
            }
        }
    }
    all
}

/// `Driver=vmxnet3 e1000` of systemd.link(5), `driver=vmxnet3;` of a keyfile: in `[Match]` both times.
fn ini(line: &str, section: &mut String) -> Becomes {
    let said = line.trim();
    if said.starts_with('[') {
        said.clone_into(section);
    }
    let Some((key, value)) = line.split_once('=') else {
        return Becomes::Same;
    };
    let asks = section.eq_ignore_ascii_case("[match]") && key.trim().eq_ignore_ascii_case("driver");
    if !asks || value.split_whitespace().any(|word| word.starts_with('!')) {
        return Becomes::Same;
    }
    let separator = if value.contains(';') { ';' } else { ' ' };
    let mut words: Vec<&str> = value
        .split([';', ' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    if words.iter().any(|word| word.starts_with("virtio")) || !words.iter().any(|word| old(word)) {
        return Becomes::Same;
    }
    words.retain(|word| !old(word));
    words.insert(0, NEW);
    let end = if separator == ';' { ";" } else { "" };
    Becomes::This(format!("{key}={}{end}", words.join(&separator.to_string())))
}

/// `driver: vmxnet3`, alone or between braces. A list keeps what else is in it.
fn netplan(line: &str, _: &mut String) -> Becomes {
    let Some((before, after)) = line.split_once("driver:") else {
        return Becomes::Same;
    };
    let comment = before.contains('#');
    let begins = before.is_empty() || before.ends_with([' ', '\t', '{', ',']);
    let end = after.find([',', '}', '#', ']']).unwrap_or(after.len());
    let (value, rest) = after.split_at_checked(end).unwrap_or((after, ""));
    let (lead, word) = match value.split_once('[') {
        Some((lead, word)) => (format!("{lead}["), word),
        None => (" ".to_owned(), value),
    };
    if comment || !begins || !old(word) {
        return Becomes::Same;
    }
    let gap = if rest.starts_with('#') { " " } else { "" };
    Becomes::This(format!("{before}driver:{lead}{NEW}{gap}{rest}"))
}

/// `DRIVERS=="vmxnet3"` of a rule that names interfaces. With a MAC address in the rule any driver will do.
fn udev(line: &str, _: &mut String) -> Becomes {
    let about = line.contains("\"net\"") && line.contains("NAME=\"") && !line.trim_start().starts_with('#');
    if !about {
        return Becomes::Same;
    }
    let known = line.split('"').any(|value| pins::mac(value).is_some());
    let any = if known { "?*" } else { NEW };
    let mut out = line.to_owned();
    for key in ["DRIVERS==", "DRIVER==", "ENV{ID_NET_DRIVER}=="] {
        for name in OLD {
            // ID_NET_DRIVER and DRIVER hold what the driver is called, where "?*" fits too.
            out = out.replace(&format!("{key}\"{name}\""), &format!("{key}\"{any}\""));
        }
    }
    if out == line {
        return Becomes::Same;
    }
    Becomes::This(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(with: Becomes) -> Option<String> {
        match with {
            Becomes::This(line) => Some(line),
            _ => None,
        }
    }

    #[test]
    fn the_old_driver_gives_way_in_every_notation() {
        let mut at = "[Match]".to_owned();
        assert_eq!(
            becomes(ini("Driver=vmxnet3 e1000", &mut at)).as_deref(),
            Some("Driver=virtio_net")
        );
        assert_eq!(
            becomes(ini("driver=vmxnet3;", &mut at)).as_deref(),
            Some("driver=virtio_net;")
        );
        assert!(becomes(ini("Driver=vmxnet3 virtio_net", &mut at)).is_none());
        assert!(becomes(ini("Driver=mlx5_core", &mut at)).is_none());
        assert!(becomes(ini("Driver=!e1000", &mut at)).is_none());
        let mut elsewhere = "[Link]".to_owned();
        assert!(becomes(ini("Driver=vmxnet3", &mut elsewhere)).is_none());
        for (before, after) in [
            ("      driver: vmxnet3", "      driver: virtio_net"),
            (
                "    match: {driver: \"e1000e\", macaddress: x}",
                "    match: {driver: virtio_net, macaddress: x}",
            ),
            ("  driver: [vmxnet3]", "  driver: [virtio_net]"),
        ] {
            assert_eq!(becomes(netplan(before, &mut at)).as_deref(), Some(after));
            assert!(becomes(netplan(after, &mut at)).is_none());
        }
        assert!(becomes(netplan("  # driver: vmxnet3", &mut at)).is_none());
        let rule = |driver: &str| {
            format!(
                "SUBSYSTEM==\"net\", DRIVERS==\"{driver}\", ATTR{{address}}==\"00:50:56:00:00:0a\", NAME=\"ens192\""
            )
        };
        assert_eq!(becomes(udev(&rule("vmxnet3"), &mut at)), Some(rule("?*")));
        assert!(becomes(udev(&rule("?*"), &mut at)).is_none());
        let by_driver = "SUBSYSTEM==\"net\", DRIVERS==\"e1000\", NAME=\"lan0\"";
        let after = "SUBSYSTEM==\"net\", DRIVERS==\"virtio_net\", NAME=\"lan0\"";
        assert_eq!(becomes(udev(by_driver, &mut at)).as_deref(), Some(after));
    }
}
