//! The extents of a file.

use crate::codec::Coding;
use crate::layout::{ExtentHead, ExtentTail, INLINE, Key, kind};
use crate::tree::{Cursor, Root};
use crate::volume::Volume;
use h2k_block::{Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "file extent item";
/// Most that one compressed extent holds, decoded.
const MOST: u64 = 128 << 10;

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing was written.
    Hole,
    /// Space that was set aside and never written: reads as zero.
    Reserved,
    /// The content is in the item itself.
    Inline(Option<Coding>),
    /// The content lies at a logical address.
    Disk(Disk),
}

/// An extent outside of the tree; `ram` and `offset` count decoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) ram: u64,
    /// Where the file's part begins.
    pub(crate) offset: u64,
    pub(crate) coding: Option<Coding>,
}

/// A run of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// First byte in the file.
    pub(crate) start: u64,
    /// First byte after it.
    pub(crate) end: u64,
    pub(crate) body: Body,
}

/// The run that holds byte `at` of file `number`, and a cursor at its item; a hole reaches to the next extent.
pub(crate) fn find<'a>(
    volume: &'a Volume,
    root: &Root,
    number: u64,
    at: u64,
) -> Result<(Run, Option<Cursor<'a>>)> {
    let hole = |end: u64| Run {
        start: at,
        end,
        body: Body::Hole,
    };
    let key = Key::new(number, kind::EXTENT_DATA, at);
    let mut cursor = match root.seek_back(volume, key)? {
        Some(cursor) => cursor,
        None => root.seek(volume, key)?,
    };
    if let Some((key, bytes)) = cursor.item_of(number, kind::EXTENT_DATA)
        && key.offset <= at
    {
        let run = parse(volume, &key, bytes, cursor.at())?;
        if at < run.end {
            return Ok((run, Some(cursor)));
        }
    }
    if cursor.item().is_some_and(|(k, _)| k <= key) {
        cursor.next()?;
    }
    Ok((
        hole(
            cursor
                .item_of(number, kind::EXTENT_DATA)
                .map_or(u64::MAX, |(k, _)| k.offset),
        ),
        None,
    ))
}

/// The content of an inline extent, as stored.
pub(crate) fn inline<'a>(cursor: &'a Cursor<'_>) -> &'a [u8] {
    let bytes = cursor.item().map_or(&[][..], |(_, bytes)| bytes);
    bytes.get(INLINE..).unwrap_or_default()
}

fn parse(volume: &Volume, key: &Key, bytes: &[u8], at: u64) -> Result<Run> {
    let bad = |what: String| Error::corrupt(NAME, at, format!("{key}: {what}"));
    let (head, rest) = ExtentHead::ref_from_prefix(bytes).map_err(|_| bad("is cut short".to_owned()))?;
    let coding = match head.compression {
        0 => None,
        1 => Some(Coding::Zlib),
        2 => Some(Coding::Lzo),
        3 => Some(Coding::Zstd),
        other => {
            let what = format!("compression type {other} is not known");
            return Err(Error::unsupported(what).at(NAME, at));
        }
    };
    if head.encryption != 0 || head.other_encoding.get() != 0 {
        let what = format!(
            "encryption {} and encoding {} are not known",
            head.encryption, head.other_encoding
        );
        return Err(Error::unsupported(what).at(NAME, at));
    }
    let ram = head.ram_bytes.get();
    let start = key.offset;
    if head.kind == 0 {
        let stored = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if start != 0 || ram > MOST || (coding.is_none() && ram > stored) {
            return Err(bad(format!(
                "an inline extent of {ram} bytes, {stored} are stored"
            )));
        }
        return Ok(Run {
            start,
            end: ram,
            body: Body::Inline(coding),
        });
    }
    if head.kind > 2 {
        return Err(bad(format!("extent type is {}, 0 to 2 are known", head.kind)));
    }
    let (tail, _) = ExtentTail::ref_from_prefix(rest).map_err(|_| bad("is cut short".to_owned()))?;
    let disk = Disk {
        at: tail.disk_bytenr.get(),
        len: tail.disk_num_bytes.get(),
        ram,
        offset: tail.offset.get(),
        coding,
    };
    let count = tail.num_bytes.get();
    let sector = u64::from(volume.sb.sector);
    for (name, value) in [
        ("offset in the file", start),
        ("length", count),
        ("address", disk.at),
        ("length on disk", disk.len),
        ("offset in the extent", disk.offset),
    ] {
        if !value.is_multiple_of(sector) {
            return Err(bad(format!(
                "{name} {value:#x} is no multiple of the sector size {sector}"
            )));
        }
    }
    let end = start.checked_add(count).filter(|_| count > 0);
    let end = end.ok_or_else(|| bad(format!("has {count:#x} bytes")))?;
    let body = if disk.at == 0 {
        Body::Hole
    } else {
        let whole = if coding.is_some() { ram } else { disk.len };
        if disk.offset.checked_add(count).is_none_or(|e| e > whole) {
            return Err(bad(format!(
                "{:#x}+{count:#x} of an extent of {whole:#x} bytes",
                disk.offset
            )));
        }
        if disk.at.checked_add(disk.len).is_none() {
            return Err(bad(format!("{:#x} bytes at {:#x}", disk.len, disk.at)));
        }
        if coding.is_some() && (ram > MOST || disk.len > MOST) {
            return Err(bad(format!(
                "{} bytes compressed from {ram}, {MOST} are allowed",
                disk.len
            )));
        }
        if head.kind == 2 {
            Body::Reserved
        } else {
            Body::Disk(disk)
        }
    };
    Ok(Run { start, end, body })
}
