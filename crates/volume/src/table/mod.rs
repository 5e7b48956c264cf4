//! Partition tables: GPT, MBR with its logical partitions, Apple partition map.
//!
//! Each reader answers with a [`Table`]: what the table says, in bytes, and sentences about what is odd with it.
//! A table is believed in the order GPT, MBR, APM, as Linux does, with one exception it also makes: a GPT behind
//! an MBR that describes partitions and does not mention GPT is a leftover.

mod apm;
mod foreign;
mod gpt;
mod layout;
mod mbr;
mod types;

use crate::identify;
pub(crate) use foreign::foreign;
use h2k_block::{BlockRead, Limits, Meter, Result};

/// Which kind of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt,
    /// The PC's master boot record, with extended partitions.
    Mbr,
    /// Apple partition map.
    Apm,
}

impl Scheme {
    /// The name `blkid` and `parted` users know: `gpt`, `dos`, `mac`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Mbr => "dos",
            Self::Apm => "mac",
        }
    }
}

/// What a table says a partition is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PartitionType {
    /// GPT: a GUID, in lower case with hyphens.
    Guid(String),
    /// MBR: one byte.
    Byte(u8),
    /// APM: a name such as `Apple_HFS`.
    Name(String),
}

impl PartitionType {
    /// What people call it, where this code knows.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        match self {
            Self::Guid(guid) => types::of_guid(guid),
            Self::Byte(byte) => types::of_byte(*byte),
            Self::Name(name) => Some(name),
        }
    }
}

impl std::fmt::Display for PartitionType {
    /// As `sfdisk` prints it: the GUID, `0x83`, or the name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guid(text) | Self::Name(text) => f.write_str(text),
            Self::Byte(byte) => write!(f, "{byte:#x}"),
        }
    }
}

/// What part an MBR partition plays; everything else is primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds data.
    Primary,
    /// Holds the logical partitions, no data of its own.
    Extended,
    /// Lies inside the extended partition.
    Logical,
}

/// One partition as its table describes it. Nothing here is clipped to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From 1, as the kernel and `sfdisk` number it; logical partitions from 5.
    pub number: u32,
    /// Which kind of table it is in.
    pub scheme: Scheme,
    /// First byte on the disk.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// What it is for.
    pub kind: PartitionType,
    /// The partition's own name (GPT, APM); empty if there is none.
    pub name: String,
    /// PARTUUID as `blkid` prints it: the GPT unique GUID, or `<disk id>-<number>` for MBR.
    pub uuid: Option<String>,
    /// GPT attribute bits; for APM the status word; zero for MBR.
    pub attributes: u64,
    /// MBR: the active flag; GPT: the legacy BIOS bootable attribute.
    pub bootable: bool,
    /// Its place among MBR partitions.
    pub role: Role,
}

impl Partition {
    /// First byte after the partition.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// What was found on a disk.
#[derive(Clone, Debug)]
pub struct Table {
    /// Which kind.
    pub scheme: Scheme,
    /// Logical sector size in bytes that the table counts in.
    pub sector_size: u32,
    /// PTUUID as `blkid` prints it: the disk GUID, or eight hexadecimal digits for MBR.
    pub id: Option<String>,
    /// The partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
    /// Partitions that a hybrid MBR beside a GPT describes as well. For information: the GPT is believed.
    pub hybrid: Vec<Partition>,
    /// What is odd, in sentences.
    pub warnings: Vec<String>,
}

/// Sector sizes a disk may have when nobody says.
const SECTOR_SIZES: [u32; 2] = [512, 4096];

/// The partition table of a disk whose sector size is given, or else found out.
pub(crate) fn read(disk: &dyn BlockRead, sector_size: Option<u32>, limits: &Limits) -> Result<Option<Table>> {
    let mut meter = Meter::new(*limits);
    let sizes = match &sector_size {
        Some(size) => std::slice::from_ref(size),
        None => &SECTOR_SIZES[..],
    };
    // A boot sector of a filesystem on the bare disk is not a partition table, whatever bytes 446.. say.
    let mbr = if identify::is_volume_boot_record(disk)? {
        None
    } else {
        mbr::read(disk, sector_size, &mut meter)?
    };
    let mut warnings = Vec::new();
    for size in sizes {
        let Some(mut gpt) = gpt::read(disk, *size, &mut meter, &mut warnings)? else {
            continue;
        };
        match &mbr {
            Some(mbr) if !mbr.partitions.is_empty() && !mbr.mentions_gpt() => {
                warnings.push(
                    "a GPT lies behind an MBR that has partitions and does not mention it; the MBR is believed"
                        .to_owned(),
                );
                continue;
            }
            Some(mbr) => {
                gpt.hybrid = mbr.others_than_gpt();
                if !gpt.hybrid.is_empty() {
                    warnings.push(format!(
                        "a hybrid MBR describes {} partition(s) as well; the GPT is believed",
                        gpt.hybrid.len()
                    ));
                }
            }
            None => warnings.push("the protective MBR is missing".to_owned()),
        }
        return Ok(Some(finish(gpt, warnings, disk.len())));
    }
    let found = match mbr {
        // Only GPT knows what lies behind a protective partition, so without it there are no partitions.
        Some(mbr) if mbr.mentions_gpt() && mbr.others_than_gpt().is_empty() => {
            warnings.push("the MBR announces a GPT, but neither of its two copies can be used".to_owned());
            Some(Table {
                scheme: Scheme::Gpt,
                partitions: Vec::new(),
                ..mbr
            })
        }
        Some(mbr) => Some(mbr),
        // An Apple map comes with an MBR on hybrid disks only, and then the MBR is for PCs.
        None => apm::read(disk, &mut meter)?,
    };
    Ok(found.map(|table| finish(table, warnings, disk.len())))
}

/// Adds what can be said of any table: partitions outside the disk, partitions over each other.
fn finish(mut table: Table, mut warnings: Vec<String>, disk_len: u64) -> Table {
    warnings.append(&mut table.warnings);
    let word = table.scheme.word();
    for p in &table.partitions {
        if p.start >= disk_len {
            warnings.push(format!(
                "{word} partition {} begins at {:#x}, past the end of the disk ({disk_len:#x})",
                p.number, p.start
            ));
        } else if p.end() > disk_len {
            warnings.push(format!(
                "{word} partition {} ends at {:#x}, past the end of the disk ({disk_len:#x})",
                p.number,
                p.end()
            ));
        }
    }
    // An extended partition holds its logical ones by design; everything else stands alone.
    let mut by_start: Vec<&Partition> = table
        .partitions
        .iter()
        .filter(|p| p.role != Role::Extended)
        .collect();
    by_start.sort_by_key(|p| (p.start, p.number));
    let mut reach: Option<&Partition> = None;
    for p in by_start {
        if let Some(before) = reach
            && before.end() > p.start
        {
            warnings.push(format!(
                "{word} partitions {} and {} overlap",
                before.number, p.number
            ));
        }
        if reach.is_none_or(|before| before.end() < p.end()) {
            reach = Some(p);
        }
    }
    table.warnings = warnings;
    table
}

impl Table {
    fn mentions_gpt(&self) -> bool {
        self.partitions
            .iter()
            .any(|p| p.kind == PartitionType::Byte(mbr::PROTECTIVE))
    }

    fn others_than_gpt(&self) -> Vec<Partition> {
        self.partitions
            .iter()
            .filter(|p| p.kind != PartitionType::Byte(mbr::PROTECTIVE))
            .cloned()
            .collect()
    }
}
