//! Reading: payload blocks through the BAT ([MS-VHDX] 2.5), sector bitmaps over a parent.

use super::header::{self, Current, Regions};
use super::layout::{
    FULLY_PRESENT, NOT_PRESENT, OFFSET_MASK, PARTIALLY_PRESENT, STATE_MASK, UNDEFINED, UNMAPPED, ZERO,
};
use super::log::Replayed;
use super::metadata::{self, Metadata, ParentLocator};
use crate::layered::{Layered, Run, Runs, Stored};
use crate::pages::{BitOrder, Cursor, Pages, bit_run};
use crate::{FileInfo, Format, Image, Info, Opening, Value, windows};
use h2k_block::{BlockRead, Error, HostFile, Meter, Result};
use std::sync::Arc;

/// An image without its parent: headers chosen, log replayed, metadata checked.
pub(super) struct Loaded {
    pub(super) current: Current,
    pub(super) regions: Regions,
    pub(super) view: Arc<Replayed>,
    pub(super) map: BlockMap,
}

/// Reads everything but the blocks.
pub(super) fn load(
    file: &Arc<dyn HostFile>,
    meter: &mut Meter,
    warnings: &mut Vec<String>,
) -> Result<Loaded> {
    if !header::has_signature(&**file)? {
        return Err(Error::corrupt(
            "file type identifier",
            0,
            "no signature \"vhdxfile\"",
        ));
    }
    let current = header::current(&**file, warnings)?;
    let view = match current.log {
        Some(log) => Replayed::replay(file.clone(), log, meter)?,
        None => Replayed::clean(file.clone()),
    };
    if view.entries > 0 {
        warnings.push(format!(
            "the log holds {} entries that were never applied; they were replayed in memory, the file was not changed",
            view.entries
        ));
    }
    let view = Arc::new(view);
    let regions = header::regions(&*view, warnings)?;
    let metadata = metadata::read(&*view, &regions.metadata, meter)?;
    let bat_len = regions.bat.end.saturating_sub(regions.bat.start);
    let needed = metadata.bat_entries().saturating_mul(8);
    if bat_len < needed {
        return Err(Error::corrupt(
            "BAT",
            regions.bat.start,
            format!(
                "its region has {bat_len:#x} bytes, a disk of {} bytes needs {needed:#x}",
                metadata.disk_size
            ),
        ));
    }
    let map = BlockMap {
        pages: Pages::new(view.clone()),
        file_len: view.len(),
        bat: regions.bat.start,
        ratio: metadata.chunk_ratio(),
        differencing: metadata.parent.is_some(),
        metadata,
    };
    Ok(Loaded {
        current,
        regions,
        view,
        map,
    })
}

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let mut meter = Meter::new(opening.options.limits);
    let mut warnings = Vec::new();
    let Loaded {
        current, view, map, ..
    } = load(&file, &mut meter, &mut warnings)?;
    let metadata = &map.metadata;

    let mut info = Info::new(file.name().to_owned(), Format::Vhdx, metadata.disk_size);
    info.files.push(FileInfo::of(&*file));
    info.grain = Some(metadata.block_size);
    info.subformat = Some(metadata.kind().to_owned());
    info.warnings = warnings;
    info.fact("logical-sector-size", metadata.logical_sector);
    info.fact("physical-sector-size", metadata.physical_sector);
    info.fact("virtual-disk-id", metadata.disk_id.to_string());
    info.fact(DATA_WRITE_GUID, current.header.data_write_guid.to_string());
    info.fact("log-entries-replayed", view.entries);

    let parent = match &metadata.parent {
        Some(locator) => parent(&*file, locator, opening, &mut info)?,
        None => None,
    };
    Ok(Image {
        disk: Arc::new(Layered::new(map, view, parent)),
        info,
    })
}

/// The fact that a child checks its parent by.
const DATA_WRITE_GUID: &str = "data-write-guid";

/// Opens the parent and checks that it is the one the child was made for (2.6.2.6.3).
fn parent(
    file: &dyn HostFile,
    locator: &ParentLocator,
    opening: &mut Opening<'_>,
    info: &mut Info,
) -> Result<Option<Arc<dyn BlockRead>>> {
    let names: Vec<String> = ["relative_path", "absolute_win32_path", "volume_path"]
        .iter()
        .filter_map(|key| locator.get(key).map(str::to_owned))
        .collect();
    if let Some(name) = names.first() {
        info.fact("parent-name", name.as_str());
    }
    let linkage: Vec<String> = ["parent_linkage", "parent_linkage2"]
        .iter()
        .filter_map(|key| locator.get(key))
        .map(|guid| guid.trim_matches(['{', '}']).to_ascii_lowercase())
        .collect();
    info.fact("parent-linkage", linkage.clone());
    if opening.options.alone {
        return Ok(None);
    }
    let (name, _) = windows::find(opening, file, &names)?;
    let image = opening.parent(file, &name, Format::Vhdx)?;
    let found = image.info.facts.iter().find(|fact| fact.key == DATA_WRITE_GUID);
    let matches = |guid: &String| found.is_some_and(|fact| fact.value == Value::from(guid.as_str()));
    if !linkage.iter().any(matches) {
        return Err(Error::corrupt(
            "parent locator",
            0,
            format!(
                "the child was made for a parent whose DataWriteGuid is {}, but {} has {}",
                linkage.join(" or "),
                image.info.name.display(),
                match found.map(|fact| &fact.value) {
                    Some(Value::Text(guid)) => guid,
                    _ => "none",
                }
            ),
        )
        .advise("the parent was changed or replaced after the child was made; find the original parent"));
    }
    info.parent = Some(Box::new(image.info));
    Ok(Some(image.disk))
}

impl Metadata {
    fn kind(&self) -> &'static str {
        match (self.parent.is_some(), self.fixed) {
            (true, _) => "differencing",
            (false, true) => "fixed",
            (false, false) => "dynamic",
        }
    }
}

/// The BAT and the sector bitmaps.
pub(super) struct BlockMap {
    pub(super) pages: Pages,
    file_len: u64,
    /// File offset of the BAT.
    bat: u64,
    ratio: u64,
    differencing: bool,
    pub(super) metadata: Metadata,
}

/// A payload block's entry, checked.
pub(super) enum Block {
    Simple(Stored),
    /// Sectors of this block and of the parent, as the chunk's sector bitmap says.
    Mixed(u64),
}

impl BlockMap {
    /// File offset of the entry of payload block `block`: after each chunk comes one sector bitmap entry.
    fn entry_offset(&self, block: u64) -> u64 {
        let before = block.checked_div(self.ratio).unwrap_or(0);
        let index = block.saturating_add(before);
        self.bat.saturating_add(index.saturating_mul(8))
    }

    /// `needed` bytes of the block have to be in the file.
    pub(super) fn block(&self, cursor: &mut Cursor<'_>, block: u64, needed: u64) -> Result<Block> {
        let at = self.entry_offset(block);
        let entry = u64::from_le_bytes(cursor.word(at)?);
        let host = entry & OFFSET_MASK;
        let bad = |what: String| Error::corrupt("BAT", at, format!("entry of payload block {block}: {what}"));
        match entry & STATE_MASK {
            NOT_PRESENT => Ok(Block::Simple(Stored::Hole)),
            // What these hold is undefined; like a trimmed block they read as zero and never as the parent.
            ZERO | UNMAPPED | UNDEFINED => Ok(Block::Simple(Stored::Zero)),
            state @ (FULLY_PRESENT | PARTIALLY_PRESENT) => {
                if host == 0 || host.saturating_add(needed) > self.file_len {
                    return Err(bad(format!(
                        "it lies at {host:#x}, the file has {:#x} bytes",
                        self.file_len
                    )));
                }
                if state == FULLY_PRESENT {
                    return Ok(Block::Simple(Stored::Here(host)));
                }
                if !self.differencing {
                    return Err(bad("partially present in an image without a parent".to_owned()));
                }
                Ok(Block::Mixed(host))
            }
            state => Err(bad(format!("state {state} does not exist"))),
        }
    }

    /// How many payload blocks from `block` on are surely not present: the host stores nothing where their entries
    /// are. 0 when that part of the BAT has to be looked at.
    pub(super) fn blank(&self, cursor: &mut Cursor<'_>, block: u64) -> Result<u64> {
        let at = self.entry_offset(block);
        let entries = cursor.blank_until(at)?.saturating_sub(at) / 8;
        // Of n entries in a row at most n/(ratio+1) + 1 are those of sector bitmaps.
        let bitmaps = entries
            .checked_div(self.ratio.saturating_add(1))
            .unwrap_or(0)
            .saturating_add(1);
        Ok(entries.saturating_sub(bitmaps))
    }

    /// The run of sectors from `within` to `to` of a block at `host`, from the block's part of its sector bitmap.
    pub(super) fn mixed(
        &self,
        cursor: &mut Cursor<'_>,
        block: u64,
        host: u64,
        within: u64,
        to: u64,
    ) -> Result<Run> {
        let chunk = block.checked_div(self.ratio).unwrap_or(0);
        let index = chunk
            .saturating_add(1)
            .saturating_mul(self.ratio.saturating_add(1))
            .saturating_sub(1);
        let at = self.bat.saturating_add(index.saturating_mul(8));
        let entry = u64::from_le_bytes(cursor.word(at)?);
        if entry & STATE_MASK != FULLY_PRESENT || entry & OFFSET_MASK == 0 {
            return Err(Error::corrupt(
                "BAT",
                at,
                format!("payload block {block} is partially present, but its sector bitmap is not there"),
            ));
        }
        let sector = self.metadata.logical_sector;
        let sectors = self.metadata.block_size.checked_div(sector).unwrap_or(0);
        let nth = block.checked_rem(self.ratio).unwrap_or(0);
        let base = (entry & OFFSET_MASK).saturating_add(nth.saturating_mul(sectors / 8));
        let first = within.checked_div(sector).unwrap_or(0);
        let (here, count) = bit_run(
            &mut self.pages.cursor("sector bitmap"),
            base,
            first,
            to.div_ceil(sector),
            BitOrder::Lsb,
        )?;
        let end = first.saturating_add(count).saturating_mul(sector).min(to);
        Ok(Run {
            len: end.saturating_sub(within),
            stored: if here {
                Stored::Here(host.saturating_add(within))
            } else {
                Stored::Hole
            },
        })
    }
}

impl Runs for BlockMap {
    fn len(&self) -> u64 {
        self.metadata.disk_size
    }

    fn grain(&self) -> u32 {
        u32::try_from(self.metadata.block_size.min(1 << 20)).unwrap_or(1 << 20)
    }

    fn run(&self, offset: u64, end: u64) -> Result<Run> {
        let size = self.metadata.block_size;
        let mut cursor = self.pages.cursor("BAT");
        let mut block = offset.checked_div(size).unwrap_or(0);
        let within = offset.checked_rem(size).unwrap_or(0);
        let to = size.min(within.saturating_add(end.saturating_sub(offset)));
        let first = match self.block(&mut cursor, block, to)? {
            Block::Simple(Stored::Here(host)) => Stored::Here(host.saturating_add(within)),
            Block::Simple(other) => other,
            Block::Mixed(host) => return self.mixed(&mut cursor, block, host, within, to),
        };
        let mut len = to.saturating_sub(within);
        while offset.saturating_add(len) < end {
            block = block.saturating_add(1);
            if first == Stored::Hole {
                let blank = self.blank(&mut cursor, block)?;
                len = len.saturating_add(blank.saturating_mul(size));
                block = block.saturating_add(blank);
                if offset.saturating_add(len) >= end {
                    break;
                }
            }
            let needed = end.saturating_sub(offset).saturating_sub(len).min(size);
            // What is wrong with a later block is said when somebody asks for it.
            let Ok(Block::Simple(next)) = self.block(&mut cursor, block, needed) else {
                break;
            };
            let continues = match (first, next) {
                (Stored::Here(host), Stored::Here(next)) => host.saturating_add(len) == next,
                (a, b) => a == b,
            };
            if !continues {
                break;
            }
            len = len.saturating_add(needed);
        }
        Ok(Run {
            len: len.min(end.saturating_sub(offset)),
            stored: first,
        })
    }
}
