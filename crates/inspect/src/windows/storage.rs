//! What keeps a disk of Windows from being written to: hibernation, encryption, dynamic disks, open journals.

use super::{SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::RegKey;
use h2k_guest::{Fact, Look, Source};
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
    /// `BitLocker`, `LDM`, `storage_spaces`.
    pub kind: String,
    /// Where it was read.
    pub source: Source,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> WindowsStorage {
    let mut found = WindowsStorage {
        hibernation: hibernation(look),
        ..WindowsStorage::default()
    };
    for device in asking.guest.devices() {
        if let Some(kind) = device
            .kind
            .filter(|k| matches!(*k, "BitLocker" | "LDM" | "storage_spaces"))
        {
            found.special_devices.push(SpecialDevice {
                device: device.name.clone(),
                kind: kind.to_owned(),
                source: Source::named(format!("the beginning of {}", device.name)),
            });
        }
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
