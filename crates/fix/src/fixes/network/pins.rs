//! Which name belongs to which MAC address, from everything a guest and the description of its machine tell.

use crate::options::Nic;
use h2k_guest::Source;
use h2k_inspect::network::{Network, hardware_name};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of an interface: IFNAMSIZ without the NUL.
const LONGEST: usize = 15;
/// Names that are looked at; a machine has few interfaces.
const NAMES: usize = 256;

/// A name that the guest's configuration uses, and the MAC addresses it is told to have.
#[derive(Debug, Default)]
pub(super) struct Used {
    /// Where it is used.
    pub(super) sources: Vec<Source>,
    /// MAC addresses that go with it.
    pub(super) macs: BTreeSet<String>,
}

/// What is known of one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is the name of the interface with this MAC address.
    Mac(String),
    /// Nothing says, or more than one thing does.
    Open(String),
}

/// A MAC address in lower case with colons; `None` for everything else.
pub(super) fn mac(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase().replace('-', ":");
    let parts: Vec<&str> = text.split(':').collect();
    let fits = parts.len() == 6
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    (fits && text != "00:00:00:00:00:00").then_some(text)
}

/// Whether a name is hardware's, and one that can be written into a file.
pub(super) fn usable(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    hardware_name(name) && name.len() <= LONGEST && name.bytes().all(plain)
}

/// The names that the configuration uses.
pub(super) fn used(network: &Network) -> BTreeMap<String, Used> {
    let mut all: BTreeMap<String, Used> = BTreeMap::new();
    let mut add = |name: &str, source: &Source, macs: &[String]| {
        if !usable(name) || (all.len() >= NAMES && !all.contains_key(name)) {
            return;
        }
        let used = all.entry(name.to_owned()).or_default();
        used.sources.push(source.clone());
        used.macs.extend(macs.iter().filter_map(|text| mac(text)));
    };
    for connection in network.connections.iter().filter(|c| c.ignored.is_none()) {
        for member in &connection.members {
            add(&member.value, &member.source, &[]);
        }
        for lower in &connection.lower {
            add(&lower.value, &lower.source, &[]);
        }
        let kind = connection.kind.as_ref().map(|kind| kind.value.as_str());
        if !matches!(kind, None | Some("ethernet")) {
            continue;
        }
        let mut macs = connection.matching.macs.clone();
        // What interfaces(5) sets is nearly always what the interface has.
        if connection.tool == "interfaces" {
            macs.extend(connection.cloned_mac.iter().map(|mac| mac.value.clone()));
        }
        let named = connection.set_name.as_ref().or(connection.interface.as_ref());
        match named {
            Some(name) => add(&name.value, &name.source, &macs),
            // A match of one name says which address it has; of several it does not.
            None => {
                let one = connection.matching.names.len() == 1;
                for name in &connection.matching.names {
                    add(name, &connection.source, if one { &macs } else { &[] });
                }
            }
        }
    }
    for rule in network.names.iter().filter(|r| r.ignored.is_none()) {
        if let Some(name) = &rule.name {
            add(name, &rule.source, &rule.matching.macs);
        }
    }
    // Leases tell of addresses, and are no use of a name.
    for lease in &network.last_leases {
        let used = lease.interface.as_ref().and_then(|name| all.get_mut(name));
        if let (Some(used), Some(found)) = (used, lease.mac.as_deref().and_then(mac)) {
            used.macs.insert(found);
        }
    }
    all
}

/// The MAC address of each name in `used`, where `nics` are the interfaces that the machine will have.
pub(super) fn assign(used: &BTreeMap<String, Used>, nics: &[Nic]) -> BTreeMap<String, Told> {
    let there: BTreeMap<String, &Nic> = nics
        .iter()
        .filter_map(|nic| Some((mac(&nic.mac)?, nic)))
        .collect();
    let mut all = BTreeMap::new();
    for (name, about) in used {
        let fits: Vec<&String> = about
            .macs
            .iter()
            .filter(|mac| there.is_empty() || there.contains_key(*mac))
            .collect();
        let hinted = || {
            let mut hints = there.iter().filter(|(_, nic)| nic.name.as_deref() == Some(name));
            let first = hints.next()?;
            hints.next().is_none().then(|| first.0.clone())
        };
        let told = match fits.as_slice() {
            [one] => Told::Mac((*one).clone()),
            [] => match hinted() {
                Some(mac) => Told::Mac(mac),
                None if there.is_empty() => Told::Open("nothing says which MAC address it has".to_owned()),
                None => Told::Open("nothing says which of the machine's MAC addresses it has".to_owned()),
            },
            many => Told::Open(format!(
                "the configuration ties it to {} MAC addresses",
                many.len()
            )),
        };
        all.insert(name.clone(), told);
    }
    trivial(used, &there, &mut all);
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, told) in &all {
        if let Told::Mac(mac) = told {
            of.entry(mac.clone()).or_default().push(name.clone());
        }
    }
    for names in of.values().filter(|names| names.len() > 1) {
        for name in names {
            let why = format!("{} would have one MAC address", names.join(" and "));
            all.insert(name.clone(), Told::Open(why));
        }
    }
    all
}

/// One interface and one name belong together.
fn trivial(used: &BTreeMap<String, Used>, there: &BTreeMap<String, &Nic>, all: &mut BTreeMap<String, Told>) {
    let (Some((mac, _)), Some((name, _))) = (there.first_key_value(), used.first_key_value()) else {
        return;
    };
    let alone = there.len() == 1 && used.len() == 1;
    if alone && matches!(all.get(name), Some(Told::Open(_))) {
        all.insert(name.clone(), Told::Mac(mac.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(of: &[(&str, &[&str])]) -> BTreeMap<String, Used> {
        let one = |(name, macs): &(&str, &[&str])| {
            let macs = macs.iter().map(|mac| (*mac).to_owned()).collect();
            let sources = Vec::new();
            ((*name).to_owned(), Used { sources, macs })
        };
        of.iter().map(one).collect()
    }

    fn nic(mac: &str, name: Option<&str>) -> Nic {
        Nic {
            mac: mac.to_owned(),
            name: name.map(str::to_owned),
        }
    }

    const A: &str = "00:50:56:00:00:0a";
    const B: &str = "00:50:56:00:00:0b";

    #[test]
    fn one_interface_and_one_name_belong_together() {
        let told = assign(&used(&[("ens33", &[])]), &[nic(A, None)]);
        assert_eq!(told["ens33"], Told::Mac(A.to_owned()));
    }

    #[test]
    fn an_address_the_machine_does_not_have_gives_no_name() {
        let told = assign(&used(&[("ens33", &[B]), ("ens34", &[])]), &[nic(A, None)]);
        assert!(told.values().all(|t| matches!(t, Told::Open(_))));
    }

    #[test]
    fn slots_of_the_old_machine_tell_which_is_which() {
        let nics = [nic(A, Some("ens192")), nic(B, Some("ens224"))];
        let told = assign(&used(&[("ens192", &[]), ("ens224", &[])]), &nics);
        assert_eq!(told["ens192"], Told::Mac(A.to_owned()));
        assert_eq!(told["ens224"], Told::Mac(B.to_owned()));
    }

    #[test]
    fn two_names_never_get_one_address() {
        let told = assign(&used(&[("ens192", &[A]), ("ens224", &[A])]), &[]);
        assert!(told.values().all(|t| matches!(t, Told::Open(_))));
    }

    #[test]
    fn addresses_are_compared_in_one_form() {
        assert_eq!(mac("00-50-56-AB-CD-EF").as_deref(), Some("00:50:56:ab:cd:ef"));
        assert_eq!(mac("random"), None);
        assert_eq!(mac("00:00:00:00:00:00"), None);
        assert!(!usable("ens/../x") && !usable("br0") && usable("ens192"));
    }
}
