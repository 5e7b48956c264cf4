//! Subvolumes and snapshots: trees of files that hang from one another.

use crate::inode::time;
use crate::layout::{Key, ROOT_RDONLY, RootItem, RootItemMore, RootRef, kind, object};
use crate::superblock::LEVELS;
use crate::tree::Root;
use crate::volume::Volume;
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::Time;
use std::collections::{BTreeMap, BTreeSet};
use zerocopy::FromBytes;

const NAME: &str = "root item";
/// `btrfs_inode_ref` without its name: index and name length.
const INODE_REF: u8 = 12;
const INODE_REF_HEAD: usize = 10;

/// One subvolume or snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subvolume {
    /// Its number, as `subvolid=` takes it; 5 is the top level.
    pub id: u64,
    /// The subvolume it hangs in; `None` for the top level and for what hangs nowhere.
    pub parent: Option<u64>,
    /// Its path from the top level, as `subvol=` takes it (without a leading `/`); empty for the top level, `None` when no
    /// directory entry leads there.
    pub path: Option<Vec<u8>>,
    /// Nobody may write to it.
    pub read_only: bool,
    /// Its UUID, where it has one.
    pub uuid: Option<[u8; 16]>,
    /// The UUID of what it is a snapshot of.
    pub parent_uuid: Option<[u8; 16]>,
    /// The transaction that changed it last.
    pub generation: u64,
    /// When it was made, where that is kept.
    pub created: Option<Time>,
}

/// A root item that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) root: Root,
    pub(crate) directory: u64,
    pub(crate) live: bool,
    read_only: bool,
    uuid: Option<[u8; 16]>,
    parent_uuid: Option<[u8; 16]>,
    created: Option<Time>,
}

/// Whether `id` is the number of a tree of files.
pub(crate) fn is_files(id: u64) -> bool {
    id == object::FS_TREE || (object::FIRST_FREE..=object::LAST_FREE).contains(&id)
}

fn parse(id: u64, bytes: &[u8], at: u64) -> Result<Item> {
    let bad = |what: String| Error::corrupt(NAME, at, format!("tree {id}: {what}"));
    let (item, more) = RootItem::ref_from_prefix(bytes).map_err(|_| {
        bad(format!(
            "has {} bytes, {} were expected",
            bytes.len(),
            size_of::<RootItem>()
        ))
    })?;
    if item.level >= LEVELS {
        return Err(bad(format!(
            "level is {}, below {LEVELS} was expected",
            item.level
        )));
    }
    let more = RootItemMore::ref_from_prefix(more)
        .ok()
        .filter(|(m, _)| m.generation_v2.get() == item.generation.get());
    let some = |id: [u8; 16]| (id != [0; 16]).then_some(id);
    // Behind the three UUIDs and four transaction numbers: when it was changed and made.
    let created = more.and_then(|(_, rest)| {
        let times = rest.get(16_usize.checked_add(32)?..)?;
        let (otime, _) = crate::layout::Timespec::ref_from_prefix(times.get(12..)?).ok()?;
        Some(time(otime)).filter(|t| *t != Time::default())
    });
    Ok(Item {
        root: Root {
            at: item.bytenr.get(),
            level: item.level,
            generation: item.generation.get(),
        },
        directory: item.root_dirid.get(),
        live: item.refs.get() > 0,
        read_only: item.flags.get() & ROOT_RDONLY != 0,
        uuid: more.and_then(|(m, _)| some(m.uuid)),
        parent_uuid: more.and_then(|(m, _)| some(m.parent_uuid)),
        created,
    })
}

/// The root item of tree `id`; `None` when there is no such tree.
pub(crate) fn item(volume: &Volume, roots: &Root, id: u64) -> Result<Option<Item>> {
    // Snapshots have the transaction that made them as offset; there is one item a number.
    let Some(cursor) = roots.seek_back(volume, Key::new(id, kind::ROOT, u64::MAX))? else {
        return Ok(None);
    };
    let found = cursor.item_of(id, kind::ROOT);
    found.map(|(_, bytes)| parse(id, bytes, cursor.at())).transpose()
}

/// Whether the entry `name` of directory `dir` in subvolume `parent` is where subvolume `child` hangs. Snapshots keep
/// the entries of subvolumes below the original, and those lead nowhere.
pub(crate) fn hangs(
    volume: &Volume,
    roots: &Root,
    parent: u64,
    dir: u64,
    name: &[u8],
    child: u64,
) -> Result<bool> {
    let Some(cursor) = roots.get(volume, Key::new(parent, kind::ROOT_REF, child))? else {
        return Ok(false);
    };
    let bytes = cursor.item().map_or(&[][..], |(_, bytes)| bytes);
    let (head, stored) = RootRef::ref_from_prefix(bytes)
        .map_err(|_| Error::corrupt("root reference", cursor.at(), "is cut short"))?;
    Ok(head.dirid.get() == dir && stored.get(..head.name_len.get().into()) == Some(name))
}

/// The number of the default subvolume.
pub(crate) fn default(volume: &Volume, roots: &Root, dir: u64) -> Result<u64> {
    let dir = if dir == 0 { object::ROOT_TREE_DIR } else { dir };
    let found = crate::dir::lookup(volume, roots, dir, b"default")?;
    Ok(found
        .filter(|key| key.kind == kind::ROOT)
        .map_or(object::FS_TREE, |key| key.object))
}

/// All live subvolumes, by number.
pub(crate) fn all(volume: &Volume, roots: &Root, meter: &mut Meter) -> Result<Vec<Subvolume>> {
    let mut found: BTreeMap<u64, Item> = BTreeMap::new();
    // Child: parent, directory there, name.
    let mut hooks: BTreeMap<u64, (u64, u64, Vec<u8>)> = BTreeMap::new();
    let mut cursor = roots.seek(volume, Key::new(object::FS_TREE, 0, 0))?;
    while let Some((key, bytes)) = cursor.item() {
        meter.step("root tree item")?;
        if key.object > object::LAST_FREE {
            break;
        }
        if is_files(key.object) && key.kind == kind::ROOT {
            meter.bytes(256, "subvolumes")?;
            found.insert(key.object, parse(key.object, bytes, cursor.at())?);
        } else if is_files(key.object) && key.kind == kind::ROOT_BACKREF {
            meter.bytes(512, "subvolumes")?;
            let (head, name) = RootRef::ref_from_prefix(bytes)
                .map_err(|_| Error::corrupt("root reference", cursor.at(), "is cut short"))?;
            let name = name.get(..head.name_len.get().into()).unwrap_or_default();
            hooks.insert(key.object, (key.offset, head.dirid.get(), name.to_vec()));
        }
        cursor.next()?;
    }
    found.retain(|_, item| item.live);
    let mut list = Vec::with_capacity(found.len());
    for (id, item) in &found {
        list.push(Subvolume {
            id: *id,
            parent: hooks.get(id).map(|(parent, ..)| *parent),
            path: path(volume, &found, &hooks, *id, meter)?,
            read_only: item.read_only,
            uuid: item.uuid,
            parent_uuid: item.parent_uuid,
            generation: item.root.generation,
            created: item.created,
        });
    }
    Ok(list)
}

/// The path of subvolume `id` from the top level.
fn path(
    volume: &Volume,
    found: &BTreeMap<u64, Item>,
    hooks: &BTreeMap<u64, (u64, u64, Vec<u8>)>,
    id: u64,
    meter: &mut Meter,
) -> Result<Option<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut here = id;
    while here != object::FS_TREE {
        let (Some((parent, dir, name)), true) = (hooks.get(&here), seen.insert(here)) else {
            return Ok(None);
        };
        let Some(tree) = found.get(parent) else {
            return Ok(None);
        };
        parts.push(name.clone());
        let mut dir = *dir;
        let mut dirs = BTreeSet::new();
        while dir != tree.directory {
            meter.step("directory on the way to a subvolume")?;
            meter.bytes(512, "path of a subvolume")?;
            let (true, Some((above, name))) = (dirs.insert(dir), parent_of(volume, &tree.root, dir)?) else {
                return Ok(None);
            };
            parts.push(name);
            dir = above;
        }
        here = *parent;
    }
    parts.reverse();
    Ok(Some(parts.join(&b'/')))
}

/// The directory that holds directory `number`, and its name there.
fn parent_of(volume: &Volume, root: &Root, number: u64) -> Result<Option<(u64, Vec<u8>)>> {
    let cursor = root.seek(volume, Key::new(number, INODE_REF, 0))?;
    let Some((key, bytes)) = cursor.item_of(number, INODE_REF) else {
        return Ok(None);
    };
    let found = bytes
        .split_first_chunk::<INODE_REF_HEAD>()
        .and_then(|(head, rest)| {
            let [.., low, high] = *head;
            let name = rest.get(..u16::from_le_bytes([low, high]).into())?;
            Some((key.offset, name.to_vec()))
        });
    found
        .map(Some)
        .ok_or_else(|| Error::corrupt("inode reference", cursor.at(), format!("{key}: is cut short")))
}

/// The error for a subvolume that is named and does not exist.
pub(crate) fn absent(id: u64) -> Error {
    Error::new(Class::NotFound, format!("there is no subvolume {id}"))
}
