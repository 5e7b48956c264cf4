//! Master boot record with extended and logical partitions (UEFI 2.10, section 5.2; the chain of extended boot
//! records as DOS 3.3 and Windows NT made it).
//!
//! ```text
//! sector 0               extended partition
//! ┌─────┬──────┬──────┬─┬─────────────────────────────────────────────────┐
//! │ MBR │ p1   │ p2   │ │ EBR │ p5      │ … │ EBR │ p6      │ …           │
//! └─────┴──────┴──────┴─┴──┬──────────────────▲───────────────────────────┘
//!                          └── next, from the start of the extended partition
//! ```
//!
//! Sectors are 512 bytes unless the caller says otherwise or the partitions themselves do: nothing in an MBR names
//! its unit, but extended boot records and file systems are found in only one of the two readings.

use super::layout::{BootRecord, MbrRecord};
use super::{Partition, PartitionType, Role, Scheme, Table};
use crate::bytes::peek;
use crate::identify;
use h2k_block::{BlockRead, Meter, Result};
use std::collections::BTreeSet;
use zerocopy::FromBytes;

/// The type of the one partition of a protective MBR.
pub(super) const PROTECTIVE: u8 = 0xee;
/// Linux stops at 255 partitions a disk.
const MAX_NUMBER: u32 = 255;
/// Extended boot records that describe nothing, in one chain. Linux gives up after a hundred.
const MAX_RECORDS: usize = 1024;

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

/// The MBR of a disk; `None` when the first sector does not hold one.
pub(super) fn read(disk: &dyn BlockRead, sector: Option<u32>, meter: &mut Meter) -> Result<Option<Table>> {
    let Some(record) = boot_record(disk, 0)? else {
        return Ok(None);
    };
    // Boot code of any kind ends in 55 AA; a table has nothing but 00 and 80 in the first byte of its records.
    if record
        .partition_record
        .iter()
        .any(|r| !matches!(r.boot_indicator, 0 | 0x80))
    {
        return Ok(None);
    }
    let sector = match sector {
        Some(sector) => sector,
        None => guess_sector(disk, &record)?,
    };
    table(disk, &record, sector, meter).map(Some)
}

fn boot_record(disk: &dyn BlockRead, at: u64) -> Result<Option<BootRecord>> {
    let bytes = peek::<512>(disk, at)?;
    Ok(bytes
        .and_then(|b| BootRecord::read_from_bytes(&b).ok())
        .filter(|r| r.signature == [0x55, 0xaa]))
}

/// 4096 only when every partition fits the disk in that unit, something recognisable begins where a partition does,
/// and nothing does in units of 512.
fn guess_sector(disk: &dyn BlockRead, record: &BootRecord) -> Result<u32> {
    let used = || {
        record
            .partition_record
            .iter()
            .filter(|r| r.os_type != 0 && r.size_in_lba.get() > 0)
    };
    let fits = used().all(|r| {
        let end = u64::from(r.starting_lba.get()).saturating_add(u64::from(r.size_in_lba.get()));
        end.saturating_mul(4096) <= disk.len()
    });
    if !fits || !disk.len().is_multiple_of(4096) {
        return Ok(512);
    }
    let recognised = |unit: u64| -> Result<bool> {
        for r in used().filter(|r| r.os_type != PROTECTIVE) {
            let at = u64::from(r.starting_lba.get()).saturating_mul(unit);
            if is_extended(r.os_type) {
                if boot_record(disk, at)?.is_some() {
                    return Ok(true);
                }
            } else if identify::is_something(disk, at)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    Ok(if !recognised(512)? && recognised(4096)? {
        4096
    } else {
        512
    })
}

fn table(disk: &dyn BlockRead, record: &BootRecord, sector: u32, meter: &mut Meter) -> Result<Table> {
    let disk_id = record.unique_mbr_disk_signature.get();
    let mut table = Table {
        scheme: Scheme::Mbr,
        sector_size: sector,
        id: (disk_id != 0).then(|| format!("{disk_id:08x}")),
        partitions: Vec::new(),
        hybrid: Vec::new(),
        warnings: Vec::new(),
    };
    let mut extended: Option<Partition> = None;
    for (number, r) in (1_u32..).zip(&record.partition_record) {
        if r.os_type == 0 || r.size_in_lba.get() == 0 {
            continue;
        }
        let role = if is_extended(r.os_type) {
            Role::Extended
        } else {
            Role::Primary
        };
        let partition = partition(r, number, 0, sector, disk_id, role);
        if role == Role::Extended {
            if extended.is_none() {
                extended = Some(partition.clone());
            } else {
                table.warnings.push(format!(
                    "dos partition {number} is a second extended partition; its logical partitions are not read"
                ));
            }
        }
        table.partitions.push(partition);
    }
    if let Some(extended) = extended {
        logical(disk, &extended, disk_id, &mut table, meter)?;
    }
    Ok(table)
}

fn partition(r: &MbrRecord, number: u32, base: u64, sector: u32, disk_id: u32, role: Role) -> Partition {
    let unit = u64::from(sector);
    Partition {
        number,
        scheme: Scheme::Mbr,
        start: base.saturating_add(u64::from(r.starting_lba.get()).saturating_mul(unit)),
        len: u64::from(r.size_in_lba.get()).saturating_mul(unit),
        kind: PartitionType::Byte(r.os_type),
        name: String::new(),
        uuid: (disk_id != 0).then(|| format!("{disk_id:08x}-{number:02x}")),
        attributes: 0,
        bootable: r.boot_indicator == 0x80,
        role,
    }
}

/// Follows the chain of extended boot records. Each is visited once, so a loop ends it.
fn logical(
    disk: &dyn BlockRead,
    extended: &Partition,
    disk_id: u32,
    table: &mut Table,
    meter: &mut Meter,
) -> Result<()> {
    let sector = table.sector_size;
    let mut number = 5_u32;
    let mut at = extended.start;
    let mut seen = BTreeSet::new();
    loop {
        meter.step("extended boot record")?;
        if !seen.insert(at) {
            table.warnings.push(format!(
                "the chain of extended boot records returns to {at:#x} and ends there"
            ));
            return Ok(());
        }
        if seen.len() > MAX_RECORDS {
            table.warnings.push(format!(
                "the chain of extended boot records has more than {MAX_RECORDS} links; the rest is left out"
            ));
            return Ok(());
        }
        let Some(record) = boot_record(disk, at)? else {
            // An extended partition nobody put a logical one in need not hold a record.
            if at != extended.start {
                table.warnings.push(format!(
                    "the extended boot record at {at:#x} is missing or not one"
                ));
            }
            return Ok(());
        };
        let used = |r: &&MbrRecord| r.os_type != 0 && r.size_in_lba.get() > 0;
        // The partition comes first and the link second; some tools swap them, and some leave old bytes in the
        // two records behind, which count only where they make sense.
        for (i, r) in record.partition_record.iter().enumerate() {
            if !used(&r) || is_extended(r.os_type) {
                continue;
            }
            if number > MAX_NUMBER {
                table
                    .warnings
                    .push(format!("more than {MAX_NUMBER} partitions; the rest is left out"));
                return Ok(());
            }
            let p = partition(r, number, at, sector, disk_id, Role::Logical);
            if i >= 2 && (p.start < at || p.end() > extended.end()) {
                continue;
            }
            if p.start < extended.start || p.end() > extended.end() {
                table.warnings.push(format!(
                    "dos partition {number} at {:#x}..{:#x} is not inside the extended partition {:#x}..{:#x}",
                    p.start,
                    p.end(),
                    extended.start,
                    extended.end()
                ));
            }
            table.partitions.push(p);
            number = number.saturating_add(1);
        }
        let next = record
            .partition_record
            .iter()
            .filter(used)
            .find(|r| is_extended(r.os_type));
        let Some(next) = next else {
            return Ok(());
        };
        let step = u64::from(next.starting_lba.get()).saturating_mul(u64::from(sector));
        at = extended.start.saturating_add(step);
    }
}
