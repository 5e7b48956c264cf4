//! The header section ([MS-VHDX] 2.2): which of the two headers is current, and where the regions are.

use super::layout::{
    BAT_REGION, FILE_SIGNATURE, HEADER_LEN, HEADER_SIGNATURE, HEADERS, Header, MAX_ENTRIES, METADATA_REGION,
    MIB, REGION_SIGNATURE, REGION_TABLE_LEN, REGION_TABLES, RegionTableEntry, RegionTableHeader,
};
use super::log::Log;
use crate::guid::Guid;
use h2k_block::{BlockRead, Error, Result};
use std::ops::Range;
use zerocopy::FromBytes;

/// The current header, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    pub(super) header: Header,
    /// The log, if there is something in it.
    pub(super) log: Option<Log>,
}

/// Where the regions are, in bytes of the file.
#[derive(Clone, Debug)]
pub(super) struct Regions {
    pub(super) bat: Range<u64>,
    pub(super) metadata: Range<u64>,
}

/// Whether the file begins as a VHDX does.
pub(super) fn has_signature(file: &dyn BlockRead) -> Result<bool> {
    let mut signature = [0; 8];
    if file.len() < 8 {
        return Ok(false);
    }
    file.read_at(0, &mut signature)?;
    Ok(signature == FILE_SIGNATURE)
}

/// 2.2.2: of the headers with signature and checksum in order, the one with the higher sequence number.
pub(super) fn current(file: &dyn BlockRead, warnings: &mut Vec<String>) -> Result<Current> {
    let mut best: Option<(u64, Header)> = None;
    for (number, offset) in (1..).zip(HEADERS) {
        match header(file, offset)? {
            Err(why) => warnings.push(format!(
                "header {number} at {offset:#x} is not valid ({why}); the other one is used"
            )),
            Ok(found) => {
                let newer = |best: &(u64, Header)| found.sequence_number.get() > best.1.sequence_number.get();
                if best.as_ref().is_none_or(newer) {
                    best = Some((offset, found));
                }
            }
        }
    }
    let Some((offset, header)) = best else {
        return Err(Error::corrupt(
            "header",
            HEADERS[0],
            format!("neither header is valid: {}", warnings.join("; ")),
        ));
    };
    if header.version.get() != 1 {
        return Err(Error::unsupported(format!(
            "version {} of the format; version 1 is the only one known",
            header.version.get()
        ))
        .at("header", offset));
    }
    let log = log(file, offset, &header)?;
    Ok(Current { header, log })
}

fn header(file: &dyn BlockRead, offset: u64) -> Result<std::result::Result<Header, &'static str>> {
    let mut raw = [0; HEADER_LEN];
    if file.len() < offset.saturating_add(4096) {
        return Ok(Err("the file ends before it"));
    }
    file.read_at(offset, &mut raw)?;
    let Ok((header, _)) = Header::read_from_prefix(&raw) else {
        return Ok(Err("too short"));
    };
    Ok(if header.signature != HEADER_SIGNATURE {
        Err("no signature \"head\"")
    } else if checksum(&mut raw) != header.checksum.get() {
        Err("its checksum does not match")
    } else {
        Ok(header)
    })
}

fn log(file: &dyn BlockRead, offset: u64, header: &Header) -> Result<Option<Log>> {
    let found = Log {
        offset: header.log_offset.get(),
        len: header.log_length.get().into(),
        guid: header.log_guid,
    };
    if found.guid.is_nil() {
        return Ok(None);
    }
    if header.log_version.get() != 0 {
        return Err(Error::unsupported(format!(
            "version {} of the log, which holds updates; version 0 is the only one known",
            header.log_version.get()
        ))
        .at("header", offset));
    }
    let end = found.offset.checked_add(found.len);
    let aligned = found.offset.is_multiple_of(MIB) && found.len.is_multiple_of(MIB);
    if !aligned || found.len == 0 || found.offset < MIB || end.is_none_or(|end| end > file.len()) {
        return Err(Error::corrupt(
            "header",
            offset,
            format!(
                "the log at {:#x} with {:#x} bytes is not made of whole MiB inside the file, which has {:#x} bytes",
                found.offset,
                found.len,
                file.len()
            ),
        ));
    }
    Ok(Some(found))
}

/// 2.2.3: the first valid region table of the two.
pub(super) fn regions(file: &dyn BlockRead, warnings: &mut Vec<String>) -> Result<Regions> {
    let mut said = Vec::new();
    for (number, offset) in (1..).zip(REGION_TABLES) {
        match table(file, offset)? {
            Ok(raw) => {
                warnings.append(&mut said);
                return entries(file, offset, &raw);
            }
            Err(why) => said.push(format!(
                "region table {number} at {offset:#x} is not valid ({why}); the other one is used"
            )),
        }
    }
    Err(Error::corrupt(
        "region table",
        REGION_TABLES[0],
        format!("neither region table is valid: {}", said.join("; ")),
    ))
}

/// Says so when the second region table, which reading does not need, is damaged.
pub(super) fn second_table(file: &dyn BlockRead, warnings: &mut Vec<String>) -> Result<()> {
    let [_, offset] = REGION_TABLES;
    if let Err(why) = table(file, offset)? {
        warnings.push(format!("region table 2 at {offset:#x} is not valid ({why})"));
    }
    Ok(())
}

fn table(file: &dyn BlockRead, offset: u64) -> Result<std::result::Result<Vec<u8>, &'static str>> {
    let len = u64::try_from(REGION_TABLE_LEN).unwrap_or(u64::MAX);
    if file.len() < offset.saturating_add(len) {
        return Ok(Err("the file ends before it"));
    }
    let mut raw = vec![0; REGION_TABLE_LEN];
    file.read_at(offset, &mut raw)?;
    let Ok((header, _)) = RegionTableHeader::read_from_prefix(&raw) else {
        return Ok(Err("too short"));
    };
    Ok(if header.signature != REGION_SIGNATURE {
        Err("no signature \"regi\"")
    } else if checksum(&mut raw) != header.checksum.get() {
        Err("its checksum does not match")
    } else {
        Ok(raw)
    })
}

fn entries(file: &dyn BlockRead, offset: u64, raw: &[u8]) -> Result<Regions> {
    let bad = |what: String| Error::corrupt("region table", offset, what);
    let Ok((header, rest)) = RegionTableHeader::read_from_prefix(raw) else {
        return Err(bad("it is too short".to_owned()));
    };
    let count = usize::try_from(header.entry_count.get()).unwrap_or(usize::MAX);
    if count > MAX_ENTRIES {
        return Err(bad(format!("{count} entries, at most {MAX_ENTRIES} are allowed")));
    }
    let (mut bat, mut metadata) = (None, None);
    for (number, entry) in rest.as_chunks::<32>().0.iter().take(count).enumerate() {
        let Ok(entry) = RegionTableEntry::read_from_bytes(entry) else {
            continue;
        };
        let place = match entry.guid {
            BAT_REGION => &mut bat,
            METADATA_REGION => &mut metadata,
            unknown if entry.required.get() & 1 == 1 => return Err(unknown_region(offset, unknown)),
            _ => continue,
        };
        let start = entry.file_offset.get();
        let end = start.checked_add(entry.length.get().into());
        let inside = end.is_some_and(|end| end <= file.len());
        if start < MIB || !start.is_multiple_of(MIB) || entry.length.get() == 0 || !inside {
            return Err(bad(format!(
                "entry {number} places region {} at {start:#x} with {:#x} bytes; regions are whole MiB, after the \
                 first one and inside the file, which has {:#x} bytes",
                entry.guid,
                entry.length.get(),
                file.len()
            )));
        }
        if place.replace(start..end.unwrap_or(start)).is_some() {
            return Err(bad(format!("entry {number} names region {} again", entry.guid)));
        }
    }
    let (Some(bat), Some(metadata)) = (bat, metadata) else {
        return Err(bad("the BAT or the metadata region is missing".to_owned()));
    };
    if bat.start < metadata.end && metadata.start < bat.end {
        return Err(bad("the BAT and the metadata region overlap".to_owned()));
    }
    Ok(Regions { bat, metadata })
}

fn unknown_region(offset: u64, guid: Guid) -> Error {
    Error::unsupported(format!(
        "the image requires region {guid}, which this reader does not know"
    ))
    .at("region table", offset)
}

/// CRC-32C over a structure whose checksum field (bytes 4 to 8) counts as zero.
pub(super) fn checksum(raw: &mut [u8]) -> u32 {
    if let Some(field) = raw.get_mut(4..8) {
        field.fill(0);
    }
    crc32c::crc32c(raw)
}
