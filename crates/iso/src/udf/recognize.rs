//! From an anchor to the root: volume descriptors, partitions, file set.

use super::names;
use super::space::{self, Address, Map, Partition, Space};
use super::tag::{self, Fields, id};
use h2k_block::{BlockRead, Error, Limits, Result};
use std::sync::Arc;

/// Descriptors in a sequence, and continuations of it, looked at.
const MOST: u32 = 256;

/// What a volume says of itself.
pub(crate) struct Volume {
    pub(crate) space: Space,
    pub(crate) root: Address,
    pub(crate) label: Vec<u8>,
    /// Identifier of the volume set, whose beginning is unique.
    pub(crate) set: Vec<u8>,
    /// Revision, as 0x0102 for 1.02.
    pub(crate) revision: u16,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) warnings: Vec<String>,
}

/// Whether a sequence of volume recognition names UDF (ECMA-167 2/8).
pub(crate) fn probe(disk: &dyn BlockRead) -> Result<bool> {
    for step in [2048_u64, 4096] {
        for n in 0..64 {
            let at = step.saturating_mul(n).saturating_add(32768);
            let mut bytes = [0; 6];
            if at.saturating_add(6) > disk.len() {
                break;
            }
            disk.read_at(at, &mut bytes)?;
            let [_, name @ ..] = bytes;
            match &name {
                b"NSR02" | b"NSR03" => return Ok(true),
                b"BEA01" | b"BOOT2" | b"CD001" | b"CDW02" | b"TEA01" => {}
                _ => break,
            }
        }
    }
    Ok(false)
}

/// The first sound anchor: size of a sector, and the main and the reserve sequence as byte and length.
fn anchor(disk: &dyn BlockRead) -> Result<(u64, [(u64, u64); 2])> {
    for sector in [2048_u64, 512, 4096, 1024] {
        let count = disk.len().checked_div(sector).unwrap_or(0);
        let places = [
            Some(256),
            count.checked_sub(1),
            count.checked_sub(257),
            count.checked_sub(151),
            Some(512),
        ];
        for n in places.into_iter().flatten() {
            let at = n.saturating_mul(sector);
            let Ok(bytes) = tag::read(disk, at, 512, &[id::ANCHOR], "anchor") else {
                continue;
            };
            let fields = Fields(&bytes);
            if u64::from(fields.u32(12)) != n {
                continue;
            }
            let extent = |at: usize| {
                let start = u64::from(fields.u32(at.saturating_add(4))).saturating_mul(sector);
                (start, u64::from(fields.u32(at)))
            };
            return Ok((sector, [extent(16), extent(24)]));
        }
    }
    Err(Error::corrupt(
        "anchor",
        256 << 11,
        "there is none in any of its places",
    ))
}

/// The descriptors of one sequence that prevail.
#[derive(Default)]
struct Sequence {
    logical: Option<Vec<u8>>,
    partitions: Vec<(u32, Partition, (u32, u32))>,
    set: Vec<u8>,
}

fn sequence(disk: &dyn BlockRead, sector: u64, at: u64, len: u64) -> Result<Sequence> {
    let mut found = Sequence::default();
    let (mut at, mut end) = (at, at.saturating_add(len));
    for _ in 0..MOST {
        if at >= end || at.saturating_add(sector) > disk.len() {
            break;
        }
        let mut bytes = vec![0; usize::try_from(sector).unwrap_or(0)];
        disk.read_at(at, &mut bytes)?;
        at = at.saturating_add(sector);
        if !tag::valid(&bytes) {
            continue;
        }
        let fields = Fields(&bytes);
        match fields.id() {
            1 => found.set = names::dstring(fields.bytes(72, 128)),
            id::POINTER => {
                at = u64::from(fields.u32(24)).saturating_mul(sector);
                end = at.saturating_add(fields.u32(20).into());
            }
            id::PARTITION => {
                let part = Partition {
                    number: fields.u16(22),
                    at: u64::from(fields.u32(188)).saturating_mul(sector),
                    len: u64::from(fields.u32(192)).saturating_mul(sector),
                    bitmap: (0, 0),
                };
                // The header of the partition, in the contents' use: its bitmap is the second extent.
                let bitmap = (fields.u32(68), fields.u32(64) & 0x3fff_ffff);
                found
                    .partitions
                    .retain(|(seq, p, _)| p.number != part.number || *seq > fields.u32(16));
                found.partitions.push((fields.u32(16), part, bitmap));
            }
            id::LOGICAL => {
                let newer = found
                    .logical
                    .as_ref()
                    .is_none_or(|old| Fields(old).u32(16) <= fields.u32(16));
                if newer {
                    found.logical = Some(bytes);
                }
            }
            id::TERMINATOR => break,
            _ => {}
        }
    }
    Ok(found)
}

/// Reads everything up to the root.
pub(crate) fn read(disk: Arc<dyn BlockRead>, limits: Limits) -> Result<Volume> {
    let (sector, sequences) = anchor(&*disk)?;
    let mut warnings = Vec::new();
    let mut found = Sequence::default();
    for (n, (at, len)) in sequences.into_iter().enumerate() {
        found = sequence(&*disk, sector, at, len)?;
        if found.logical.is_some() && !found.partitions.is_empty() {
            if n > 0 {
                warnings
                    .push("the main volume descriptors are damaged; the reserve ones were used".to_owned());
            }
            break;
        }
    }
    let Some(logical) = found.logical else {
        return Err(Error::corrupt(
            "volume descriptor sequence",
            0,
            "there is no logical volume descriptor",
        ));
    };
    let fields = Fields(&logical);
    let block = u64::from(fields.u32(212));
    if block != sector {
        let what = format!("logical blocks of {block} bytes on sectors of {sector}");
        return Err(Error::corrupt("logical volume descriptor", 0, what));
    }
    let partitions: Vec<Partition> = found
        .partitions
        .into_iter()
        .map(|(_, part, (first, len))| {
            let at = part.at.saturating_add(u64::from(first).saturating_mul(block));
            Partition {
                bitmap: if len == 0 { (0, 0) } else { (at, len.into()) },
                ..part
            }
        })
        .collect();
    let mut space = Space {
        disk,
        block,
        maps: Vec::new(),
        limits,
    };
    space::maps(&mut space, &logical, &partitions)?;
    let (at, _) = space.place(Address::of_long(&fields, 248))?;
    let set = tag::read(&*space.disk, at, block, &[id::FILE_SET], "file set descriptor")?;
    let root = Address::of_long(&Fields(&set), 400);
    // A volume that is closed says so in its integrity descriptor (3/10.10); the first of them is looked at.
    let integrity = u64::from(fields.u32(436)).saturating_mul(sector);
    if fields.u32(432) > 0
        && let Ok(bytes) = tag::read(&*space.disk, integrity, sector, &[9], "logical volume integrity")
        && Fields(&bytes).u32(28) == 0
        && !space.maps.iter().any(|m| matches!(m, Map::Virtual(..)))
    {
        warnings.push("the volume was not unmounted cleanly".to_owned());
    }
    let label = names::dstring(fields.bytes(84, 128));
    Ok(Volume {
        root,
        label,
        set: found.set,
        revision: fields.u16(240),
        partitions,
        space,
        warnings,
    })
}
