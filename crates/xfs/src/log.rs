//! Whether the log was written back: it was if its last record is an unmount record.
//!
//! The log is a ring of 512-byte blocks. The first word of each is the number of the round it was written in (or
//! the magic of a record header, with the round in the second word), so the head is where the number falls.

use crate::layout::{be32, magic};
use crate::tree::Volume;
use h2k_block::{Error, Result};

const BASIC: u64 = 512;
/// Longest way back from the head to a record header: 256 KiB of data and 8 KiB of headers, doubled.
const BACK: u64 = 1056;
const UNMOUNT: u8 = 0x20;

/// Whether changes wait in the log.
pub(crate) fn is_dirty(volume: &Volume) -> Result<bool> {
    let sb = &volume.geometry;
    if sb.log_start == 0 {
        return Ok(false);
    }
    let len = u64::from(sb.log_blocks);
    let Some(start) = sb.byte(sb.log_start, len) else {
        return Err(Error::corrupt(
            "log",
            0,
            format!("{len} blocks from {:#x} lie outside the volume", sb.log_start),
        ));
    };
    let count = (len << sb.block_log) / BASIC;
    let read = |number: u64| -> Result<[u8; 512]> {
        let mut block = [0; 512];
        volume
            .disk
            .read_at(start.saturating_add(number.saturating_mul(BASIC)), &mut block)?;
        Ok(block)
    };
    let round = |block: &[u8]| match be32(block, 0) {
        Some(magic::LOG_RECORD) => be32(block, 4).unwrap_or(0),
        other => other.unwrap_or(0),
    };
    if count == 0 {
        return Ok(false);
    }
    let first = round(&read(0)?);
    if first == 0 {
        // Never written: mkfs leaves at least an unmount record, so there is nothing to go by and nothing to lose.
        return Ok(false);
    }
    // The first block of an earlier round; the whole ring is of one round when there is none.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if round(&read(middle)?) == first {
            low = middle.saturating_add(1)
        } else {
            high = middle
        }
    }
    let head = low;
    for back in 1..=BACK.min(count) {
        let number = head
            .saturating_add(count)
            .saturating_sub(back)
            .checked_rem(count)
            .unwrap_or(0);
        let block = read(number)?;
        if be32(&block, 0) != Some(magic::LOG_RECORD) {
            continue;
        }
        let size = u64::from(be32(&block, 320).unwrap_or(0));
        let version2 = be32(&block, 8) == Some(2);
        let headers = if version2 {
            size.div_ceil(32 << 10).max(1)
        } else {
            1
        };
        let data = u64::from(be32(&block, 12).unwrap_or(0)).div_ceil(BASIC);
        if headers.saturating_add(data) < back {
            // Blocks after the last whole record: a torn write.
            return Ok(true);
        }
        let operations = be32(&block, 40).unwrap_or(0);
        let body = read(number.saturating_add(headers).checked_rem(count).unwrap_or(0))?;
        return Ok(!(operations == 1 && body.get(9).is_some_and(|flags| flags & UNMOUNT != 0)));
    }
    Ok(true)
}
