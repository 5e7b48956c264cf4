//! What VMware and VirtualBox add to the standard.

use crate::number::{decimal, yes};
use crate::xml::Element;
use crate::{Chipset, Clock, Firmware, Mac, Machine, Tpm, Uuid};
use std::collections::BTreeMap;

/// Settings `vmw:Config` and `vmw:ExtraConfig` directly inside `element`, by their keys.
fn settings(element: &Element) -> impl Iterator<Item = (&str, &str)> {
    let all = element
        .children
        .iter()
        .filter(|c| c.name == "Config" || c.name == "ExtraConfig");
    all.filter_map(|c| Some((c.attribute("key")?, c.attribute("value")?)))
}

fn setting<'a>(element: &'a Element, key: &str) -> Option<&'a str> {
    settings(element)
        .find(|(k, _)| k.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

/// The PCI slot of an item.
pub(super) fn slot(item: &Element) -> Option<u32> {
    setting(item, "slotInfo.pciSlotNumber").and_then(decimal)
}

/// Turns in VMware's boot order, by the identifiers of items.
pub(super) fn turns(section: &Element) -> BTreeMap<String, u32> {
    let all = section
        .all("BootOrderSection")
        .filter_map(|s| s.said("instanceId"));
    let mut turns = BTreeMap::new();
    for (turn, id) in (1..).zip(all) {
        turns.entry(id).or_insert(turn);
    }
    turns
}

/// VMware's additions to the hardware.
pub(super) fn vmware(system: &Element, section: &Element, machine: &mut Machine) {
    let mine = section
        .path(&["System", "VirtualSystemType"])
        .is_some_and(|kind| kind.text().split([' ', ',']).any(|word| word.starts_with("vmx-")));
    match setting(section, "firmware") {
        Some(word) if word.eq_ignore_ascii_case("efi") => {
            let secure_boot = setting(section, "bootOptions.efiSecureBootEnabled").is_some_and(yes);
            machine.firmware = Some(Firmware::Uefi { secure_boot });
        }
        Some(_) => machine.firmware = Some(Firmware::Bios),
        None if mine => machine.firmware = Some(Firmware::Bios),
        None => {}
    }
    if let Some(uuid) = setting(section, "uuid.bios") {
        machine.uuid = Uuid::parse(uuid);
    }
    // The section may stand in the hardware or beside it.
    if section.child("BootOrderSection").is_none() {
        let turns = turns(system);
        if !turns.is_empty() {
            machine.note("BootOrderSection", "outside of the hardware, and passed over");
        }
    }
}

/// VirtualBox' own description of the machine.
pub(super) fn virtualbox(element: &Element, machine: &mut Machine) {
    machine.uuid = machine
        .uuid
        .or_else(|| element.attribute("uuid").and_then(Uuid::parse));
    if machine.os.virtualbox.is_none() {
        machine.os.virtualbox = element.said("OSType");
    }
    let Some(hardware) = element.child("Hardware") else {
        return;
    };
    let kind = |name: &str| hardware.child(name).and_then(|e| e.attribute("type"));
    let secure = || {
        // It moved from one element into another.
        let places = [
            &["BIOS", "SecureBoot"][..],
            &["BIOS", "NVRAM", "SecureBoot"],
            &["Firmware", "SecureBoot"],
        ];
        let mut found = places.iter().filter_map(|path| hardware.path(path));
        found.any(|e| e.attribute("enabled").is_some_and(yes))
    };
    machine.firmware = Some(match kind("Firmware") {
        Some(word) if word.to_ascii_lowercase().starts_with("efi") => Firmware::Uefi {
            secure_boot: secure(),
        },
        _ => Firmware::Bios,
    });
    machine.tpm = match kind("TrustedPlatformModule") {
        Some("v2_0") => Some(Tpm::V2),
        Some("v1_2") => Some(Tpm::V1),
        _ => machine.tpm,
    };
    let rtc = hardware.child("RTC").and_then(|e| e.attribute("localOrUTC"));
    machine.clock = Some(match rtc {
        Some(word) if word.eq_ignore_ascii_case("utc") => Clock::Utc,
        _ => Clock::Localtime,
    });
    let chipset = match kind("Chipset") {
        Some("ICH9") => Chipset::Q35,
        _ => Chipset::Pc,
    };
    adapters(hardware, chipset, machine);
}

/// The cards' addresses, which the standard part leaves out, and their places.
fn adapters(hardware: &Element, chipset: Chipset, machine: &mut Machine) {
    let network = hardware.child("Network");
    let mut adapters: Vec<(u32, &Element)> = network
        .into_iter()
        .flat_map(|n| n.all("Adapter"))
        .filter(|a| a.attribute("enabled").is_some_and(yes))
        .filter_map(|a| Some((a.attribute("slot").and_then(decimal)?, a)))
        .collect();
    adapters.sort_by_key(|(slot, _)| *slot);
    if adapters.len() != machine.nics.len() {
        if !adapters.is_empty() {
            machine.note(
                "Machine",
                format!(
                    "{} network cards of VirtualBox and {} of the standard part: addresses are not matched",
                    adapters.len(),
                    machine.nics.len()
                ),
            );
        }
        return;
    }
    for ((slot, adapter), nic) in adapters.iter().zip(&mut machine.nics) {
        nic.mac = nic
            .mac
            .or_else(|| adapter.attribute("MACAddress").and_then(Mac::parse));
        if adapter.attribute("cable").is_some_and(|word| !yes(word)) {
            nic.connected = false;
        }
        if chipset == Chipset::Pc {
            nic.old_name = place(*slot).map(|n| format!("enp0s{n}"));
        }
    }
}

/// The PCI device that VirtualBox' older board gives to the card in `slot`.
fn place(slot: u32) -> Option<u32> {
    match slot {
        0 => Some(3),
        1..=3 => slot.checked_add(7),
        4..=7 => slot.checked_add(12),
        _ => None,
    }
}
