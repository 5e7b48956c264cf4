//! The block map of ext2 and ext3 (ifork.rst, "Direct/Indirect Block Addressing"): twelve blocks, then one, two and
//! three levels of blocks full of 32-bit block numbers.

use crate::blocks::Blocks;
use crate::bytes::le32;
use crate::inode::Inode;
use crate::map::{Run, Target};
use h2k_block::{Error, Result};

const DIRECT: u64 = 12;

/// The run that begins at logical `block`, as far as one block of numbers tells.
pub(crate) fn find(blocks: &Blocks, inode: &Inode, block: u64) -> Result<Run> {
    let per = blocks.size() >> 2;
    let bits = blocks.bits().saturating_sub(2);
    if block < DIRECT {
        return run(
            blocks,
            inode,
            inode.place.saturating_add(0x28),
            &inode.block,
            block,
            block,
            DIRECT,
        );
    }
    // Which of the three trees, and how far into it.
    let mut within = block.saturating_sub(DIRECT);
    let mut level = 1_u32;
    let mut span = per;
    while within >= span {
        within = within.saturating_sub(span);
        level = level.saturating_add(1);
        if level > 3 {
            // Past what three levels reach: nothing can be stored there.
            return Ok(Run {
                start: block,
                len: u64::from(u32::MAX),
                target: Target::Hole,
            });
        }
        span = span.checked_shl(bits).unwrap_or(u64::MAX);
    }
    let slot = usize::try_from(level)
        .unwrap_or(0)
        .saturating_add(11)
        .saturating_mul(4);
    let mut number = u64::from(le32(&inode.block, slot).unwrap_or(0));
    let mut place = inode.place.saturating_add(0x28);
    loop {
        // `within` counts blocks below this pointer, `span` how many it can have.
        if number == 0 {
            return Ok(Run {
                start: block,
                len: span.saturating_sub(within).max(1),
                target: Target::Hole,
            });
        }
        check(blocks, inode, place, number)?;
        let held = blocks.get(number, "indirect block")?;
        place = blocks.offset(number);
        if level == 1 {
            return run(blocks, inode, place, &held, within, block, per);
        }
        span = span.checked_shr(bits).unwrap_or(1).max(1);
        let entry = within.checked_div(span).unwrap_or(0);
        within = within.checked_rem(span).unwrap_or(0);
        number = u64::from(pointer(&held, entry));
        level = level.saturating_sub(1);
    }
}

fn pointer(bytes: &[u8], entry: u64) -> u32 {
    usize::try_from(entry)
        .ok()
        .and_then(|e| le32(bytes, e.checked_mul(4)?))
        .unwrap_or(0)
}

fn check(blocks: &Blocks, inode: &Inode, place: u64, number: u64) -> Result<()> {
    if blocks.holds(number, 1) {
        return Ok(());
    }
    Err(Error::corrupt(
        "block map",
        place,
        format!("points to block {number} of {}", blocks.count()),
    )
    .through(format!("inode {}", inode.number)))
}

/// Neighbouring entries that continue each other, from `entry` up to `end`.
fn run(
    blocks: &Blocks,
    inode: &Inode,
    place: u64,
    bytes: &[u8],
    entry: u64,
    block: u64,
    end: u64,
) -> Result<Run> {
    let first = u64::from(pointer(bytes, entry));
    let mut len = 1_u64;
    while entry.saturating_add(len) < end {
        let next = u64::from(pointer(bytes, entry.saturating_add(len)));
        let continues = if first == 0 {
            next == 0
        } else {
            next == first.saturating_add(len)
        };
        if !continues {
            break;
        }
        len = len.saturating_add(1);
    }
    if first == 0 {
        return Ok(Run {
            start: block,
            len,
            target: Target::Hole,
        });
    }
    check(blocks, inode, place, first)?;
    if !blocks.holds(first, len) {
        len = blocks.count().saturating_sub(first).max(1);
    }
    Ok(Run {
        start: block,
        len,
        target: Target::At(first),
    })
}
