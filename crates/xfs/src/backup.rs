//! The superblock to use: the primary, or the copy that every other allocation group begins with.
//!
//! Where the copies lie depends on the size of a group, which the damaged primary, the headers behind it, or mkfs'
//! own arithmetic tell. Copies are written when the filesystem is made and when it grows: their counters are old, and
//! not all of them know the root inode.

use crate::layout::{be32, magic};
use crate::superblock::{self, Geometry};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};

/// Groups looked at for each guess before the middle and the last one.
const FIRST: u32 = 8;
/// Numbers of groups that mkfs makes of a whole disk.
const MKFS: [u64; 6] = [4, 2, 3, 8, 16, 32];

/// The geometry, and where a copy was used the number of its group and what is wrong with the primary.
pub(crate) struct Chosen {
    pub(crate) geometry: Geometry,
    pub(crate) copy: Option<(u32, Error)>,
}

/// Finds a superblock that can be used.
pub(crate) fn find(disk: &dyn BlockRead, warn: &mut dyn FnMut(String)) -> Result<Chosen> {
    let primary = match superblock::read(disk, 0, warn) {
        Ok(geometry) => return Ok(Chosen { geometry, copy: None }),
        Err(e) if e.class() != Class::Corrupt => return Err(e),
        Err(e) => e,
    };
    let mut tried = Vec::new();
    for size in sizes(disk) {
        if tried.contains(&size) {
            continue;
        }
        tried.push(size);
        if let Some((geometry, group)) = of_size(disk, size, warn)? {
            return Ok(Chosen {
                geometry,
                copy: Some((group, primary)),
            });
        }
    }
    Err(primary)
}

/// Sizes in bytes that a group may have, likely ones first. At most some hundred.
fn sizes(disk: &dyn BlockRead) -> Vec<u64> {
    let len = disk.len();
    let mut all = Vec::new();
    let mut add = |blocks: u64, log: u32| {
        if let Some(size) = blocks
            .checked_shl(log)
            .filter(|s| *s >= 512 && *s < len && blocks < 1 << 32)
        {
            all.push(size);
        }
    };
    if let Ok(sb) = superblock::raw(disk, 0) {
        for log in 9..=16 {
            add(sb.agblocks.get().into(), log);
        }
    }
    // The headers of free space and of inodes, sectors 1 and 2, count the blocks of their group.
    for sector in (9..=15).map(|log| 1_u64 << log) {
        for (at, name) in [(sector, magic::AGF), (sector.saturating_mul(2), magic::AGI)] {
            let mut head = [0; 16];
            if disk.read_at(at, &mut head).is_err() || head.first_chunk() != Some(&name) {
                continue;
            }
            for log in 9..=16 {
                add(be32(&head, 12).unwrap_or(0).into(), log);
            }
        }
    }
    for groups in MKFS {
        for log in [12, 9, 10, 11, 13, 14, 15, 16] {
            add((len >> log).div_ceil(groups), log);
        }
    }
    all
}

/// The first good copy if groups have `size` bytes.
fn of_size(disk: &dyn BlockRead, size: u64, warn: &mut dyn FnMut(String)) -> Result<Option<(Geometry, u32)>> {
    let mut groups: Vec<u32> = (1..=FIRST).collect();
    let mut told = false;
    let mut next = 0;
    // Grows twice at most.
    while let Some(group) = groups.get(next).copied() {
        next = next.saturating_add(1);
        let at = size.saturating_mul(group.into());
        if at.saturating_add(512) > disk.len() {
            continue;
        }
        let mut warnings = Vec::new();
        let geometry = match superblock::read(disk, at, &mut |w| warnings.push(w)) {
            Ok(found) => found,
            Err(e) if e.class() == Class::Corrupt => continue,
            Err(e) => return Err(e),
        };
        if u64::from(geometry.ag_blocks) << geometry.block_log != size || group >= geometry.ag_count {
            continue;
        }
        if geometry.inode_byte(geometry.root).is_some() {
            warnings.into_iter().for_each(warn);
            return Ok(Some((geometry, group)));
        }
        // mkfs writes the root inode into the copies in the middle and at the end.
        if !std::mem::replace(&mut told, true) {
            groups.extend([geometry.ag_count / 2, geometry.ag_count.saturating_sub(1)]);
        }
    }
    Ok(None)
}

/// Counts free blocks and inodes afresh from the headers of all groups: those of a copy are old.
///
/// # Errors
/// When a header cannot be read, and when there are more groups than the limits allow steps.
pub(crate) fn count(disk: &dyn BlockRead, sb: &mut Geometry, limits: Limits) -> Result<()> {
    let mut meter = Meter::new(limits);
    let (mut free, mut inodes, mut inodes_free) = (0_u64, 0_u64, 0_u64);
    for group in 0..sb.ag_count {
        meter.step("allocation group")?;
        let base = sb.ag_byte(group, 0).unwrap_or(u64::MAX);
        let header = |sector: u32, name: [u8; 4], what: &'static str| -> Result<[u8; 64]> {
            let at = base.saturating_add(u64::from(sb.sector).saturating_mul(sector.into()));
            let mut head = [0; 64];
            disk.read_at(at, &mut head).map_err(|e| e.at(what, at))?;
            if head.first_chunk() == Some(&name) {
                Ok(head)
            } else {
                Err(Error::corrupt(what, at, format!("group {group} has no {what}")))
            }
        };
        let field = |head: &[u8], at: usize| u64::from(be32(head, at).unwrap_or(0));
        let agf = header(1, magic::AGF, "AGF")?;
        // Free runs, the list of free blocks, and the blocks of the trees themselves.
        let blocks = field(&agf, 52)
            .saturating_add(field(&agf, 48))
            .saturating_add(field(&agf, 60));
        free = free.saturating_add(blocks);
        let agi = header(2, magic::AGI, "AGI")?;
        inodes = inodes.saturating_add(field(&agi, 16));
        inodes_free = inodes_free.saturating_add(field(&agi, 28));
    }
    sb.free_blocks = free.min(sb.blocks);
    sb.inode_count = inodes;
    sb.inode_free = inodes_free;
    Ok(())
}
