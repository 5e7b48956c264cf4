//! What lies between disks and files.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What lies between disks and files, beyond partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Storage {
    /// Swap spaces: what the system is told to use, and what is on its disks.
    pub swap: Vec<Swap>,
    /// Encrypted devices, and what the system is told of them.
    pub encrypted: Vec<Encrypted>,
    /// Volume groups of LVM.
    pub volume_groups: Vec<VolumeGroup>,
    /// Arrays of MD.
    pub arrays: Vec<Array>,
    /// Subvolumes of btrfs.
    pub subvolumes: Vec<BtrfsSubvolume>,
    /// Multipath: whether it is configured, and its blacklists and aliases as text.
    pub multipath: Vec<Fact<String>>,
    /// What LVM may see: filters and the file of devices.
    pub lvm_filters: Vec<Fact<String>>,
    /// Where the system resumes from hibernation, as it is written.
    pub resume: Vec<Fact<String>>,
}

/// A swap space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Swap {
    /// `device`, `file` or `zram`.
    pub kind: String,
    /// What the configuration names: `UUID=…`, `/swapfile`; absent for a device that nothing names.
    pub spec: Option<String>,
    /// The device or file it is, as guestfish spells it; absent when it is not on these disks.
    pub device: Option<String>,
    /// Its size in bytes, where that is known.
    pub size: Option<u64>,
    /// The UUID of the swap space.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Its options: `pri=10`, `discard`, `zram-size = ram / 2`.
    pub options: Vec<String>,
    /// Whether it holds a system that hibernates.
    pub hibernated: bool,
    /// Where it was read.
    pub source: Source,
}

/// An encrypted device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Encrypted {
    /// The device, as guestfish spells it; absent when it is not on these disks.
    pub device: Option<String>,
    /// `luks1`, `luks2`, `bitlocker`; `plain` for what the configuration says has no header.
    pub format: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// As dm-crypt spells it: `aes-xts-plain64`.
    pub cipher: Option<String>,
    /// Length of the key in bits.
    pub key_bits: Option<u32>,
    /// What opens it: `0: argon2id …` for a key slot, `systemd-tpm2` for a token.
    pub openers: Vec<String>,
    /// Whether something of the machine is needed to open it, which a moved guest does not have (a TPM).
    pub bound_to_machine: bool,
    /// Whether it was opened.
    pub unlocked: bool,
    /// What the system is told: the lines of crypttab for it.
    pub configured: Vec<CryptLine>,
    /// Where it was read.
    pub source: Source,
}

/// A line of crypttab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CryptLine {
    /// What the plain text is called: `/dev/mapper/` and this.
    pub name: String,
    /// What it names.
    pub spec: String,
    /// Where the key comes from: `none` asks, else a file or device.
    pub key: String,
    /// Its options.
    pub options: Vec<String>,
    /// Where it was read.
    pub source: Source,
}

/// A volume group of LVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its UUID, as LVM prints it.
    pub uuid: String,
    /// The devices it lies on.
    pub devices: Vec<String>,
    /// Its volumes.
    pub volumes: Vec<LogicalVolume>,
    /// Where it was read.
    pub source: Source,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LogicalVolume {
    /// Its name in its group.
    pub name: String,
    /// Its UUID, as LVM prints it.
    pub uuid: String,
    /// Its size in bytes.
    pub size: u64,
    /// `linear`, `striped`, `raid1`, `snapshot`, `thin` …
    pub layout: String,
    /// Whether LVM leaves it alone unless told otherwise.
    pub skip_activation: bool,
    /// The devices of the group that it lies on.
    pub devices: Vec<String>,
}

/// An array of MD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Array {
    /// The device, as guestfish spells it; absent when only the configuration names it.
    pub device: Option<String>,
    /// What the configuration calls it.
    pub configured_as: Option<Fact<String>>,
    /// `raid1`, `raid5`, `linear` …
    pub level: Option<String>,
    /// Version of its superblocks.
    pub version: Option<String>,
    /// Its UUID, as mdadm prints it.
    pub uuid: Option<String>,
    /// `host:name`.
    pub name: Option<String>,
    /// The devices it is made of.
    pub devices: Vec<String>,
    /// How many members it has when complete.
    pub members: Option<u32>,
    /// How many are here.
    pub present: Option<u32>,
    /// Where it was read.
    pub source: Source,
}

/// A subvolume of btrfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BtrfsSubvolume {
    /// The device the filesystem lies on.
    pub device: String,
    /// Path from the top level, without a leading slash.
    pub path: String,
    /// Its number.
    pub id: u64,
    /// Whether it was made as a snapshot.
    pub snapshot: bool,
    /// Whether nobody may write to it.
    pub read_only: bool,
    /// Whether it is what one sees when mounting without options.
    pub default: bool,
    /// Where it was read.
    pub source: Source,
}
