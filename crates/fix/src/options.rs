//! What the user wants, and what the machine will be.

use crate::configuration::{CloudInit, Configuration, FirstBoot};
use h2k_boot::Bus;
use h2k_fs::Time;
use serde::Deserialize;

/// Where the guest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hypervisor {
    /// ESXi, Workstation, Fusion.
    Vmware,
    /// Hyper-V, Azure.
    HyperV,
    /// VirtualBox.
    VirtualBox,
    /// Xen, XenServer, AWS before Nitro.
    Xen,
    /// QEMU with or without KVM.
    Kvm,
}

/// A network interface the machine will have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    /// Its address, `52:54:00:12:34:56`, in lower case. The guest keeps the addresses it had.
    pub mac: String,
    /// What the guest called it, where the description of the old machine tells: `ens192` for VMware's slot 192.
    pub name: Option<String>,
}

/// The machine the guest will be in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// What the disks will be attached to; `None` lets the ladder decide.
    pub bus: Option<Bus>,
    /// Its interfaces, where they are known.
    pub nics: Vec<Nic>,
    /// Where the guest comes from, where that is known.
    pub from: Option<Hypervisor>,
}

/// How far network fixes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkLevel {
    /// Names are tied to MAC addresses, in files of our own; the guest's stay as they are.
    Conservative,
    /// Conditions on drivers and MAC addresses of the old machine are changed, too.
    #[default]
    Moderate,
    /// Where a MAC address changed, configuration is changed to the new one.
    Aggressive,
}

/// Which names in the table of filesystems are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FstabMode {
    /// Every name that hangs on the old machine.
    #[default]
    StabilizeAll,
    /// Names by path alone: `/dev/disk/by-path/…`.
    BypathOnly,
    /// None.
    Noop,
}

/// Which fixes are asked, and how far they go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only these fixes, by id; empty for all that are on by default.
    pub only: Vec<String>,
    /// Fixes that are off by default and wanted, by id.
    pub enable: Vec<String>,
    /// Fixes that are not wanted, by id.
    pub disable: Vec<String>,
    /// How far network fixes go.
    pub network: NetworkLevel,
    /// Tools of VMware are kept from starting even where they harm nothing.
    pub remove_vmware_tools: bool,
    /// Which names `linux.fstab` changes.
    pub fstab: FstabMode,
    /// Whether the files of boot loaders are left as they are: what they tell kernels, their maps of devices.
    pub no_grub: bool,
    /// What becomes of cloud-init.
    pub cloud_init: CloudInit,
    /// What is done at the first start.
    pub first_boot: FirstBoot,
    /// What the guest is configured with besides.
    pub configuration: Configuration,
    /// The moment edits are stamped with.
    pub now: Time,
}

impl Options {
    /// Whether the fix called `id` is asked, which is on by default or not.
    #[must_use]
    pub fn wants(&self, id: &str, by_default: bool) -> bool {
        let named = |list: &[String]| {
            list.iter()
                .any(|wish| wish == id || id.strip_prefix(wish).is_some_and(|rest| rest.starts_with('.')))
        };
        if named(&self.disable) {
            return false;
        }
        if !self.only.is_empty() {
            // A group (`linux`) means those of it that are on by default.
            let itself = self.only.iter().any(|wish| wish == id);
            return itself || (by_default && named(&self.only)) || named(&self.enable);
        }
        by_default || named(&self.enable)
    }
}
