//! The metadata region ([MS-VHDX] 2.6): what disk this is.

use super::layout::{
    BLOCK_SIZES, FILE_PARAMETERS, HAS_PARENT, IS_REQUIRED, IS_USER, LEAVE_BLOCK_ALLOCATED,
    LOGICAL_SECTOR_SIZE, MAX_DISK, MAX_ENTRIES, MAX_ITEM, METADATA_SIGNATURE, METADATA_TABLE_LEN,
    MetadataTableEntry, MetadataTableHeader, PARENT_LOCATOR, PHYSICAL_SECTOR_SIZE, ParentLocatorEntry,
    ParentLocatorHeader, SECTORS_PER_BITMAP, VHDX_LOCATOR, VIRTUAL_DISK_ID, VIRTUAL_DISK_SIZE,
};
use crate::guid::Guid;
use crate::windows::utf16;
use h2k_block::{BlockRead, Error, Meter, Result};
use std::ops::Range;
use zerocopy::FromBytes;

/// What the metadata says, checked.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// Bytes of guest disk in a payload block: a power of two, 1 to 256 MiB.
    pub(super) block_size: u64,
    pub(super) fixed: bool,
    /// Size of the guest's disk in bytes, a multiple of the logical sector size.
    pub(super) disk_size: u64,
    /// 512 or 4096.
    pub(super) logical_sector: u64,
    pub(super) physical_sector: u64,
    pub(super) disk_id: Guid,
    pub(super) parent: Option<ParentLocator>,
}

/// Keys and values that say which file is the parent, in file order.
#[derive(Clone, Debug, Default)]
pub(super) struct ParentLocator {
    pub(super) pairs: Vec<(String, String)>,
}

impl ParentLocator {
    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v.as_str())
    }
}

impl Metadata {
    /// Payload blocks described by one sector bitmap block (2.5): a power of two.
    pub(super) fn chunk_ratio(&self) -> u64 {
        SECTORS_PER_BITMAP
            .saturating_mul(self.logical_sector)
            .checked_div(self.block_size)
            .unwrap_or(1)
            .max(1)
    }

    /// Payload blocks of the disk.
    pub(super) fn blocks(&self) -> u64 {
        self.disk_size.div_ceil(self.block_size.max(1))
    }

    /// Entries the BAT needs, sector bitmap entries among them (2.5).
    pub(super) fn bat_entries(&self) -> u64 {
        let (blocks, ratio) = (self.blocks(), self.chunk_ratio());
        if self.parent.is_some() {
            let chunks = blocks.div_ceil(ratio);
            chunks.saturating_mul(ratio.saturating_add(1))
        } else {
            let before = blocks.saturating_sub(1).checked_div(ratio).unwrap_or(0);
            blocks.saturating_add(before)
        }
    }
}

/// An item of the table.
#[derive(Clone, Copy)]
struct Item {
    offset: u64,
    len: u64,
}

#[derive(Default)]
struct Items {
    file_parameters: Option<Item>,
    disk_size: Option<Item>,
    disk_id: Option<Item>,
    logical: Option<Item>,
    physical: Option<Item>,
    locator: Option<Item>,
}

/// Reads the metadata region.
pub(super) fn read(file: &dyn BlockRead, region: &Range<u64>, meter: &mut Meter) -> Result<Metadata> {
    let items = items(file, region)?;
    let base = region.start;
    let missing = |name| Error::corrupt("metadata table", base, format!("the item {name:?} is missing"));

    let raw = number::<8>(file, items.file_parameters, "File Parameters")?;
    let [s0, s1, s2, s3, f0, f1, f2, f3] = raw.ok_or_else(|| missing("File Parameters"))?;
    let block_size = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
    let flags = u32::from_le_bytes([f0, f1, f2, f3]);
    if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
        return Err(item_error(
            items.file_parameters,
            format!("blocks of {block_size} bytes; allowed are powers of two from 1 to 256 MiB"),
        ));
    }
    let sector = |item: Option<Item>, name| -> Result<u64> {
        let raw = number::<4>(file, item, name)?.ok_or_else(|| missing(name))?;
        match u32::from_le_bytes(raw) {
            size @ (512 | 4096) => Ok(size.into()),
            size => Err(item_error(
                item,
                format!("{name} is {size}; allowed are 512 and 4096"),
            )),
        }
    };
    let logical_sector = sector(items.logical, "Logical Sector Size")?;
    let physical_sector = sector(items.physical, "Physical Sector Size")?;

    let raw = number::<8>(file, items.disk_size, "Virtual Disk Size")?;
    let disk_size = u64::from_le_bytes(raw.ok_or_else(|| missing("Virtual Disk Size"))?);
    if !disk_size.is_multiple_of(logical_sector) || disk_size > MAX_DISK {
        return Err(item_error(
            items.disk_size,
            format!(
                "a disk of {disk_size} bytes; allowed are multiples of {logical_sector} up to {MAX_DISK}"
            ),
        ));
    }
    let disk_id = Guid(number::<16>(file, items.disk_id, "Virtual Disk ID")?.unwrap_or_default());
    let parent = match (flags & HAS_PARENT != 0, items.locator) {
        (false, _) => None,
        (true, Some(item)) => Some(locator(file, item, meter)?),
        (true, None) => return Err(missing("Parent Locator")),
    };
    Ok(Metadata {
        block_size,
        fixed: flags & LEAVE_BLOCK_ALLOCATED != 0,
        disk_size,
        logical_sector,
        physical_sector,
        disk_id,
        parent,
    })
}

fn items(file: &dyn BlockRead, region: &Range<u64>) -> Result<Items> {
    let base = region.start;
    let bad = |what: String| Error::corrupt("metadata table", base, what);
    let room = region.end.saturating_sub(base);
    let table_len = u64::try_from(METADATA_TABLE_LEN).unwrap_or(u64::MAX);
    if room < table_len {
        return Err(bad(format!(
            "its region has {room:#x} bytes, the table alone needs {table_len:#x}"
        )));
    }
    let mut raw = vec![0; METADATA_TABLE_LEN];
    file.read_at(base, &mut raw)?;
    let Ok((header, rest)) = MetadataTableHeader::read_from_prefix(&raw) else {
        return Err(bad("it is too short".to_owned()));
    };
    if header.signature != METADATA_SIGNATURE {
        return Err(bad(format!(
            "no signature \"metadata\" but {:02x?}",
            header.signature
        )));
    }
    let count = usize::from(header.entry_count.get());
    if count > MAX_ENTRIES {
        return Err(bad(format!("{count} entries, at most {MAX_ENTRIES} are allowed")));
    }
    let mut items = Items::default();
    for (number, entry) in rest.as_chunks::<32>().0.iter().take(count).enumerate() {
        let Ok(entry) = MetadataTableEntry::read_from_bytes(entry) else {
            continue;
        };
        let flags = entry.flags.get();
        let slot = match entry.item_id {
            _ if flags & IS_USER != 0 => None,
            FILE_PARAMETERS => Some(&mut items.file_parameters),
            VIRTUAL_DISK_SIZE => Some(&mut items.disk_size),
            VIRTUAL_DISK_ID => Some(&mut items.disk_id),
            LOGICAL_SECTOR_SIZE => Some(&mut items.logical),
            PHYSICAL_SECTOR_SIZE => Some(&mut items.physical),
            PARENT_LOCATOR => Some(&mut items.locator),
            _ => None,
        };
        let Some(slot) = slot else {
            if flags & IS_REQUIRED != 0 {
                return Err(Error::unsupported(format!(
                    "the image requires metadata item {}, which this reader does not know",
                    entry.item_id
                ))
                .at("metadata table", base));
            }
            continue;
        };
        let (offset, len) = (u64::from(entry.offset.get()), u64::from(entry.length.get()));
        if entry.length.get() > MAX_ITEM || offset < table_len || offset.saturating_add(len) > room {
            return Err(bad(format!(
                "entry {number} places item {} at {offset:#x} with {len:#x} bytes, outside the region's {room:#x}",
                entry.item_id
            )));
        }
        let item = Item {
            offset: base.saturating_add(offset),
            len,
        };
        if slot.replace(item).is_some() {
            return Err(bad(format!("entry {number} names item {} again", entry.item_id)));
        }
    }
    Ok(items)
}

/// The first `N` bytes of an item of a fixed length.
fn number<const N: usize>(
    file: &dyn BlockRead,
    item: Option<Item>,
    name: &'static str,
) -> Result<Option<[u8; N]>> {
    let Some(item) = item else {
        return Ok(None);
    };
    let mut raw = [0; N];
    if item.len < u64::try_from(N).unwrap_or(u64::MAX) {
        return Err(item_error(
            Some(item),
            format!("the item {name:?} has {} bytes, {N} are needed", item.len),
        ));
    }
    file.read_at(item.offset, &mut raw)?;
    Ok(Some(raw))
}

/// 2.6.2.6 Parent Locator.
fn locator(file: &dyn BlockRead, item: Item, meter: &mut Meter) -> Result<ParentLocator> {
    let bad = |what: String| Error::corrupt("parent locator", item.offset, what);
    let mut raw = meter.buffer(item.len, "parent locator")?;
    file.read_at(item.offset, &mut raw)?;
    let Ok((header, rest)) = ParentLocatorHeader::read_from_prefix(&raw) else {
        return Err(bad(format!("it has only {} bytes", item.len)));
    };
    if header.locator_type != VHDX_LOCATOR {
        return Err(Error::unsupported(format!(
            "a parent locator of type {}; only VHDX parents are known",
            header.locator_type
        ))
        .at("parent locator", item.offset));
    }
    let text = |offset: u32, len: u16| -> Result<String> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = raw.get(start..).and_then(|rest| rest.get(..usize::from(len)));
        let bytes =
            bytes.ok_or_else(|| bad(format!("text at {offset:#x} with {len} bytes lies outside it")))?;
        Ok(utf16(
            bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)),
        ))
    };
    let mut locator = ParentLocator::default();
    let count = usize::from(header.key_value_count.get());
    let entries = rest.as_chunks::<12>().0;
    if entries.len() < count {
        return Err(bad(format!("{count} entries do not fit into {} bytes", item.len)));
    }
    for entry in entries.iter().take(count) {
        let Ok(entry) = ParentLocatorEntry::read_from_bytes(entry) else {
            continue;
        };
        // Entries may all point at the same text; what they make is paid for.
        let made = u64::from(entry.key_length.get()).saturating_add(entry.value_length.get().into());
        meter.bytes(made.saturating_mul(2), "parent locator")?;
        let key = text(entry.key_offset.get(), entry.key_length.get())?;
        let value = text(entry.value_offset.get(), entry.value_length.get())?;
        locator.pairs.push((key, value));
    }
    Ok(locator)
}

fn item_error(item: Option<Item>, what: String) -> Error {
    Error::corrupt("metadata item", item.map_or(0, |i| i.offset), what)
}
