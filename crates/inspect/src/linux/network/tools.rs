//! Which tools there are to set up a network, and which of them the system starts.

use super::nm;
use crate::linux::started::Started;
use crate::network::NetworkTool;
use h2k_guest::{Fact, Look, Source};

/// What it is called here, and the units or init scripts that start it.
const TOOLS: [(&str, &[&str]); 12] = [
    ("networkmanager", &["NetworkManager", "networkmanager"]),
    ("networkd", &["systemd-networkd"]),
    ("ifupdown", &["networking"]),
    ("network-scripts", &["network"]),
    ("wicked", &["wicked", "wickedd"]),
    ("dhcpcd", &["dhcpcd"]),
    ("connman", &["connman"]),
    (
        "cloud-init",
        &["cloud-init-local", "cloud-init-network", "cloud-init"],
    ),
    ("netctl", &["netctl"]),
    ("netifrc", &["net.eth0", "net.lo"]),
    ("systemd-resolved", &["systemd-resolved"]),
    ("resolvconf", &["resolvconf"]),
];

/// `silenced` is where cloud-init is told to leave the network alone.
pub(super) fn look(look: &Look<'_>, silenced: Option<&Source>) -> Vec<NetworkTool> {
    let started = Started::new(look);
    let mut found = Vec::new();
    for (name, units) in TOOLS {
        // With an alias among them, what is started counts for more than what is there.
        let states: Vec<Fact<bool>> = units.iter().filter_map(|unit| started.state(unit)).collect();
        let state = states.iter().find(|s| s.value).or_else(|| states.first());
        let Some(state) = state else { continue };
        let settings = match name {
            "networkmanager" => nm::settings(look),
            "cloud-init" => silenced
                .map(|s| Fact::new("network.config=disabled".to_owned(), s.clone()))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        };
        found.push(NetworkTool {
            name: name.to_owned(),
            enabled: Some(state.value),
            settings,
            source: state.source.clone(),
        });
    }
    // netplan is a generator: nothing links it, it runs because it is there.
    let places = [
        "/usr/lib/systemd/system-generators/netplan",
        "/lib/systemd/system-generators/netplan",
        "/usr/sbin/netplan",
    ];
    if let Some(path) = places.into_iter().find(|path| look.exists(path)) {
        found.push(NetworkTool {
            name: "netplan".to_owned(),
            enabled: Some(true),
            settings: Vec::new(),
            source: Source::file(path.as_bytes()),
        });
    }
    found
}
