//! File records: fixups undone, attribute lists followed, fragments joined.

use crate::attribute::{self, Attribute, Body};
use crate::layout::{RECORD_DIRECTORY, RECORD_IN_USE, REFERENCE, RecordHeader, kind, le16, le32, le64};
use crate::volume::Volume;
use h2k_block::{Error, Meter, Result};
use std::collections::BTreeSet;
use zerocopy::FromBytes;

/// Most records one file may spread over.
const EXTENSIONS: usize = 4096;
/// Longest attribute list.
const LIST: u64 = 4 << 20;

/// A file as its base record and all its extension records describe it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) number: u64,
    /// Byte offset of the base record in `$MFT`: where errors point.
    pub(crate) at: u64,
    pub(crate) directory: bool,
    pub(crate) attributes: Vec<Attribute>,
}

impl File {
    /// The attribute of a kind and name.
    pub(crate) fn find(&self, kind: u32, name: &[u16]) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.kind == kind && a.name == name)
    }

    /// The content of a resident attribute without a name.
    pub(crate) fn resident(&self, kind: u32) -> Option<&[u8]> {
        match &self.find(kind, &[])?.body {
            Body::Resident(bytes) => Some(bytes),
            Body::Runs { .. } => None,
        }
    }
}

/// Undoes the fixups of a record or index block: the last two bytes of every 512 lie in an array at its head.
pub(crate) fn fix_up(bytes: &mut [u8], magic: [u8; 4]) -> std::result::Result<(), String> {
    let found = bytes.first_chunk::<4>().copied().unwrap_or_default();
    if found != magic {
        let name = |m: [u8; 4]| m.escape_ascii().to_string();
        return Err(format!(
            "magic is \"{}\", expected \"{}\"",
            name(found),
            name(magic)
        ));
    }
    let offset = usize::from(le16(bytes, 4).unwrap_or(0));
    let count = usize::from(le16(bytes, 6).unwrap_or(0));
    let strides = count.saturating_sub(1);
    let list = bytes
        .get(offset..)
        .and_then(|b| b.get(..count.saturating_mul(2)))
        .map(<[u8]>::to_vec);
    let Some(list) = list.filter(|_| strides > 0 && strides.saturating_mul(512) == bytes.len()) else {
        return Err(format!(
            "{count} fixups at {offset:#x} do not belong to {} bytes",
            bytes.len()
        ));
    };
    let (list, _) = list.as_chunks::<2>();
    let Some((check, originals)) = list.split_first() else {
        return Err("has no fixups".to_owned());
    };
    for (number, (stride, original)) in bytes.chunks_exact_mut(512).zip(originals).enumerate() {
        let Some(last) = stride.last_chunk_mut::<2>() else {
            continue;
        };
        if last != check {
            return Err(format!(
                "its {}. sector was not written with the others (torn write)",
                number.saturating_add(1)
            ));
        }
        *last = *original;
    }
    Ok(())
}

/// One record: number of its base (0 when it is one), directory flag, attributes.
pub(crate) struct Raw {
    pub(crate) base: u64,
    pub(crate) directory: bool,
    pub(crate) attributes: Vec<Attribute>,
}

/// Takes apart the bytes of record `number`, which lie at `at`.
pub(crate) fn parse(mut bytes: Vec<u8>, number: u64, at: u64, clusters: u64) -> Result<Raw> {
    let bad = |within: usize, what: &str| {
        let place = at.saturating_add(u64::try_from(within).unwrap_or(0));
        Error::corrupt("MFT record", place, format!("record {number}: {what}"))
    };
    fix_up(&mut bytes, *b"FILE").map_err(|what| bad(0, &what))?;
    let (head, _) = RecordHeader::ref_from_prefix(&bytes).map_err(|_| bad(0, "is too short"))?;
    // $MFT is in use whatever it says of itself: without it there is no volume.
    if head.flags.get() & RECORD_IN_USE == 0 && number != crate::layout::record::MFT {
        return Err(bad(22, "is not in use"));
    }
    let used = usize::try_from(head.used.get()).unwrap_or(usize::MAX);
    let body = bytes
        .get(..used)
        .ok_or_else(|| bad(24, &format!("says it uses {used} bytes")))?;
    let attributes = attribute::parse(body, head.first_attribute.get().into(), clusters)
        .map_err(|(within, what)| bad(within, &format!("an attribute {what}")))?;
    Ok(Raw {
        base: head.base.get() & REFERENCE,
        directory: head.flags.get() & RECORD_DIRECTORY != 0,
        attributes,
    })
}

/// Reads file `number` with all its records.
pub(crate) fn read(volume: &Volume, number: u64) -> Result<File> {
    let at = number.saturating_mul(volume.geometry.record.into());
    let bad = |what: String| Error::corrupt("MFT record", at, format!("record {number}: {what}"));
    let base = volume.record(number)?;
    if base.base != 0 {
        return Err(bad(format!("belongs to record {}", base.base)));
    }
    let mut all = base.attributes;
    if let Some(list) = all.iter().find(|a| a.kind == kind::ATTRIBUTE_LIST) {
        let mut meter = Meter::new(volume.limits);
        let list = volume
            .small(list, LIST, &mut meter)
            .map_err(|e| e.at("attribute list", at))?;
        for other in extensions(&list, number).map_err(bad)? {
            meter.step("extension record")?;
            let raw = volume.record(other)?;
            if raw.base != number {
                return Err(bad(format!(
                    "its list names record {other}, which belongs to record {}",
                    raw.base
                )));
            }
            all.extend(raw.attributes);
        }
    }
    let attributes = attribute::join(all).map_err(bad)?;
    Ok(File {
        number,
        at,
        directory: base.directory,
        attributes,
    })
}

/// The records other than `own` that an attribute list names.
pub(crate) fn extensions(list: &[u8], own: u64) -> std::result::Result<BTreeSet<u64>, String> {
    let mut found = BTreeSet::new();
    let mut rest = list;
    while le32(rest, 0).is_some_and(|k| k != 0 && k != kind::END) {
        let len = usize::from(le16(rest, 4).unwrap_or(0));
        let reference = le64(rest, 16).ok_or("its attribute list ends in an entry")?;
        let other = reference & REFERENCE;
        if other != own {
            found.insert(other);
        }
        if len < 26 || found.len() > EXTENSIONS {
            return Err(format!(
                "its attribute list has an entry of {len} bytes or names too many records"
            ));
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(found)
}
