//! Which bytes of a device are in use: chunks say what is allocated, the extent tree what of that is filled.

use crate::chunk::Chunk;
use crate::layout::{BlockGroup, Key, SUPER, SUPERS, kind, object};
use crate::subvolume;
use crate::tree::{Cursor, Root};
use crate::volume::Volume;
use h2k_block::{Error, Extent, Kind, Result};
use h2k_fs::Usage;
use zerocopy::FromBytes;

/// The first mebibyte belongs to boot loaders and to the first superblock.
const HEAD: u64 = 1 << 20;
/// Neighbouring extents that are joined in one answer.
const JOIN: usize = 4096;
/// Looks for the extent before an address. References and a block group stand between two extents, so a few do.
const LOOKS: usize = 64;

/// A stripe of a chunk on one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnDevice {
    at: u64,
    len: u64,
    /// Logical address of the chunk.
    chunk: u64,
    stripe: usize,
}

/// The stripes on the device `uuid`, ascending.
pub(crate) fn on_device(volume: &Volume, uuid: &[u8; 16]) -> Vec<OnDevice> {
    let mut all: Vec<OnDevice> = Vec::new();
    for chunk in volume.chunks.iter() {
        for (stripe, s) in chunk.stripes.iter().enumerate() {
            if s.uuid == *uuid {
                all.push(OnDevice {
                    at: s.at,
                    len: chunk.on_device(),
                    chunk: chunk.logical,
                    stripe,
                });
            }
        }
    }
    all.sort_by_key(|s| s.at);
    all
}

/// What a device of `size` bytes holds at `offset`, up to `end`. `extents` is the extent tree.
pub(crate) fn used_at(
    volume: &Volume,
    extents: &Root,
    map: &[OnDevice],
    size: u64,
    offset: u64,
    end: u64,
) -> Result<Extent> {
    let answer =
        |kind: Kind, until: u64| Extent::new(offset, until.min(end).saturating_sub(offset).max(1), kind);
    if offset < HEAD {
        return Ok(answer(Kind::Data, HEAD));
    }
    if offset >= size {
        // Behind the filesystem: not ours to call free.
        return Ok(answer(Kind::Data, end));
    }
    let mut end = end.min(size);
    for at in SUPERS {
        let after = at.saturating_add(u64::try_from(SUPER).unwrap_or(0));
        if (at..after).contains(&offset) {
            return Ok(answer(Kind::Data, after));
        }
        if at > offset {
            end = end.min(at);
        }
    }
    let answer =
        |kind: Kind, until: u64| Extent::new(offset, until.min(end).saturating_sub(offset).max(1), kind);
    let after = map.partition_point(|s| s.at <= offset);
    let next = map.get(after).map_or(u64::MAX, |s| s.at);
    let here = after
        .checked_sub(1)
        .and_then(|i| map.get(i))
        .filter(|s| offset < s.at.saturating_add(s.len));
    let Some(here) = here else {
        return Ok(answer(Kind::Hole, next));
    };
    let within = offset.saturating_sub(here.at);
    let chunk = volume.chunks.find(here.chunk);
    let logical = chunk.and_then(|c| c.logical_at(here.stripe, within).map(|l| (c, l)));
    let Some((chunk, (logical, left))) = logical else {
        return Ok(answer(Kind::Data, here.at.saturating_add(here.len).min(next)));
    };
    let want = left.min(end.saturating_sub(offset));
    let (kind, len) = allocated(volume, extents, chunk, logical, want)?;
    Ok(answer(kind, offset.saturating_add(len).min(next.max(offset))))
}

/// Address and length of the extent an item of the extent tree describes.
fn extent(volume: &Volume, cursor: &Cursor<'_>) -> Option<(u64, u64)> {
    let (key, _) = cursor.item()?;
    match key.kind {
        kind::EXTENT => Some((key.object, key.offset)),
        kind::METADATA => Some((key.object, volume.sb.node.into())),
        _ => None,
    }
}

/// Whether `logical` is allocated, and for how many bytes that goes on, at most `want`.
fn allocated(volume: &Volume, extents: &Root, chunk: &Chunk, logical: u64, want: u64) -> Result<(Kind, u64)> {
    let until = logical.saturating_add(want).min(chunk.end());
    // The last extent that begins at or before the address. References and block groups stand between extents; each
    // look goes to a smaller address.
    let mut top = logical;
    let mut before = None;
    for look in 0.. {
        let Some(cursor) = extents.seek_back(volume, Key::new(top, kind::METADATA, u64::MAX))? else {
            break;
        };
        before = extent(volume, &cursor);
        let Some((key, _)) = cursor.item() else { break };
        if before.is_some() || key.object <= chunk.logical {
            break;
        }
        if look >= LOOKS {
            // No tree of the kernel is like this one: what is not understood is not free.
            return Ok((Kind::Data, until.saturating_sub(logical)));
        }
        top = if key.object < top {
            key.object
        } else {
            top.saturating_sub(1)
        };
    }
    let mut covered = before
        .and_then(|(at, len)| at.checked_add(len))
        .filter(|e| *e > logical);
    let mut cursor = extents.seek(volume, Key::new(logical.saturating_add(1), 0, 0))?;
    for _ in 0..JOIN {
        let Some((key, _)) = cursor.item() else { break };
        if key.object >= until {
            break;
        }
        if let Some((at, len)) = extent(volume, &cursor) {
            match covered {
                Some(end) if at > end => return Ok((Kind::Data, end.min(until).saturating_sub(logical))),
                Some(end) => covered = Some(end.max(at.saturating_add(len))),
                None => return Ok((Kind::Hole, at.saturating_sub(logical))),
            }
        }
        cursor.next()?;
    }
    let stop = cursor.item().map_or(until, |(key, _)| {
        key.object.clamp(logical.saturating_add(1), until)
    });
    Ok(match covered {
        Some(end) => (Kind::Data, end.min(until).saturating_sub(logical)),
        None => (Kind::Hole, stop.saturating_sub(logical)),
    })
}

/// How full the filesystem is, as `statfs` counts: bytes of the devices, divided by the copies that file contents have.
pub(crate) fn usage(volume: &Volume, roots: &Root, block_groups: u64) -> Result<Usage> {
    let tree = subvolume::item(volume, roots, block_groups)?
        .ok_or_else(|| Error::corrupt("root tree", roots.at, format!("there is no tree {block_groups}")))?
        .root;
    let mut used = 0_u64;
    let mut factor = 1;
    for chunk in volume.chunks.iter() {
        if chunk.data {
            factor = factor.max(chunk.copies);
        }
        let Some(cursor) = tree.get(volume, Key::new(chunk.logical, kind::BLOCK_GROUP, chunk.len))? else {
            continue;
        };
        let bytes = cursor.item().map_or(&[][..], |(_, bytes)| bytes);
        let (item, _) = BlockGroup::ref_from_prefix(bytes)
            .map_err(|_| Error::corrupt("block group item", cursor.at(), "is cut short"))?;
        used = used.saturating_add(item.used.get().saturating_mul(chunk.copies));
    }
    let per = |bytes: u64| bytes.checked_div(factor).unwrap_or(bytes);
    let total = per(volume.sb.head.total_bytes.get());
    Ok(Usage {
        block: volume.sb.sector.into(),
        total,
        free: total.saturating_sub(per(used)),
        nodes: None,
        nodes_free: None,
    })
}

/// The tree that holds block group items.
pub(crate) fn block_group_tree(compat_ro: u64) -> u64 {
    if compat_ro & crate::feature::compat_ro::BLOCK_GROUP_TREE == 0 {
        object::EXTENT_TREE
    } else {
        object::BLOCK_GROUP_TREE
    }
}
