//! Interfaces keep the names that the guest's configuration calls them by.
//!
//! Names come from the slots of the old machine; MAC addresses move to the new one. So each name is tied to its MAC
//! address: systemd.link(5) where udev reads it, a rule for udev(7) elsewhere. How addresses are configured is not
//! touched.

mod drivers;
mod pins;

use super::Fix;
use super::text::{Becomes, lines, read, shown};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::options::NetworkLevel;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;
use h2k_guest::look::join;
use h2k_inspect::linux_network;
use h2k_inspect::network::{NameRule, Network};
use pins::{Told, Used};
use std::collections::{BTreeMap, BTreeSet};

const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
const LINKS: &str = "/etc/systemd/network";

/// Ties the names of interfaces to their MAC addresses.
pub(super) struct Names;

impl Fix for Names {
    fn id(&self) -> &'static str {
        "linux.network-names"
    }

    fn about(&self) -> &'static str {
        "ties the names of network interfaces to their MAC addresses, and frees them of the old machine's drivers"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let network = linux_network(view.look);
        let mut findings = Vec::new();
        let mut work = Work {
            view,
            texts: BTreeMap::new(),
        };
        let freed = freed(&mut work, &mut findings);
        let macs: BTreeSet<String> = view
            .target
            .nics
            .iter()
            .filter_map(|nic| pins::mac(&nic.mac))
            .collect();
        if view.options.network >= NetworkLevel::Moderate && !macs.is_empty() {
            findings.extend(stale(&mut work, &macs));
        }
        let renamed = gone(&mut work, &network, &macs, &mut findings);
        findings.extend(pinned(&mut work, &network, &freed, &renamed));
        findings.extend(slots(&network));
        if findings.is_empty() {
            findings.push(Finding::leave(
                "no configuration calls an interface by a name that its hardware gave it",
            ));
        }
        Ok(findings)
    }
}

/// Texts as the findings of this look leave them: two of them may change one file.
struct Work<'v, 'a> {
    view: &'v View<'a>,
    texts: BTreeMap<Vec<u8>, String>,
}

impl Work<'_, '_> {
    fn read(&self, path: &[u8]) -> Option<String> {
        let changed = self.texts.get(path).cloned();
        changed.or_else(|| read(self.view, path))
    }

    fn write(&mut self, path: &[u8], content: String) -> Edit {
        self.texts.insert(path.to_vec(), content.clone());
        Edit::write(path, content)
    }
}

/// Conditions on drivers, changed or told of; answers with the files that are free of them afterwards.
fn freed(work: &mut Work<'_, '_>, findings: &mut Vec<Finding>) -> BTreeSet<Vec<u8>> {
    let mut freed = BTreeSet::new();
    for found in drivers::look(work.view) {
        let why = format!(
            "{} is for a driver of the old machine only ({})",
            shown(&found.path),
            found.what
        );
        let source = Source::file(&found.path);
        if work.view.options.network == NetworkLevel::Conservative {
            let advice = "network_fix_level moderate has it match virtio instead";
            findings.push(Finding::warn(why).advise(advice).read([source]));
            continue;
        }
        freed.insert(found.path.clone());
        let edit = work.write(&found.path, found.content);
        findings.push(
            Finding::change(
                format!("{why}, and matches the new one's from now on"),
                vec![edit],
            )
            .read([source]),
        );
    }
    freed
}

/// Rules for MAC addresses that the machine will not have: they keep names from the interfaces that are there.
fn stale(work: &mut Work<'_, '_>, macs: &BTreeSet<String>) -> Option<Finding> {
    let text = work.read(RULES.as_bytes())?;
    let mut gone = BTreeSet::new();
    let content = lines(&text, |line| {
        let about = !line.trim_start().starts_with('#') && line.contains("NAME=");
        let named = line.split('"').find_map(pins::mac).filter(|_| about);
        match named.filter(|mac| !macs.contains(mac)) {
            Some(mac) => {
                gone.insert(mac);
                Becomes::Gone
            }
            None => Becomes::Same,
        }
    })?;
    let gone: Vec<String> = gone.into_iter().collect();
    let why = format!(
        "{RULES} keeps names for {}, which the machine does not have: the interfaces it has would get others",
        gone.join(", ")
    );
    let edit = work.write(RULES.as_bytes(), content);
    Some(Finding::change(why, vec![edit]).read([Source::file(RULES.as_bytes())]))
}

/// Connections for MAC addresses that the machine will not have. Where exactly one went and exactly one came, the
/// aggressive level writes the new one in place of the old; answers with such pairs.
fn gone(
    work: &mut Work<'_, '_>,
    network: &Network,
    macs: &BTreeSet<String>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, String> {
    let mut old: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for connection in network.connections.iter().filter(|c| c.ignored.is_none()) {
        for mac in connection.matching.macs.iter().filter_map(|text| pins::mac(text)) {
            if macs.contains(&mac) {
                known.insert(mac);
            } else if !macs.is_empty() {
                old.entry(mac).or_default().insert(path_of(&connection.source));
            }
        }
    }
    let mut came = macs.difference(&known);
    let pair = match (old.len(), came.next(), came.next()) {
        (1, Some(new), None) => Some(new.clone()),
        _ => None,
    };
    let mut renamed = BTreeMap::new();
    for (mac, paths) in old {
        let named: Vec<String> = paths.iter().map(|path| shown(path)).collect();
        let sources: Vec<Source> = paths.iter().map(|path| Source::file(path)).collect();
        let why = format!(
            "{} is for the MAC address {mac}, which the machine does not have",
            named.join(", ")
        );
        let new = pair
            .as_ref()
            .filter(|_| work.view.options.network == NetworkLevel::Aggressive);
        let edits: Vec<Edit> = new
            .map(|new| {
                let all = paths.iter();
                all.filter_map(|path| replaced(work, path, &mac, new)).collect()
            })
            .unwrap_or_default();
        let finding = match new {
            Some(new) if !edits.is_empty() => {
                renamed.insert(mac.clone(), new.clone());
                Finding::change(format!("{why}; its only new one is {new}"), edits)
            }
            _ => Finding::warn(why).advise(
                "keep the MAC addresses the guest had, or let network_fix_level aggressive write the new one where it \
                 is plain which that is",
            ),
        };
        findings.push(finding.read(sources));
    }
    renamed
}

/// `path` with one MAC address for another, whatever case it is written in.
fn replaced(work: &mut Work<'_, '_>, path: &[u8], old: &str, new: &str) -> Option<Edit> {
    let text = work.read(path)?;
    let folded = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0_usize;
    for (found, _) in folded.match_indices(old) {
        out.push_str(text.get(at..found)?);
        out.push_str(new);
        at = found.checked_add(old.len())?;
    }
    out.push_str(text.get(at..)?);
    (out != text).then(|| work.write(path, out))
}

/// The file of `/etc/x:3`.
fn path_of(source: &Source) -> Vec<u8> {
    let text = source.as_str();
    let line = text
        .rsplit_once(':')
        .filter(|(_, line)| line.bytes().all(|b| b.is_ascii_digit()));
    line.map_or(text, |(path, _)| path).as_bytes().to_vec()
}

/// Ties each name that is used.
fn pinned(
    work: &mut Work<'_, '_>,
    network: &Network,
    freed: &BTreeSet<Vec<u8>>,
    renamed: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let view = work.view;
    let mut used = pins::used(network);
    for about in used.values_mut() {
        let macs = std::mem::take(&mut about.macs).into_iter();
        about.macs = macs
            .map(|mac| renamed.get(&mac).cloned().unwrap_or(mac))
            .collect();
    }
    let links = reads_links(view, network);
    let named_later = links && !switched_off(network);
    if used.is_empty() && named_later {
        // Nothing is configured by name: what the old machine called its interfaces still stands in firewalls and logs.
        for nic in &view.target.nics {
            if let Some(name) = nic.name.as_ref().filter(|name| pins::usable(name)) {
                used.entry(name.clone()).or_default();
            }
        }
    }
    let told = pins::assign(&used, &view.target.nics);
    let mut findings = Vec::new();
    let mut rules = Vec::new();
    let only = used.len() == 1;
    for (name, about) in &used {
        let sources = about.sources.iter().take(8).cloned();
        let mac = match told.get(name) {
            Some(Told::Mac(mac)) => mac,
            Some(Told::Open(why)) => {
                if only && kernels_own(view, named_later, name) {
                    findings.push(
                        Finding::leave(format!("{name} is the kernel's own name, and stays")).read(sources),
                    );
                } else {
                    findings.push(open(name, why).read(sources));
                }
                continue;
            }
            None => continue,
        };
        if let Some(rule) = network.names.iter().find(|rule| ties(rule, name, mac, freed)) {
            let why = format!("{name} is tied to {mac} already");
            findings.push(Finding::leave(why).read([rule.source.clone()]));
            continue;
        }
        let netplan = network.connections.iter().find(|c| {
            let named = c.set_name.as_ref().is_some_and(|set| set.value == *name);
            c.ignored.is_none() && named && has(&c.matching.macs, mac)
        });
        if let Some(connection) = netplan {
            let why = format!("{name} is what {} calls {mac}", connection.tool);
            findings.push(Finding::leave(why).read([connection.source.clone()]));
            continue;
        }
        if only && kernels_own(view, named_later, name) {
            let why = format!("{name} is the kernel's own name, and stays");
            findings.push(Finding::leave(why).read(sources));
            continue;
        }
        if !links {
            rules.push((name, mac, about));
            continue;
        }
        let path = format!("{LINKS}/10-hyper2kvm-{name}.link");
        let why = format!(
            "{name} is named by the old machine's hardware; from now on it is the name of the interface with the MAC \
             address {mac}"
        );
        let edit = Edit::write(path, link(view, name, mac));
        findings.push(Finding::change(why, vec![edit]).read(sources));
    }
    findings.extend(ruled(work, &rules));
    findings
}

fn open(name: &str, why: &str) -> Finding {
    let why = format!(
        "{name} is used by the configuration, and will be another name on the new machine: {why}, so that it cannot be \
         tied to one"
    );
    Finding::warn(why).advise(format!(
        "give the MAC address of {name}, or the description of the old machine (VMX or OVF)"
    ))
}

fn has(macs: &[String], wanted: &str) -> bool {
    macs.iter().any(|mac| pins::mac(mac).as_deref() == Some(wanted))
}

/// Whether a rule gives `mac` the name, on any machine.
fn ties(rule: &NameRule, name: &str, mac: &str, freed: &BTreeSet<Vec<u8>>) -> bool {
    let matching = &rule.matching;
    let driver = matching
        .drivers
        .iter()
        .all(|d| d.contains('*') || d.starts_with("virtio"))
        || freed.contains(&path_of(&rule.source));
    // The kernel calls it ethN when rules are asked; a rule for another name is for a name that it had.
    let named = matching.names.iter().all(|n| n.starts_with("eth") || n == "*");
    rule.ignored.is_none()
        && rule.name.as_deref() == Some(name)
        && has(&matching.macs, mac)
        && driver
        && named
        && matching.paths.is_empty()
}

/// Whether the guest's udev names interfaces by `.link` files.
fn reads_links(view: &View<'_>, network: &Network) -> bool {
    let there = [
        "/usr/lib/systemd/systemd-udevd",
        "/lib/systemd/systemd-udevd",
        "/usr/lib/systemd/network/99-default.link",
        "/lib/systemd/network/99-default.link",
    ];
    let off = network
        .name_switches
        .iter()
        .any(|switch| switch.value.starts_with("80-net-setup-link.rules is turned off"));
    !off && there.iter().any(|path| view.look.exists(path))
}

fn switched_off(network: &Network) -> bool {
    network
        .name_switches
        .iter()
        .any(|s| s.value.contains("net.ifnames=0"))
}

/// Whether `name` is what the kernel itself calls the only interface, and nothing gives it another.
fn kernels_own(view: &View<'_>, named_later: bool, name: &str) -> bool {
    name == "eth0" && !named_later && view.target.nics.len() <= 1
}

/// The `.link` file of one name. systemd.link(5): `PermanentMACAddress=` since version 245; before, bonds, bridges and
/// VLANs that have the same address are told apart by the driver.
fn link(view: &View<'_>, name: &str, mac: &str) -> String {
    let matching = match version(view) {
        Some(version) if version >= 245 => format!("PermanentMACAddress={mac}"),
        _ => format!("MACAddress={mac}\nDriver=virtio_net"),
    };
    format!(
        "# Keeps the name this interface had on the old machine.\n[Match]\n{matching}\n\n[Link]\nName={name}\n"
    )
}

/// The version of systemd, from the name of the library its programs share; there is none before version 231.
fn version(view: &View<'_>) -> Option<u32> {
    let mut dirs = vec![b"/usr/lib/systemd".to_vec(), b"/lib/systemd".to_vec()];
    for base in ["/usr/lib64", "/lib64", "/usr/lib", "/lib"] {
        dirs.push(join(base.as_bytes(), b"systemd"));
        for name in view.look.names(base) {
            // Debian's directories of architectures: x86_64-linux-gnu.
            if name.windows(7).any(|part| part == b"-linux-") {
                let arch = join(base.as_bytes(), &name);
                dirs.push(join(&arch, b"systemd"));
            }
        }
    }
    let names = dirs.iter().flat_map(|dir| view.look.names(dir));
    names
        .filter_map(|name| {
            let name = String::from_utf8(name).ok()?;
            let rest = name.strip_prefix("libsystemd-shared-")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .max()
}

/// Names in a rules file, for guests whose udev reads nothing else.
fn ruled(work: &mut Work<'_, '_>, rules: &[(&String, &String, &Used)]) -> Option<Finding> {
    if rules.is_empty() {
        return None;
    }
    let mut content = work.read(RULES.as_bytes()).unwrap_or_default();
    if !content.is_empty() && !content.ends_with('\n') {
        content.push('\n');
    }
    let mut names = Vec::new();
    let mut sources = Vec::new();
    for (name, mac, about) in rules {
        content.push_str(&format!(
            "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{mac}\", ATTR{{type}}==\"1\", \
             KERNEL==\"eth*\", NAME=\"{name}\"\n"
        ));
        names.push(format!("{name} to {mac}"));
        sources.extend(about.sources.iter().take(8).cloned());
    }
    let why = format!(
        "{} would be in doubt on the new machine: {RULES} ties {}",
        if names.len() == 1 { "a name" } else { "names" },
        names.join(", ")
    );
    let edit = work.write(RULES.as_bytes(), content);
    Some(Finding::change(why, vec![edit]).read(sources))
}

/// Conditions on places in the old machine.
fn slots(network: &Network) -> Vec<Finding> {
    let connections = network.connections.iter().filter(|c| c.ignored.is_none());
    let places = connections.map(|c| (&c.matching.paths, &c.source));
    let rules = network.names.iter().filter(|r| r.ignored.is_none());
    let places = places.chain(rules.map(|r| (&r.matching.paths, &r.source)));
    places
        .filter(|(paths, _)| !paths.is_empty())
        // What distributions ship is for hardware of a kind, not for this machine's.
        .filter(|(_, source)| {
            !source.as_str().starts_with("/usr/lib/") && !source.as_str().starts_with("/lib/")
        })
        .map(|(paths, source)| {
            let why = format!("{source} is for {}, a place in the old machine", paths.join(", "));
            Finding::warn(why)
                .advise("have it match a MAC address instead")
                .read([source.clone()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_its_line_is_a_path() {
        assert_eq!(path_of(&Source::line(b"/etc/a", 3)), b"/etc/a");
        assert_eq!(path_of(&Source::file(b"/etc/a")), b"/etc/a");
    }
}
