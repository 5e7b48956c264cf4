//! Reading: extents through the catalog, sectors through each extent's bitmap.

use crate::layered::{Layered, Run, Runs, Stored};
use crate::pages::{BitOrder, Pages, bit_run};
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result};
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, LE, U32, Unaligned};

pub(super) const MAGIC: [u8; 32] = *b"Bochs Virtual HD Image\0\0\0\0\0\0\0\0\0\0";
const REDOLOG: [u8; 16] = *b"Redolog\0\0\0\0\0\0\0\0\0";
const GROWING: [u8; 16] = *b"Growing\0\0\0\0\0\0\0\0\0";
const UNALLOCATED: u32 = u32::MAX;
const SECTOR: u64 = 512;

/// The standard header and the redolog's own. Version 1 has the disk size at `tail`, version 2 four bytes later.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 32],
    kind: [u8; 16],
    subtype: [u8; 16],
    version: U32<LE>,
    header_size: U32<LE>,
    /// Entries of the catalog.
    catalog: U32<LE>,
    /// Bytes of an extent's bitmap.
    bitmap: U32<LE>,
    /// Bytes of an extent's data.
    extent: U32<LE>,
    tail: [u8; 12],
}
const _: () = assert!(size_of::<Header>() == 96);

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    let raw: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let map = map(&*file, raw.clone())?;
    let mut info = Info::new(file.name().to_owned(), Format::Bochs, map.size);
    info.files.push(FileInfo::of(&*file));
    info.subformat = Some("growing".to_owned());
    info.grain = Some(map.extent);
    Ok(Image {
        disk: Arc::new(Layered::new(map, raw, None)),
        info,
    })
}

fn map(file: &dyn HostFile, raw: Arc<dyn BlockRead>) -> Result<Map> {
    let bad = |what: String| Error::corrupt("header", 0, what);
    let mut header = Header::new_zeroed();
    if file.len() < SECTOR {
        return Err(bad(format!("the file has only {} bytes", file.len())));
    }
    file.read_at(0, header.as_mut_bytes())?;
    if header.magic != MAGIC {
        return Err(bad("no magic \"Bochs Virtual HD Image\"".to_owned()));
    }
    if header.kind != REDOLOG || header.subtype != GROWING {
        let word = |raw: &[u8]| String::from_utf8_lossy(raw).trim_end_matches('\0').to_owned();
        return Err(Error::unsupported(format!(
            "type {:?}, subtype {:?}; growing redologs are the only ones read",
            word(&header.kind),
            word(&header.subtype)
        ))
        .at("header", 32));
    }
    let tail = header.tail;
    let size = match (header.version.get(), tail) {
        (0x0001_0000, [a, b, c, d, e, f, g, h, ..]) | (0x0002_0000, [_, _, _, _, a, b, c, d, e, f, g, h]) => {
            u64::from_le_bytes([a, b, c, d, e, f, g, h])
        }
        (version, _) => {
            return Err(Error::unsupported(format!("version {version:#x} of the format")).at("header", 64));
        }
    };
    let (extent, bitmap) = (u64::from(header.extent.get()), u64::from(header.bitmap.get()));
    if !extent.is_power_of_two() || extent < SECTOR || bitmap.saturating_mul(8 * SECTOR) < extent {
        return Err(bad(format!(
            "extents of {extent} bytes with bitmaps of {bitmap} bytes; extents are powers of two with a bit a sector"
        )));
    }
    let entries = size.div_ceil(extent);
    let catalog = u64::from(header.header_size.get());
    let table_end = catalog.saturating_add(u64::from(header.catalog.get()).saturating_mul(4));
    if u64::from(header.catalog.get()) < entries
        || catalog < 96
        || !catalog.is_multiple_of(4)
        || table_end > file.len()
    {
        return Err(bad(format!(
            "the catalog at {catalog:#x} has {} entries, a disk of {size} bytes needs {entries}; the file has {:#x} bytes",
            header.catalog.get(),
            file.len()
        )));
    }
    Ok(Map {
        pages: Pages::new(raw),
        size,
        extent,
        bitmap_len: bitmap.next_multiple_of(SECTOR),
        catalog,
        data: table_end,
        file_len: file.len(),
    })
}

struct Map {
    pages: Pages,
    size: u64,
    /// Guest bytes in an extent.
    extent: u64,
    bitmap_len: u64,
    catalog: u64,
    /// Where extent 0 begins.
    data: u64,
    file_len: u64,
}

impl Runs for Map {
    fn len(&self) -> u64 {
        self.size
    }

    fn grain(&self) -> u32 {
        u32::try_from(self.extent.clamp(4096, 1 << 20)).unwrap_or(1 << 20)
    }

    fn run(&self, offset: u64, end: u64) -> Result<Run> {
        let mut entries = self.pages.cursor("catalog");
        let nth = offset.checked_div(self.extent).unwrap_or(0);
        let within = offset.checked_rem(self.extent).unwrap_or(0);
        let to = self.extent.min(within.saturating_add(end.saturating_sub(offset)));
        let at = |nth: u64| self.catalog.saturating_add(nth.saturating_mul(4));
        let entry = u32::from_le_bytes(entries.word(at(nth))?);
        if entry == UNALLOCATED {
            let (mut len, mut next) = (to.saturating_sub(within), nth.saturating_add(1));
            while offset.saturating_add(len) < end
                && entries
                    .word(at(next))
                    .is_ok_and(|e| u32::from_le_bytes(e) == UNALLOCATED)
            {
                len = len.saturating_add(self.extent);
                next = next.saturating_add(1);
            }
            return Ok(Run {
                len: len.min(end.saturating_sub(offset)),
                stored: Stored::Hole,
            });
        }
        let each = self.bitmap_len.saturating_add(self.extent);
        let bitmap = self.data.saturating_add(u64::from(entry).saturating_mul(each));
        let host = bitmap.saturating_add(self.bitmap_len).saturating_add(within);
        let first = within / SECTOR;
        let mut bits = self.pages.cursor("extent bitmap");
        let (here, count) = bit_run(&mut bits, bitmap, first, to.div_ceil(SECTOR), BitOrder::Lsb)?;
        let stop = first.saturating_add(count).saturating_mul(SECTOR).min(to);
        let len = stop.saturating_sub(within);
        if here && host.saturating_add(len) > self.file_len {
            return Err(Error::corrupt(
                "catalog",
                at(nth),
                format!(
                    "extent {nth} reaches past the end of the file, which has {:#x} bytes",
                    self.file_len
                ),
            ));
        }
        Ok(Run {
            len,
            stored: if here { Stored::Here(host) } else { Stored::Hole },
        })
    }
}
