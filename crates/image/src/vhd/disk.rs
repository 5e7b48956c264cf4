//! Reading: fixed disks, and blocks through the BAT.

use super::footer::{self, Found};
use super::layout::{DIFFERENCING, DynamicHeader, FIXED, SECTOR, UNUSED};
use super::{geometry, parent};
use crate::layered::{Layered, Run, Runs, Stored};
use crate::pages::{BitOrder, Cursor, Pages, bit_run};
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result, Window};
use std::sync::Arc;

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let mut warnings = Vec::new();
    let found = footer::find(&*file, &mut warnings)?;
    footer::check(&found)?;
    let footer = &found.footer;
    let mut size = geometry::disk_size(footer);
    let current = footer.current_size.get();
    if footer.disk_type.get() == FIXED && size > found.body && current <= found.body {
        // A geometry beyond the end of a file that holds all of Current Size.
        size = current;
    }
    if footer.saved_state != 0 {
        warnings.push("the disk belongs to a machine that was suspended, not shut down".to_owned());
    }
    let mut info = Info::new(file.name().to_owned(), Format::Vhd, size);
    info.files.push(FileInfo::of(&*file));
    info.warnings = warnings;
    info.fact("creator-application", creator(&footer.creator_application));
    info.fact("current-size", current);
    info.fact(
        "geometry",
        format!(
            "{}/{}/{}",
            footer.disk_geometry.cylinders,
            footer.disk_geometry.heads,
            footer.disk_geometry.sectors_per_track
        ),
    );
    info.fact(parent::UNIQUE_ID, parent::text(&footer.unique_id));
    info.fact(parent::TIME_STAMP, footer.time_stamp.get());
    let raw: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    if footer.disk_type.get() == FIXED {
        info.subformat = Some("fixed".to_owned());
        if size > found.body {
            return Err(Error::corrupt(
                "footer",
                found.offset,
                format!(
                    "a fixed disk of {size} bytes, but only {} lie before the footer",
                    found.body
                ),
            ));
        }
        let disk: Arc<dyn BlockRead> = Arc::new(Window::new(raw, 0, size));
        return Ok(Image { disk, info });
    }

    let header = footer::dynamic(&*file, &found, &mut info.warnings)?;
    let differencing = footer.disk_type.get() == DIFFERENCING;
    let map = BlockMap::new(&*file, raw.clone(), &found, &header, size, differencing)?;
    info.grain = Some(map.block_size);
    let below = if differencing {
        info.subformat = Some("differencing".to_owned());
        parent::open(&*file, &header, opening, &mut info)?
    } else {
        info.subformat = Some("dynamic".to_owned());
        None
    };
    Ok(Image {
        disk: Arc::new(Layered::new(map, raw, below)),
        info,
    })
}

fn creator(raw: &[u8; 4]) -> String {
    raw.escape_ascii()
        .to_string()
        .replace("\\x00", "")
        .trim_end()
        .to_owned()
}

/// The BAT and the block bitmaps.
pub(super) struct BlockMap {
    pub(super) pages: Pages,
    size: u64,
    /// Bytes of guest disk in a block: a power of two.
    pub(super) block_size: u64,
    /// Bytes of bitmap before a block's data.
    pub(super) bitmap_len: u64,
    pub(super) bat: u64,
    file_len: u64,
    differencing: bool,
}

impl BlockMap {
    pub(super) fn new(
        file: &dyn HostFile,
        raw: Arc<dyn BlockRead>,
        found: &Found,
        header: &DynamicHeader,
        size: u64,
        differencing: bool,
    ) -> Result<Self> {
        let at = found.footer.data_offset.get();
        let bad = |what: String| Error::corrupt("dynamic header", at, what);
        let block_size = u64::from(header.block_size.get());
        if !block_size.is_power_of_two() || block_size < SECTOR {
            return Err(bad(format!(
                "blocks of {block_size} bytes; the block size is a power of two of at least 512"
            )));
        }
        let blocks = size.div_ceil(block_size);
        let entries = u64::from(header.max_table_entries.get());
        if entries < blocks {
            return Err(bad(format!(
                "a disk of {size} bytes has {blocks} blocks, the BAT has {entries} entries"
            )));
        }
        let bat = header.table_offset.get();
        let end = bat.checked_add(blocks.saturating_mul(4));
        if !bat.is_multiple_of(4) || end.is_none_or(|end| end > file.len()) {
            return Err(bad(format!(
                "the BAT at {bat:#x} with {blocks} entries is not inside the file, which has {:#x} bytes",
                file.len()
            )));
        }
        Ok(Self {
            pages: Pages::new(raw),
            size,
            block_size,
            bitmap_len: (block_size / SECTOR).div_ceil(8).next_multiple_of(SECTOR),
            bat,
            file_len: file.len(),
            differencing,
        })
    }

    /// Where the bitmap of block `block` is, if the block is stored; `needed` bytes of its data have to be there.
    pub(super) fn block(&self, cursor: &mut Cursor<'_>, block: u64, needed: u64) -> Result<Option<u64>> {
        let at = self.bat.saturating_add(block.saturating_mul(4));
        let entry = u32::from_be_bytes(cursor.word(at)?);
        if entry == UNUSED {
            return Ok(None);
        }
        let bitmap = u64::from(entry).saturating_mul(SECTOR);
        let end = bitmap.saturating_add(self.bitmap_len).saturating_add(needed);
        if entry == 0 || end > self.file_len {
            return Err(Error::corrupt(
                "BAT",
                at,
                format!(
                    "block {block} lies at {bitmap:#x} and reaches to {end:#x}, the file has {:#x} bytes",
                    self.file_len
                ),
            ));
        }
        Ok(Some(bitmap))
    }
}

impl Runs for BlockMap {
    fn len(&self) -> u64 {
        self.size
    }

    fn grain(&self) -> u32 {
        u32::try_from(self.block_size.clamp(4096, 1 << 20)).unwrap_or(1 << 20)
    }

    fn run(&self, offset: u64, end: u64) -> Result<Run> {
        let size = self.block_size;
        let mut cursor = self.pages.cursor("BAT");
        let mut block = offset.checked_div(size).unwrap_or(0);
        let within = offset.checked_rem(size).unwrap_or(0);
        let to = size.min(within.saturating_add(end.saturating_sub(offset)));
        let mut len = to.saturating_sub(within);
        let Some(bitmap) = self.block(&mut cursor, block, to)? else {
            // Holes are joined: a sparse disk is one extent.
            while offset.saturating_add(len) < end {
                block = block.saturating_add(1);
                if !matches!(self.block(&mut cursor, block, 0), Ok(None)) {
                    break;
                }
                len = len.saturating_add(size);
            }
            return Ok(Run {
                len: len.min(end.saturating_sub(offset)),
                stored: Stored::Hole,
            });
        };
        let host = bitmap.saturating_add(self.bitmap_len).saturating_add(within);
        if !self.differencing {
            return Ok(Run {
                len,
                stored: Stored::Here(host),
            });
        }
        let first = within / SECTOR;
        let mut bits = self.pages.cursor("block bitmap");
        let (here, count) = bit_run(&mut bits, bitmap, first, to.div_ceil(SECTOR), BitOrder::Msb)?;
        let end = first.saturating_add(count).saturating_mul(SECTOR).min(to);
        Ok(Run {
            len: end.saturating_sub(within),
            stored: if here { Stored::Here(host) } else { Stored::Hole },
        })
    }
}
