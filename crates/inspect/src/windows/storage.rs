//! What keeps a disk of Windows from being written to: hibernation, encryption, dynamic disks, open journals.

use super::{SYSTEM, hive};
use crate::report::Asking;
use h2k_block::{Class, Error};
use h2k_guest::registry::RegKey;
use h2k_guest::{Device, Fact, Look, Source};
use h2k_volume::PartitionType;
use schemars::JsonSchema;
use serde::Serialize;

/// What keeps a disk of Windows from being written to, and where memory is put.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsStorage {
    /// The file that a sleeping system's memory is in, where it is there: `hibernated` (also what fast start-up leaves
    /// behind), `resuming`, `empty`, or the first four bytes.
    pub hibernation: Option<Fact<String>>,
    /// Whether shutting down leaves the kernel hibernated (fast start-up).
    pub fast_startup: Option<Fact<bool>>,
    /// Whether hibernation is turned on.
    pub hibernation_enabled: Option<Fact<bool>>,
    /// Page files, as written: `?:\pagefile.sys`, `C:\pagefile.sys 1024 4096`.
    pub page_files: Vec<Fact<String>>,
    /// Devices with BitLocker, dynamic disks and Storage Spaces, whoever's they are.
    pub special_devices: Vec<SpecialDevice>,
    /// What is odd about the system's own filesystem: marked dirty, a journal that was not closed.
    pub filesystem_warnings: Vec<Fact<String>>,
    /// What becomes of disks that are new to the system: 1 brings all online.
    pub san_policy: Option<Fact<u64>>,
}

/// A device that Windows alone makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SpecialDevice {
    /// The device, as guestfish spells it.
    pub device: String,
    /// `BitLocker`, `LDM` (a dynamic disk, or a partition of one), `storage_spaces`.
    pub kind: String,
    /// Its size in bytes.
    pub size: u64,
    /// What identifies it: of a dynamic disk, the disk's own GUID.
    pub uuid: Option<String>,
    /// What it belongs to: of a dynamic disk, the GUID of its group.
    pub group: Option<String>,
    /// Where it was read.
    pub source: Source,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> WindowsStorage {
    let mut found = WindowsStorage {
        hibernation: hibernation(look),
        ..WindowsStorage::default()
    };
    for device in asking.guest.devices() {
        let Some(kind) = special(device) else { continue };
        let source = match device.kind == Some(kind) {
            true => Source::named(format!("the beginning of {}", device.name)),
            false => Source::named(format!("the type of {}", device.name)),
        };
        if let Some(what) = unsupported(kind) {
            look.failed(source.clone(), &Error::new(Class::Unsupported, what));
        }
        found.special_devices.push(SpecialDevice {
            device: device.name.clone(),
            kind: kind.to_owned(),
            size: device.size,
            uuid: device.uuid.clone(),
            group: device
                .label
                .as_ref()
                .filter(|_| kind == "LDM")
                .map(|label| String::from_utf8_lossy(label).into_owned()),
            source,
        });
    }
    if let Some(root) = asking.assembled.tree.mounts().first() {
        let warnings = root.fs.facts().warnings.into_iter();
        let source = || Source::named(format!("the filesystem on {}", root.source));
        found.filesystem_warnings = warnings.map(|text| Fact::new(text, source())).collect();
    }
    let Some(system) = hive(asking, look, SYSTEM) else {
        return found;
    };
    let manager = system.key(look, "CurrentControlSet\\Control\\Session Manager");
    let below = |name: &str| manager.as_ref().and_then(|m| m.subkey(name));
    found.fast_startup = below("Power").and_then(|k| k.flag("HiberbootEnabled"));
    let power = system.key(look, "CurrentControlSet\\Control\\Power");
    found.hibernation_enabled = power.and_then(|k| k.flag("HibernateEnabled"));
    if let Some(files) = below("Memory Management").and_then(|k| k.texts("PagingFiles")) {
        let source = files.source;
        found.page_files = files
            .value
            .into_iter()
            .map(|text| Fact::new(text, source.clone()))
            .collect();
    }
    let manager = system.key(look, "CurrentControlSet\\Services\\partmgr\\Parameters");
    found.san_policy = manager.as_ref().and_then(|k: &RegKey<'_>| k.number("SanPolicy"));
    found
}

/// Which of the devices that Windows alone makes this is, by its content or by what the partition table says of it:
/// `BitLocker`, `LDM`, `storage_spaces`.
pub(crate) fn special(device: &Device) -> Option<&'static str> {
    let known = ["BitLocker", "LDM", "storage_spaces"];
    let by_content = known.into_iter().find(|k| device.kind == Some(*k));
    by_content.or_else(|| match &device.partition.as_ref()?.kind {
        PartitionType::Byte(0x42) => Some("LDM"),
        PartitionType::Guid(guid) => match guid.get(..8)?.to_ascii_lowercase().as_str() {
            "5808c8aa" | "af9b60a0" => Some("LDM"),
            "e75caf8f" => Some("storage_spaces"),
            _ => None,
        },
        _ => None,
    })
}

/// What is not done with such a device.
fn unsupported(kind: &str) -> Option<&'static str> {
    match kind {
        "LDM" => Some("volumes of dynamic disks are not put together"),
        "storage_spaces" => Some("volumes of Storage Spaces are not put together"),
        _ => None,
    }
}

/// The header of the hibernation file, whose first word says what is in it.
fn hibernation(look: &Look<'_>) -> Option<Fact<String>> {
    let head = look.head("/hiberfil.sys", 4)?;
    let word = match head.to_ascii_lowercase().as_slice() {
        b"hibr" => "hibernated".to_owned(),
        b"wake" | b"rstr" => "resuming".to_owned(),
        b"\0\0\0\0" | b"" => "empty".to_owned(),
        _ => hex(&head),
    };
    Some(Fact::new(word, Source::file(b"/hiberfil.sys")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
