//! `VirtualHardwareSection`: items with numbers for what they are.

use super::files::Disks;
use super::{units, vendor};
use crate::number::{decimal, said, yes};
use crate::xml::Element;
use crate::{
    Controller, Drive, DriveKind, Mac, Machine, Network, Nic, NicModel, Slot, Source, Topology, Tpm,
};
use h2k_block::{Error, Result};
use std::collections::BTreeMap;

/// Items of one section; a machine has dozens.
const MOST: usize = 4096;

/// A controller: what it is, its number, and what is added to the unit of a drive on it.
struct Host {
    controller: Controller,
    number: u32,
    shift: u32,
}

/// An item with its identifier.
struct Item<'a> {
    id: &'a str,
    element: &'a Element,
    kind: u32,
}

impl Item<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.element.text_of(name)
    }

    /// The subtype in small letters: the first of several that are offered.
    fn subtype(&self) -> String {
        let text = self
            .text("ResourceSubType")
            .unwrap_or_default()
            .to_ascii_lowercase();
        text.split_whitespace().next().unwrap_or_default().to_owned()
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        self.text(name)
            .map(|text| {
                decimal(text).ok_or_else(|| {
                    let text: String = text.chars().take(60).collect();
                    Error::corrupt(
                        "Item",
                        self.element.at,
                        format!("{name} of item {:?} is {text:?}, expected a number", self.id),
                    )
                })
            })
            .transpose()
    }
}

pub(super) fn read(
    section: &Element,
    configuration: Option<&str>,
    disks: &Disks,
    machine: &mut Machine,
) -> Result<()> {
    let items = items(section, configuration)?;
    let hosts = controllers(&items)?;
    let mut turns = vendor::turns(section);
    for item in &items {
        match item.kind {
            3 => processors(item, machine)?,
            4 => memory(item, machine)?,
            5 | 6 | 20 => {}
            10 => {
                let mut nic = network_card(item, machine);
                nic.boot = turns.remove(item.id);
                machine.nics.push(nic);
            }
            14..=17 | 31 => {
                let mut drive = drive(item, &hosts, disks, machine)?;
                drive.boot = turns.remove(item.id);
                machine.drives.push(drive);
            }
            21 => machine.serials = machine.serials.saturating_add(1),
            // Sound cards have no number of their own in CIM; 35 is VirtualBox'.
            35 => machine.sound = true,
            23 | 24 => {}
            _ => other(item, machine),
        }
    }
    Ok(())
}

/// The items that count: those of the configuration, in place of those for all with the same identifier.
fn items<'a>(section: &'a Element, configuration: Option<&str>) -> Result<Vec<Item<'a>>> {
    let mut found: Vec<(Item<'a>, bool)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for element in &section.children {
        if !matches!(element.name.as_str(), "Item" | "StorageItem" | "EthernetPortItem") {
            continue;
        }
        let mine = element
            .attribute("configuration")
            .map(|all| all.split_whitespace().any(|c| Some(c) == configuration));
        if mine == Some(false) || element.attribute("bound").is_some_and(|b| b != "normal") {
            continue;
        }
        let kind = element
            .text_of("ResourceType")
            .and_then(decimal)
            .ok_or_else(|| Error::corrupt("Item", element.at, "no ResourceType, or one that is no number"))?;
        let id = element.text_of("InstanceID").unwrap_or_default();
        let item = Item { id, element, kind };
        let special = mine == Some(true);
        let count = found.len();
        match places.get(id).copied().and_then(|i| found.get_mut(i)) {
            Some(there) if special && !there.1 => *there = (item, true),
            Some(there) if !special && there.1 => {}
            Some(_) => {
                return Err(Error::corrupt(
                    "Item",
                    element.at,
                    format!("a second item {id:?}"),
                ));
            }
            None if count >= MOST => {
                return Err(Error::new(
                    h2k_block::Class::Limit,
                    format!("a machine of more than {MOST} items"),
                ));
            }
            None => {
                places.insert(id, count);
                found.push((item, special));
            }
        }
    }
    Ok(found.into_iter().map(|(item, _)| item).collect())
}

fn controllers<'a>(items: &[Item<'a>]) -> Result<BTreeMap<&'a str, Host>> {
    let mut hosts = BTreeMap::new();
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for item in items.iter().filter(|i| matches!(i.kind, 5 | 6 | 20)) {
        let subtype = item.subtype();
        let controller = match (item.kind, subtype.as_str()) {
            (5, _) => Controller::Ide,
            (6, "virtualscsi" | "pvscsi") => Controller::PvScsi,
            (6, "lsilogicsas" | "lsisas1068") => Controller::LsiSas,
            (6, "lsilogic") => Controller::LsiLogic,
            (6, "buslogic") => Controller::BusLogic,
            (_, "virtio-scsi" | "virtioscsi") => Controller::VirtioScsi,
            (6, _) => Controller::Scsi,
            (_, s) if s.contains("ahci") || s.contains("sata") => Controller::Sata,
            (_, s) if s.contains("nvme") => Controller::Nvme,
            _ => Controller::Unsaid,
        };
        // Kinds are numbered each on its own; type 20 holds two kinds.
        let family = match controller {
            Controller::Nvme => 1000,
            _ => item.kind,
        };
        let count = counts.entry(family).or_default();
        let number = item
            .number("Address")
            .ok()
            .flatten()
            .filter(|n| *n < 64)
            .unwrap_or(*count);
        *count = count.saturating_add(1);
        // The channels of IDE are items of their own, and one controller here.
        let host = match controller {
            Controller::Ide => Host {
                controller,
                number: number >> 1,
                shift: (number & 1) << 1,
            },
            _ => Host {
                controller,
                number,
                shift: 0,
            },
        };
        hosts.insert(item.id, host);
    }
    Ok(hosts)
}

fn processors(item: &Item<'_>, machine: &mut Machine) -> Result<()> {
    let count = item.number::<u32>("VirtualQuantity")?.unwrap_or(1);
    machine.cpu.count = Some(count);
    if let Some(cores) = item.number::<u32>("CoresPerSocket")? {
        let sockets = count
            .checked_div(cores)
            .filter(|s| s.checked_mul(cores) == Some(count) && *s > 0);
        match sockets {
            Some(sockets) => {
                machine.cpu.topology = Some(Topology {
                    sockets,
                    cores,
                    threads: 1,
                });
            }
            None => machine.note(
                "CoresPerSocket",
                format!("{cores} do not divide {count} processors"),
            ),
        }
    }
    Ok(())
}

fn memory(item: &Item<'_>, machine: &mut Machine) -> Result<()> {
    let Some(count) = item.number::<u64>("VirtualQuantity")? else {
        return Ok(());
    };
    let factor = match item.text("AllocationUnits") {
        Some(unit) => units::bytes(unit).ok_or_else(|| {
            let unit: String = unit.chars().take(60).collect();
            Error::corrupt("Item", item.element.at, format!("{unit:?} is no unit of memory"))
        })?,
        None => {
            machine.note("AllocationUnits", "the memory has no unit, and is taken for MiB");
            1 << 20
        }
    };
    let bytes = count.checked_mul(factor);
    machine.memory = Some(bytes.ok_or_else(|| {
        Error::corrupt(
            "Item",
            item.element.at,
            format!("{count} units of {factor} bytes of memory"),
        )
    })?);
    Ok(())
}

fn drive(
    item: &Item<'_>,
    hosts: &BTreeMap<&str, Host>,
    disks: &Disks,
    machine: &mut Machine,
) -> Result<Drive> {
    let kind = match item.kind {
        14 => DriveKind::Floppy,
        15 | 16 => DriveKind::Cdrom,
        _ => DriveKind::Disk,
    };
    let unit = item.number::<u32>("AddressOnParent")?;
    let host = match item.text("Parent") {
        None => None,
        Some(parent) => hosts.get(parent),
    };
    let mut drive = match (host, kind) {
        (Some(host), _) => {
            let slot = unit.map(|unit| Slot {
                controller: host.number,
                unit: host.shift.saturating_add(unit),
            });
            Drive::new(kind, host.controller, slot)
        }
        (None, DriveKind::Floppy) => Drive::new(
            kind,
            Controller::Floppy,
            unit.map(|unit| Slot { controller: 0, unit }),
        ),
        (None, _) => Drive::new(kind, Controller::Unsaid, None),
    };
    let mut resources = item
        .element
        .all("HostResource")
        .map(Element::text)
        .filter(|t| !t.is_empty());
    if let Some(resource) = resources.next() {
        // A drive of the source's host is named by whatever the host calls it.
        let inside = resource.starts_with("ovf:")
            || resource.trim_start_matches('/').starts_with("disk/")
            || resource.trim_start_matches('/').starts_with("file/");
        if inside {
            (drive.source, drive.capacity) = disks.source(resource, item.element.at)?;
        } else if kind == DriveKind::Disk {
            drive.source = Source::Elsewhere(resource.chars().take(60).collect());
        }
    }
    if kind == DriveKind::Disk && matches!(drive.source, Source::Empty) {
        machine.note(
            format!("item {:?}", item.id),
            "a disk without a file: it is empty, and has to be made",
        );
    }
    Ok(drive)
}

fn network_card(item: &Item<'_>, machine: &mut Machine) -> Nic {
    let network = item
        .text("Connection")
        .and_then(said)
        .map_or(Network::Unsaid, Network::Named);
    let mut nic = Nic::new(NicModel::from_name(&item.subtype()), network);
    if let Some(address) = item.text("Address") {
        nic.mac = Mac::parse(address);
        // Other dialects keep other things there (a slot's number).
        if nic.mac.is_none() && address.contains(':') {
            machine.note(
                format!("item {:?}", item.id),
                format!("{address:?} is no address of a network card"),
            );
        }
    }
    nic.connected = item.text("AutomaticAllocation").is_none_or(yes);
    nic.pci_slot = vendor::slot(item.element);
    nic.old_name = nic.pci_slot.and_then(crate::vmx::name_in_slot);
    nic
}

fn other(item: &Item<'_>, machine: &mut Machine) {
    let subtype = item.subtype();
    if subtype.contains("tpm") {
        machine.tpm = Some(Tpm::V2);
        return;
    }
    if subtype.contains("soundcard") {
        machine.sound = true;
        return;
    }
    // What VMware has in every machine.
    if [
        "vmware.vmci",
        "vmware.keyboard",
        "vmware.pointingdevice",
        "vmware.tablet",
    ]
    .contains(&subtype.as_str())
    {
        return;
    }
    let name = item.text("ElementName").unwrap_or(item.id).to_owned();
    machine.note(
        format!("item {name:?}"),
        format!("resource type {} {subtype:?} is not carried over", item.kind),
    );
}
