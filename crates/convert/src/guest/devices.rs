//! The devices of a guest as a report.

use super::OpenGuest;
use h2k_guest::Device;
use h2k_volume::{Kind, Partition, PartitionType, Role, Scheme, Table, Volume};
use serde::Serialize;

/// Every device of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartitionsReport {
    /// Each after those it lies on.
    pub devices: Vec<DeviceReport>,
    /// What was found damaged, incomplete or not supported.
    pub problems: Vec<ProblemReport>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceReport {
    /// Its name as guestfish spells it.
    pub device: String,
    /// Other names that mean the same.
    pub aliases: Vec<String>,
    /// `disk`, `partition`, `logical-volume`, `raid` or `crypt`.
    pub kind: &'static str,
    /// Of a disk: the file it is in.
    pub filename: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// The devices it lies on.
    pub below: Vec<String>,
    /// The partition table on it.
    pub table: Option<TableReport>,
    /// Of a partition: what the table says of it.
    pub partition: Option<PartitionReport>,
    /// Of a logical volume: what LVM says of it.
    pub logical_volume: Option<LogicalVolumeReport>,
    /// Of an array: what MD says of it.
    pub raid: Option<RaidReport>,
    /// Of an encrypted device: what its header says.
    pub luks: Option<LuksReport>,
    /// What it holds, by its superblock.
    pub holds: Option<HoldsReport>,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableReport {
    /// `gpt`, `dos` or `mac`.
    pub scheme: &'static str,
    /// Identifier of the disk.
    pub uuid: Option<String>,
    /// Logical sector size in bytes.
    pub sector_size: u32,
    /// Whether an MBR beside a GPT describes partitions, too.
    pub hybrid: bool,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartitionReport {
    /// From 1; logical partitions of an MBR from 5.
    pub number: u32,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes, as the table has it.
    pub length: u64,
    /// Type: a GUID, a byte such as `0x83`, a name.
    #[serde(rename = "type")]
    pub type_: String,
    /// The type in words.
    pub type_name: Option<String>,
    /// The partition's own name.
    pub name: Option<String>,
    /// PARTUUID.
    pub uuid: Option<String>,
    /// GPT attribute bits.
    pub attributes: u64,
    /// What the attributes mean, in words.
    pub flags: Vec<&'static str>,
    /// `primary`, `extended` or `logical`.
    pub role: &'static str,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogicalVolumeReport {
    /// The volume group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its UUID as LVM prints it.
    pub uuid: String,
    /// `linear`, `striped`, `raid1` …
    pub layout: String,
    /// Whether LVM leaves it alone unless told otherwise.
    pub skip_activation: bool,
}

/// An array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RaidReport {
    /// `raid1`, `linear` …
    pub level: String,
    /// Version of its superblocks.
    pub version: &'static str,
    /// Its UUID.
    pub uuid: String,
    /// `host:name`.
    pub name: String,
    /// How many members it has when complete.
    pub members: usize,
    /// How many of them are here.
    pub present: usize,
}

/// The header of an encrypted device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LuksReport {
    /// 1 or 2.
    pub version: u16,
    /// Its UUID.
    pub uuid: String,
    /// Its label.
    pub label: Option<String>,
    /// As dm-crypt spells it.
    pub cipher: String,
    /// Length of the volume key.
    pub key_bits: usize,
    /// Key slots in use.
    pub slots: Vec<LuksSlotReport>,
    /// Types of tokens.
    pub tokens: Vec<String>,
    /// Whether a key opened it.
    pub unlocked: bool,
    /// Why it cannot be opened here, whatever the key.
    pub refused: Option<String>,
}

/// A key slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LuksSlotReport {
    /// Its number.
    pub number: u32,
    /// Key derivation and its cost.
    pub kdf: String,
}

/// What a device holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HoldsReport {
    /// `blkid`'s TYPE.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// `blkid`'s USAGE.
    pub usage: &'static str,
    /// Version of the format where it matters.
    pub version: Option<String>,
    /// Label.
    pub label: Option<String>,
    /// UUID or serial number.
    pub uuid: Option<String>,
}

/// Something that could not be had, or is odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProblemReport {
    /// The device it is about.
    pub device: String,
    /// The class of the error.
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

impl ProblemReport {
    /// One line for a person: the device, once, and what is wrong.
    #[must_use]
    pub fn line(&self) -> String {
        let named = |name: &str| self.message.starts_with(&format!("{name}: "));
        match self.device.as_str() {
            "" => format!("the guest: {}", self.message),
            device if named(device) => self.message.clone(),
            device => format!("{device}: {}", self.message),
        }
    }
}

impl OpenGuest {
    /// Every device: disks, partitions, and what is assembled from them.
    #[must_use]
    pub fn devices(&self) -> PartitionsReport {
        let mut disks = self.disks.iter();
        let all = self.volumes.list.iter().zip(self.guest.devices());
        let devices = all.map(|(volume, device)| {
            let file = matches!(volume.kind, Kind::Whole).then(|| disks.next()).flatten();
            DeviceReport {
                filename: file.map(|f| f.display().to_string()),
                ..self.one(volume, device)
            }
        });
        PartitionsReport {
            devices: devices.collect(),
            problems: self.problems(),
        }
    }

    /// What was found damaged, incomplete or not supported on the way.
    #[must_use]
    pub fn problems(&self) -> Vec<ProblemReport> {
        let all = self.volumes.problems.iter();
        all.map(|p| ProblemReport {
            device: p.device.clone(),
            class: p.error.class().word(),
            message: p.error.to_string(),
        })
        .collect()
    }

    fn one(&self, volume: &Volume, device: &Device) -> DeviceReport {
        let below = volume.below.iter();
        let name = |i: &usize| self.volumes.list.get(*i).map(|v| v.device.clone());
        let mut report = DeviceReport {
            device: volume.device.clone(),
            aliases: volume.aliases.clone(),
            kind: "disk",
            filename: None,
            size: volume.disk.len(),
            below: below.filter_map(name).collect(),
            table: volume.table.as_ref().map(TableReport::from),
            partition: None,
            logical_volume: None,
            raid: None,
            luks: volume.encryption.as_ref().map(|luks| LuksReport {
                version: luks.version,
                uuid: luks.uuid.clone(),
                label: Some(luks.label.clone()).filter(|l| !l.is_empty()),
                cipher: luks.cipher.clone(),
                key_bits: luks.key_bits,
                slots: luks
                    .slots
                    .iter()
                    .map(|s| LuksSlotReport {
                        number: s.number,
                        kdf: s.kdf.clone(),
                    })
                    .collect(),
                tokens: luks.tokens.clone(),
                unlocked: !device.locked,
                refused: luks.refused.clone(),
            }),
            holds: volume.identity.as_ref().map(|i| HoldsReport {
                type_: i.kind,
                usage: i.usage.word(),
                version: i.version.clone(),
                label: i.label_text(),
                uuid: i.uuid.clone(),
            }),
        };
        match &volume.kind {
            Kind::Partition(p) => {
                report.kind = "partition";
                report.partition = Some(PartitionReport::from(p));
            }
            Kind::LogicalVolume(lv) => {
                report.kind = "logical-volume";
                report.logical_volume = Some(LogicalVolumeReport {
                    group: lv.group.clone(),
                    name: lv.name.clone(),
                    uuid: lv.uuid.clone(),
                    layout: lv.layout.clone(),
                    skip_activation: lv.skip_activation,
                });
            }
            Kind::Raid(raid) => {
                report.kind = "raid";
                report.raid = Some(RaidReport {
                    level: raid.level.clone(),
                    version: raid.version,
                    uuid: raid.uuid.clone(),
                    name: raid.name.clone(),
                    members: raid.members,
                    present: raid.present,
                });
            }
            Kind::Crypt(_) => report.kind = "crypt",
            _ => {}
        }
        report
    }
}

impl From<&Table> for TableReport {
    fn from(table: &Table) -> Self {
        Self {
            scheme: table.scheme.word(),
            uuid: table.id.clone(),
            sector_size: table.sector_size,
            hybrid: !table.hybrid.is_empty(),
        }
    }
}

/// Bits of a GPT partition's attributes: UEFI 2.10, table 5-8, and for Microsoft's types `winioctl.h`.
const ATTRIBUTES: [(u32, &str); 7] = [
    (0, "required"),
    (1, "no-block-io"),
    (2, "legacy-boot"),
    (60, "read-only"),
    (61, "shadow-copy"),
    (62, "hidden"),
    (63, "no-automount"),
];

impl From<&Partition> for PartitionReport {
    fn from(p: &Partition) -> Self {
        let mut flags = Vec::new();
        if p.scheme == Scheme::Gpt {
            let set = |bit: u32| p.attributes.checked_shr(bit).unwrap_or(0) & 1 == 1;
            flags.extend(
                ATTRIBUTES
                    .iter()
                    .filter(|(bit, _)| set(*bit))
                    .map(|(_, word)| *word),
            );
        } else if p.bootable {
            flags.push("active");
        }
        Self {
            number: p.number,
            start: p.start,
            length: p.len,
            type_: p.kind.to_string(),
            type_name: match &p.kind {
                PartitionType::Name(_) => None,
                kind => kind.description().map(str::to_owned),
            },
            name: Some(p.name.clone()).filter(|name| !name.is_empty()),
            uuid: p.uuid.clone(),
            attributes: p.attributes,
            flags,
            role: match p.role {
                Role::Primary => "primary",
                Role::Extended => "extended",
                Role::Logical => "logical",
            },
        }
    }
}
