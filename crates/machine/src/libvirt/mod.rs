//! A libvirt domain as a source.
//!
//! Follows libvirt's "Domain XML format". What a domain says and a target cannot carry is named in
//! [`Machine::notes`](crate::Machine::notes); what libvirt chooses by itself (addresses, PCI controllers) is passed over.

mod devices;

use crate::number::{decimal, said, yes};
use crate::xml::{self, Element};
use crate::{Arch, Chipset, Clock, DriveKind, Firmware, Machine, Topology, Uuid};
use h2k_block::{Error, Limits, Result};

/// Reads a domain.
///
/// # Errors
/// [`Class::Corrupt`](h2k_block::Class::Corrupt) for what is no domain, or says numbers that are none;
/// [`Class::Unsupported`](h2k_block::Class::Unsupported) for document types and encodings other than UTF-8;
/// [`Class::Limit`](h2k_block::Class::Limit).
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Machine> {
    let root = xml::decode(bytes, limits)?;
    if root.name != "domain" {
        return Err(Error::corrupt(
            "domain",
            root.at,
            format!("the outermost element is <{}>, expected <domain>", root.name),
        ));
    }
    let mut machine = Machine {
        name: root.text_of("name").unwrap_or_default().to_owned(),
        title: root.text_of("title").map(str::to_owned),
        description: root.text_of("description").map(str::to_owned),
        ..Machine::default()
    };
    match root.text_of("uuid").map(|t| (t, Uuid::parse(t))) {
        Some((_, Some(uuid))) => machine.uuid = Some(uuid),
        Some((text, None)) => machine.note("uuid", format!("{text:?} is no UUID")),
        None => {}
    }
    memory(&root, &mut machine)?;
    processors(&root, &mut machine)?;
    let boot = system(&root, &mut machine);
    clock(&root, &mut machine);
    let os = root
        .path(&["metadata", "libosinfo", "os"])
        .and_then(|os| os.said("id"));
    machine.os.libosinfo = os;
    if let Some(devices) = root.child("devices") {
        devices::read(devices, &mut machine)?;
    }
    boot_by_kind(&boot, &mut machine);
    for left in [
        "commandline",
        "qemu:commandline",
        "launchSecurity",
        "cputune",
        "numatune",
        "memtune",
    ] {
        if root.child(left).is_some() {
            machine.note(left, "not carried over");
        }
    }
    Ok(machine)
}

fn memory(root: &Element, machine: &mut Machine) -> Result<()> {
    let Some(element) = root.child("memory") else {
        return Ok(());
    };
    let unit = element.attribute("unit").unwrap_or("KiB");
    let factor: u64 = match unit {
        "b" | "bytes" => 1,
        "KB" => 1_000,
        "k" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => return Err(wrong(element, "unit", unit, "a unit of bytes")),
    };
    let count: u64 = number(element, "memory", element.text())?;
    let bytes = count.checked_mul(factor);
    machine.memory =
        Some(bytes.ok_or_else(|| wrong(element, "memory", element.text(), "fewer than 2^64 bytes"))?);
    if root
        .text_of("currentMemory")
        .is_some_and(|now| now != element.text())
    {
        machine.note("currentMemory", "the target has all of the memory from the start");
    }
    Ok(())
}

fn processors(root: &Element, machine: &mut Machine) -> Result<()> {
    if let Some(vcpu) = root.child("vcpu") {
        let most: u32 = number(vcpu, "vcpu", vcpu.text())?;
        let now = match vcpu.attribute("current") {
            Some(text) => number(vcpu, "current", text)?,
            None => most,
        };
        machine.cpu.count = Some(now);
        if now != most {
            machine.note(
                "vcpu",
                format!("{now} of at most {most} processors; the target has no more"),
            );
        }
    }
    let Some(cpu) = root.child("cpu") else {
        return Ok(());
    };
    machine.cpu.model = cpu.text_of("model").map(str::to_owned);
    if let Some(topology) = cpu.child("topology") {
        let part = |name| match topology.attribute(name) {
            Some(text) => number::<u32>(topology, name, text),
            None => Ok(1),
        };
        let packages = part("sockets")?.checked_mul(part("dies")?);
        let packages = packages.and_then(|n| n.checked_mul(part("clusters").ok()?));
        let read = Topology {
            sockets: packages.unwrap_or(0),
            cores: part("cores")?,
            threads: part("threads")?,
        };
        if read.total().is_none() {
            return Err(wrong(
                topology,
                "topology",
                "a product of 0 or too large",
                "a number of processors",
            ));
        }
        machine.cpu.topology = Some(read);
    }
    if cpu.child("numa").is_some() {
        machine.note("numa", "not carried over");
    }
    Ok(())
}

/// What `<os>` says; answers with the kinds of devices to boot from.
fn system(root: &Element, machine: &mut Machine) -> Vec<String> {
    let Some(os) = root.child("os") else {
        return Vec::new();
    };
    if let Some(kind) = os.child("type") {
        if let Some(arch) = kind.said("arch") {
            machine.arch = Arch::from_name(&arch);
        }
        machine.chipset = kind.attribute("machine").and_then(|board| {
            if board.contains("q35") {
                Some(Chipset::Q35)
            } else {
                board.starts_with("pc").then_some(Chipset::Pc)
            }
        });
        if !matches!(kind.text(), "hvm" | "") {
            machine.note(
                "os",
                format!("{} guests boot without firmware there", kind.text()),
            );
        }
    }
    machine.firmware = firmware(os, &machine.arch);
    for (name, why) in [
        (
            "kernel",
            "a kernel given from outside is not carried over: the target boots from its disk",
        ),
        (
            "nvram",
            "variables of the firmware are not carried over: the target begins with fresh ones",
        ),
    ] {
        if os.child(name).is_some() {
            machine.note(name, why);
        }
    }
    os.all("boot").filter_map(|boot| boot.said("dev")).collect()
}

fn firmware(os: &Element, arch: &Arch) -> Option<Firmware> {
    let loader = os.child("loader");
    let path = loader.map(Element::text).unwrap_or_default().to_ascii_lowercase();
    let kind = loader.and_then(|l| l.attribute("type"));
    let named = ["ovmf", "aavmf", "edk2"].iter().any(|name| path.contains(name));
    let uefi = match os.attribute("firmware") {
        Some("efi") => true,
        Some(_) => false,
        None => kind == Some("pflash") || named,
    };
    if uefi {
        let secure = |e: &Element| {
            e.all("feature").any(|f| {
                f.attribute("name") == Some("secure-boot") && f.attribute("enabled").is_some_and(yes)
            })
        };
        let secure_boot = os.child("firmware").is_some_and(secure)
            || loader.and_then(|l| l.attribute("secure")).is_some_and(yes);
        return Some(Firmware::Uefi { secure_boot });
    }
    matches!(arch, Arch::X86_64 | Arch::I686).then_some(Firmware::Bios)
}

fn clock(root: &Element, machine: &mut Machine) {
    let Some(clock) = root.child("clock") else {
        return;
    };
    let offset = clock.attribute("offset").unwrap_or("utc");
    machine.clock = Some(match (offset, clock.attribute("basis")) {
        ("localtime" | "timezone", _) | ("variable", Some("localtime")) => Clock::Localtime,
        _ => Clock::Utc,
    });
    if !matches!(offset, "utc" | "localtime") {
        machine.note(
            "clock",
            format!(
                "offset {offset:?} becomes the plain {}",
                match machine.clock {
                    Some(Clock::Localtime) => "local time",
                    _ => "UTC",
                }
            ),
        );
    }
}

/// Gives the first device of each kind its turn, where devices have no turns of their own.
fn boot_by_kind(kinds: &[String], machine: &mut Machine) {
    let turns =
        machine.drives.iter().any(|d| d.boot.is_some()) || machine.nics.iter().any(|n| n.boot.is_some());
    if turns {
        return;
    }
    for (turn, kind) in (1_u32..).zip(kinds) {
        let wanted = match kind.as_str() {
            "hd" => DriveKind::Disk,
            "cdrom" => DriveKind::Cdrom,
            "fd" => DriveKind::Floppy,
            _ => {
                if let Some(nic) = machine.nics.first_mut()
                    && nic.boot.is_none()
                {
                    nic.boot = Some(turn);
                }
                continue;
            }
        };
        let mut drives = machine.drives.iter_mut();
        if let Some(drive) = drives.find(|d| d.kind == wanted && d.boot.is_none()) {
            drive.boot = Some(turn);
        }
    }
}

/// The number that `what` of `element` says.
fn number<T: std::str::FromStr>(element: &Element, what: &str, text: &str) -> Result<T> {
    decimal(text).ok_or_else(|| wrong(element, what, text, "a number"))
}

fn wrong(element: &Element, what: &str, found: &str, expected: &str) -> Error {
    let found: String = found.chars().take(60).collect();
    Error::corrupt(
        "domain",
        element.at,
        format!("{what} of <{}> is {found:?}, expected {expected}", element.name),
    )
}

/// The text of an attribute, where there is one.
fn attribute(element: Option<&Element>, name: &str) -> Option<String> {
    element.and_then(|e| e.attribute(name)).and_then(said)
}
