//! A VMware configuration (`.vmx`) as a source.
//!
//! ```text
//! .encoding = "UTF-8"
//! displayName = "web |22one|22"        keys ignore case, values are quoted, |xx is a byte in hexadecimal
//! scsi0.virtualDev = "pvscsi"          a controller
//! scsi0:0.fileName = "web-000001.vmdk" a drive on it
//! ethernet0.pciSlotNumber = "192"      which Linux called ens192
//! ```
//!
//! Follows what VMware documents of its options and articles (PCI slots: "Mapping PCI slot numbers to guest-visible PCI
//! bus topology", 2047927).

mod dictionary;
mod drives;
mod nics;

pub(crate) use dictionary::begins;
pub(crate) use nics::name_in_slot;

use crate::number::{decimal, said, yes};
use crate::{Arch, Clock, Firmware, Machine, Topology, Tpm, Uuid};
use dictionary::Dictionary;
use h2k_block::{Error, Limits, Result};

/// Keys that are followed by others of the same device, and the device is not carried over.
const LEFT: [(&str, &str); 7] = [
    ("pcipassthru", "a device of the source's host"),
    ("usb_xhci:", "a USB device"),
    ("usb:", "a USB device"),
    ("parallel", "a parallel port"),
    ("sharedfolder", "a folder of the source's host"),
    ("vgpu", "a graphics processor of the source's host"),
    ("sgx", "enclaves of the processor"),
];

/// Reads a configuration.
///
/// # Errors
/// [`Class::Corrupt`](h2k_block::Class::Corrupt) for lines that are none, keys said twice and numbers that are none, with the
/// offset of the line; [`Class::Unsupported`](h2k_block::Class::Unsupported) for encrypted configurations and unknown
/// encodings; [`Class::Limit`](h2k_block::Class::Limit).
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Machine> {
    let keys = Dictionary::read(bytes, limits)?;
    if keys.get("encryption.data").is_some()
        || keys.get("encryption.keysafe").is_some() && keys.get("memsize").is_none()
    {
        return Err(Error::unsupported("an encrypted VMware configuration")
            .advise("remove the encryption in VMware first, or export the machine"));
    }
    let mut machine = Machine {
        name: keys.get("displayname").and_then(said).unwrap_or_default(),
        description: keys.get("annotation").and_then(said),
        ..Machine::default()
    };
    if keys.get("encryption.keysafe").is_some() {
        machine.note(
            "encryption",
            "parts of the machine are encrypted; disks that are do not open",
        );
    }
    uuid(&keys, &mut machine);
    if let Some(mib) = keys.number::<u64>("memsize")? {
        let bytes = mib.checked_mul(1 << 20);
        machine.memory = Some(bytes.ok_or_else(|| keys.wrong("memsize", "fewer than 2^64 bytes"))?);
    }
    processors(&keys, &mut machine)?;
    system(&keys, &mut machine);
    machine.drives = drives::read(&keys, &mut machine.notes)?;
    machine.nics = nics::read(&keys, &mut machine)?;
    machine.sound = keys.yes("sound.present");
    let serials = (0..4).filter(|n| keys.yes(&format!("serial{n}.present"))).count();
    machine.serials = u32::try_from(serials).unwrap_or(0);
    if keys.get("checkpoint.vmstate").and_then(said).is_some() {
        machine.note(
            "checkpoint.vmState",
            "the machine was suspended: what its memory held is lost, and its disks are as after a crash",
        );
    }
    for (prefix, what) in LEFT {
        if keys.has_device(prefix) {
            machine.note(
                prefix.trim_end_matches(':'),
                format!("{what} is not carried over"),
            );
        }
    }
    Ok(machine)
}

fn uuid(keys: &Dictionary, machine: &mut Machine) {
    if let Some(text) = keys.get("uuid.bios").and_then(said) {
        machine.uuid = Uuid::parse(&text);
        if machine.uuid.is_none() {
            machine.note("uuid.bios", format!("{text:?} is no UUID"));
        }
    }
}

fn processors(keys: &Dictionary, machine: &mut Machine) -> Result<()> {
    // VMware's default where nothing is said.
    let count = keys.number::<u32>("numvcpus")?.unwrap_or(1);
    machine.cpu.count = Some(count);
    let cores = keys.number::<u32>("cpuid.corespersocket")?.unwrap_or(1);
    match count.checked_div(cores) {
        Some(sockets) if sockets > 0 && sockets.checked_mul(cores) == Some(count) => {
            machine.cpu.topology = Some(Topology {
                sockets,
                cores,
                threads: 1,
            });
        }
        _ => machine.note(
            "cpuid.coresPerSocket",
            format!("{cores} do not divide {count} processors"),
        ),
    }
    Ok(())
}

fn system(keys: &Dictionary, machine: &mut Machine) {
    machine.os.vmware = keys.get("guestos").and_then(said);
    machine.os.text = keys.get("guestinfo.detailed.data").and_then(pretty_name);
    if machine
        .os
        .vmware
        .as_deref()
        .is_some_and(|os| os.starts_with("arm-"))
    {
        machine.arch = Arch::Aarch64;
    }
    machine.firmware = Some(match keys.get("firmware") {
        Some(word) if word.trim().eq_ignore_ascii_case("efi") => Firmware::Uefi {
            secure_boot: keys.yes("uefi.secureboot.enabled"),
        },
        _ => Firmware::Bios,
    });
    let vtpm = keys.yes("vtpm.present") || keys.get("managedvm.autoaddvtpm").and_then(said).is_some();
    machine.tpm = vtpm.then_some(Tpm::V2);
    // VMware keeps the clock at the host's local time for Windows and at UTC for what wants UTC; the difference, where
    // one was set, is kept in seconds.
    match keys.get("rtc.difffromutc").map(str::trim) {
        Some("0") => machine.clock = Some(Clock::Utc),
        Some(other) => machine.note(
            "rtc.diffFromUTC",
            format!("a clock that differs from UTC by {other} s"),
        ),
        None => {}
    }
}

/// `prettyName='…'` of what VMware's tools told about the guest.
fn pretty_name(data: &str) -> Option<String> {
    let (_, rest) = data.split_once("prettyName='")?;
    said(rest.split_once('\'')?.0)
}

/// The number at the end of `bootOrder`-like lists, `first,second`.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

impl Dictionary {
    /// The number a key says.
    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        match self.get(key).and_then(said) {
            None => Ok(None),
            Some(text) => decimal(&text)
                .map(Some)
                .ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    /// Whether a key says yes.
    fn yes(&self, key: &str) -> bool {
        self.get(key).is_some_and(yes)
    }

    /// Whether there is a device whose keys begin with `prefix`, and it is not absent.
    fn has_device(&self, prefix: &str) -> bool {
        self.keys(prefix)
            .any(|(key, value)| key.ends_with(".present") && yes(value))
    }
}
