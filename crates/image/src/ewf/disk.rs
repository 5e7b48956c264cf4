//! Reading: chunks through the tables of all segments.

use super::section::{Ending, Sections, Table, Volume, adler32, segment_number};
use crate::codec::{Coding, Decoder};
use crate::packed::{Chunk, Chunks, Held, Packed};
use crate::pages::Pages;
use crate::raw::RawDisk;
use crate::{FileInfo, Format, Image, Info, Opening};
use h2k_block::{BlockRead, Error, HostFile, Meter, Result};
use std::sync::Arc;

/// An entry of a table: the chunk is a zlib stream.
const COMPRESSED: u32 = 1 << 31;

/// Opens the image in `file`, which is the first of its segments.
pub(crate) fn open(file: Arc<dyn HostFile>, opening: &mut Opening<'_>) -> Result<Image> {
    let mut meter = Meter::new(opening.options.limits);
    let number = segment_number(&*file)?;
    if number != 1 {
        return Err(
            Error::unsupported(format!("this is segment {number} of an image"))
                .at("file header", 9)
                .advise("open the first segment, which ends in .E01"),
        );
    }
    let mut sections = Sections::default();
    let mut files = vec![file.clone()];
    let mut ending = sections.walk(&file, 0, &mut meter)?;
    while ending == Ending::Next {
        meter.step("segment")?;
        let number = files.len().saturating_add(1);
        let name = segment_name(&*file, number).ok_or_else(|| {
            Error::unsupported(format!(
                "segment {number} of an image whose name does not end in .E01"
            ))
        })?;
        let next = opening.sibling(&*file, &name)?;
        let found = segment_number(&*next).map_err(|e| e.through(name.clone()))?;
        if usize::from(found) != number {
            let what = format!("{name} says that it is segment {found}, expected {number}");
            return Err(Error::corrupt("file header", 9, what));
        }
        ending = sections
            .walk(&next, files.len(), &mut meter)
            .map_err(|e| e.through(name))?;
        files.push(next);
    }
    let Sections { volume, tables, .. } = sections;
    let volume = volume.ok_or_else(|| Error::corrupt("volume", 13, "the section is missing"))?;
    let needed = volume.size.div_ceil(volume.chunk);
    let there = tables.iter().map(|t| t.count).fold(0, u64::saturating_add);
    if there < needed {
        let what = format!(
            "{there} chunks in all tables, a disk of {} bytes has {needed}",
            volume.size
        );
        return Err(Error::corrupt("table", 0, what));
    }
    let mut info = Info::new(file.name().to_owned(), Format::Ewf, volume.size);
    info.files = files.iter().map(|f| FileInfo::of(&**f)).collect();
    info.subformat = Some("E01".to_owned());
    info.grain = Some(volume.chunk);
    let segments = files
        .into_iter()
        .map(|file| Segment {
            pages: Pages::few(file.clone()),
            file,
        })
        .collect();
    let map = Map {
        volume,
        tables,
        segments,
        decoder: Decoder::default(),
    };
    let view: Arc<dyn BlockRead> = Arc::new(RawDisk(file));
    Ok(Image {
        disk: Arc::new(Packed::new(map, view, None, volume.chunk)),
        info,
    })
}

/// The name of segment `number` beside `first`: .E01 to .E99, then .EAA to .EZZ, in the case of the first one.
fn segment_name(first: &dyn HostFile, number: usize) -> Option<String> {
    let name = first.name().file_name()?.to_str()?;
    let stem = name.strip_suffix("01")?;
    let letter = stem.chars().last()?;
    if number < 100 {
        return Some(format!("./{stem}{number:02}"));
    }
    let nth = u32::try_from(number.checked_sub(100)?).ok()?;
    let base = if letter.is_ascii_lowercase() { 'a' } else { 'A' };
    let pick = |n: u32| char::from_u32(u32::from(base).checked_add(n)?);
    (nth < 26 * 26).then_some(())?;
    Some(format!("./{stem}{}{}", pick(nth / 26)?, pick(nth % 26)?))
}

struct Segment {
    pages: Pages,
    file: Arc<dyn HostFile>,
}

struct Map {
    volume: Volume,
    /// In the order of their chunks.
    tables: Vec<Table>,
    segments: Vec<Segment>,
    decoder: Decoder,
}

impl Map {
    /// The table that holds chunk `nth`.
    fn table(&self, nth: u64) -> Result<(&Table, &Segment)> {
        let after = self.tables.partition_point(|t| t.first <= nth);
        let table = after.checked_sub(1).and_then(|i| self.tables.get(i));
        let found = table.filter(|t| nth.saturating_sub(t.first) < t.count);
        let found = found.and_then(|t| Some((t, self.segments.get(t.segment)?)));
        found.ok_or_else(|| Error::corrupt("table", 0, format!("no table holds chunk {nth}")))
    }
}

impl Chunks for Map {
    fn len(&self) -> u64 {
        self.volume.size
    }

    fn at(&self, offset: u64) -> Result<Chunk> {
        let key = offset.checked_div(self.volume.chunk).unwrap_or(0);
        let start = key.saturating_mul(self.volume.chunk);
        Ok(Chunk {
            key,
            start,
            len: self.volume.chunk.min(self.volume.size.saturating_sub(start)),
            held: Held::Packed,
        })
    }

    fn unpack(&self, chunk: &Chunk, out: &mut [u8]) -> Result<()> {
        let (table, segment) = self.table(chunk.key)?;
        let nth = chunk.key.saturating_sub(table.first);
        let at = table.at.saturating_add(nth.saturating_mul(4));
        let bad = |what: String| Error::corrupt("table", at, format!("chunk {}: {what}", chunk.key));
        // Offsets are as aligned as the section is: not at all.
        let mut entries = segment.pages.cursor("table");
        let mut word = |at: u64| -> Result<u32> {
            let mut raw = [0; 4];
            for (to, at) in raw.iter_mut().zip(at..) {
                [*to] = entries.word::<1>(at)?;
            }
            Ok(u32::from_le_bytes(raw))
        };
        let place = |entry: u32| table.base.saturating_add(u64::from(entry & !COMPRESSED));
        let entry = word(at)?;
        let start = place(entry);
        let end = if nth.saturating_add(1) < table.count {
            place(word(at.saturating_add(4))?)
        } else {
            table.end
        };
        let most = self.volume.chunk.saturating_mul(2).saturating_add(1024);
        let len = end.checked_sub(start).filter(|_| end <= segment.file.len());
        let Some(len) = len.filter(|len| *len > 0 && *len <= most) else {
            return Err(bad(format!(
                "it lies from {start:#x} to {end:#x} in a file of {:#x} bytes",
                segment.file.len()
            )));
        };
        let mut packed = vec![0; usize::try_from(len).unwrap_or(0)];
        segment.file.read_at(start, &mut packed)?;
        if entry & COMPRESSED != 0 {
            return match self.decoder.decode(Coding::Zlib, &packed, out) {
                Ok(n) if n == out.len() => Ok(()),
                Ok(n) => Err(bad(format!("it holds {n} bytes, not {}", out.len()))),
                Err(_) => Err(bad("its zlib stream cannot be decoded".to_owned())),
            };
        }
        let (bytes, rest) = packed
            .split_at_checked(out.len())
            .ok_or_else(|| bad(format!("it has {len} bytes, {} are needed", out.len())))?;
        if let Some(sum) = rest.first_chunk()
            && u32::from_le_bytes(*sum) != adler32(bytes)
        {
            return Err(bad("its checksum does not match".to_owned()));
        }
        out.copy_from_slice(bytes);
        Ok(())
    }
}
