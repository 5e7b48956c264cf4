//! Replaying full transactions: first find out which block of the filesystem has its newest content where in the
//! journal, then copy each of them once.

use super::layout::{CRC32, Commit, MAGIC, Tag, Tag3, block_type, incompat, tag_flag};
use super::log::{Log, header};
use crate::bytes::{at, wide};
use crate::checksum::{crc32c, low};
use h2k_block::{BlockWrite, Meter, Result};
use std::collections::BTreeMap;

/// What replaying did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Transactions that were complete.
    pub(crate) transactions: u32,
    /// Blocks that were replaced.
    pub(crate) blocks: u64,
    /// Number of the transaction that would have come next.
    pub(crate) next: u32,
    /// Why the log ended, if a damaged block ended it.
    pub(crate) damage: Option<String>,
}

/// Where the newest content of a block is.
#[derive(Clone, Copy)]
struct Copy {
    journal_block: u32,
    escaped: bool,
    sequence: u32,
}

/// One tag of a descriptor block.
struct Parsed {
    block: u64,
    flags: u32,
    checksum: u32,
}

/// What a transaction will do once its commit block is seen.
#[derive(Default)]
struct Pending {
    copies: Vec<(u64, Copy)>,
    revoked: Vec<u64>,
    crc: u32,
}

impl Pending {
    fn new() -> Self {
        Self {
            crc: !0,
            ..Self::default()
        }
    }
}

/// The blocks of all complete transactions.
#[derive(Default)]
struct Plan {
    copies: BTreeMap<u64, Copy>,
    revoked: BTreeMap<u64, u32>,
}

/// Transaction numbers wrap: `a` is at or after `b` when the way from `b` to it is the shorter one.
fn at_or_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 0x8000_0000
}

/// Replays every complete transaction of `log` into `target`.
pub(crate) fn replay(
    log: &Log<'_>,
    fs_blocks: u64,
    target: &dyn BlockWrite,
    meter: &mut Meter,
) -> Result<Outcome> {
    let mut plan = Plan::default();
    let mut outcome = scan(log, fs_blocks, &mut plan, meter)?;
    let size = u64::try_from(log.block_len()).unwrap_or(u64::MAX);
    let mut buf = vec![0; log.block_len()];
    for (block, copy) in &plan.copies {
        let revoked = plan
            .revoked
            .get(block)
            .is_some_and(|since| at_or_after(*since, copy.sequence));
        if revoked {
            continue;
        }
        meter.bytes(size.max(4096), "replayed journal blocks")?;
        log.read(copy.journal_block, &mut buf)?;
        if copy.escaped
            && let Some(first) = buf.first_chunk_mut::<4>()
        {
            *first = MAGIC.to_be_bytes();
        }
        target.write_at(block.saturating_mul(size), &buf)?;
        outcome.blocks = outcome.blocks.saturating_add(1);
    }
    Ok(outcome)
}

/// The way along the log.
struct Walker<'a, 'b> {
    log: &'a Log<'b>,
    meter: &'a mut Meter,
    fs_blocks: u64,
    /// The block that comes next.
    at: u32,
    /// Blocks that one round still has.
    left: u32,
}

impl Walker<'_, '_> {
    /// Reads the next block; `None` after a full round.
    fn next(&mut self, buf: &mut [u8]) -> Result<Option<u32>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.meter.step("journal block")?;
        let here = self.at;
        self.log.read(here, buf)?;
        self.left = left;
        self.at = self.log.next(here);
        Ok(Some(here))
    }

    /// The data blocks behind a descriptor block.
    fn descriptor(
        &mut self,
        buf: &[u8],
        sequence: u32,
        pending: &mut Pending,
    ) -> Result<std::result::Result<(), String>> {
        if self.log.crc32_commits() {
            pending.crc = crc32_be(pending.crc, buf);
        }
        let tags = match tags(self.log, buf) {
            Ok(tags) => tags,
            Err(what) => return Ok(Err(what)),
        };
        let mut data = vec![0; self.log.block_len()];
        for tag in tags {
            let Some(here) = self.next(&mut data)? else {
                return Ok(Err("is longer than the journal".to_owned()));
            };
            if let Err(what) = take(self.log, &tag, &data, here, sequence, self.fs_blocks, pending) {
                return Ok(Err(what));
            }
        }
        Ok(Ok(()))
    }
}

fn scan(log: &Log<'_>, fs_blocks: u64, plan: &mut Plan, meter: &mut Meter) -> Result<Outcome> {
    let mut outcome = Outcome {
        next: log.sequence,
        ..Outcome::default()
    };
    let mut pending = Pending::new();
    let mut buf = vec![0; log.block_len()];
    let mut walker = Walker {
        log,
        meter,
        fs_blocks,
        at: log.start,
        left: log.len(),
    };
    // Ends after one round at the latest.
    while let Some(here) = walker.next(&mut buf)? {
        let sequence = outcome.next;
        let step = match header(&buf, sequence).map(|h| h.blocktype.get()) {
            Some(block_type::DESCRIPTOR) => walker.descriptor(&buf, sequence, &mut pending)?,
            Some(block_type::REVOKE) => revoke(log, &buf, &mut pending),
            Some(block_type::COMMIT) => commit(log, &buf, &pending).map(|()| {
                plan.add(std::mem::replace(&mut pending, Pending::new()), sequence);
                outcome.transactions = outcome.transactions.saturating_add(1);
                outcome.next = sequence.wrapping_add(1);
            }),
            // What an older round left behind, or nothing: the log ends here.
            _ => break,
        };
        if let Err(what) = step {
            outcome.damage = Some(format!("transaction {sequence}, journal block {here}: {what}"));
            break;
        }
    }
    Ok(outcome)
}

impl Plan {
    /// Enters a transaction that turned out complete.
    fn add(&mut self, pending: Pending, sequence: u32) {
        for block in pending.revoked {
            self.revoked.insert(block, sequence);
        }
        self.copies.extend(pending.copies);
    }
}

/// Checks the data block behind a tag and remembers it.
fn take(
    log: &Log<'_>,
    tag: &Parsed,
    data: &[u8],
    journal_block: u32,
    sequence: u32,
    fs_blocks: u64,
    pending: &mut Pending,
) -> std::result::Result<(), String> {
    if log.crc32_commits() {
        pending.crc = crc32_be(pending.crc, data);
    }
    if log.has_checksums() {
        let crc = crc32c(crc32c(log.seed(), &sequence.to_be_bytes()), data);
        let expected = if log.has(incompat::CSUM_V3) {
            crc
        } else {
            u32::from(low(crc))
        };
        if tag.checksum != expected {
            return Err(format!(
                "the content of block {} has checksum {:#x}, computed {expected:#x}",
                tag.block, tag.checksum
            ));
        }
    }
    if tag.block >= fs_blocks {
        return Err(format!("names block {} of {fs_blocks}", tag.block));
    }
    pending.copies.push((
        tag.block,
        Copy {
            journal_block,
            escaped: tag.flags & tag_flag::ESCAPED != 0,
            sequence,
        },
    ));
    Ok(())
}

/// The tags of a descriptor block, after checking the block.
fn tags(log: &Log<'_>, buf: &[u8]) -> std::result::Result<Vec<Parsed>, String> {
    check_tail(log, buf, "descriptor block")?;
    let usable = if log.has_checksums() {
        buf.len().saturating_sub(4)
    } else {
        buf.len()
    };
    let area = buf.get(..usable).unwrap_or_default();
    let v3 = log.has(incompat::CSUM_V3);
    let wide_numbers = log.has(incompat::BIT64);
    // Version 2 made room for a checksum it then kept elsewhere; the two bytes stayed.
    let size = match (v3, wide_numbers, log.has(incompat::CSUM_V2)) {
        (true, _, _) => 16,
        (false, true, true) => 14,
        (false, false, true) => 10,
        (false, true, false) => 12,
        (false, false, false) => 8,
    };
    let mut found = Vec::new();
    let mut pos = 12_usize;
    // Each tag takes at least 8 bytes.
    while pos.saturating_add(size) <= area.len() {
        let tag = if v3 {
            let tag: &Tag3 = at(area, pos).ok_or("has a tag that is cut off")?;
            let high = if wide_numbers { tag.blocknr_high.get() } else { 0 };
            Parsed {
                block: wide(tag.blocknr.get(), high),
                flags: tag.flags.get(),
                checksum: tag.checksum.get(),
            }
        } else {
            let tag: &Tag = at(area, pos).ok_or("has a tag that is cut off")?;
            let high = if wide_numbers {
                let four = area
                    .get(pos.saturating_add(8)..)
                    .and_then(|r| r.first_chunk::<4>());
                four.map_or(0, |b| u32::from_be_bytes(*b))
            } else {
                0
            };
            Parsed {
                block: wide(tag.blocknr.get(), high),
                flags: u32::from(tag.flags.get()),
                checksum: u32::from(tag.checksum.get()),
            }
        };
        pos = pos.saturating_add(size);
        if tag.flags & tag_flag::SAME_UUID == 0 {
            pos = pos.saturating_add(16);
        }
        let last = tag.flags & tag_flag::LAST != 0;
        found.push(tag);
        if last {
            break;
        }
    }
    Ok(found)
}

/// The CRC-32C in the last four bytes of a descriptor or revoke block.
fn check_tail(log: &Log<'_>, buf: &[u8], what: &str) -> std::result::Result<(), String> {
    if !log.has_checksums() {
        return Ok(());
    }
    let Some((head, tail)) = buf.split_last_chunk::<4>() else {
        return Err(format!("the {what} is cut off"));
    };
    let (found, expected) = (
        u32::from_be_bytes(*tail),
        crc32c(crc32c(log.seed(), head), &[0; 4]),
    );
    if found != expected {
        return Err(format!(
            "the {what} has checksum {found:#010x}, computed {expected:#010x}"
        ));
    }
    Ok(())
}

fn revoke(log: &Log<'_>, buf: &[u8], pending: &mut Pending) -> std::result::Result<(), String> {
    check_tail(log, buf, "revoke block")?;
    let room = if log.has_checksums() {
        buf.len().saturating_sub(4)
    } else {
        buf.len()
    };
    let used = buf
        .get(12..)
        .and_then(|r| r.first_chunk::<4>())
        .map_or(0, |b| u32::from_be_bytes(*b));
    let records = usize::try_from(used)
        .ok()
        .filter(|used| *used <= room)
        .and_then(|used| buf.get(16..used));
    let Some(records) = records else {
        return Err(format!("the revoke block uses {used} bytes of {room}"));
    };
    if log.has(incompat::BIT64) {
        pending
            .revoked
            .extend(records.as_chunks::<8>().0.iter().map(|b| u64::from_be_bytes(*b)));
    } else {
        pending.revoked.extend(
            records
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| u64::from(u32::from_be_bytes(*b))),
        );
    }
    Ok(())
}

fn commit(log: &Log<'_>, buf: &[u8], pending: &Pending) -> std::result::Result<(), String> {
    let head: &Commit = at(buf, 0).ok_or("the commit block is cut off")?;
    let [found, ..] = head.chksum;
    let found = found.get();
    if log.has_checksums() {
        let (front, rest) = buf.split_at_checked(0x10).ok_or("the commit block is cut off")?;
        let crc = crc32c(crc32c(log.seed(), front), &[0; 4]);
        let expected = crc32c(crc, rest.get(4..).unwrap_or_default());
        if found != expected {
            return Err(format!(
                "the commit block has checksum {found:#010x}, computed {expected:#010x}"
            ));
        }
    } else if log.crc32_commits() {
        // A commit without a checksum carries zeros in all three fields.
        let none = head.chksum_type == 0 && head.chksum_size == 0 && found == 0;
        let right = head.chksum_type == CRC32 && head.chksum_size == 4 && found == pending.crc;
        if !none && !right {
            return Err(format!(
                "the transaction has CRC-32 {:#010x}, its commit block says {found:#010x}",
                pending.crc
            ));
        }
    }
    Ok(())
}

/// CRC-32 with the most significant bit first, without a final inversion: what commit blocks of version 1 carry.
fn crc32_be(crc: u32, bytes: &[u8]) -> u32 {
    static TABLE: [u32; 256] = table();
    bytes.iter().fold(crc, |crc, byte| {
        let [top, ..] = crc.to_be_bytes();
        let entry = TABLE.get(usize::from(top ^ byte)).copied().unwrap_or(0);
        crc.wrapping_shl(8) ^ entry
    })
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "evaluated at compile time, where an overflow or a bad index would not compile"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = (n as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x04c1_1db7
            };
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_big_endian_crc_is_the_published_one() {
        // CRC-32/MPEG-2 of the CRC catalogue: the same polynomial, order and inversions.
        assert_eq!(crc32_be(!0, b"123456789"), 0x0376_e6e7);
    }

    #[test]
    fn transaction_numbers_wrap() {
        assert!(at_or_after(5, 5) && at_or_after(6, 5) && !at_or_after(5, 6));
        assert!(at_or_after(2, u32::MAX) && !at_or_after(u32::MAX, 2));
    }
}
