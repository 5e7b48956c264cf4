//! Whether interfaces keep the names that the configuration calls them by.

use super::{Finding, Level, Patient};
use crate::network::{Network, hardware_name};

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
        if !hardware_name(&name.value) {
            continue;
        }
        if network.ties(connection, &name.value) {
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

fn only(network: &Network) -> bool {
    network
        .connections
        .iter()
        .filter(|c| c.interface.as_ref().is_some_and(|i| hardware_name(&i.value)))
        .count()
        == 1
}
