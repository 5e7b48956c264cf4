//! Physical volumes: label, header, metadata areas, and the text in them.

use super::layout::{AreaHeader, DiskLocation, LabelHeader, PvHeader, RawLocation};
use crate::bytes::{clipped, index, peek, wide};
use crate::name::dashed;
use h2k_block::{BlockRead, Class, Error, Meter, Result};
use zerocopy::FromBytes;

const MAGIC: &[u8; 16] = b" LVM2 x[5A%r0N*>";
/// The area's header; the ring of texts begins behind it.
const AREA_HEADER: u64 = 512;
/// LVM's CRC-32 begins with this and is not inverted at the end.
const SEED: u32 = 0xf597_a6cf;
/// The copy is kept by another physical volume; what lies here is old.
const IGNORED: u32 = 1;

/// LVM's checksum.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(!SEED);
    crc.update(bytes);
    !crc.finalize()
}

/// One device that belongs to LVM.
#[derive(Debug, Clone)]
pub(crate) struct PhysicalVolume {
    /// 32 characters with hyphens.
    pub(crate) uuid: String,
    /// Newest metadata text found on it; `None` for one that keeps none or belongs to no group.
    pub(crate) text: Option<Vec<u8>>,
    /// What is odd with it, in sentences.
    pub(crate) warnings: Vec<String>,
}

/// Reads the label and metadata of a device that was recognised as a physical volume.
pub(crate) fn read(disk: &dyn BlockRead, meter: &mut Meter) -> Result<PhysicalVolume> {
    let (sector, bytes) = label_sector(disk)?;
    let at = sector.saturating_mul(512);
    let bad = |what: String| Error::corrupt("LVM2 label", at, what);
    let (label, _) = LabelHeader::read_from_prefix(&bytes).map_err(|_| bad("too short".to_owned()))?;
    let crc = checksum(bytes.get(20..).unwrap_or_default());
    if crc != label.crc.get() {
        return Err(bad(format!(
            "checksum {:#010x}, expected {crc:#010x}",
            label.crc.get()
        )));
    }
    let offset = index(u64::from(label.offset.get()));
    let header = bytes.get(offset..).unwrap_or_default();
    let (pv, mut rest) = PvHeader::read_from_prefix(header)
        .map_err(|_| bad(format!("physical volume header at {offset}, past the sector")))?;
    // The lists end with the sector at the latest.
    let (_data, after) = locations(rest);
    rest = after;
    let (areas, _) = locations(rest);
    let mut found = PhysicalVolume {
        uuid: dashed(&pv.uuid),
        text: None,
        warnings: Vec::new(),
    };
    let mut best: Option<u64> = None;
    for area in areas {
        match metadata(disk, area.offset.get(), area.size.get(), meter) {
            Ok(Some(text)) => {
                // Areas of one device may differ after a crash: the higher sequence number counts.
                let seqno = super::group::sequence_number(&text);
                if best.is_none_or(|b| seqno > b) {
                    best = Some(seqno);
                    found.text = Some(text);
                }
            }
            Ok(None) => {}
            Err(e) if e.class() == Class::Corrupt => found.warnings.push(e.to_string()),
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// The label may be in any of the first four sectors.
fn label_sector(disk: &dyn BlockRead) -> Result<(u64, [u8; 512])> {
    for sector in 0..4_u64 {
        let bytes = peek::<512>(disk, sector.saturating_mul(512))?;
        if let Some(bytes) = bytes.filter(|b| b.starts_with(b"LABELONE")) {
            return Ok((sector, bytes));
        }
    }
    Err(Error::corrupt(
        "LVM2 label",
        0,
        "not found in the first four sectors",
    ))
}

fn locations(mut bytes: &[u8]) -> (Vec<DiskLocation>, &[u8]) {
    let mut found = Vec::new();
    while let Ok((location, rest)) = DiskLocation::read_from_prefix(bytes) {
        bytes = rest;
        if location.offset.get() == 0 {
            break;
        }
        found.push(location);
    }
    (found, bytes)
}

/// The committed text of one metadata area; `None` when there is none or it is not to be used.
fn metadata(disk: &dyn BlockRead, start: u64, size: u64, meter: &mut Meter) -> Result<Option<Vec<u8>>> {
    let bad = |what: String| Error::corrupt("LVM2 metadata area", start, what);
    let Some(header) = peek::<512>(disk, start)? else {
        return Err(bad("begins past the end of the device".to_owned()));
    };
    let crc = checksum(header.get(4..).unwrap_or_default());
    let (area, rest) =
        AreaHeader::read_from_prefix(&header).map_err(|_| bad("header too short".to_owned()))?;
    if &area.magic != MAGIC {
        return Err(bad("the magic is missing".to_owned()));
    }
    if crc != area.checksum.get() {
        return Err(bad(format!(
            "header checksum {:#010x}, expected {crc:#010x}",
            area.checksum.get()
        )));
    }
    if area.version.get() != 1 {
        return Err(Error::unsupported(format!(
            "LVM2 metadata area of version {}, known is 1",
            area.version.get()
        )));
    }
    if area.start.get() != start || area.size.get() != size || size <= AREA_HEADER {
        return Err(bad(format!(
            "says it is {:#x}+{:#x}, the label says {start:#x}+{size:#x}",
            area.start.get(),
            area.size.get()
        )));
    }
    // The first location is the committed text; a second one is a transaction that was never finished.
    let Ok((text, _)) = RawLocation::read_from_prefix(rest) else {
        return Ok(None);
    };
    if text.offset.get() == 0 || text.flags.get() & IGNORED != 0 {
        return Ok(None);
    }
    ring(disk, start, size, &text, meter).map(Some)
}

/// Reads a text that may run over the end of its ring.
fn ring(
    disk: &dyn BlockRead,
    start: u64,
    size: u64,
    text: &RawLocation,
    meter: &mut Meter,
) -> Result<Vec<u8>> {
    let (offset, len) = (text.offset.get(), text.size.get());
    let bad = |what: String| Error::corrupt("LVM2 metadata text", start.saturating_add(offset), what);
    let room = size.saturating_sub(AREA_HEADER);
    if offset < AREA_HEADER || offset >= size || len == 0 || len > room {
        return Err(bad(format!(
            "{len} bytes at {offset:#x} of an area of {size:#x} bytes"
        )));
    }
    if len > disk.len() {
        return Err(bad(format!("{len} bytes on a device of {}", disk.len())));
    }
    let whole = meter.bytes(len, "LVM2 metadata text")?;
    let first = index(size.saturating_sub(offset)).min(whole);
    let mut bytes = clipped(disk, start.saturating_add(offset), first)?;
    let second = clipped(
        disk,
        start.saturating_add(AREA_HEADER),
        whole.saturating_sub(first),
    )?;
    bytes.extend_from_slice(&second);
    if bytes.len() != whole {
        return Err(bad(format!(
            "{len} bytes, the device has {} of them",
            wide(bytes.len())
        )));
    }
    let crc = checksum(&bytes);
    if crc != text.checksum.get() {
        return Err(bad(format!(
            "checksum {crc:#010x}, expected {:#010x}",
            text.checksum.get()
        )));
    }
    Ok(bytes)
}
