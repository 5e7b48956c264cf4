//! What whoever migrates decides, where a machine leaves a choice or says nothing.

use crate::{Bus, Chipset, Clock, Firmware, Graphics, Mac, NicModel, Processor, Video};
use std::collections::BTreeMap;

/// A drive of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The absolute path of the image, or of the block device. Empty for a CD drive with nothing in it.
    pub path: String,
    /// `qcow2` or `raw`, or another of QEMU's formats.
    pub format: String,
    /// Whether `path` is a block device.
    pub device: bool,
    /// What it hangs on.
    pub bus: Bus,
    /// Whether it is a CD drive.
    pub cdrom: bool,
    /// Its turn in the boot order, from 1.
    pub boot: Option<u32>,
    /// A serial number for the guest to see, at most 20 letters, digits, `_`, `-`, `.`.
    pub serial: Option<String>,
}

impl Placed {
    /// A disk image.
    #[must_use]
    pub fn disk(path: impl Into<String>, format: impl Into<String>, bus: Bus) -> Self {
        Self {
            path: path.into(),
            format: format.into(),
            device: false,
            bus,
            cdrom: false,
            boot: None,
            serial: None,
        }
    }
}

/// What a network card is plugged into at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A network of libvirt.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
}

/// What becomes of the addresses of network cards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MacPolicy {
    /// They stay; a card without one gets one that follows from the machine.
    #[default]
    Preserve,
    /// New ones, which follow from the machine: the same ones in every run.
    Regenerate,
    /// These for those; others stay.
    Replace(BTreeMap<Mac, Mac>),
}

/// What runs in the machine, as far as the domain depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guest {
    /// Linux, and what is like it.
    #[default]
    Unix,
    /// Windows: Hyper-V's interfaces and clock, local time.
    Windows,
}

/// Everything decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    /// Another name than the source's.
    pub name: Option<String>,
    /// The drives of the target, in the guest's order.
    pub drives: Vec<Placed>,
    /// Bytes of memory instead of what the source says; where nobody says any, 2 GiB.
    pub memory: Option<u64>,
    /// Processors instead of what the source says; where nobody says any, 2.
    pub processors: Option<u32>,
    /// Which processor the guest sees.
    pub processor: Processor,
    /// The board; without, Q35 unless something of the target needs the older one.
    pub chipset: Option<Chipset>,
    /// How it boots, as the disks have it: believed over what the source says.
    pub firmware: Option<Firmware>,
    /// The clock; without, as the source says, else local time for Windows and UTC for others.
    pub clock: Option<Clock>,
    /// Whether the target has a TPM 2.0; without, when the source had a TPM.
    pub tpm: Option<bool>,
    /// What runs in it.
    pub guest: Guest,
    /// libosinfo's identifier of the system, where inspection found it.
    pub libosinfo: Option<String>,
    /// Networks of the source, by name, and what they become.
    pub networks: BTreeMap<String, Attach>,
    /// What every other network becomes; without, libvirt's network `default`, with a note.
    pub fallback: Option<Attach>,
    /// Addresses of network cards.
    pub macs: MacPolicy,
    /// What network cards become; without, virtio.
    pub nic: Option<NicModel>,
    /// Whether the guest gets devices that need a driver of virtio's family besides disks and network cards: the
    /// agent's channel, randomness, the balloon.
    pub virtio: bool,
    /// The screen.
    pub graphics: Graphics,
    /// The graphics card.
    pub video: Video,
}
