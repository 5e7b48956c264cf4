use super::header::Header;
use super::layout::{BITMAP_IN_USE, BitmapEntry, BitmapsExtension, EXTENSION_BITMAPS, MAX_BITMAPS};
use h2k_block::{BlockRead, Error, Meter, Result};
use zerocopy::{FromZeros, IntoBytes};

/// A persistent bitmap: which parts of the guest's disk changed since some point in time.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    pub(super) name: String,
    /// Was not saved correctly: its content means nothing.
    pub(super) in_use: bool,
    /// Guest bytes to a bit, as a power of two.
    pub(super) granularity_bits: u8,
    /// Where its table of clusters lies, and how many entries that has.
    pub(super) table: super::header::Table,
}

/// The bitmap directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) bitmaps: Vec<Bitmap>,
    /// Where the directory lies.
    pub(super) offset: u64,
    /// Its size in bytes.
    pub(super) len: u64,
}

/// The bitmaps of an image, none where it has no directory of them.
///
/// # Errors
/// [`h2k_block::Class::Corrupt`] when the directory contradicts itself.
pub(super) fn list(file: &dyn BlockRead, header: &Header, meter: &mut Meter) -> Result<Directory> {
    let Some(span) = header.extension(EXTENSION_BITMAPS) else {
        return Ok(Directory::default());
    };
    let mut head = BitmapsExtension::new_zeroed();
    if span.len != 24 {
        return Err(Error::corrupt(
            "bitmaps extension",
            span.offset,
            format!("is {} bytes long, expected 24", span.len),
        ));
    }
    file.read_at(span.offset, head.as_mut_bytes())?;
    let (start, len) = (
        head.bitmap_directory_offset.get(),
        head.bitmap_directory_size.get(),
    );
    let bad = |what: String| Error::corrupt("bitmap directory", start, what);
    let count = head.nb_bitmaps.get();
    if count == 0 || count > MAX_BITMAPS {
        return Err(bad(format!("has {count} bitmaps, expected 1 to {MAX_BITMAPS}")));
    }
    if start == 0 || header.geometry.within(start) != 0 {
        return Err(bad("is not aligned to a cluster".to_owned()));
    }
    let end = start.checked_add(len).filter(|end| *end <= file.len());
    let end = end.ok_or_else(|| bad(format!("is {len} bytes long, past the end of the file")))?;
    let mut bitmaps = Vec::new();
    let mut at = start;
    for _ in 0..count {
        meter.step("bitmap")?;
        let outside = || bad(format!("the entry at {at:#x} runs past its end"));
        let fixed = at.checked_add(24).filter(|fixed| *fixed <= end);
        let fixed = fixed.ok_or_else(outside)?;
        let mut entry = BitmapEntry::new_zeroed();
        file.read_at(at, entry.as_mut_bytes())?;
        let name_at = fixed.saturating_add(entry.extra_data_size.get().into());
        let after = name_at.saturating_add(entry.name_size.get().into());
        if after > end {
            return Err(outside());
        }
        let mut name = meter.buffer(entry.name_size.get().into(), "bitmap name")?;
        file.read_at(name_at, &mut name)?;
        bitmaps.push(Bitmap {
            name: String::from_utf8_lossy(&name).into_owned(),
            in_use: entry.flags.get() & BITMAP_IN_USE != 0,
            granularity_bits: entry.granularity_bits,
            table: super::header::Table {
                offset: entry.bitmap_table_offset.get(),
                entries: entry.bitmap_table_size.get().into(),
            },
        });
        at = after.next_multiple_of(8);
    }
    Ok(Directory {
        bitmaps,
        offset: start,
        len,
    })
}
