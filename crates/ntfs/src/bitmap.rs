//! Free space: `$Bitmap`, one bit a cluster.

use crate::layout::{kind, record};
use crate::stream;
use crate::volume::Volume;
use h2k_block::{Error, Extent, Kind, Meter, Result};

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
    // A boot sector may claim exabytes, and a map of one sparse run stands for all of them.
    let mut meter = Meter::new(volume.limits);
    while at < len {
        let n = len.saturating_sub(at).min(STEP);
        meter.steps(n.div_ceil(64), "$Bitmap")?;
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

/// What the volume holds at byte `offset`, up to `end`. A run ends with the piece of the map it began in, so that a call
/// costs the same on a volume of any size.
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
    let at = first / 8;
    let n = last.div_ceil(8).saturating_sub(at).min(STEP);
    let mut map = vec![0; usize::try_from(n).unwrap_or(0)];
    read(volume, at, &mut map)?;
    let used = |bit: u64| {
        let byte = map.get(usize::try_from((bit / 8).checked_sub(at)?).ok()?)?;
        Some(byte >> (bit % 8) & 1 == 1)
    };
    let here = used(first);
    let mut next = first.saturating_add(1);
    while next < last && used(next) == here {
        next = next.saturating_add(1);
    }
    let until = next.saturating_mul(cluster).min(end);
    let kind = if here == Some(false) {
        Kind::Hole
    } else {
        Kind::Data
    };
    Ok(Extent::new(offset, until.saturating_sub(offset).max(1), kind))
}
