//! The superblock to use: the primary, or the first sound copy (super.rst; `mke2fs(8)` for the sizes of groups).
//!
//! A copy lies at the beginning of its group, so finding one means guessing how large groups are: first as the
//! damaged primary says, then as mke2fs makes them, then any size that mke2fs accepts.

use crate::geometry::{Geometry, read_super};
use crate::layout::{MAGIC, SUPER_AT, SUPER_LEN, SuperBlock};
use h2k_block::{BlockRead, Class, Error, Kind, Result};

/// A superblock that can be used, and where it lay.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) sb: SuperBlock,
    pub(crate) geometry: Geometry,
    /// The group of the copy that was used; 0 for the primary.
    pub(crate) group: u32,
    /// Why the primary was not.
    pub(crate) primary: Option<Error>,
}

/// Groups `sparse_super` keeps copies in, as far as anybody ever needs to look.
const BACKUPS: [u32; 9] = [1, 3, 5, 7, 9, 25, 27, 49, 81];
/// `log_block_size` of the largest blocks.
const LARGEST: u32 = 6;
/// The fewest blocks of a group that mke2fs accepts; their number is a multiple of 8.
const SMALLEST_GROUP: u64 = 256;
/// Binary logarithm of the most blocks in a cluster that are tried.
const CLUSTERS: u32 = 14;

/// The primary superblock, or the first backup that is sound.
pub(crate) fn find(disk: &dyn BlockRead) -> Result<Found> {
    let read = read_super(disk, SUPER_AT);
    let hint = read.as_ref().ok().cloned();
    let primary = match read.and_then(|sb| Geometry::new(&sb, SUPER_AT).map(|geometry| (sb, geometry))) {
        Ok((sb, geometry)) => {
            return Ok(Found {
                sb,
                geometry,
                group: 0,
                primary: None,
            });
        }
        Err(e) if e.class() != Class::Corrupt => return Err(e),
        Err(e) => e,
    };
    match find_copy(disk, hint.as_ref())? {
        Some(found) => Ok(Found {
            primary: Some(primary),
            ..found
        }),
        None => Err(primary),
    }
}

/// What groups are guessed to be.
#[derive(Clone, Copy)]
struct Guess {
    /// `log_block_size`.
    log: u32,
    /// Blocks of a group.
    group_blocks: u64,
    /// First block of group 0.
    first_block: u64,
}

impl Guess {
    fn block_size(self) -> u64 {
        1024_u64.checked_shl(self.log).unwrap_or(u64::MAX)
    }

    /// Byte offset of `group`.
    fn start(self, group: u32) -> u64 {
        u64::from(group)
            .saturating_mul(self.group_blocks)
            .saturating_add(self.first_block)
            .saturating_mul(self.block_size())
    }

    /// The last group a disk of `len` bytes has; `sparse_super2` keeps its second copy there.
    fn last(self, len: u64) -> Option<u32> {
        let blocks = len.checked_div(self.block_size())?;
        let inside = blocks.checked_sub(self.first_block)?.checked_sub(1)?;
        u32::try_from(inside.checked_div(self.group_blocks)?).ok()
    }
}

fn find_copy(disk: &dyn BlockRead, hint: Option<&SuperBlock>) -> Result<Option<Found>> {
    let len = disk.len();
    if let Some(sb) = hint {
        let guess = Guess {
            log: sb.log_block_size.get(),
            group_blocks: u64::from(sb.blocks_per_group.get()),
            first_block: u64::from(sb.first_data_block.get()),
        };
        if guess.log <= LARGEST && guess.group_blocks > 0 && guess.first_block <= 1 {
            let named = sb.backup_bgs.iter().map(|bg| bg.get()).filter(|bg| *bg > 0);
            for group in BACKUPS.into_iter().chain(named).chain(guess.last(len)) {
                if let Some(found) = try_copy(disk, guess, group)? {
                    return Ok(Some(found));
                }
            }
        }
    }
    // Groups as large as one bitmap can be, which is what mke2fs makes, of blocks or of clusters.
    for log in 0..=LARGEST {
        for cluster in 0..=CLUSTERS {
            let size = 1024_u64.checked_shl(log).unwrap_or(u64::MAX);
            let guess = Guess {
                log,
                group_blocks: size.saturating_mul(8).checked_shl(cluster).unwrap_or(u64::MAX),
                // With blocks of 1 KiB group 0 begins behind the boot block, unless there are clusters.
                first_block: u64::from(log == 0 && cluster == 0),
            };
            if guess.start(1) >= len {
                break;
            }
            for group in BACKUPS.into_iter().chain(guess.last(len)) {
                if let Some(found) = try_copy(disk, guess, group)? {
                    return Ok(Some(found));
                }
            }
        }
    }
    find_in_group_1(disk)
}

/// The copy in group 1, however large groups are (`mke2fs -g`). At most 8192 reads for blocks of 4 KiB or less, at
/// most 131,072 in all; holes of the disk cost none.
fn find_in_group_1(disk: &dyn BlockRead) -> Result<Option<Found>> {
    for log in 0..=LARGEST {
        let most = 8192_u64.checked_shl(log).unwrap_or(u64::MAX);
        let mut empty_until = 0;
        let mut group_blocks = SMALLEST_GROUP;
        // Grows by eight.
        while group_blocks < most {
            let guess = Guess {
                log,
                group_blocks,
                first_block: u64::from(log == 0),
            };
            let at = guess.start(1);
            if at.saturating_add(1024) > disk.len() {
                break;
            }
            if at >= empty_until {
                let run = disk.extent_at(at, disk.len())?;
                if run.kind == Kind::Data {
                    if let Some(found) = try_copy(disk, guess, 1)? {
                        return Ok(Some(found));
                    }
                } else {
                    // A copy fills its block, so one that began in the run would not be empty.
                    empty_until = run.end();
                }
            }
            group_blocks = group_blocks.saturating_add(8);
        }
    }
    Ok(None)
}

fn try_copy(disk: &dyn BlockRead, guess: Guess, group: u32) -> Result<Option<Found>> {
    let at = guess.start(group);
    let len = u64::try_from(SUPER_LEN).unwrap_or(u64::MAX);
    if group == 0 || at.checked_add(len).is_none_or(|end| end > disk.len()) {
        return Ok(None);
    }
    let sb = read_super(disk, at)?;
    // A copy says which group it is in, in 16 bits; anything else is a file that looks like a superblock.
    if sb.magic.get() != MAGIC
        || sb.log_block_size.get() != guess.log
        || u32::from(sb.block_group_nr.get()) != group & 0xffff
    {
        return Ok(None);
    }
    Ok(match Geometry::new(&sb, at) {
        Ok(geometry) if geometry.group_start(group).saturating_mul(guess.block_size()) == at => Some(Found {
            sb,
            geometry,
            group,
            primary: None,
        }),
        _ => None,
    })
}
