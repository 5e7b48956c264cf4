//! Directory records, and what they say together with Rock Ridge.

use super::descriptor::Tree;
use super::layout::{Record, SECTOR, flag};
use super::susp::{self, Rock, Zisofs};
use super::time;
use h2k_block::{BlockRead, Error, Result};
use h2k_fs::{FileKind, Time};
use zerocopy::FromBytes;

pub(crate) const NAME: &str = "directory record";
/// Sections one file may have; a 4 TiB file has a thousand.
const MOST_EXTENTS: usize = 1024;

/// A record and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// Byte of the disc where it lies.
    pub(crate) at: u64,
    pub(crate) record: Record,
    pub(crate) name: Vec<u8>,
    /// System use area.
    pub(crate) area: Vec<u8>,
}

impl Raw {
    /// The record at the beginning of `bytes`, which lie at `at`. `None` where a sector has no more records.
    pub(crate) fn parse(at: u64, bytes: &[u8]) -> Result<Option<Self>> {
        let bad = |what: String| Error::corrupt(NAME, at, what);
        let Some(len) = bytes.first().copied().filter(|len| *len != 0) else {
            return Ok(None);
        };
        let Some(bytes) = bytes.get(..usize::from(len)) else {
            return Err(bad(format!(
                "{len} bytes, {} are left of its sector",
                bytes.len()
            )));
        };
        let (record, rest) =
            Record::read_from_prefix(bytes).map_err(|_| bad(format!("{len} bytes, 34 is the least")))?;
        let Some((name, rest)) = rest.split_at_checked(usize::from(record.name_len)) else {
            return Err(bad(format!("a name of {} bytes in {len}", record.name_len)));
        };
        // A name of even length is followed by a byte that makes the whole even.
        let pad = usize::from(name.len().is_multiple_of(2));
        Ok(Some(Self {
            at,
            record,
            name: name.to_vec(),
            area: rest.get(pad..).unwrap_or_default().to_vec(),
        }))
    }

    /// The record at byte `at` of `disk`.
    pub(crate) fn read(disk: &dyn BlockRead, at: u64) -> Result<Self> {
        let room = SECTOR.saturating_sub(at % SECTOR).min(256);
        let mut bytes = [0; 256];
        let bytes = usize::try_from(room)
            .ok()
            .and_then(|n| bytes.get_mut(..n))
            .unwrap_or_default();
        disk.read_at(at, bytes)?;
        Self::parse(at, bytes)?.ok_or_else(|| Error::corrupt(NAME, at, "there is none"))
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.record.flags & flag::DIRECTORY != 0
    }

    /// Byte its extent begins at, behind the extended attribute record.
    pub(crate) fn start(&self, tree: &Tree) -> u64 {
        let block = u64::from(self.record.extent.get()).saturating_add(self.record.attribute_len.into());
        block.saturating_mul(tree.block)
    }
}

/// A file, directory or link.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) at: u64,
    pub(crate) kind: FileKind,
    /// Bytes of the content as it is read.
    pub(crate) len: u64,
    /// Bytes stored.
    pub(crate) stored: u64,
    /// First byte and length of each section.
    pub(crate) extents: Vec<(u64, u64)>,
    pub(crate) rock: Rock,
    pub(crate) recorded: Time,
    pub(crate) zisofs: Option<Zisofs>,
    /// Why the content is not read.
    pub(crate) refused: Option<String>,
}

/// Puts the inode of the record at byte `at` together. `rock` is the skip of each area, where Rock Ridge is used.
pub(crate) fn inode(disk: &dyn BlockRead, tree: &Tree, at: u64, rock: Option<usize>) -> Result<Inode> {
    let raw = Raw::read(disk, at)?;
    let mut refused = refusal(&raw.record);
    let mut extents = Vec::new();
    let mut stored = 0_u64;
    let mut next = raw.clone();
    loop {
        let len = u64::from(next.record.size.get());
        stored = stored.saturating_add(len);
        extents.push((next.start(tree), len));
        if next.record.flags & flag::MORE == 0 || raw.is_dir() {
            break;
        }
        if extents.len() >= MOST_EXTENTS {
            let what = format!("a file of more than {MOST_EXTENTS} sections");
            return Err(Error::corrupt(NAME, at, what));
        }
        next = following(disk, &next)?;
        refused = refused.or_else(|| refusal(&next.record));
    }
    let area = |skip: usize| raw.area.get(skip..).unwrap_or_default();
    let rock = match rock {
        Some(skip) => susp::read(disk, tree.block, area(skip), at)?,
        None => Rock::default(),
    };
    let by_mode = rock.mode.and_then(FileKind::from_mode);
    let kind = match by_mode {
        _ if raw.is_dir() => FileKind::Dir,
        // A directory by its mode alone has no records to list.
        Some(FileKind::Dir) | None if rock.target.is_empty() => FileKind::File,
        Some(FileKind::Dir) | None => FileKind::Link,
        Some(kind) => kind,
    };
    let len = match kind {
        FileKind::Link => u64::try_from(rock.target.len()).unwrap_or(0),
        FileKind::File | FileKind::Dir => rock.zisofs.map_or(stored, |z| z.size.into()),
        _ => 0,
    };
    Ok(Inode {
        at,
        kind,
        len,
        stored,
        extents,
        recorded: time::short(raw.record.date).unwrap_or_default(),
        zisofs: rock.zisofs.filter(|_| kind == FileKind::File),
        refused: refused.or_else(|| rock.coded.clone()),
        rock,
    })
}

fn refusal(record: &Record) -> Option<String> {
    let interleaved = record.unit != 0 || record.gap != 0;
    interleaved.then(|| {
        format!(
            "an interleaved file (units of {}, gaps of {})",
            record.unit, record.gap
        )
    })
}

/// The next record of the same directory: behind this one, or at the beginning of the next sector.
fn following(disk: &dyn BlockRead, raw: &Raw) -> Result<Raw> {
    let at = raw.at.saturating_add(raw.record.len.into());
    let room = SECTOR.saturating_sub(at % SECTOR);
    if room < SECTOR {
        let mut len = [0];
        disk.read_at(at, &mut len)?;
        if len != [0] {
            return Raw::read(disk, at);
        }
        return Raw::read(disk, at.saturating_add(room));
    }
    Raw::read(disk, at)
}

impl Inode {
    /// Where byte `offset` of what is stored lies, and how many follow it there.
    pub(crate) fn place(&self, offset: u64) -> Option<(u64, u64)> {
        let mut before = 0_u64;
        for (at, len) in &self.extents {
            if let Some(within) = offset.checked_sub(before)
                && within < *len
            {
                return Some((at.saturating_add(within), len.saturating_sub(within)));
            }
            before = before.saturating_add(*len);
        }
        None
    }
}
