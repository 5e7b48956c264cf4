//! Which firmware a guest was installed for, by what is on its disks.

use crate::loader::{Esp, LoaderKind, is_esp};
use h2k_guest::{Device, Fact, Source};
use h2k_volume::{PartitionType, Scheme};
use schemars::JsonSchema;
use serde::Serialize;

/// A kind of firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Firmware {
    /// A PC's BIOS.
    Bios,
    /// UEFI.
    Uefi,
}

impl Firmware {
    /// As people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        }
    }
}

/// A boot loader's code in the first sector of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BootCode {
    /// The disk.
    pub device: String,
    /// Whose code it is; absent where there is code that is not known.
    pub loader: Option<LoaderKind>,
}

/// What the first sectors and tables of the disks say.
pub(crate) struct Disks {
    pub(crate) firmware: Option<Fact<Firmware>>,
    pub(crate) code: Vec<BootCode>,
}

pub(crate) fn find(devices: &[Device], esp: Option<&Esp>) -> Disks {
    let code: Vec<BootCode> = devices.iter().filter(|d| d.whole_disk).filter_map(code).collect();
    let bios_boot = devices.iter().find(|d| {
        let kind = d.partition.as_ref().map(|p| &p.kind);
        matches!(kind, Some(PartitionType::Guid(g)) if g.eq_ignore_ascii_case("21686148-6449-6e6f-744e-656564454649"))
    });
    let system = devices.iter().find(|d| is_esp(d));
    let programs = esp.is_some_and(|e| {
        e.fallback.is_some()
            || e.systemd_boot.is_some()
            || e.windows.is_some()
            || !e.grub.is_empty()
            || !e.shim.is_empty()
    });
    let scheme = devices
        .iter()
        .find_map(|d| d.partition.as_ref().map(|p| p.scheme));
    let says = |device: &Device| Source::named(format!("the type of {}", device.name));
    let firmware = match (system, bios_boot) {
        (Some(system), None) => match scheme {
            // An old table with such a partition is made for both by some installers.
            Some(Scheme::Mbr) if !code.is_empty() && !programs => None,
            _ => Some(Fact::new(Firmware::Uefi, says(system))),
        },
        (Some(system), Some(_)) if code.is_empty() && programs => {
            Some(Fact::new(Firmware::Uefi, says(system)))
        }
        (_, Some(bios)) => Some(Fact::new(Firmware::Bios, says(bios))),
        (None, None) => None,
    };
    let by_code = || {
        let first = code.first()?;
        Some(Fact::new(
            Firmware::Bios,
            Source::named(format!("the first sector of {}", first.device)),
        ))
    };
    Disks {
        firmware: firmware.or_else(by_code),
        code,
    }
}

/// The boot code of a disk, if its first sector has any.
fn code(disk: &Device) -> Option<BootCode> {
    let mut sector = [0; 512];
    disk.content()?.read_at(0, &mut sector).ok()?;
    // Up to the disk's signature lies the code; what a table alone leaves there is zero.
    let code = sector.get(..440)?;
    if sector.get(510..) != Some(&[0x55, 0xaa]) || code.iter().all(|b| *b == 0) {
        return None;
    }
    let has = |text: &[u8]| code.windows(text.len()).any(|w| w == text);
    let loader = if has(b"GRUB ") || has(b"GRUB\0") {
        Some(LoaderKind::Grub)
    } else if code.get(6..10) == Some(b"LILO") {
        Some(LoaderKind::Lilo)
    } else if has(b"SYSLINUX") || has(b"EXTLINUX") || has(b"isolinux") {
        Some(LoaderKind::Syslinux)
    } else if has(b"Missing operating system") || has(b"BOOTMGR") {
        Some(LoaderKind::WindowsBootManager)
    } else {
        None
    };
    let partitioned = disk.kind.is_none_or(|kind| !h2k_guest::can_open(kind));
    // A filesystem on a bare disk begins with code that says it cannot be started.
    (partitioned || loader.is_some()).then(|| BootCode {
        device: disk.name.clone(),
        loader,
    })
}
