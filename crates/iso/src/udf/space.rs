//! Partition maps: from a block of a partition to a byte of the volume.

use super::icb::{self, Body};
use super::tag::{self, Fields, id};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Partition maps one volume may have.
const MOST_MAPS: u32 = 16;
/// Sectors from the end in which the virtual allocation table is looked for.
const TAIL: u64 = 512;

/// A partition as its descriptor says: where it lies, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition {
    pub(crate) number: u16,
    pub(crate) at: u64,
    pub(crate) len: u64,
    /// Byte and length of its bitmap of free blocks, 0 where it has none.
    pub(crate) bitmap: (u64, u64),
}

/// How blocks of one partition reference are found.
#[derive(Clone, Debug)]
pub(crate) enum Map {
    Plain(Partition),
    /// Packets that went bad lie elsewhere: first block of each, in the partition and on the volume.
    Sparable(Partition, u32, BTreeMap<u32, u32>),
    /// Each block is looked up in a table.
    Virtual(Partition, Vec<u32>),
    /// Blocks are those of a file.
    Metadata(Vec<(u64, u64)>),
    Unknown(String),
}

/// The volume and its partitions.
pub(crate) struct Space {
    pub(crate) disk: Arc<dyn BlockRead>,
    /// Bytes of a logical block.
    pub(crate) block: u64,
    pub(crate) maps: Vec<Map>,
    pub(crate) limits: Limits,
}

/// A block of a partition: `lb_addr` (4/7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) block: u32,
    pub(crate) part: u16,
}

impl Address {
    /// The address in a `long_ad` at byte `at`, behind its length.
    pub(crate) fn of_long(fields: &Fields<'_>, at: usize) -> Self {
        Self {
            block: fields.u32(at.saturating_add(4)),
            part: fields.u16(at.saturating_add(8)),
        }
    }
}

impl Space {
    /// Where `address` lies on the volume, and how many bytes follow it there for certain.
    pub(crate) fn place(&self, address: Address) -> Result<(u64, u64)> {
        let bad = |what: String| Error::corrupt("partition map", u64::from(address.block), what);
        let outside = || {
            bad(format!(
                "block {} lies outside partition {}",
                address.block, address.part
            ))
        };
        let map = self
            .maps
            .get(usize::from(address.part))
            .ok_or_else(|| bad(format!("there is no partition {}", address.part)))?;
        let plain = |part: &Partition, block: u32| {
            let from = u64::from(block).saturating_mul(self.block);
            let room = part.len.checked_sub(from).filter(|room| *room > 0);
            Ok((part.at.saturating_add(from), room.ok_or_else(outside)?))
        };
        match map {
            Map::Plain(part) => plain(part, address.block),
            Map::Sparable(part, packet, spared) => {
                let within = address.block.checked_rem(*packet).unwrap_or(0);
                let left = u64::from(packet.saturating_sub(within)).saturating_mul(self.block);
                match spared.get(&address.block.saturating_sub(within)) {
                    Some(moved) => {
                        let at = u64::from(moved.saturating_add(within)).saturating_mul(self.block);
                        Ok((at, left))
                    }
                    None => plain(part, address.block).map(|(at, room)| (at, room.min(left))),
                }
            }
            Map::Virtual(part, table) => {
                let block = usize::try_from(address.block).ok().and_then(|n| table.get(n));
                let block = block.filter(|b| **b != u32::MAX).ok_or_else(outside)?;
                plain(part, *block).map(|(at, _)| (at, self.block))
            }
            Map::Metadata(runs) => {
                let mut rest = u64::from(address.block).saturating_mul(self.block);
                for (at, len) in runs {
                    if rest < *len {
                        return Ok((at.saturating_add(rest), len.saturating_sub(rest)));
                    }
                    rest = rest.saturating_sub(*len);
                }
                Err(outside())
            }
            Map::Unknown(name) => Err(Error::new(
                Class::Unsupported,
                format!("a partition of the kind {name} is not read"),
            )),
        }
    }
}

/// Reads the maps of a logical volume descriptor.
pub(crate) fn maps(space: &mut Space, descriptor: &[u8], partitions: &[Partition]) -> Result<()> {
    let fields = Fields(descriptor);
    let count = fields.u32(268).min(MOST_MAPS);
    let mut at = 440_usize;
    let part = |number: u16| {
        let found = partitions.iter().find(|p| p.number == number).copied();
        found.ok_or_else(|| Error::corrupt("partition map", 0, format!("there is no partition {number}")))
    };
    for _ in 0..count {
        let (kind, len) = (fields.u8(at), usize::from(fields.u8(at.saturating_add(1))));
        let map = Fields(fields.bytes(at, len));
        at = at.saturating_add(len);
        let found = match (kind, len) {
            (1, 6) => Map::Plain(part(map.u16(4))?),
            (2, 64) => {
                let name = String::from_utf8_lossy(map.bytes(5, 23));
                match name.trim_end_matches('\0') {
                    "*UDF Virtual Partition" => virtual_map(space, part(map.u16(38))?)?,
                    "*UDF Sparable Partition" => sparable(space, part(map.u16(38))?, &map),
                    "*UDF Metadata Partition" => metadata(space, &map)?,
                    other => Map::Unknown(other.escape_debug().to_string()),
                }
            }
            _ => {
                let what = format!("a map of type {kind} and {len} bytes");
                return Err(Error::corrupt("partition map", 0, what));
            }
        };
        space.maps.push(found);
    }
    Ok(())
}

/// The spared packets of a rewritable disc (UDF 2.2.12).
fn sparable(space: &Space, part: Partition, map: &Fields<'_>) -> Map {
    let packet = u32::from(map.u16(40)).max(1);
    let size = u64::from(map.u32(44)).min(1 << 16);
    let mut spared = BTreeMap::new();
    for n in 0..usize::from(map.u8(42)).min(4) {
        let at = u64::from(map.u32(n.saturating_mul(4).saturating_add(48))).saturating_mul(space.block);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let there = space.disk.read_at(at, &mut bytes).is_ok();
        let table = Fields(&bytes);
        if !there || table.bytes(17, 18) != b"*UDF Sparing Table" {
            continue;
        }
        let count = usize::from(table.u16(48));
        let entries = bytes.get(56..).unwrap_or_default().as_chunks::<8>().0;
        for [a, b, c, d, e, f, g, h] in entries.iter().take(count) {
            let from = u32::from_le_bytes([*a, *b, *c, *d]);
            // From 0xfffffff0 on entries are free or bad.
            if from < 0xffff_fff0 {
                spared.insert(from, u32::from_le_bytes([*e, *f, *g, *h]));
            }
        }
        break;
    }
    Map::Sparable(part, packet, spared)
}

/// The table of a disc that is written once (UDF 2.2.11): its entry is the last thing written.
fn virtual_map(space: &mut Space, part: Partition) -> Result<Map> {
    let end = space.disk.len().checked_div(space.block).unwrap_or(0);
    let own = u16::try_from(space.maps.len()).unwrap_or(u16::MAX);
    // While the table is read its own partition is a plain one.
    space.maps.push(Map::Plain(part));
    let mut found = None;
    for n in 1..=TAIL {
        let Some(block) = end.checked_sub(n) else { break };
        let at = block.saturating_mul(space.block);
        let ids = [id::FILE, id::EXTENDED_FILE];
        let Ok(bytes) = tag::read(&*space.disk, at, space.block, &ids, "virtual allocation table") else {
            continue;
        };
        let entry = icb::parse(space, at, &bytes, own);
        if let Ok(entry) = entry
            && let Some(table) = table(space, &entry)?
        {
            found = Some(table);
            break;
        }
    }
    space.maps.pop();
    let table = found.ok_or_else(|| {
        let what = format!("there is none in the last {TAIL} blocks");
        Error::corrupt("virtual allocation table", space.disk.len(), what)
    })?;
    Ok(Map::Virtual(part, table))
}

fn table(space: &Space, entry: &icb::Icb) -> Result<Option<Vec<u32>>> {
    if !matches!(entry.file_type, 0 | 248) {
        return Ok(None);
    }
    let mut meter = Meter::new(space.limits);
    let mut bytes = meter.buffer(entry.len, "virtual allocation table")?;
    entry.read(space, 0, &mut bytes)?;
    let body = if entry.file_type == 248 {
        // UDF 2.00: a header says how long it is.
        bytes.get(usize::from(Fields(&bytes).u16(0))..)
    } else {
        // UDF 1.50: an identifier and the table before this one come last.
        let end = bytes.len().checked_sub(36);
        let tail = end.and_then(|end| bytes.get(end..)).unwrap_or_default();
        let named = Fields(tail).bytes(1, 22) == b"*UDF Virtual Alloc Tbl";
        end.filter(|_| named).and_then(|end| bytes.get(..end))
    };
    Ok(body.map(|b| {
        b.as_chunks::<4>()
            .0
            .iter()
            .map(|e| u32::from_le_bytes(*e))
            .collect()
    }))
}

/// The metadata file (UDF 2.2.10), or its mirror.
fn metadata(space: &Space, map: &Fields<'_>) -> Result<Map> {
    // The maps before this one hold the partition that the file lies in.
    let number = map.u16(38);
    let under = space
        .maps
        .iter()
        .position(|m| matches!(m, Map::Plain(p) | Map::Sparable(p, ..) if p.number == number));
    let part = under.and_then(|n| u16::try_from(n).ok()).ok_or_else(|| {
        let what = format!("the metadata partition lies in {number}, which has no map before it");
        Error::corrupt("partition map", 0, what)
    })?;
    let mut failed = None;
    for block in [map.u32(40), map.u32(44)] {
        let runs = icb::read(space, Address { block, part }).and_then(|entry| match &entry.body {
            Body::Extents(extents) => Ok(extents
                .iter()
                .filter_map(|e| Some((e.at?, e.len)))
                .collect::<Vec<_>>()),
            Body::Inline(_) => Err(Error::corrupt("metadata file", entry.at, "holds no blocks")),
        });
        match runs {
            Ok(runs) => return Ok(Map::Metadata(runs)),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::corrupt("metadata file", 0, "there is none")))
}
