//! The drivers that decide whether a guest finds its disks, its network and its screen on another hypervisor.

use super::config::Config;
use super::modules::Modules;
use h2k_guest::{Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Where a driver's device is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// KVM's own devices.
    Virtio,
    /// VMware's, some of which QEMU has as well.
    Vmware,
    /// Hyper-V's.
    HyperV,
    /// Xen's.
    Xen,
    /// Devices that real machines have, and every hypervisor emulates.
    Common,
}

/// Where a driver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Presence {
    /// Part of the kernel itself.
    Builtin,
    /// A module among the guest's files.
    Module,
    /// Not there.
    Absent,
    /// Neither modules nor a configuration of this kernel are there to tell.
    Unknown,
}

/// A driver of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Driver {
    /// Its name, with `_` for `-`: `virtio_blk`.
    pub name: String,
    /// Where its device is from.
    pub family: Family,
    /// Whether and how it is there.
    pub presence: Presence,
    /// The modules that have to be loaded for it, itself last; empty where it is no module.
    pub needs: Vec<String>,
    /// What says so: the module's file, the line of `modules.builtin`, the list it is missing from.
    pub source: Option<Source>,
}

/// Name, family, option of the kernel's configuration, former names.
type Known = (&'static str, Family, &'static str, &'static [&'static str]);

/// What is asked of every kernel.
const KNOWN: [Known; 33] = [
    ("virtio_pci", Family::Virtio, "VIRTIO_PCI", &[]),
    ("virtio_blk", Family::Virtio, "VIRTIO_BLK", &[]),
    ("virtio_scsi", Family::Virtio, "SCSI_VIRTIO", &[]),
    ("virtio_net", Family::Virtio, "VIRTIO_NET", &[]),
    ("virtio_rng", Family::Virtio, "HW_RANDOM_VIRTIO", &[]),
    ("virtio_balloon", Family::Virtio, "VIRTIO_BALLOON", &[]),
    ("virtio_console", Family::Virtio, "VIRTIO_CONSOLE", &[]),
    (
        "vmw_vsock_virtio_transport",
        Family::Virtio,
        "VIRTIO_VSOCKETS",
        &[],
    ),
    ("virtio_gpu", Family::Virtio, "DRM_VIRTIO_GPU", &[]),
    ("virtiofs", Family::Virtio, "VIRTIO_FS", &[]),
    ("virtio_input", Family::Virtio, "VIRTIO_INPUT", &[]),
    ("vmw_pvscsi", Family::Vmware, "VMWARE_PVSCSI", &[]),
    ("vmxnet3", Family::Vmware, "VMXNET3", &[]),
    ("mptspi", Family::Vmware, "FUSION_SPI", &[]),
    ("mptsas", Family::Vmware, "FUSION_SAS", &[]),
    ("vmwgfx", Family::Vmware, "DRM_VMWGFX", &[]),
    ("vmw_balloon", Family::Vmware, "VMWARE_BALLOON", &[]),
    ("hv_vmbus", Family::HyperV, "HYPERV", &[]),
    ("hv_storvsc", Family::HyperV, "HYPERV_STORAGE", &[]),
    ("hv_netvsc", Family::HyperV, "HYPERV_NET", &[]),
    (
        "xen_blkfront",
        Family::Xen,
        "XEN_BLKDEV_FRONTEND",
        &["xenblk", "xen_vbd"],
    ),
    (
        "xen_netfront",
        Family::Xen,
        "XEN_NETDEV_FRONTEND",
        &["xennet", "xen_vnif"],
    ),
    ("ahci", Family::Common, "SATA_AHCI", &[]),
    ("nvme", Family::Common, "BLK_DEV_NVME", &[]),
    ("ata_piix", Family::Common, "ATA_PIIX", &["piix"]),
    ("sym53c8xx", Family::Common, "SCSI_SYM53C8XX_2", &[]),
    ("megaraid_sas", Family::Common, "MEGARAID_SAS", &[]),
    ("sd_mod", Family::Common, "BLK_DEV_SD", &[]),
    ("usb_storage", Family::Common, "USB_STORAGE", &[]),
    ("e1000", Family::Common, "E1000", &[]),
    ("e1000e", Family::Common, "E1000E", &[]),
    ("bochs", Family::Common, "DRM_BOCHS", &["bochs_drm"]),
    (
        "pvpanic",
        Family::Common,
        "PVPANIC",
        &["pvpanic_mmio", "pvpanic_pci"],
    ),
];

/// Looks each driver up: in the list of what is built in, among the modules, in the configuration.
pub(crate) fn find(look: &Look<'_>, modules: Option<&Modules>, config: Option<&Config>) -> Vec<Driver> {
    let all = KNOWN.iter().map(|known| one(look, known, modules, config));
    all.collect()
}

/// The options of the configuration that are asked for.
pub(crate) fn options() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(_, _, option, _)| *option)
}

fn one(look: &Look<'_>, known: &Known, modules: Option<&Modules>, config: Option<&Config>) -> Driver {
    let (name, family, option, former) = *known;
    let driver = |presence, needs, source| Driver {
        name: name.to_owned(),
        family,
        presence,
        needs,
        source,
    };
    let configured = config.and_then(|c| c.options.get(option));
    if let Some(modules) = modules {
        for name in std::iter::once(name).chain(former.iter().copied()) {
            if let Some(source) = modules.builtin.get(name) {
                return driver(Presence::Builtin, Vec::new(), Some(source.clone()));
            }
            if let (Some(needs), Some(path)) = (modules.closure(name), modules.path(name)) {
                // A list may name what somebody removed.
                if look.is_file(path.as_bytes()) {
                    return driver(Presence::Module, needs, Some(Source::file(path.as_bytes())));
                }
            }
        }
    }
    if let Some(fact) = configured.filter(|f| f.value == 'y') {
        return driver(Presence::Builtin, Vec::new(), Some(fact.source.clone()));
    }
    match (modules, config) {
        (Some(modules), _) => driver(Presence::Absent, Vec::new(), modules.listed.clone()),
        (None, Some(config)) => driver(Presence::Absent, Vec::new(), Some(config.source.clone())),
        (None, None) => driver(Presence::Unknown, Vec::new(), None),
    }
}
