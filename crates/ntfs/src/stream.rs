//! Reading an attribute's content: resident, from clusters, through holes, compressed.

use crate::attribute::{Attribute, Body};
use crate::layout::ENCRYPTED;
use crate::lznt1;
use crate::runs::{self, Run};
use crate::volume::Volume;
use h2k_block::{Error, Extent, Kind, Result};
use h2k_fs::FileExtent;
use std::sync::Arc;

/// Fills `buf` from byte `offset`; the range has to lie inside the content.
pub(crate) fn read(volume: &Volume, attribute: &Attribute, offset: u64, buf: &mut [u8]) -> Result<()> {
    let (runs, initialized, unit) = match &attribute.body {
        Body::Resident(bytes) => {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let source = bytes.get(from..).and_then(|b| b.get(..buf.len()));
            let source = source.ok_or_else(|| Error::corrupt("attribute", 0, "is shorter than its file"))?;
            buf.copy_from_slice(source);
            return Ok(());
        }
        Body::Runs {
            runs,
            initialized,
            unit,
            ..
        } => (runs, *initialized, *unit),
    };
    if attribute.flags & ENCRYPTED != 0 {
        return Err(Error::unsupported(
            "the file is encrypted (EFS): its content cannot be read without its owner's key",
        ));
    }
    // What was never written reads as zero, whatever lies in the clusters.
    let written = usize::try_from(initialized.saturating_sub(offset))
        .unwrap_or(usize::MAX)
        .min(buf.len());
    let (head, tail) = buf.split_at_mut(written);
    tail.fill(0);
    if unit > 0 {
        compressed(volume, runs, unit, offset, head)
    } else {
        plain(volume, runs, offset, head)
    }
}

fn plain(volume: &Volume, runs: &[Run], mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
    while !buf.is_empty() {
        let (place, room) = locate(volume, runs, offset)?;
        let n = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        let (head, rest) = buf.split_at_mut(n);
        match place {
            Some(at) => volume.disk.read_at(at, head)?,
            None => head.fill(0),
        }
        offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        buf = rest;
    }
    Ok(())
}

/// Where byte `offset` lies on the volume (`None` in a hole), and how many bytes follow there.
fn locate(volume: &Volume, runs: &[Run], offset: u64) -> Result<(Option<u64>, u64)> {
    let cluster = u64::from(volume.geometry.cluster);
    let (vcn, within) = (
        offset.checked_div(cluster).unwrap_or(0),
        offset.checked_rem(cluster).unwrap_or(0),
    );
    let Some(run) = runs::find(runs, vcn) else {
        let what = format!("cluster {vcn:#x} of the attribute is in none of its runs");
        return Err(Error::corrupt("mapping pairs", 0, what));
    };
    let skip = vcn.saturating_sub(run.vcn);
    let room = run
        .len
        .saturating_sub(skip)
        .saturating_mul(cluster)
        .saturating_sub(within);
    let place = run.lcn.map(|lcn| {
        lcn.saturating_add(skip)
            .saturating_mul(cluster)
            .saturating_add(within)
    });
    Ok((place, room))
}

fn compressed(volume: &Volume, runs: &[Run], unit: u64, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
    let size = unit.saturating_mul(volume.geometry.cluster.into());
    while !buf.is_empty() {
        let number = offset.checked_div(size).unwrap_or(0);
        let within = usize::try_from(offset.checked_rem(size).unwrap_or(0)).unwrap_or(0);
        let room = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(within);
        let n = room.min(buf.len());
        let (head, rest) = buf.split_at_mut(n);
        match one_unit(volume, runs, unit, number)? {
            Unit::Hole => head.fill(0),
            Unit::Plain => plain(volume, runs, offset, head)?,
            Unit::Coded(bytes) => {
                let source = bytes.get(within..).and_then(|b| b.get(..n));
                let short = || Error::corrupt("compression unit", offset, "decompresses to too few bytes");
                head.copy_from_slice(source.ok_or_else(short)?);
            }
        }
        offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        buf = rest;
    }
    Ok(())
}

enum Unit {
    Hole,
    Plain,
    Coded(Arc<[u8]>),
}

/// A unit is all holes (zeros), all clusters (stored plainly), or clusters followed by holes (compressed).
fn one_unit(volume: &Volume, runs: &[Run], unit: u64, number: u64) -> Result<Unit> {
    let first = number.saturating_mul(unit);
    let cluster = u64::from(volume.geometry.cluster);
    let mut pieces = Vec::new();
    let mut stored = 0_u64;
    let mut vcn = first;
    let end = first.saturating_add(unit);
    while vcn < end {
        // The last unit of an attribute may have fewer clusters than others.
        let Some(run) = runs::find(runs, vcn) else { break };
        let skip = vcn.saturating_sub(run.vcn);
        let n = run.len.saturating_sub(skip).min(end.saturating_sub(vcn));
        if let Some(lcn) = run.lcn {
            pieces.push((lcn.saturating_add(skip), n));
            stored = stored.saturating_add(n);
        }
        vcn = vcn.saturating_add(n);
    }
    let Some((key, _)) = pieces.first().copied() else {
        return Ok(Unit::Hole);
    };
    if stored == unit {
        return Ok(Unit::Plain);
    }
    let coded = volume.units.get(key, || {
        let mut source = Vec::new();
        for (lcn, n) in &pieces {
            let mut piece = vec![0; usize::try_from(n.saturating_mul(cluster)).unwrap_or(0)];
            volume.disk.read_at(lcn.saturating_mul(cluster), &mut piece)?;
            source.extend_from_slice(&piece);
        }
        let mut out = vec![0; usize::try_from(unit.saturating_mul(cluster)).unwrap_or(0)];
        lznt1::decode(&source, &mut out).map_err(|e| {
            Error::corrupt(
                "compression unit",
                key.saturating_mul(cluster),
                format!("LZNT1: {e}"),
            )
        })?;
        Ok::<_, Error>(Arc::from(out))
    })?;
    Ok(Unit::Coded(coded))
}

/// The extent at `offset`, at most up to `end`.
pub(crate) fn extent_at(volume: &Volume, attribute: &Attribute, offset: u64, end: u64) -> Result<FileExtent> {
    let len = end.saturating_sub(offset);
    let data = |kind, len| Extent::new(offset, len, kind);
    let Body::Runs {
        runs,
        initialized,
        unit,
        ..
    } = &attribute.body
    else {
        return Ok(FileExtent {
            run: data(Kind::Data, len),
            at: None,
        });
    };
    if offset >= *initialized {
        return Ok(FileExtent {
            run: data(Kind::Zero, len),
            at: None,
        });
    }
    let len = len.min(initialized.saturating_sub(offset));
    if *unit > 0 {
        let size = unit.saturating_mul(volume.geometry.cluster.into());
        let number = offset.checked_div(size).unwrap_or(0);
        let room = number
            .saturating_add(1)
            .saturating_mul(size)
            .saturating_sub(offset)
            .min(len);
        let (kind, compressed) = match one_unit(volume, runs, *unit, number)? {
            Unit::Hole => (Kind::Hole, false),
            Unit::Plain => (Kind::Data, false),
            Unit::Coded(_) => (Kind::Data, true),
        };
        return Ok(FileExtent {
            run: Extent {
                compressed,
                ..data(kind, room)
            },
            at: None,
        });
    }
    let (place, room) = locate(volume, runs, offset)?;
    let kind = if place.is_some() { Kind::Data } else { Kind::Hole };
    Ok(FileExtent {
        run: data(kind, room.min(len)),
        at: place,
    })
}
