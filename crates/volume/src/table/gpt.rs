//! GUID partition table (UEFI specification 2.10, section 5.3).
//!
//! ```text
//! LBA 0        1        2 …                                   alternate
//! ┌──────────┬────────┬──────────────┬── partitions ──┬───────────────┬────────┐
//! │ prot. MBR│ header │ entry array  │                │ entry array'  │ header'│
//! └──────────┴────────┴──────────────┴────────────────┴───────────────┴────────┘
//! ```
//!
//! Both headers carry a CRC of themselves and one of their entry array. The primary is believed when both hold;
//! else the backup, with a warning that says why.

use super::layout::{GptEntry, GptHeader};
use super::{Partition, PartitionType, Role, Scheme, Table};
use crate::bytes::{clipped, index, utf16, wide};
use crate::name::guid;
use h2k_block::{BlockRead, Error, Meter, Result};
use zerocopy::FromBytes;

const SIGNATURE: &[u8; 8] = b"EFI PART";
const HEADER: &str = "GPT header";
/// The largest entry array Linux accepts; the specification sets no limit, 16 KiB is usual.
const MAX_ARRAY: u64 = 4 << 20;
/// Attribute bit 2: legacy BIOS bootable (table 5-8).
const LEGACY_BOOT: u64 = 1 << 2;

/// One header and its entries, checked.
struct Copy {
    header: GptHeader,
    entries: Vec<u8>,
}

/// The GPT of a disk with sectors of `sector` bytes; `None` where no copy claims to be one.
/// A GPT none of whose copies holds is `None` as well, with the reasons in `warnings`.
pub(super) fn read(
    disk: &dyn BlockRead,
    sector: u32,
    meter: &mut Meter,
    warnings: &mut Vec<String>,
) -> Result<Option<Table>> {
    let size = u64::from(sector);
    let last = disk.len().checked_div(size).unwrap_or(0).saturating_sub(1);
    if last < 2 {
        return Ok(None);
    }
    let primary = copy_at(disk, size, 1, meter);
    let copy = match primary {
        Ok(Some(copy)) => {
            check_backup(disk, size, last, &copy.header, meter, warnings)?;
            copy
        }
        Ok(None) => match backup(disk, size, last, meter, warnings)? {
            Some(copy) => {
                warnings.push(format!(
                    "the primary GPT header at {size:#x} is missing; the backup at the end of the disk is used"
                ));
                copy
            }
            None => return Ok(None),
        },
        Err(damage) if damage.class() == h2k_block::Class::Corrupt => {
            warnings.push(damage.to_string());
            match backup(disk, size, last, meter, warnings)? {
                Some(copy) => {
                    warnings.push("the primary GPT is damaged; the backup is used".to_owned());
                    copy
                }
                None => return Ok(None),
            }
        }
        Err(other) => return Err(other),
    };
    Ok(Some(table(&copy, sector, meter, warnings)?))
}

/// The header at sector `lba` with its entries. `None` without the signature; corrupt when anything is wrong.
fn copy_at(disk: &dyn BlockRead, size: u64, lba: u64, meter: &mut Meter) -> Result<Option<Copy>> {
    let at = lba.saturating_mul(size);
    let sector = clipped(disk, at, index(size))?;
    let Ok((header, _)) = GptHeader::read_from_prefix(&sector) else {
        return Ok(None);
    };
    if &header.signature != SIGNATURE {
        return Ok(None);
    }
    let bad = |what: String| Error::corrupt(HEADER, at, what);
    if header.revision.get() >> 16 != 1 {
        return Err(bad(format!(
            "revision {:#x}, expected 1.0",
            header.revision.get()
        )));
    }
    let header_size = index(u64::from(header.header_size.get()));
    let covered = sector
        .get(..header_size)
        .filter(|covered| covered.len() >= size_of::<GptHeader>())
        .ok_or_else(|| bad(format!("header size {header_size}, expected 92 to {size}")))?;
    let crc = crc_with_hole(covered);
    if crc != header.header_crc32.get() {
        return Err(bad(format!(
            "checksum {:#010x}, expected {crc:#010x}",
            header.header_crc32.get()
        )));
    }
    if header.my_lba.get() != lba {
        return Err(bad(format!(
            "says it lies at LBA {}, lies at {lba}",
            header.my_lba.get()
        )));
    }
    let entries = entry_array(disk, size, &header, at, meter)?;
    Ok(Some(Copy { header, entries }))
}

/// The checksum of a header, whose own field (bytes 16..20) counts as zero.
fn crc_with_hole(header: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header.get(..16).unwrap_or_default());
    crc.update(&[0; 4]);
    crc.update(header.get(20..).unwrap_or_default());
    crc.finalize()
}

fn entry_array(
    disk: &dyn BlockRead,
    size: u64,
    header: &GptHeader,
    at: u64,
    meter: &mut Meter,
) -> Result<Vec<u8>> {
    let bad = |what: String| Error::corrupt(HEADER, at, what);
    let entry_size = u64::from(header.size_of_partition_entry.get());
    let count = u64::from(header.number_of_partition_entries.get());
    // 128 × 2^n by the specification; revisions before allowed any multiple of eight, and so does Linux.
    if entry_size < wide(size_of::<GptEntry>()) || !entry_size.is_multiple_of(8) {
        return Err(bad(format!(
            "partition entries of {entry_size} bytes, expected 128 × 2^n"
        )));
    }
    let len = entry_size.saturating_mul(count);
    let start = header.partition_entry_lba.get().saturating_mul(size);
    let end = start.saturating_add(len);
    if len > MAX_ARRAY || end > disk.len() {
        return Err(bad(format!(
            "{count} entries of {entry_size} bytes at {start:#x}: more than {MAX_ARRAY:#x} bytes or past the end \
             of the disk ({:#x})",
            disk.len()
        )));
    }
    let mut entries = meter.buffer(len, "GPT entry array")?;
    disk.read_at(start, &mut entries)?;
    let crc = crc32fast::hash(&entries);
    let says = header.partition_entry_array_crc32.get();
    if crc != says {
        return Err(Error::corrupt(
            "GPT entry array",
            start,
            format!("checksum {crc:#010x}, the header at {at:#x} expects {says:#010x}"),
        ));
    }
    Ok(entries)
}

/// The backup in the last sector of the disk. Damage there is a warning.
fn backup(
    disk: &dyn BlockRead,
    size: u64,
    last: u64,
    meter: &mut Meter,
    warnings: &mut Vec<String>,
) -> Result<Option<Copy>> {
    match copy_at(disk, size, last, meter) {
        Err(damage) if damage.class() == h2k_block::Class::Corrupt => {
            warnings.push(format!("the backup does not help: {damage}"));
            Ok(None)
        }
        other => other,
    }
}

/// Says whether the backup that a good primary names could take its place.
fn check_backup(
    disk: &dyn BlockRead,
    size: u64,
    last: u64,
    primary: &GptHeader,
    meter: &mut Meter,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let lba = primary.alternate_lba.get();
    if lba > last {
        warnings.push(format!(
            "the backup GPT lies at LBA {lba}, past the last sector of the disk ({last})"
        ));
        return Ok(());
    }
    if lba < last {
        warnings.push(format!(
            "the backup GPT lies at LBA {lba}, not in the last sector ({last}): the disk has grown"
        ));
    }
    match copy_at(disk, size, lba, meter) {
        Ok(Some(copy)) => {
            if copy.header.partition_entry_array_crc32 != primary.partition_entry_array_crc32
                || copy.header.disk_guid != primary.disk_guid
            {
                warnings.push("the backup GPT differs from the primary; the primary is used".to_owned());
            }
        }
        Ok(None) => warnings.push(format!("the backup GPT header at LBA {lba} is missing")),
        Err(damage) if damage.class() == h2k_block::Class::Corrupt => {
            warnings.push(format!("the backup GPT is damaged: {damage}"));
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

fn table(copy: &Copy, sector: u32, meter: &mut Meter, warnings: &mut Vec<String>) -> Result<Table> {
    let size = u64::from(sector);
    let entry_size = index(u64::from(copy.header.size_of_partition_entry.get())).max(1);
    let mut partitions = Vec::new();
    for (number, bytes) in (1_u32..).zip(copy.entries.chunks_exact(entry_size)) {
        let Ok((entry, _)) = GptEntry::read_from_prefix(bytes) else {
            continue;
        };
        if entry.partition_type_guid == [0; 16] {
            continue;
        }
        meter.step("GPT entry")?;
        let (first, last) = (entry.starting_lba.get(), entry.ending_lba.get());
        let sectors = last.checked_sub(first).and_then(|n| n.checked_add(1));
        let range = first
            .checked_mul(size)
            .zip(sectors.and_then(|n| n.checked_mul(size)))
            .filter(|(start, len)| start.checked_add(*len).is_some());
        let Some((start, len)) = range else {
            warnings.push(format!(
                "gpt partition {number} covers LBA {first} to {last}, which is no range; it is left out"
            ));
            continue;
        };
        let attributes = entry.attributes.get();
        partitions.push(Partition {
            number,
            scheme: Scheme::Gpt,
            start,
            len,
            kind: PartitionType::Guid(guid(entry.partition_type_guid)),
            name: utf16(&entry.partition_name),
            uuid: Some(guid(entry.unique_partition_guid)),
            attributes,
            bootable: attributes & LEGACY_BOOT != 0,
            role: Role::Primary,
        });
    }
    Ok(Table {
        scheme: Scheme::Gpt,
        sector_size: sector,
        id: Some(guid(copy.header.disk_guid)),
        partitions,
        hybrid: Vec::new(),
        warnings: Vec::new(),
    })
}
