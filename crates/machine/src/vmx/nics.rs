//! `ethernet0` to `ethernet9`.

use super::dictionary::Dictionary;
use crate::number::{decimal, said, yes};
use crate::{Mac, Machine, Network, Nic, NicModel};
use h2k_block::Result;

/// Cards a machine has at most.
const MOST: u32 = 10;

pub(super) fn read(keys: &Dictionary, machine: &mut Machine) -> Result<Vec<Nic>> {
    let mut nics = Vec::new();
    for n in 0..MOST {
        let get = |key: &str| keys.get(&format!("ethernet{n}.{key}"));
        if !get("present").is_some_and(yes) {
            continue;
        }
        let model = match get("virtualdev").and_then(said) {
            Some(word) => NicModel::from_name(&word),
            // What VMware takes where nothing is said: e1000 for 64-bit guests, flexible for older ones.
            None if machine.os.vmware.as_deref().is_some_and(|os| os.contains("64")) => NicModel::E1000,
            None => NicModel::Pcnet,
        };
        let mut nic = Nic::new(model, network(keys, n));
        // A static address is the administrator's, a generated one VMware's.
        let fixed = get("addresstype").is_some_and(|t| t.eq_ignore_ascii_case("static"));
        let order = if fixed {
            ["address", "generatedaddress"]
        } else {
            ["generatedaddress", "address"]
        };
        nic.mac = order.into_iter().find_map(|key| get(key).and_then(Mac::parse));
        if nic.mac.is_none() && (get("address").is_some() || get("generatedaddress").is_some()) {
            machine.note(format!("ethernet{n}"), "its address is none");
        }
        nic.connected = get("startconnected").is_none_or(yes);
        if get("startconnected").is_some_and(|word| word.trim().is_empty()) {
            nic.connected = true;
        }
        // -1 where none was given yet.
        nic.pci_slot = get("pcislotnumber").and_then(decimal);
        nic.old_name = nic.pci_slot.and_then(crate::vmx::name_in_slot);
        nics.push(nic);
    }
    Ok(nics)
}

fn network(keys: &Dictionary, n: u32) -> Network {
    let get = |key: &str| keys.get(&format!("ethernet{n}.{key}")).and_then(said);
    if let Some(name) = get("networkname") {
        return Network::Named(name);
    }
    if let Some(id) = get("dvs.portgroupid") {
        return Network::Named(id);
    }
    match get("connectiontype").map(|t| t.to_ascii_lowercase()).as_deref() {
        Some("custom") => get("vnet").map_or(Network::Unsaid, Network::Named),
        Some(kind) => Network::Named(kind.to_owned()),
        // VMware's default.
        None => Network::Named("bridged".to_owned()),
    }
}

/// What Linux calls a card that VMware plugged into this slot: the firmware tells the guest the slot's number, which is
/// the configured one with the function (its upper bits, 1024 each) added.
pub(crate) fn name_in_slot(slot: u32) -> Option<String> {
    let (function, place) = (slot >> 10, slot & 0x3ff);
    // Below 32 are the slots of bridges and of the board itself.
    (place >= 32 && function < 8).then(|| format!("ens{}", place.saturating_add(function)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_become_the_names_linux_gave() {
        for (slot, want) in [
            (160, Some("ens160")),
            (192, Some("ens192")),
            (33, Some("ens33")),
            (1184, Some("ens161")),
            (1216, Some("ens193")),
            (2208, Some("ens162")),
            (17, None),
            (u32::MAX, None),
        ] {
            assert_eq!(super::name_in_slot(slot).as_deref(), want, "{slot}");
        }
    }
}
