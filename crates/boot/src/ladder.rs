//! Which buses of KVM a kernel could find its root on, as it is.

use crate::kernel::{Kernel, Presence};
use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// A disk controller that QEMU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Bus {
    /// virtio-blk.
    VirtioBlk,
    /// virtio-scsi.
    VirtioScsi,
    /// AHCI.
    Sata,
    /// NVMe.
    Nvme,
    /// The IDE of a PIIX.
    Ide,
    /// VMware's paravirtual controller, emulated.
    Pvscsi,
    /// LSI Logic SAS, emulated (`mptsas1068`).
    LsiSas,
    /// An LSI 53C895A, emulated. VMware's LSI Logic parallel controller is another one.
    Lsi,
}

impl Bus {
    /// Every bus, in the order one would choose them.
    pub const ALL: [Self; 8] = [
        Self::VirtioBlk,
        Self::VirtioScsi,
        Self::Sata,
        Self::Nvme,
        Self::Ide,
        Self::Pvscsi,
        Self::LsiSas,
        Self::Lsi,
    ];

    /// As reports name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio-blk",
            Self::VirtioScsi => "virtio-scsi",
            Self::Sata => "sata",
            Self::Nvme => "nvme",
            Self::Ide => "ide",
            Self::Pvscsi => "pvscsi",
            Self::LsiSas => "lsi-sas",
            Self::Lsi => "lsi",
        }
    }

    /// Whether it is one of KVM's own, as fast as it gets.
    #[must_use]
    pub fn is_virtio(self) -> bool {
        matches!(self, Self::VirtioBlk | Self::VirtioScsi)
    }

    /// The drivers that have to be there before the root is.
    #[must_use]
    pub fn drivers(self) -> &'static [&'static str] {
        match self {
            Self::VirtioBlk => &["virtio_pci", "virtio_blk"],
            Self::VirtioScsi => &["virtio_pci", "virtio_scsi", "sd_mod"],
            Self::Sata => &["ahci", "sd_mod"],
            Self::Nvme => &["nvme"],
            Self::Ide => &["ata_piix", "sd_mod"],
            Self::Pvscsi => &["vmw_pvscsi", "sd_mod"],
            Self::LsiSas => &["mptsas", "sd_mod"],
            Self::Lsi => &["sym53c8xx", "sd_mod"],
        }
    }
}

/// Whether a kernel finds its root on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reach {
    /// It does.
    Ready,
    /// What is needed is among the guest's modules and not in its initramfs.
    NotInInitramfs,
    /// It is in the initramfs, where something keeps it from being loaded.
    Blocked,
    /// The kernel has no such driver.
    NotInKernel,
    /// It cannot be told: no modules, no configuration, or an initramfs that cannot be read.
    Unknown,
}

/// One rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rung {
    /// Which bus.
    pub bus: Bus,
    /// Whether the kernel finds its root there.
    pub reach: Reach,
    /// The modules that are missing, or kept from being loaded.
    pub missing: Vec<String>,
    /// Where that was read.
    pub sources: Vec<Source>,
}

/// Every bus, for a kernel with the initramfs images it is started with. `parameters` are the words it is told.
#[must_use]
pub fn ladder(kernel: &Kernel, parameters: &str) -> Vec<Rung> {
    Bus::ALL
        .iter()
        .map(|bus| rung(kernel, *bus, parameters))
        .collect()
}

fn rung(kernel: &Kernel, bus: Bus, parameters: &str) -> Rung {
    let mut reach = Reach::Ready;
    let mut missing: Vec<String> = Vec::new();
    let mut sources: Vec<Source> = Vec::new();
    let mut worse = |to: Reach, module: &str, source: Option<Source>| {
        reach = reach.max(to);
        if !missing.iter().any(|m| m == module) {
            missing.push(module.to_owned());
        }
        sources.extend(
            source
                .filter(|s| !sources.contains(s))
                .into_iter()
                .collect::<Vec<_>>(),
        );
    };
    for name in bus.drivers() {
        let Some(driver) = kernel.driver(name) else {
            worse(Reach::Unknown, name, None);
            continue;
        };
        match driver.presence {
            Presence::Builtin => {}
            Presence::Absent => worse(Reach::NotInKernel, name, driver.source.clone()),
            Presence::Unknown => worse(Reach::Unknown, name, driver.source.clone()),
            Presence::Module => {
                for module in &driver.needs {
                    let (to, source) = in_initramfs(kernel, module, parameters);
                    if to != Reach::Ready {
                        worse(to, module, source);
                    }
                }
            }
        }
    }
    Rung {
        bus,
        reach,
        missing,
        sources,
    }
}

/// Whether one of the kernel's initramfs images loads a module.
fn in_initramfs(kernel: &Kernel, module: &str, parameters: &str) -> (Reach, Option<Source>) {
    let images = &kernel.initramfs;
    let source = images.last().map(|i| Source::named(i.path.clone()));
    if let Some(image) = images.iter().find(|i| i.finds(module)) {
        let blocked = image.blocked.iter().find(|b| b.value == module);
        if let Some(blocked) = blocked {
            return (Reach::Blocked, Some(blocked.source.clone()));
        }
        return match blocked_by_parameter(parameters, module) {
            true => (
                Reach::Blocked,
                Some(Source::named("the command line of the kernel")),
            ),
            false => (Reach::Ready, source),
        };
    }
    if let Some(image) = images.iter().find(|i| i.has(module)) {
        // The file is there and no index names it: nothing loads it.
        return (
            Reach::Blocked,
            Some(Source::named(format!("{}:modules.dep", image.path))),
        );
    }
    match images.iter().all(|i| i.complete) {
        true => (Reach::NotInInitramfs, source),
        false => (Reach::Unknown, source),
    }
}

/// `modprobe.blacklist=`, `module_blacklist=`, `rd.driver.blacklist=`.
pub(crate) fn blocked_by_parameter(parameters: &str, module: &str) -> bool {
    const KEYS: [&str; 3] = ["modprobe.blacklist=", "module_blacklist=", "rd.driver.blacklist="];
    let lists = parameters
        .split_whitespace()
        .filter_map(|word| KEYS.iter().find_map(|key| word.strip_prefix(key)));
    lists
        .flat_map(|list| list.split(','))
        .any(|name| name.replace('-', "_") == module)
}
