//! What a guest is, in a screenful.

use crate::term::{Fields, Style, shown, utc};
use h2k_convert::human;
use h2k_guest::Fact;
use h2k_inspect::{Inspection, SystemFacts};

/// More than this many names are counted instead.
const NAMES: usize = 6;

/// The summary of every system, and of filesystems that belong to none.
pub(super) fn text(inspection: &Inspection, style: Style) -> String {
    let mut out = String::new();
    for system in &inspection.systems {
        if !out.is_empty() {
            out.push('\n');
        }
        let name = style.bold(&shown(&name(system)));
        out.push_str(&format!("{name}  {}\n", style.dim(&shown(&system.root))));
        out.push_str(&fields(system, inspection).render(style, "  "));
    }
    if inspection.systems.is_empty() {
        out.push_str("no operating system was found on these disks\n");
        for fs in &inspection.filesystems {
            let label = fs.label.as_deref().unwrap_or_default();
            out.push_str(&format!(
                "  {}  {}  {}  {}\n",
                shown(&fs.source),
                shown(&fs.type_),
                human(fs.size),
                shown(label)
            ));
        }
    }
    out
}

/// What the system calls itself. An old Debian says no more than its number.
fn name(system: &SystemFacts) -> String {
    let os = system.os.as_ref().map(|s| &s.found);
    let product = os.and_then(|o| o.product_name.as_ref()).map(|p| p.value.as_str());
    let distro = os.and_then(|o| o.distro.as_ref()).map(|d| d.value.as_str());
    match (product, distro) {
        (Some(product), Some(distro)) if product.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{distro} {product}")
        }
        (Some(name), _) | (None, Some(name)) => name.to_owned(),
        (None, None) => system.kind.clone(),
    }
}

fn fields(system: &SystemFacts, inspection: &Inspection) -> Fields {
    let mut fields = Fields::default();
    os(system, &mut fields);
    mounts(system, inspection, &mut fields);
    boot(system, &mut fields);
    init(system, &mut fields);
    software(system, &mut fields);
    people(system, &mut fields);
    network(system, &mut fields);
    last_boot(system, &mut fields);
    let unread = system.unread().count();
    if unread > 0 {
        fields.add("not read", format!("{unread}; --only TOPIC tells which and why"));
    }
    fields
}

fn known(fields: &mut Fields, label: &str, fact: Option<&Fact<String>>) {
    if let Some(fact) = fact {
        fields.add(label, shown(&fact.value));
    }
}

/// The names, or how many there are.
fn names(all: &[String]) -> String {
    if all.len() <= NAMES {
        return shown(&all.join(", "));
    }
    let some: Vec<&str> = all.iter().take(NAMES).map(String::as_str).collect();
    let more = all.len().saturating_sub(NAMES);
    format!("{} and {more} more", shown(&some.join(", ")))
}

fn list(fields: &mut Fields, label: &str, all: &[String]) {
    if !all.is_empty() {
        fields.add(label, names(all));
    }
}

fn os(system: &SystemFacts, fields: &mut Fields) {
    let Some(os) = system.os.as_ref().map(|s| &s.found) else {
        return;
    };
    known(fields, "hostname", os.hostname.as_ref());
    if os.system_root.is_some() {
        known(
            fields,
            "domain",
            os.domain.as_ref().filter(|_| os.workgroup.is_none()),
        );
        known(fields, "workgroup", os.workgroup.as_ref());
    }
    known(fields, "build", os.build.as_ref());
    known(fields, "edition", os.edition.as_ref());
    known(fields, "architecture", os.architecture.as_ref());
    known(fields, "osinfo", os.osinfo.as_ref());
    known(fields, "machine id", os.machine_id.as_ref());
    if let Some(first) = os.installed.first() {
        fields.add(
            "installed",
            format!("{} ({})", utc(first.seconds.value), shown(&first.what)),
        );
    }
}

fn mounts(system: &SystemFacts, inspection: &Inspection, fields: &mut Fields) {
    let Some(mounts) = system.mounts.as_ref().map(|s| &s.found) else {
        return;
    };
    let mut lines = Vec::new();
    for mount in &mounts.mounted {
        let fs = inspection.filesystems.iter().find(|fs| fs.source == mount.device);
        let room = fs.and_then(|fs| Some((fs.used?, fs.size)));
        let room = room.map_or_else(String::new, |(used, size)| {
            format!(", {} of {}", human(used), human(size))
        });
        lines.push(format!(
            "{}  {} on {}{room}",
            shown(&mount.mount_point),
            shown(&mount.filesystem),
            shown(&mount.device)
        ));
    }
    fields.add("mounts", lines.join("\n"));
    let missing: Vec<String> = mounts
        .left_out
        .iter()
        .filter(|l| !l.expected)
        .map(|l| format!("{} on {}: {}", l.spec, l.mount_point, l.why))
        .collect();
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|l| shown(l)).collect();
        fields.add("not mounted", missing.join("\n"));
    }
}

fn boot(system: &SystemFacts, fields: &mut Fields) {
    let Some(boot) = system.boot.as_ref().map(|s| &s.found) else {
        return;
    };
    let mut words: Vec<String> = Vec::new();
    words.extend(boot.firmware.as_ref().map(|f| f.value.word().to_owned()));
    words.extend(boot.loaders.first().map(|l| l.kind.word().to_owned()));
    if !words.is_empty() {
        fields.add("boot", words.join(", "));
    }
    let kernels: Vec<String> = boot
        .kernels
        .iter()
        .map(|kernel| {
            let release = kernel.release.as_ref().map_or(&kernel.path, |r| &r.value);
            let default = if kernel.default { " (default)" } else { "" };
            format!("{release}{default}")
        })
        .collect();
    list(fields, "kernels", &kernels);
}

fn init(system: &SystemFacts, fields: &mut Fields) {
    let Some(init) = system.init.as_ref().map(|s| &s.found) else {
        return;
    };
    let words = [&init.kind, &init.default].into_iter().flatten();
    let words: Vec<String> = words.map(|f| f.value.clone()).collect();
    list(fields, "init", &words);
    if let Some(units) = system.units.as_ref().map(|s| &s.found) {
        let started = units
            .started_at_boot
            .iter()
            .filter(|u| u.ends_with(".service"))
            .count();
        fields.add("services", format!("{started} started at boot"));
    }
}

fn software(system: &SystemFacts, fields: &mut Fields) {
    if let Some(packages) = system.packages.as_ref().map(|s| &s.found) {
        for database in &packages.databases {
            fields.add(
                "packages",
                format!("{} ({})", database.packages, shown(&database.kind)),
            );
        }
    }
    if let Some(applications) = system.applications.as_ref().map(|s| &s.found) {
        let all: Vec<String> = applications
            .applications
            .iter()
            .map(|a| a.display_name.clone())
            .collect();
        list(fields, "applications", &all);
    }
    if let Some(agents) = system.agents.as_ref().map(|s| &s.found) {
        let all: Vec<String> = agents.agents.iter().map(|a| a.name.clone()).collect();
        list(fields, "agents", &all);
    }
    if let Some(containers) = system.containers.as_ref().map(|s| &s.found) {
        let all: Vec<String> = containers.engines.iter().map(|e| e.name.clone()).collect();
        list(fields, "containers", &all);
    }
}

fn people(system: &SystemFacts, fields: &mut Fields) {
    if let Some(users) = system.users.as_ref().map(|s| &s.found) {
        let people = users
            .users
            .iter()
            .filter(|u| u.person || (u.uid == 0 && !u.no_login));
        let all: Vec<String> = people.map(|u| u.name.clone()).collect();
        list(fields, "users", &all);
    }
    let windows = system.windows.as_ref();
    if let Some(accounts) = windows.and_then(|w| w.users.as_ref()).map(|s| &s.found) {
        let all: Vec<String> = accounts.users.iter().map(|a| a.name.clone()).collect();
        list(fields, "users", &all);
    }
}

fn network(system: &SystemFacts, fields: &mut Fields) {
    let Some(network) = system.network.as_ref().map(|s| &s.found) else {
        return;
    };
    let lines: Vec<String> = network
        .connections
        .iter()
        .filter(|c| c.ignored.is_none() && c.name != "lo" && !shipped(c.source.as_str()))
        .map(|connection| {
            let name = connection
                .interface
                .as_ref()
                .map_or(&connection.name, |f| &f.value);
            let mut words: Vec<String> = connection
                .addresses
                .iter()
                .map(|a| match a.prefix {
                    Some(prefix) => format!("{}/{prefix}", a.address),
                    None => a.address.clone(),
                })
                .collect();
            words.extend(connection.gateways.iter().map(|g| format!("via {}", g.value)));
            words.extend(connection.matching.macs.iter().map(|m| format!("mac {m}")));
            shown(&format!("{name}  {} ({})", words.join(" "), connection.tool))
        })
        .collect();
    if !lines.is_empty() {
        fields.add("network", lines.join("\n"));
    }
}

/// Whether a distribution put it there for machines in general, and nobody for this one.
fn shipped(source: &str) -> bool {
    source.starts_with("/usr/lib/") || source.starts_with("/lib/")
}

fn last_boot(system: &SystemFacts, fields: &mut Fields) {
    let Some(journal) = system.journal.as_ref().map(|s| &s.found) else {
        return;
    };
    let Some(last) = &journal.last_boot else {
        return;
    };
    let mut words = Vec::new();
    if let Some(boot) = journal.boots.iter().find(|b| b.id == last.id) {
        words.push(boot.first.clone());
    }
    if let Some(startup) = &last.startup {
        let seconds = startup.total_usec / 1_000_000;
        words.push(format!("up in {seconds} s"));
    }
    words.push(format!("{} errors logged", last.errors_total));
    fields.add("last boot", shown(&words.join(", ")));
    let failed: Vec<String> = last.failed_units.iter().map(|f| f.unit.clone()).collect();
    list(fields, "failed units", &failed);
}
