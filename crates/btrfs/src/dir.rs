//! Directories and extended attributes: both are items that hold named entries.

use crate::checksum::name_hash;
use crate::layout::{DirItem, Key, kind};
use crate::tree::{Cursor, Root};
use crate::volume::Volume;
use h2k_block::{Error, Result};
use h2k_fs::{EachXattr, FileKind};
use std::ops::ControlFlow;
use zerocopy::FromBytes;

/// Longest name in bytes.
const LONGEST: usize = 255;

/// One entry of a directory.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    /// An inode of this subvolume, or the root item of another.
    pub(crate) location: Key,
    pub(crate) kind: Option<FileKind>,
}

/// An entry as it is stored.
struct Raw<'a> {
    head: &'a DirItem,
    name: &'a [u8],
    data: &'a [u8],
}

type EachRaw<'a> = dyn FnMut(Raw<'_>) -> Result<ControlFlow<()>> + 'a;

/// Takes the first of the entries in `bytes`, and says what follows it.
fn first(bytes: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let (head, rest) = DirItem::ref_from_prefix(bytes).ok()?;
    let (name, rest) = rest.split_at_checked(head.name_len.get().into())?;
    let (data, rest) = rest.split_at_checked(head.data_len.get().into())?;
    Some((Raw { head, name, data }, rest))
}

/// Shows the entries of an item until `each` breaks; says whether it did.
fn entries(
    cursor: &Cursor<'_>,
    bytes: &[u8],
    what: &'static str,
    each: &mut EachRaw<'_>,
) -> Result<ControlFlow<()>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((entry, more)) = first(rest) else {
            let found = format!(
                "an entry does not fit in what is left of its item ({} bytes)",
                rest.len()
            );
            return Err(Error::corrupt(what, cursor.at(), found));
        };
        if each(entry)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        rest = more;
    }
    Ok(ControlFlow::Continue(()))
}

fn checked<'a>(cursor: &Cursor<'_>, entry: &Raw<'a>) -> Result<Entry<'a>> {
    let name = entry.name;
    let odd = name.is_empty() || name.len() > LONGEST || name == b"." || name == b"..";
    if odd || name.contains(&b'/') || name.contains(&0) {
        let what = format!("{:?} is no name", String::from_utf8_lossy(name));
        return Err(Error::corrupt("directory item", cursor.at(), what));
    }
    Ok(Entry {
        name,
        location: entry.head.location.get(),
        // The highest bit says that the name is encrypted.
        kind: FileKind::from_entry(entry.head.kind & 0x7f),
    })
}

/// Shows the entries of directory `number` in the order in which they were made.
pub(crate) fn list(
    volume: &Volume,
    root: &Root,
    number: u64,
    each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut cursor = root.seek(volume, Key::new(number, kind::DIR_INDEX, 0))?;
    while let Some((_, bytes)) = cursor.item_of(number, kind::DIR_INDEX) {
        let shown = entries(&cursor, bytes, "directory index", &mut |entry| {
            each(checked(&cursor, &entry)?)
        })?;
        if shown.is_break() {
            break;
        }
        cursor.next()?;
    }
    Ok(())
}

/// Where the entry `wanted` of directory `number` leads.
pub(crate) fn lookup(volume: &Volume, root: &Root, number: u64, wanted: &[u8]) -> Result<Option<Key>> {
    let key = Key::new(number, kind::DIR_ITEM, name_hash(wanted));
    let Some(cursor) = root.get(volume, key)? else {
        return Ok(None);
    };
    let bytes = cursor.item().map_or(&[][..], |(_, bytes)| bytes);
    let mut found = None;
    // Names of the same hash share an item.
    let _ = entries(&cursor, bytes, "directory item", &mut |entry| {
        if entry.name != wanted {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(checked(&cursor, &entry)?.location);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Shows the extended attributes of inode `number`.
pub(crate) fn xattrs(volume: &Volume, root: &Root, number: u64, each: &mut EachXattr<'_>) -> Result<()> {
    let mut cursor = root.seek(volume, Key::new(number, kind::XATTR, 0))?;
    while let Some((_, bytes)) = cursor.item_of(number, kind::XATTR) {
        let shown = entries(&cursor, bytes, "extended attribute", &mut |entry| {
            Ok(each(entry.name, entry.data))
        })?;
        if shown.is_break() {
            break;
        }
        cursor.next()?;
    }
    Ok(())
}
