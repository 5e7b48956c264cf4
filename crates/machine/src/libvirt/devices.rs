//! What `<devices>` holds.

use super::{attribute, number};
use crate::number::decimal;
use crate::xml::Element;
use crate::{Controller, Drive, DriveKind, File, Mac, Machine, Network, Nic, NicModel, Slot, Source, Tpm};
use h2k_block::Result;
use std::collections::BTreeMap;

/// Devices that are the hypervisor's own matter, or that the target has anyway.
const PASSED_OVER: [&str; 15] = [
    "audio",
    "channel",
    "console",
    "controller",
    "disk",
    "emulator",
    "graphics",
    "hub",
    "input",
    "interface",
    "memballoon",
    "panic",
    "rng",
    "video",
    "tpm",
];

pub(super) fn read(devices: &Element, machine: &mut Machine) -> Result<()> {
    let models = scsi_models(devices);
    for disk in devices.all("disk") {
        let drive = drive(disk, &models, machine)?;
        machine.drives.push(drive);
    }
    for interface in devices.all("interface") {
        let nic = nic(interface, machine)?;
        machine.nics.push(nic);
    }
    machine.sound = devices.child("sound").is_some();
    machine.serials = u32::try_from(devices.all("serial").count()).unwrap_or(u32::MAX);
    if let Some(tpm) = devices.child("tpm") {
        let backend = tpm.child("backend");
        machine.tpm = Some(match attribute(backend, "version").as_deref() {
            Some("1.2") => Tpm::V1,
            _ => Tpm::V2,
        });
        if attribute(backend, "type").as_deref() == Some("passthrough") {
            machine.note(
                "tpm",
                "the host's own module becomes an emulated one: what was sealed by it stays sealed",
            );
        }
    }
    for child in &devices.children {
        let known =
            PASSED_OVER.contains(&child.name.as_str()) || matches!(child.name.as_str(), "sound" | "serial");
        if !known {
            machine.note(child.name.clone(), "this device is not carried over");
        }
    }
    Ok(())
}

fn drive(disk: &Element, models: &BTreeMap<u32, &str>, machine: &mut Machine) -> Result<Drive> {
    let kind = match disk.attribute("device").unwrap_or("disk") {
        "cdrom" => DriveKind::Cdrom,
        "floppy" => DriveKind::Floppy,
        _ => DriveKind::Disk,
    };
    let target = disk.child("target");
    let dev = attribute(target, "dev").unwrap_or_default();
    let bus = attribute(target, "bus").unwrap_or_else(|| usual_bus(&dev, kind).to_owned());
    let place = place(disk, &dev, &bus)?;
    let controller = controller(&bus, place, models);
    let mut drive = Drive::new(kind, controller, place);
    drive.source = source(disk, &dev, machine);
    drive.read_only = kind != DriveKind::Cdrom && disk.child("readonly").is_some();
    drive.serial = disk.text_of("serial").map(str::to_owned);
    drive.boot = boot(disk)?;
    for (name, why) in [
        ("encryption", "the disk is encrypted by the source's hypervisor"),
        ("mirror", "a copy was under way when this was written"),
        ("iotune", "limits of input and output are not carried over"),
    ] {
        if disk.child(name).is_some() {
            machine.note(format!("{name} of {dev}"), why);
        }
    }
    Ok(drive)
}

/// The bus libvirt takes from the name of a disk that says none.
fn usual_bus(dev: &str, kind: DriveKind) -> &'static str {
    match (dev.get(..2), kind) {
        (Some("hd"), _) => "ide",
        (Some("fd"), _) | (_, DriveKind::Floppy) => "fdc",
        (Some("vd"), _) => "virtio",
        (Some("xv"), _) => "xen",
        (Some("sd"), _) => "scsi",
        _ => "",
    }
}

/// Where a drive hangs: by its address, or where libvirt puts a drive of that name.
fn place(disk: &Element, dev: &str, bus: &str) -> Result<Option<Slot>> {
    let room = match bus {
        "ide" => 4,
        "sata" => 6,
        "scsi" => 7,
        "fdc" => 2,
        _ => return Ok(None),
    };
    let address = disk
        .child("address")
        .filter(|a| a.attribute("type").is_none_or(|t| t == "drive"));
    if let Some(address) = address {
        let part = |name| match address.attribute(name) {
            Some(text) => number::<u32>(address, name, text),
            None => Ok(0),
        };
        let (channel, target, unit) = (part("bus")?, part("target")?, part("unit")?);
        let unit = match bus {
            "ide" => channel.saturating_mul(2).saturating_add(unit),
            // SCSI controllers of one unit a target, and those of one target: only one of the two counts.
            _ if target > 0 => target,
            _ => unit,
        };
        return Ok(Some(Slot {
            controller: part("controller")?,
            unit,
        }));
    }
    Ok(index(dev).map(|index: u32| Slot {
        controller: index.checked_div(room).unwrap_or(0),
        unit: index.checked_rem(room).unwrap_or(0),
    }))
}

/// The number of a disk by its letters: `sda` is 0, `sdaa` is 26.
fn index(dev: &str) -> Option<u32> {
    let letters = dev.get(2..).filter(|l| !l.is_empty() && l.len() <= 4)?;
    let mut count = 0_u32;
    for letter in letters.bytes() {
        let digit = u32::from(letter.checked_sub(b'a').filter(|d| *d < 26)?);
        count = count.checked_mul(26)?.checked_add(digit)?.checked_add(1)?;
    }
    count.checked_sub(1)
}

/// The models of SCSI controllers, by their numbers; the first of one number counts.
fn scsi_models(devices: &Element) -> BTreeMap<u32, &str> {
    let mut models = BTreeMap::new();
    for controller in devices.all("controller") {
        if controller.attribute("type") == Some("scsi") {
            let index = controller.attribute("index").and_then(decimal).unwrap_or(0);
            models
                .entry(index)
                .or_insert(controller.attribute("model").unwrap_or_default());
        }
    }
    models
}

fn controller(bus: &str, place: Option<Slot>, models: &BTreeMap<u32, &str>) -> Controller {
    match bus {
        "virtio" => Controller::VirtioBlk,
        "sata" => Controller::Sata,
        "ide" => Controller::Ide,
        "usb" => Controller::Usb,
        "fdc" => Controller::Floppy,
        "xen" => Controller::Xen,
        "sd" => Controller::Sd,
        "nvme" => Controller::Nvme,
        "scsi" => {
            let wanted = place.map_or(0, |slot| slot.controller);
            match models.get(&wanted).copied() {
                Some("virtio-scsi" | "virtio-transitional" | "virtio-non-transitional") => {
                    Controller::VirtioScsi
                }
                Some("vmpvscsi") => Controller::PvScsi,
                Some("lsisas1068") => Controller::LsiSas,
                Some("lsilogic") => Controller::Lsi53c895a,
                Some("buslogic") => Controller::BusLogic,
                _ => Controller::Scsi,
            }
        }
        _ => Controller::Unsaid,
    }
}

fn source(disk: &Element, dev: &str, machine: &mut Machine) -> Source {
    let Some(source) = disk.child("source") else {
        return Source::Empty;
    };
    let kind = disk.attribute("type").unwrap_or("file");
    let format = attribute(disk.child("driver"), "type");
    let named = |name: &str| source.said(name);
    match kind {
        "file" => named("file").map_or(Source::Empty, |name| {
            Source::File(File {
                name,
                format,
                ..File::default()
            })
        }),
        "block" => named("dev").map_or(Source::Empty, Source::Device),
        _ => {
            let words = match kind {
                "dir" => format!("the directory {}", named("dir").unwrap_or_default()),
                "volume" => format!(
                    "the volume {} of pool {}",
                    named("volume").unwrap_or_default(),
                    named("pool").unwrap_or_default()
                ),
                "network" => format!(
                    "{} over {}",
                    named("name").unwrap_or_default(),
                    named("protocol").unwrap_or_default()
                ),
                other => format!("a source of kind {other}"),
            };
            machine.note(
                format!("disk {dev}"),
                format!("{words} is no file: name a copy of it instead"),
            );
            Source::Elsewhere(words)
        }
    }
}

fn nic(interface: &Element, machine: &mut Machine) -> Result<Nic> {
    let source = interface.child("source");
    let from = |name| attribute(source, name).unwrap_or_default();
    let network = match interface.attribute("type").unwrap_or_default() {
        "network" => Network::Named(from("network")),
        "bridge" => Network::Bridge(from("bridge")),
        "user" => Network::User,
        "direct" => Network::Other(format!("direct on {}", from("dev"))),
        other => Network::Other(other.to_owned()),
    };
    let model = attribute(interface.child("model"), "type").unwrap_or_default();
    let mut nic = Nic::new(NicModel::from_name(&model), network);
    if let Some(address) = attribute(interface.child("mac"), "address") {
        nic.mac = Mac::parse(&address);
        if nic.mac.is_none() {
            machine.note("mac", format!("{address:?} is no address of a network card"));
        }
    }
    nic.connected = attribute(interface.child("link"), "state").as_deref() != Some("down");
    nic.boot = boot(interface)?;
    for left in ["filterref", "vlan", "bandwidth", "virtualport"] {
        if interface.child(left).is_some() {
            machine.note(format!("{left} of a network card"), "not carried over");
        }
    }
    Ok(nic)
}

fn boot(device: &Element) -> Result<Option<u32>> {
    let Some(boot) = device.child("boot") else {
        return Ok(None);
    };
    let order = boot.attribute("order").unwrap_or_default();
    // Kept as a number: only the sequence matters.
    number(boot, "order", order).map(Some)
}

#[cfg(test)]
mod tests {
    #[test]
    fn letters_count_as_libvirt_counts_them() {
        for (dev, want) in [
            ("sda", Some(0)),
            ("sdz", Some(25)),
            ("sdaa", Some(26)),
            ("vdab", Some(27)),
            ("sd", None),
            ("sd1", None),
            ("sdzzzzzzzz", None),
        ] {
            assert_eq!(super::index(dev), want, "{dev}");
        }
    }
}
