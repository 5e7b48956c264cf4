//! File contents: whole sectors, each compared with its checksum, another copy where one is damaged.

use crate::layout::{Key, kind, object};
use crate::tree::Root;
use crate::volume::Volume;
use h2k_block::{Error, Result};

const NAME: &str = "data checksum";

/// Fills `buf` from `logical`. With `csums` (the checksum tree) every sector is verified; without, the first copy that
/// can be read counts.
pub(crate) fn read(volume: &Volume, csums: Option<&Root>, logical: u64, buf: &mut [u8]) -> Result<()> {
    let Some(csums) = csums else {
        return first_readable(volume, logical, buf);
    };
    let sector = usize::try_from(volume.sb.sector).unwrap_or(usize::MAX);
    let (mut at, mut rest) = (logical, buf);
    while !rest.is_empty() {
        let inside = usize::try_from(at.checked_rem(volume.sb.sector.into()).unwrap_or(0)).unwrap_or(0);
        let part = rest.len().checked_rem(sector).unwrap_or(0);
        let whole = rest.len().saturating_sub(part);
        let n = if inside == 0 && whole > 0 {
            let (head, _) = rest.split_at_mut(whole);
            sectors(volume, csums, at, head)?;
            whole
        } else {
            let n = sector.saturating_sub(inside).min(rest.len());
            let (head, _) = rest.split_at_mut(n);
            let start = at.saturating_sub(u64::try_from(inside).unwrap_or(0));
            volume.scratch.with(Vec::new, |bounce| {
                bounce.resize(sector, 0);
                sectors(volume, csums, start, bounce)?;
                let from = bounce.get(inside..).unwrap_or_default();
                for (to, byte) in head.iter_mut().zip(from) {
                    *to = *byte;
                }
                Ok::<_, Error>(())
            })?;
            n
        };
        at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        rest = rest.get_mut(n..).unwrap_or_default();
    }
    Ok(())
}

fn first_readable(volume: &Volume, logical: u64, buf: &mut [u8]) -> Result<()> {
    let mut first_error = None;
    for rank in 0..volume.copies(logical)? {
        match volume.read(logical, buf, rank) {
            Ok(()) => return Ok(()),
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::corrupt("chunk item", logical, "has no copies")))
}

/// Whole sectors from a sector's border.
fn sectors(volume: &Volume, csums: &Root, logical: u64, buf: &mut [u8]) -> Result<()> {
    // Where no copy can be read in one go, the sectors are fetched one by one below.
    let readable = first_readable(volume, logical, buf).is_ok();
    let checksum = volume.sb.checksum;
    let sector = u64::from(volume.sb.sector);
    let width = usize::try_from(sector).unwrap_or(usize::MAX);
    let end = logical.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX));
    let absent = |at: u64| Error::corrupt(NAME, at, "there is none for this sector");
    let mut at = logical;
    let mut pieces = buf.chunks_exact_mut(width);
    let Some(mut cursor) = csums.seek_back(volume, Key::new(object::EXTENT_CSUM, kind::EXTENT_CSUM, at))?
    else {
        return Err(absent(at));
    };
    while at < end {
        let Some((key, sums)) = cursor.item_of(object::EXTENT_CSUM, kind::EXTENT_CSUM) else {
            return Err(absent(at));
        };
        let skip = at.checked_sub(key.offset).and_then(|d| d.checked_div(sector));
        let skip = skip.ok_or_else(|| absent(at))?;
        let skip = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .saturating_mul(checksum.size());
        let sums = sums.get(skip..).unwrap_or_default().chunks_exact(checksum.size());
        for sum in sums {
            let Some(piece) = pieces.next() else {
                return Ok(());
            };
            if !readable || !checksum.agrees(piece, sum) {
                another_copy(volume, at, piece, sum)?;
            }
            at = at.saturating_add(sector);
        }
        cursor.next()?;
    }
    Ok(())
}

/// Fills one sector from whichever copy agrees with `sum`.
#[cold]
fn another_copy(volume: &Volume, at: u64, piece: &mut [u8], sum: &[u8]) -> Result<()> {
    let copies = volume.copies(at)?;
    let mut first_error = None;
    for rank in 0..copies {
        match volume.read(at, piece, rank) {
            Ok(()) if volume.sb.checksum.agrees(piece, sum) => {
                if rank > 0 {
                    volume.count_repair();
                }
                return Ok(());
            }
            Ok(()) => {}
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    let name = volume.sb.checksum.name();
    let hex: String = sum.iter().map(|b| format!("{b:02x}")).collect();
    Err(first_error.unwrap_or_else(|| {
        Error::corrupt(
            NAME,
            at,
            format!("no copy of this sector ({copies} kept) has the {name} {hex} that is recorded"),
        )
    }))
}
