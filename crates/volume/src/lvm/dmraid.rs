//! The superblock device mapper's RAID keeps at the start of each metadata volume: which images are in step.

use crate::bytes::{le32, le64, peek};
use h2k_block::{BlockRead, Result};

const MAGIC: &[u8; 4] = b"DmRd";
/// An image that is rebuilt completely.
const WHOLE: u64 = u64::MAX;

/// What one image's metadata says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    position: u32,
    /// Counts changes of the array's state.
    events: u64,
    /// One bit for each image that failed.
    failed: u64,
    /// How far this image was rebuilt, in sectors.
    recovered: u64,
    /// How far the whole array is known to be consistent, in sectors.
    synced: u64,
}

/// The superblock of a metadata volume; `None` when it never got one.
pub(super) fn read(disk: &dyn BlockRead) -> Result<Option<Superblock>> {
    let Some(bytes) = peek::<512>(disk, 0)? else {
        return Ok(None);
    };
    if !bytes.starts_with(MAGIC) {
        return Ok(None);
    }
    let word = |at| le64(&bytes, at).unwrap_or(0);
    Ok(Some(Superblock {
        position: le32(&bytes, 12).unwrap_or(u32::MAX),
        events: word(16),
        failed: word(24),
        recovered: word(32),
        synced: word(40),
    }))
}

/// For each image whether it is out of step with the newest. Without any superblock nothing is known against any.
pub(super) fn stale(superblocks: &[Option<Superblock>]) -> Vec<bool> {
    let Some(newest) = superblocks.iter().flatten().map(|s| s.events).max() else {
        return vec![false; superblocks.len()];
    };
    // Any of the newest may be the one that noticed a failure.
    let failed = superblocks
        .iter()
        .flatten()
        .filter(|s| s.events == newest)
        .fold(0, |all, s| all | s.failed);
    (0_u32..)
        .zip(superblocks)
        .map(|(i, superblock)| {
            let failed = failed.checked_shr(i).is_some_and(|bits| bits & 1 == 1);
            // One without a superblock has just been added and is not filled yet; one whose volume is missing is
            // missed elsewhere.
            failed || superblock.is_some_and(|s| s.position != i || s.recovered != WHOLE || s.events < newest)
        })
        .collect()
}

/// Whether the newest superblocks say that parity or copies agree everywhere. Without any nothing speaks against it.
pub(super) fn in_sync(superblocks: &[Option<Superblock>]) -> bool {
    let newest = superblocks.iter().flatten().map(|s| s.events).max();
    superblocks
        .iter()
        .flatten()
        .filter(|s| Some(s.events) == newest)
        .all(|s| s.synced == WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Superblock = Superblock {
        position: 0,
        events: 7,
        failed: 0,
        recovered: WHOLE,
        synced: WHOLE,
    };

    #[test]
    fn images_that_failed_or_fell_behind_are_stale() {
        let at = |position| Some(Superblock { position, ..GOOD });
        assert_eq!(stale(&[at(0), at(1)]), [false, false]);
        assert_eq!(stale(&[None, None]), [false, false]);
        let old = Some(Superblock {
            position: 1,
            events: 6,
            ..GOOD
        });
        assert_eq!(stale(&[at(0), old]), [false, true]);
        let partly = Some(Superblock {
            position: 1,
            recovered: 5,
            ..GOOD
        });
        assert_eq!(stale(&[at(0), partly]), [false, true]);
        let knows = Some(Superblock { failed: 2, ..GOOD });
        assert_eq!(stale(&[knows, at(1)]), [false, true]);
        assert!(in_sync(&[at(0), old, None]));
        assert!(!in_sync(&[Some(Superblock { synced: 8, ..GOOD }), at(1)]));
    }
}
