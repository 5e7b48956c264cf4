//! What the boot manager of Windows is told: the BCD store, or `boot.ini` before Windows Vista.
//!
//! The store is a registry hive on the partition that the firmware starts from, which seldom is the system's own:
//! every filesystem of the guest is looked at. Elements are numbered as in Microsoft's `BcdBootMgr…`, `BcdLibrary…` and
//! `BcdOSLoader…` enumerations ("Boot Configuration Data WMI Provider").

use super::drives::Identity;
use crate::report::Asking;
use h2k_fs::FsRead;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Guest, Look, Source, Tree, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// What the boot manager is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BootConfiguration {
    /// Every store that was found.
    pub stores: Vec<BootStore>,
}

/// A BCD store, or a `boot.ini`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BootStore {
    /// The device it lies on, as guestfish spells it.
    pub device: String,
    /// The file there.
    pub file: String,
    /// The firmware that uses it: `uefi` or `bios`.
    pub firmware: String,
    /// The identifier of the entry that is started unless somebody chooses.
    pub default_entry: Option<String>,
    /// How long to wait for a choice, in seconds.
    pub timeout: Option<u64>,
    /// The order in which entries are shown.
    pub display_order: Vec<String>,
    /// Entries and other objects that start something.
    pub entries: Vec<BootEntry>,
}

/// Something that can be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BootEntry {
    /// Its GUID, or its place in `boot.ini`.
    pub id: String,
    /// `boot manager`, `windows loader`, `resume loader`, `memory test`, `firmware`, `other`.
    pub kind: String,
    /// What people are shown.
    pub description: Option<String>,
    /// The program: `\Windows\system32\winload.efi`.
    pub path: Option<String>,
    /// Where the program is.
    pub device: Option<BootDevice>,
    /// Where the system is.
    pub os_device: Option<BootDevice>,
    /// The system's directory: `\Windows`.
    pub system_root: Option<String>,
    /// Switches that are set, by their numbers or names: `/fastdetect` of `boot.ini`, `nointegritychecks`, `testsigning`.
    pub switches: Vec<String>,
    /// Where it was read.
    pub source: Source,
}

/// A device, as the boot manager is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BootDevice {
    /// `partition`, `boot` (whichever was started from), `file` (a RAM disk or virtual disk), `unknown`.
    pub kind: String,
    /// How a partition is identified.
    pub identity: Option<String>,
    /// The disk it is on, by GUID or signature.
    pub disk: Option<String>,
    /// The device it is here, as guestfish spells it; absent when it is not on these disks.
    pub device: Option<String>,
}

/// Where stores are: file, firmware.
const STORES: [(&str, &str); 2] = [("/EFI/Microsoft/Boot/BCD", "uefi"), ("/Boot/BCD", "bios")];
const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";

/// Elements.
const DEVICE: u32 = 0x1100_0001;
const PATH: u32 = 0x1200_0002;
const DESCRIPTION: u32 = 0x1200_0004;
const OS_DEVICE: u32 = 0x2100_0001;
const SYSTEM_ROOT: u32 = 0x2200_0002;
const DEFAULT: u32 = 0x2300_0003;
const ORDER: u32 = 0x2400_0001;
const TIMEOUT: u32 = 0x2500_0004;
const SWITCHES: [(u32, &str); 5] = [
    (0x1600_0048, "nointegritychecks"),
    (0x1600_0049, "testsigning"),
    (0x1600_0010, "bootdebug"),
    (0x2600_00a0, "debug"),
    (0x1600_0046, "graphicsmodedisabled"),
];

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> BootConfiguration {
    let mut found = BootConfiguration::default();
    for device in asking.guest.filesystems().filter(|d| !d.locked) {
        // What cannot be opened is told with the guest's devices.
        let Ok(opened) = asking.guest.open(device) else {
            continue;
        };
        let fs: std::sync::Arc<dyn FsRead> = opened.fs;
        if !matches!(fs.facts().kind, "ntfs" | "vfat" | "exfat") {
            continue;
        }
        let tree = Tree::new(device.name.clone(), fs);
        found
            .stores
            .extend(on_tree(asking.guest, look, &tree, &device.name));
    }
    if asking.guest.devices().is_empty() {
        let tree = &asking.assembled.tree;
        found
            .stores
            .extend(on_tree(asking.guest, look, tree, &asking.system.device));
    }
    found
}

fn on_tree(guest: &Guest, look: &Look<'_>, tree: &Tree, device: &str) -> Vec<BootStore> {
    let own = Look::new(tree, look.limits());
    let mut stores = Vec::new();
    for (file, firmware) in STORES {
        let name = format!("{device}:{file}");
        if let Some(hold) = Hold::open(&own, tree, file.as_bytes(), &name) {
            stores.push(store(guest, &hold, &own, (device, file, firmware)));
        }
    }
    if let Some(text) = own.text("/boot.ini") {
        stores.push(boot_ini(text.as_str(), device));
    }
    look.remember(
        own.take_unread()
            .into_iter()
            .map(|unread| Unread {
                source: Source::named(format!("{device}: {}", unread.source)),
                ..unread
            })
            .collect(),
    );
    stores
}

fn element<'h>(object: &RegKey<'h>, element: u32) -> Option<RegKey<'h>> {
    object.subkey(&format!("Elements\\{element:08x}"))
}

fn text(object: &RegKey<'_>, number: u32) -> Option<String> {
    element(object, number)?.words("Element").map(|f| f.value)
}

fn store(
    guest: &Guest,
    hold: &Hold,
    look: &Look<'_>,
    (device, file, firmware): (&str, &str, &str),
) -> BootStore {
    let objects = hold.key(look, "Objects");
    let manager = objects.as_ref().and_then(|o| o.subkey(BOOT_MANAGER));
    let order = manager.as_ref().and_then(|m| element(m, ORDER)?.texts("Element"));
    let timeout = manager
        .as_ref()
        .and_then(|m| element(m, TIMEOUT)?.data("Element"));
    let entries = objects
        .iter()
        .flat_map(RegKey::subkeys)
        .filter_map(|o| entry(guest, &o));
    BootStore {
        device: device.to_owned(),
        file: file.to_owned(),
        firmware: firmware.to_owned(),
        default_entry: manager.as_ref().and_then(|m| text(m, DEFAULT)),
        timeout: timeout.and_then(|f| little(&f.value)),
        display_order: order.map(|f| f.value).unwrap_or_default(),
        entries: entries.collect(),
    }
}

/// A number of up to eight bytes, low ones first.
fn little(data: &[u8]) -> Option<u64> {
    if data.is_empty() || data.len() > 8 {
        return None;
    }
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    Some(u64::from_le_bytes(bytes))
}

/// An object that starts something: those whose type begins with 1.
fn entry(guest: &Guest, object: &RegKey<'_>) -> Option<BootEntry> {
    let kind = object.subkey("Description")?.number("Type")?.value;
    if kind >> 28 != 1 {
        return None;
    }
    let device = |number: u32| {
        let data = element(object, number)?.data("Element")?;
        Some(boot_device(guest, &data.value))
    };
    let set = |number: u32| {
        element(object, number)
            .and_then(|e| e.data("Element"))
            .is_some_and(|f| f.value.first() == Some(&1))
    };
    Some(BootEntry {
        id: object.name(),
        kind: match kind {
            0x1010_0001 => "firmware",
            0x1010_0002 => "boot manager",
            0x1020_0003 => "windows loader",
            0x1020_0004 => "resume loader",
            0x1020_0005 => "memory test",
            0x101f_ffff => "firmware application",
            _ => "other",
        }
        .to_owned(),
        description: text(object, DESCRIPTION),
        path: text(object, PATH),
        device: device(DEVICE),
        os_device: device(OS_DEVICE),
        system_root: text(object, SYSTEM_ROOT),
        switches: SWITCHES
            .iter()
            .filter(|(number, _)| set(*number))
            .map(|(_, name)| (*name).to_owned())
            .collect(),
        source: object.source(),
    })
}

/// A device element: 16 bytes of options, then type, flags and length; a partition's identity from byte 0x20, the
/// scheme of its table at 0x34, the disk's identity from 0x38.
fn boot_device(guest: &Guest, data: &[u8]) -> BootDevice {
    let word = |at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let guid = |at: usize| Some(h2k_volume::guid(*data.get(at..)?.first_chunk()?));
    let mut found = BootDevice {
        kind: "unknown".to_owned(),
        identity: None,
        disk: None,
        device: None,
    };
    match word(16) {
        Some(5) => found.kind = "boot".to_owned(),
        Some(0 | 3) => found.kind = "file".to_owned(),
        Some(6) => {
            found.kind = "partition".to_owned();
            let start = || Some(u64::from_le_bytes(*data.get(0x20..)?.first_chunk()?));
            let identity = match word(0x34) {
                Some(0) => {
                    found.disk = guid(0x38);
                    guid(0x20).map(Identity::Gpt)
                }
                Some(1) => {
                    found.disk = word(0x38).map(|signature| format!("{signature:08x}"));
                    word(0x38)
                        .zip(start())
                        .map(|(signature, start)| Identity::Mbr(signature, start))
                }
                _ => None,
            };
            found.device = identity.as_ref().and_then(|i| i.device(guest));
            found.identity = identity.map(|i| i.text());
        }
        _ => {}
    }
    found
}

/// `multi(0)disk(0)rdisk(0)partition(1)\WINDOWS="Windows XP" /fastdetect`.
fn boot_ini(ini: &str, device: &str) -> BootStore {
    let mut store = BootStore {
        device: device.to_owned(),
        file: "/boot.ini".to_owned(),
        firmware: "bios".to_owned(),
        default_entry: None,
        timeout: None,
        display_order: Vec::new(),
        entries: Vec::new(),
    };
    let mut section = String::new();
    for (line, number) in ini.lines().zip(1_usize..) {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.to_lowercase();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match (section.as_str(), key.trim().to_lowercase().as_str()) {
            ("[boot loader]", "timeout") => store.timeout = value.trim().parse().ok(),
            ("[boot loader]", "default") => store.default_entry = Some(value.trim().to_owned()),
            ("[operating systems]", _) => {
                let (arc, root) = key.split_once('\\').unwrap_or((key, ""));
                let (title, switches) = value
                    .trim()
                    .trim_start_matches('"')
                    .split_once('"')
                    .unwrap_or((value, ""));
                store.entries.push(BootEntry {
                    id: key.trim().to_owned(),
                    kind: "windows loader".to_owned(),
                    description: Some(title.to_owned()),
                    path: None,
                    device: None,
                    os_device: Some(BootDevice {
                        kind: "partition".to_owned(),
                        identity: Some(arc.trim().to_owned()),
                        disk: None,
                        device: None,
                    }),
                    system_root: (!root.is_empty()).then(|| format!("\\{}", root.trim())),
                    switches: switches.split_whitespace().map(str::to_owned).collect(),
                    source: Source::line(format!("{device}:/boot.ini").as_bytes(), number),
                });
            }
            _ => {}
        }
    }
    store
}
