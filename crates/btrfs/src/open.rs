//! From disks to a filesystem: superblocks, system chunks, the chunk tree, the root tree.

use crate::chunk::{Chunk, Chunks};
use crate::layout::{DevItem, DiskKey, Key, kind, object, super_flag};
use crate::superblock::{self, LEVELS, Super};
use crate::tree::Root;
use crate::volume::{Device, Volume};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use zerocopy::FromBytes;

/// Memory one chunk and one of its stripes take, for the account.
const CHUNK: u64 = 96;
const STRIPE: u64 = 32;

/// What a disk that holds (a part of) a btrfs filesystem says of itself. Disks that belong together have the same
/// [`fsid`](Self::fsid) and different [`devid`](Self::devid)s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// UUID of the filesystem, as `blkid` shows it.
    pub fsid: [u8; 16],
    /// Number of the device within the filesystem, from 1.
    pub devid: u64,
    /// UUID of the device.
    pub uuid: [u8; 16],
    /// How many devices the filesystem has.
    pub devices: u64,
    /// The transaction that was written last.
    pub generation: u64,
    /// Label of the filesystem, if it has one.
    pub label: Option<Vec<u8>>,
}

/// A device of the filesystem, given or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Number of the device within the filesystem, from 1.
    pub devid: u64,
    /// UUID of the device.
    pub uuid: [u8; 16],
    /// Bytes of it that the filesystem has.
    pub bytes: u64,
    /// Whether a disk was given that is it.
    pub present: bool,
}

/// What the disk says of itself; `None` when it holds no superblock of btrfs.
///
/// # Errors
/// When the disk cannot be read, or its superblocks are all damaged or of an unknown kind.
pub fn member(disk: &dyn BlockRead) -> Result<Option<Member>> {
    let through = |e: Error| e.through("btrfs");
    if !superblock::probe(disk).map_err(through)? {
        return Ok(None);
    }
    let sb = superblock::read(disk, &mut |_| ()).map_err(through)?;
    let label = sb.label();
    Ok(Some(Member {
        fsid: sb.head.fsid,
        devid: sb.head.dev_item.devid.get(),
        uuid: sb.head.dev_item.uuid,
        devices: sb.head.num_devices.get(),
        generation: sb.head.generation.get(),
        label: (!label.is_empty()).then_some(label),
    }))
}

/// What opening found.
pub(crate) struct Opened {
    pub(crate) volume: Volume,
    /// The tree of trees.
    pub(crate) roots: Root,
    pub(crate) devices: Vec<DeviceInfo>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn open(disks: Vec<Arc<dyn BlockRead>>, limits: &Limits) -> Result<Opened> {
    let mut warnings = Vec::new();
    let mut found: Vec<(Arc<dyn BlockRead>, Super)> = Vec::new();
    let several = disks.len() > 1;
    for (number, disk) in (1_u64..).zip(disks) {
        let name = |text: String| {
            if several {
                format!("disk {number}: {text}")
            } else {
                text
            }
        };
        let sb = superblock::read(&*disk, &mut |w| warnings.push(name(w)));
        let sb = sb.map_err(|e| {
            if several {
                e.through(format!("disk {number}"))
            } else {
                e
            }
        })?;
        found.push((disk, sb));
    }
    let main = found
        .iter()
        .map(|(_, sb)| sb)
        .max_by_key(|sb| (!sb.is_seed(), sb.head.generation.get()));
    let main = main
        .cloned()
        .ok_or_else(|| Error::new(Class::Invalid, "no disk was given"))?;
    let ids = identities(&found, &main)?;
    let devices = devices(found, &main, &mut warnings);
    superblock_warnings(&main, &mut warnings);

    let mut meter = Meter::new(*limits);
    let system = system_chunks(&main, &mut meter)?;
    let root = |at: u64, level: u8, generation: u64| {
        if level < LEVELS {
            Ok(Root {
                at,
                level,
                generation,
            })
        } else {
            let what = format!("a tree has level {level}, below {LEVELS} was expected");
            Err(Error::corrupt("superblock", main.at, what))
        }
    };
    let head = &main.head;
    let chunk_root = root(
        head.chunk_root.get(),
        head.chunk_root_level,
        head.chunk_root_generation.get(),
    )?;
    let roots = root(head.root.get(), head.root_level, head.generation.get())?;
    let mut volume = Volume::new(devices, system, main, ids);
    let (chunks, members) = chunk_tree(&volume, &chunk_root, &mut meter)?;
    volume.chunks = chunks;
    let members: Vec<DeviceInfo> = members
        .into_iter()
        .map(|d| DeviceInfo {
            present: volume.device(d.devid, &d.uuid).is_some(),
            ..d
        })
        .collect();
    let expected = volume.sb.head.num_devices.get();
    if u64::try_from(members.len()).unwrap_or(0) != expected {
        warnings.push(format!(
            "the superblock counts {expected} devices, the chunk tree knows {}",
            members.len()
        ));
    }
    for device in members.iter().filter(|d| !d.present) {
        warnings.push(format!("device {} of the filesystem is missing", device.devid));
    }
    for device in &volume.devices {
        if !members.iter().any(|m| m.uuid == device.uuid) {
            warnings.push(format!(
                "device {} is no part of the filesystem any more",
                device.devid
            ));
        }
    }
    Ok(Opened {
        volume,
        roots,
        devices: members,
        warnings,
    })
}

/// Which filesystem ids tree blocks may carry. All disks have to be of one filesystem, seeds aside.
fn identities(found: &[(Arc<dyn BlockRead>, Super)], main: &Super) -> Result<Vec<[u8; 16]>> {
    let mut ids = vec![main.metadata_id()];
    for (_, sb) in found {
        let id = sb.metadata_id();
        if ids.contains(&id) {
            continue;
        }
        if !sb.is_seed() {
            let hex = |id: [u8; 16]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let what = format!(
                "disks of two filesystems were given together ({} and {})",
                hex(main.metadata_id()),
                hex(id)
            );
            return Err(Error::new(Class::Invalid, what));
        }
        ids.push(id);
    }
    Ok(ids)
}

fn devices(found: Vec<(Arc<dyn BlockRead>, Super)>, main: &Super, warnings: &mut Vec<String>) -> Vec<Device> {
    let newest = main.head.generation.get();
    let mut devices: Vec<(u64, Device)> = Vec::new();
    for (disk, sb) in found {
        let (devid, uuid) = (sb.head.dev_item.devid.get(), sb.head.dev_item.uuid);
        let generation = sb.head.generation.get();
        let stale = generation < newest && !sb.is_seed();
        if stale {
            warnings.push(format!(
                "device {devid} was last written at generation {generation}, the filesystem is at {newest}"
            ));
        }
        let device = Device {
            disk,
            devid,
            uuid,
            stale,
        };
        match devices.iter_mut().find(|(_, d)| d.uuid == uuid) {
            None => devices.push((generation, device)),
            Some(old) => {
                warnings.push(format!("device {devid} was given twice; the newer copy is read"));
                if old.0 < generation {
                    *old = (generation, device);
                }
            }
        }
    }
    devices.into_iter().map(|(_, d)| d).collect()
}

fn superblock_warnings(sb: &Super, warnings: &mut Vec<String>) {
    if sb.head.log_root.get() != 0 {
        warnings.push(
            "there is a log tree (the volume was not unmounted cleanly): what was synchronised after the last \
             transaction is not shown"
                .to_owned(),
        );
    }
    if sb.has(super_flag::ERROR) {
        warnings.push("the filesystem is marked as one that met an error".to_owned());
    }
    if sb.has(super_flag::METADUMP | super_flag::METADUMP_V2) {
        warnings.push("this is a dump of metadata: file contents were not copied".to_owned());
    }
}

/// The chunks that are needed to find the chunk tree: keys and chunk items in turn, in the superblock.
fn system_chunks(sb: &Super, meter: &mut Meter) -> Result<Chunks> {
    let len = usize::try_from(sb.head.sys_chunk_array_size.get()).unwrap_or(0);
    let mut rest = sb.head.sys_chunk_array.get(..len).unwrap_or_default();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let bad = |what: &str| Error::corrupt("array of system chunks", sb.at, what);
        let (key, body) = DiskKey::ref_from_prefix(rest).map_err(|_| bad("ends within a key"))?;
        if key.kind != kind::CHUNK {
            return Err(bad(&format!(
                "item type is {}, expected {}",
                key.kind,
                kind::CHUNK
            )));
        }
        let (chunk, used) = Chunk::parse(key.offset.get(), body, sb.sector, sb.at)?;
        pay(&chunk, meter)?;
        chunks.push(chunk);
        rest = body.get(used..).unwrap_or_default();
    }
    Chunks::new(chunks)
}

fn pay(chunk: &Chunk, meter: &mut Meter) -> Result<()> {
    let stripes = u64::try_from(chunk.stripes.len()).unwrap_or(u64::MAX);
    meter.bytes(stripes.saturating_mul(STRIPE).saturating_add(CHUNK), "chunks")?;
    Ok(())
}

/// All chunks and devices that the chunk tree knows.
fn chunk_tree(volume: &Volume, root: &Root, meter: &mut Meter) -> Result<(Chunks, Vec<DeviceInfo>)> {
    let mut chunks = Vec::new();
    let mut devices = BTreeMap::new();
    let mut cursor = root.seek(volume, Key::new(0, 0, 0))?;
    while let Some((key, bytes)) = cursor.item() {
        meter.step("chunk tree item")?;
        let at = cursor.at();
        match (key.object, key.kind) {
            (object::DEV_ITEMS, kind::DEV) => {
                let (item, _) = DevItem::ref_from_prefix(bytes)
                    .map_err(|_| Error::corrupt("device item", at, format!("{key}: is cut short")))?;
                meter.bytes(CHUNK, "devices")?;
                let info = DeviceInfo {
                    devid: item.devid.get(),
                    uuid: item.uuid,
                    bytes: item.total_bytes.get(),
                    present: false,
                };
                devices.insert(key.offset, info);
            }
            (object::FIRST_CHUNK_TREE, kind::CHUNK) => {
                let (chunk, _) = Chunk::parse(key.offset, bytes, volume.sb.sector, at)?;
                pay(&chunk, meter)?;
                chunks.push(chunk);
            }
            _ => {}
        }
        cursor.next()?;
    }
    Ok((Chunks::new(chunks)?, devices.into_values().collect()))
}
