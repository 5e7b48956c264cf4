//! Whether interfaces keep the names that the configuration calls them by.

use super::{Finding, Level, Patient};
use crate::network::{Connection, Network};

pub(super) fn check(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(network) = patient.facts.network.as_ref().map(|s| &s.found) else {
        return;
    };
    let switched = network
        .name_switches
        .iter()
        .any(|s| s.value.contains("net.ifnames=0"));
    for connection in network.connections.iter().filter(|c| c.ignored.is_none()) {
        let Some(name) = connection.interface.as_ref() else {
            continue;
        };
        if !physical(&name.value) {
            continue;
        }
        if pinned(network, connection, &name.value) {
            let why = format!("{} is found by its MAC address: keep it", name.value);
            findings.push(Finding::new("network", Level::Ok, why).read([connection.source.clone()]));
        } else if name.value.starts_with("eth") && (switched || only(network)) {
            let why = format!(
                "{} is the kernel's own name: it stays while the order of interfaces does",
                name.value
            );
            findings.push(Finding::new("network", Level::Ok, why).read([name.source.clone()]));
        } else {
            let why = format!(
                "{} is named by its slot in the old machine, and nothing ties it to a MAC address: it gets another name, \
                 and this configuration no interface",
                name.value
            );
            findings.push(
                Finding::new("network", Level::Warn, why)
                    .advise("keep the MAC address, and tie the name to it with a .link file")
                    .read([name.source.clone()]),
            );
        }
    }
    for rule in &network.names {
        for driver in rule
            .matching
            .drivers
            .iter()
            .filter(|d| !d.contains('*') && !d.starts_with("virtio"))
        {
            let why = format!("a name is given to interfaces of the driver {driver} only");
            findings.push(Finding::new("network", Level::Warn, why).read([rule.source.clone()]));
        }
    }
}

/// Whether a name is one that hardware gets.
fn physical(name: &str) -> bool {
    let rest = ["ens", "enp", "eno", "enx", "eth", "em", "p"]
        .iter()
        .find_map(|p| name.strip_prefix(p));
    rest.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()) && !r.contains(['.', ':', '@']))
}

fn only(network: &Network) -> bool {
    network
        .connections
        .iter()
        .filter(|c| c.interface.as_ref().is_some_and(|i| physical(&i.value)))
        .count()
        == 1
}

/// Whether something ties the name, or the connection, to a MAC address.
fn pinned(network: &Network, connection: &Connection, name: &str) -> bool {
    let rule = network
        .names
        .iter()
        .any(|r| r.ignored.is_none() && r.name.as_deref() == Some(name) && !r.matching.macs.is_empty());
    // A MAC address with a name beside it that does not fit any more matches nothing.
    let by_mac = !connection.matching.macs.is_empty();
    rule || (by_mac && (connection.set_name.is_some() || connection.matching.names.is_empty()))
}
