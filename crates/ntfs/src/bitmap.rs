//! Free space: `$Bitmap`, one bit a cluster.

use crate::layout::{kind, record};
use crate::stream;
use crate::volume::Volume;
use h2k_block::{Error, Extent, Kind, Result};

/// Bytes of the bitmap looked at together.
const STEP: u64 = 32 << 10;

fn read(volume: &Volume, at: u64, buf: &mut [u8]) -> Result<()> {
    let file = volume.file(record::BITMAP)?;
    let data = file
        .find(kind::DATA, &[])
        .ok_or_else(|| Error::corrupt("$Bitmap", file.at, "has no data"))?;
    if at.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX)) > data.len() {
        return Err(Error::corrupt(
            "$Bitmap",
            file.at,
            format!("has {} bytes, too few for the volume", data.len()),
        ));
    }
    stream::read(volume, data, at, buf)
}

/// How many clusters are free.
pub(crate) fn free(volume: &Volume) -> Result<u64> {
    let clusters = volume.geometry.clusters;
    let len = clusters.div_ceil(8);
    let (mut at, mut used) = (0, 0_u64);
    let mut buf = vec![0; usize::try_from(STEP).unwrap_or(0)];
    while at < len {
        let n = len.saturating_sub(at).min(STEP);
        let part = buf.get_mut(..usize::try_from(n).unwrap_or(0)).unwrap_or_default();
        read(volume, at, part)?;
        let ones: u32 = part.iter().map(|b| b.count_ones()).sum();
        used = used.saturating_add(ones.into());
        at = at.saturating_add(n);
    }
    // Bits behind the last cluster are set.
    let spare = len.saturating_mul(8).saturating_sub(clusters);
    Ok(clusters.saturating_sub(used.saturating_sub(spare).min(clusters)))
}

/// What the volume holds at byte `offset`, up to `end`.
pub(crate) fn used_at(volume: &Volume, offset: u64, end: u64) -> Result<Extent> {
    let cluster = u64::from(volume.geometry.cluster);
    let clusters = volume.geometry.clusters;
    let first = offset.checked_div(cluster).unwrap_or(0);
    let whole = Extent::new(offset, end.saturating_sub(offset), Kind::Data);
    if first >= clusters {
        // Behind the last cluster lies the copy of the boot sector.
        return Ok(whole);
    }
    let last = end.div_ceil(cluster.max(1)).min(clusters);
    let mut bit = first;
    let mut kind = None;
    let mut buf = vec![0; usize::try_from(STEP).unwrap_or(0)];
    while bit < last {
        let at = bit / 8;
        let n = last.div_ceil(8).saturating_sub(at).min(STEP);
        let part = buf.get_mut(..usize::try_from(n).unwrap_or(0)).unwrap_or_default();
        read(volume, at, part)?;
        for byte in &*part {
            while bit < last {
                let here = if byte >> (bit % 8) & 1 == 1 {
                    Kind::Data
                } else {
                    Kind::Hole
                };
                if *kind.get_or_insert(here) != here {
                    let until = bit.saturating_mul(cluster).min(end);
                    return Ok(Extent::new(
                        offset,
                        until.saturating_sub(offset),
                        kind.unwrap_or(Kind::Data),
                    ));
                }
                bit = bit.saturating_add(1);
                if bit % 8 == 0 {
                    break;
                }
            }
        }
    }
    let until = last.saturating_mul(cluster).min(end);
    Ok(Extent::new(
        offset,
        until.saturating_sub(offset).max(1),
        kind.unwrap_or(Kind::Data),
    ))
}
