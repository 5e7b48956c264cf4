//! Reading: clusters through the BAT.

use crate::layered::{Layered, Run, Runs, Stored};
use crate::pages::{Cursor, Pages};
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Result};
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, LE, U32, U64, Unaligned};

pub(super) const OLD: [u8; 16] = *b"WithoutFreeSpace";
pub(super) const EXTENDED: [u8; 16] = *b"WithouFreSpacExt";
const SECTOR: u64 = 512;
const IN_USE: u32 = 0x746f_6e59;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 16],
    version: U32<LE>,
    heads: U32<LE>,
    cylinders: U32<LE>,
    /// Sectors in a cluster.
    tracks: U32<LE>,
    bat_entries: U32<LE>,
    /// Only the low half counts in the old form.
    nb_sectors: U64<LE>,
    in_use: U32<LE>,
    data_offset: U32<LE>,
    flags: U32<LE>,
    ext_offset: U64<LE>,
}
const _: () = assert!(size_of::<Header>() == 64);
const BAT: u64 = 64;

/// Opens the image in `file`.
pub(crate) fn open(file: Arc<dyn HostFile>, _opening: &mut Opening<'_>) -> Result<Image> {
    let bad = |what: String| Error::corrupt("header", 0, what);
    let mut header = Header::new_zeroed();
    if file.len() < BAT {
        return Err(bad(format!("the file has only {} bytes", file.len())));
    }
    file.read_at(0, header.as_mut_bytes())?;
    let extended = header.magic == EXTENDED;
    if !extended && header.magic != OLD {
        return Err(bad(
            "no magic \"WithoutFreeSpace\" or \"WithouFreSpacExt\"".to_owned()
        ));
    }
    if header.version.get() != 2 {
        let version = header.version.get();
        return Err(Error::unsupported(format!("version {version} of the format")).at("header", 16));
    }
    let sectors = header.nb_sectors.get();
    let sectors = if extended { sectors } else { sectors & 0xffff_ffff };
    let cluster = u64::from(header.tracks.get()).saturating_mul(SECTOR);
    if cluster == 0 || cluster > 1 << 30 {
        return Err(bad(format!("clusters of {cluster} bytes")));
    }
    let size = sectors
        .checked_mul(SECTOR)
        .ok_or_else(|| bad(format!("a disk of {sectors} sectors")))?;
    let (needed, entries) = (size.div_ceil(cluster), u64::from(header.bat_entries.get()));
    let end = BAT.saturating_add(needed.saturating_mul(4));
    if entries < needed || end > file.len() {
        return Err(bad(format!(
            "a disk of {size} bytes needs {needed} BAT entries, {entries} are announced; the file has {:#x} bytes",
            file.len()
        )));
    }
    let raw: Arc<dyn BlockRead> = Arc::new(RawDisk(file.clone()));
    let mut info = Info::new(file.name().to_owned(), Format::Parallels, size);
    info.files.push(FileInfo::of(&*file));
    info.grain = Some(cluster);
    info.subformat = Some(
        if extended {
            "expanding, version 2"
        } else {
            "expanding, version 1"
        }
        .to_owned(),
    );
    if header.in_use.get() == IN_USE {
        info.warnings
            .push("the image was not closed properly; its last changes may be missing".to_owned());
    }
    if header.ext_offset.get() != 0 && extended {
        info.warnings
            .push("dirty bitmaps are there and not read".to_owned());
    }
    let map = Map {
        pages: Pages::new(raw.clone()),
        size,
        cluster,
        unit: if extended { cluster } else { SECTOR },
        file_len: file.len(),
    };
    Ok(Image {
        disk: Arc::new(Layered::new(map, raw, None)),
        info,
    })
}

struct Map {
    pages: Pages,
    size: u64,
    cluster: u64,
    /// What an entry counts, in bytes.
    unit: u64,
    file_len: u64,
}

impl Map {
    fn block(&self, cursor: &mut Cursor<'_>, nth: u64, needed: u64) -> Result<Stored> {
        let at = BAT.saturating_add(nth.saturating_mul(4));
        let entry = u32::from_le_bytes(cursor.word(at)?);
        if entry == 0 {
            return Ok(Stored::Hole);
        }
        let host = u64::from(entry).saturating_mul(self.unit);
        if host.saturating_add(needed) > self.file_len {
            let what = format!(
                "cluster {nth} lies at {host:#x}, the file has {:#x} bytes",
                self.file_len
            );
            return Err(Error::corrupt("BAT", at, what));
        }
        Ok(Stored::Here(host))
    }
}

impl Runs for Map {
    fn len(&self) -> u64 {
        self.size
    }

    fn grain(&self) -> u32 {
        let near = self.cluster.clamp(4096, 1 << 20).next_power_of_two();
        u32::try_from(near).unwrap_or(1 << 20)
    }

    fn run(&self, offset: u64, end: u64) -> Result<Run> {
        let mut cursor = self.pages.cursor("BAT");
        let mut nth = offset.checked_div(self.cluster).unwrap_or(0);
        let within = offset.checked_rem(self.cluster).unwrap_or(0);
        let to = self
            .cluster
            .min(within.saturating_add(end.saturating_sub(offset)));
        let first = match self.block(&mut cursor, nth, to)? {
            Stored::Here(host) => Stored::Here(host.saturating_add(within)),
            other => other,
        };
        let mut len = to.saturating_sub(within);
        while offset.saturating_add(len) < end {
            nth = nth.saturating_add(1);
            let needed = end.saturating_sub(offset).saturating_sub(len).min(self.cluster);
            let expected = match first {
                Stored::Here(host) => Stored::Here(host.saturating_add(len)),
                other => other,
            };
            if !self
                .block(&mut cursor, nth, needed)
                .is_ok_and(|next| next == expected)
            {
                break;
            }
            len = len.saturating_add(needed);
        }
        Ok(Run { len, stored: first })
    }
}
