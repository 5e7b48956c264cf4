//! The EFI system partition.

use h2k_block::Limits;
use h2k_guest::{Guest, Look, Source, Tree, Unread};
use schemars::JsonSchema;
use serde::Serialize;

/// What is on an EFI system partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Esp {
    /// The partition.
    pub device: String,
    /// Where the guest's table mounts it; absent where it does not, though it may be mounted by itself.
    pub mount_point: Option<String>,
    /// The program that firmware starts when it knows no other: `EFI/BOOT/BOOTX64.EFI`. A guest that comes without the
    /// variables of its firmware does not boot without it.
    pub fallback: Option<String>,
    /// Programs of shim, which firmware with Secure Boot starts.
    pub shim: Vec<String>,
    /// Programs of GRUB.
    pub grub: Vec<String>,
    /// The program of systemd-boot.
    pub systemd_boot: Option<String>,
    /// The Windows Boot Manager.
    pub windows: Option<String>,
}

/// An EFI system partition in a tree.
#[derive(Debug)]
pub(crate) struct Mounted {
    /// Where.
    pub(crate) point: String,
    pub(crate) facts: Esp,
}

/// Whether the partition table says that a device is an EFI system partition.
pub(crate) fn is_esp(device: &h2k_guest::Device) -> bool {
    device.partition.as_ref().is_some_and(|p| match &p.kind {
        h2k_volume::PartitionType::Guid(guid) => {
            guid.eq_ignore_ascii_case("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
        }
        h2k_volume::PartitionType::Byte(byte) => *byte == 0xef,
        h2k_volume::PartitionType::Name(_) => false,
    })
}

/// A tree with the EFI system partition in it: where the guest's table mounts it, or else where systemd would. `None`
/// for the tree where it is there already.
pub(crate) fn mounted(tree: &Tree, guest: &Guest) -> Option<(Option<Tree>, String, String, bool)> {
    let devices: Vec<_> = guest.devices().iter().filter(|d| is_esp(d)).collect();
    for device in &devices {
        if let Some(mount) = tree.mounts().iter().find(|m| m.source == device.name) {
            let point = String::from_utf8_lossy(&mount.point).into_owned();
            return Some((None, device.name.clone(), point, true));
        }
    }
    let device = devices.first()?;
    let opened = guest.open(device).ok()?;
    let mut whole = tree.clone();
    let mut meter = h2k_block::Meter::new(h2k_block::Limits::default());
    let point = ["/boot/efi", "/efi", "/boot", "/mnt"].into_iter().find(|point| {
        let fs = std::sync::Arc::clone(&opened.fs);
        let empty = Look::new(tree, &h2k_block::Limits::default())
            .names(point)
            .is_empty();
        empty
            && whole
                .mount(point.as_bytes(), device.name.clone(), fs, &mut meter)
                .is_ok()
    })?;
    Some((Some(whole), device.name.clone(), point.to_owned(), false))
}

/// What is on the first EFI system partition, by itself.
pub(crate) fn alone(guest: &Guest, limits: &Limits) -> (Option<Esp>, Vec<Unread>) {
    let Some(device) = guest.devices().iter().find(|d| is_esp(d)) else {
        return (None, Vec::new());
    };
    match guest.open(device) {
        Ok(opened) => {
            let tree = Tree::new(device.name.clone(), opened.fs);
            let look = Look::new(&tree, limits);
            let mounted = Mounted::look(&look, device.name.clone(), String::new(), false);
            (Some(mounted.facts), look.take_unread())
        }
        Err(e) => (None, vec![Unread::new(Source::named(device.name.clone()), &e)]),
    }
}

impl Mounted {
    /// Looks around on the partition that is mounted at `point`.
    pub(crate) fn look(look: &Look<'_>, device: String, point: String, listed: bool) -> Self {
        let mut facts = Esp {
            device,
            mount_point: listed.then(|| point.clone()),
            fallback: None,
            shim: Vec::new(),
            grub: Vec::new(),
            systemd_boot: None,
            windows: None,
        };
        let efi = format!("{point}/EFI");
        for vendor in look.names(&efi).iter().take(256) {
            let vendor = String::from_utf8_lossy(vendor).into_owned();
            let dir = format!("{efi}/{vendor}");
            for name in look.names(&dir).iter().take(1024) {
                let name = String::from_utf8_lossy(name).into_owned();
                let path = format!("{dir}/{name}");
                let (vendor, name) = (vendor.to_ascii_lowercase(), name.to_ascii_lowercase());
                if !name.ends_with(".efi") {
                    if vendor == "microsoft" && name == "boot" {
                        let manager = format!("{path}/bootmgfw.efi");
                        facts.windows = look.is_file(&manager).then_some(manager);
                    }
                    continue;
                }
                match name.as_str() {
                    // x86-64 comes first among several.
                    "bootx64.efi" if vendor == "boot" => facts.fallback = Some(path),
                    _ if vendor == "boot" && name.starts_with("boot") => {
                        facts.fallback.get_or_insert(path);
                    }
                    _ if name.starts_with("shim") => facts.shim.push(path),
                    _ if name.starts_with("grub") => facts.grub.push(path),
                    _ if name.starts_with("systemd-boot") => facts.systemd_boot = Some(path),
                    _ => {}
                }
            }
        }
        Self { point, facts }
    }

    /// The directories of distributions.
    pub(super) fn vendor_dirs(&self, look: &Look<'_>) -> Vec<String> {
        let efi = format!("{}/EFI", self.point);
        let names = look.names(&efi);
        let names = names
            .iter()
            .take(256)
            .map(|n| String::from_utf8_lossy(n).into_owned());
        names.map(|name| format!("{efi}/{name}")).collect()
    }
}
