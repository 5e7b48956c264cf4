//! Apple partition map ("Inside Macintosh: Devices", chapter 3). Read only, and only where no GPT or MBR is.
//!
//! ```text
//! block 0    1        2        …  n
//! ┌────────┬────────┬────────┬───┬────────┐   each "PM" block says how many there are,
//! │ "ER"   │ "PM" 1 │ "PM" 2 │ … │ "PM" n │   where its partition begins and what it is called
//! └────────┴────────┴────────┴───┴────────┘
//! ```

use super::layout::{ApplePartition, DriverDescriptor};
use super::{Partition, PartitionType, Role, Scheme, Table};
use crate::bytes::{peek, until_nul};
use h2k_block::{BlockRead, Meter, Result};
use zerocopy::FromBytes;

/// Linux has no more minor numbers for one disk.
const MAX_ENTRIES: u32 = 255;

pub(super) fn read(disk: &dyn BlockRead, meter: &mut Meter) -> Result<Option<Table>> {
    let Some(block0) = peek::<8>(disk, 0)? else {
        return Ok(None);
    };
    let Ok(block0) = DriverDescriptor::read_from_bytes(&block0) else {
        return Ok(None);
    };
    if block0.sb_sig != *b"ER" {
        return Ok(None);
    }
    // Optical media say 2048 and keep the map in 512-byte blocks as well: the first "PM" decides.
    let says = u32::from(block0.sb_blk_size.get());
    for size in [says, 512] {
        if size.is_power_of_two()
            && (512..=4096).contains(&size)
            && let Some(first) = entry(disk, size, 1)?
        {
            return map(disk, size, first.pm_map_blk_cnt.get(), meter).map(Some);
        }
    }
    Ok(None)
}

fn entry(disk: &dyn BlockRead, size: u32, number: u32) -> Result<Option<ApplePartition>> {
    let at = u64::from(size).saturating_mul(u64::from(number));
    let Some(block) = peek::<92>(disk, at)? else {
        return Ok(None);
    };
    Ok(ApplePartition::read_from_bytes(&block)
        .ok()
        .filter(|e| e.pm_sig == *b"PM"))
}

fn map(disk: &dyn BlockRead, size: u32, count: u32, meter: &mut Meter) -> Result<Table> {
    let mut partitions = Vec::new();
    let mut warnings = Vec::new();
    if count > MAX_ENTRIES {
        warnings.push(format!(
            "the Apple partition map claims {count} entries; the first {MAX_ENTRIES} are looked at"
        ));
    }
    for number in 1..=count.min(MAX_ENTRIES) {
        meter.step("Apple partition map entry")?;
        let Some(entry) = entry(disk, size, number)? else {
            warnings.push(format!(
                "the Apple partition map ends before entry {number} of {count}"
            ));
            break;
        };
        let bytes = |blocks: u32| u64::from(blocks).saturating_mul(u64::from(size));
        let text = |field: &[u8]| String::from_utf8_lossy(until_nul(field)).into_owned();
        partitions.push(Partition {
            number,
            scheme: Scheme::Apm,
            start: bytes(entry.pm_py_part_start.get()),
            len: bytes(entry.pm_part_blk_cnt.get()),
            kind: PartitionType::Name(text(&entry.pm_par_type)),
            name: text(&entry.pm_part_name),
            uuid: None,
            attributes: u64::from(entry.pm_part_status.get()),
            bootable: false,
            role: Role::Primary,
        });
    }
    Ok(Table {
        scheme: Scheme::Apm,
        sector_size: size,
        id: None,
        partitions,
        hybrid: Vec::new(),
        warnings,
    })
}
