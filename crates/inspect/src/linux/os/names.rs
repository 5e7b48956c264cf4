//! Names and numbers a system was given: hostname, machine-id, machine-info.

use crate::os::{Machine, Os};
use h2k_guest::{Fact, Look, Text};

pub(super) fn look(files: &Look<'_>, os: &mut Os) {
    os.hostnames = hostnames(files);
    os.hostname = os.hostnames.first().cloned();
    os.domain = os.hostname.as_ref().and_then(|name| {
        let (_, domain) = name.value.split_once('.')?;
        (!domain.is_empty()).then(|| Fact::new(domain.to_owned(), name.source.clone()))
    });
    os.machine_id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| machine_id(&files.text(path)?));
    os.machine = files.text("/etc/machine-info").map(|text| machine(&text));
}

/// Every place that names the machine. Of one that starts with systemd the first counts; the others are how it was
/// done elsewhere and before.
fn hostnames(files: &Look<'_>) -> Vec<Fact<String>> {
    // SUSE's old name is a link to the new one there.
    let plain = ["/etc/hostname", "/etc/HOSTNAME", "/etc/myname", "/etc/nodename"];
    let mut seen_at = Vec::new();
    let mut all: Vec<Fact<String>> = Vec::new();
    for path in plain {
        let Some(text) = files.text(path) else { continue };
        let place = files.canonical(path);
        if seen_at.contains(&place) {
            continue;
        }
        seen_at.push(place);
        all.extend(text.spoken().next().map(|line| line.fact(line.text.to_owned())));
    }
    let assigned = [
        ("/etc/sysconfig/network", "HOSTNAME"),
        ("/etc/conf.d/hostname", "hostname"),
        ("/etc/conf.d/hostname", "HOSTNAME"),
        ("/etc/rc.conf", "hostname"),
        ("/etc/rc.conf", "HOSTNAME"),
        ("/etc/rc.conf.local", "hostname"),
    ];
    for (path, key) in assigned {
        let value = files.text(path).and_then(|text| text.assigned(key));
        all.extend(value);
    }
    all.retain(|name| !name.value.is_empty());
    all
}

fn machine_id(text: &Text) -> Option<Fact<String>> {
    let line = text.spoken().next()?;
    // `uninitialized` waits for the first start.
    let hex = line.text.len() == 32 && line.text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| line.fact(line.text.to_ascii_lowercase()))
}

fn machine(text: &Text) -> Machine {
    let said = |key: &str| text.assigned(key).filter(|fact| !fact.value.is_empty());
    Machine {
        pretty_hostname: said("PRETTY_HOSTNAME"),
        icon_name: said("ICON_NAME"),
        chassis: said("CHASSIS"),
        deployment: said("DEPLOYMENT"),
        location: said("LOCATION"),
        hardware_vendor: said("HARDWARE_VENDOR"),
        hardware_model: said("HARDWARE_MODEL"),
    }
}
