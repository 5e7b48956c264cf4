//! Transaction logs: what a write had begun is finished from them before anything is read.

use crate::bytes::{array, field, index, le32, le64, round_up, wide};
use crate::layout::{BLOCK, FARTHEST, base, bin, entry};
use crate::sums::{marvin32, sound, xor32};
use h2k_block::{Meter, Result};

/// In which state a hive was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The last write had been finished.
    Clean,
    /// A write had not been finished; the logs were replayed, this many entries.
    Recovered(u32),
    /// A write had not been finished, and no log could be replayed: something may be missing or half written.
    Dirty,
}

/// What came of the logs.
pub(crate) struct Recovery {
    pub(crate) state: State,
    pub(crate) warnings: Vec<String>,
    pub(crate) beyond: (u32, u64),
}

const SECTOR: usize = 512;

/// A log that may be replayed.
enum Log<'l> {
    /// The pages as one bitmap says, and when it was written.
    Old { head: &'l [u8], written: u64 },
    /// Entries that follow each other, the first with that sequence number; none where the first is damaged.
    New {
        head: &'l [u8],
        first: u32,
        entries: Vec<Entry<'l>>,
    },
}

struct Entry<'l> {
    sequence: u32,
    flags: u32,
    bins: usize,
    references: &'l [u8],
    pages: &'l [u8],
}

/// Replays `logs` over `bytes`, if `bytes` needs it.
pub(crate) fn recover(bytes: &mut Vec<u8>, logs: &[&[u8]], meter: &mut Meter) -> Result<Recovery> {
    let mut recovery = Recovery {
        state: State::Clean,
        warnings: Vec::new(),
        beyond: (0, 0),
    };
    let mut usable = Vec::new();
    for log in logs.iter().filter(|log| !log.is_empty()) {
        if let Some(log) = parse(log, &mut recovery, meter)? {
            usable.push(log);
        }
    }
    let whole = sound(bytes);
    let sequences = (le32(bytes, base::PRIMARY), le32(bytes, base::SECONDARY));
    if whole && sequences.0 == sequences.1 {
        return Ok(recovery);
    }
    let applied = match newest(bytes, &usable, whole) {
        Some(Log::Old { head, .. }) => old(bytes, head, whole, meter)?,
        _ => new(bytes, &usable, whole, meter)?,
    };
    if applied > 0 {
        recovery.state = State::Recovered(applied);
        return Ok(recovery);
    }
    recovery.state = State::Dirty;
    recovery.warnings.push(if whole {
        "the hive was left in the middle of a write, and no transaction log continues it".to_owned()
    } else {
        "the base block's checksum is wrong, and no transaction log has a copy".to_owned()
    });
    Ok(recovery)
}

/// Judges one log. What is wrong with it becomes a warning: the hive may do without it.
fn parse<'l>(log: &'l [u8], recovery: &mut Recovery, meter: &mut Meter) -> Result<Option<Log<'l>>> {
    let mut refuse = |why: &str| {
        recovery
            .warnings
            .push(format!("a transaction log is not used: {why}"));
        Ok(None)
    };
    if !sound(log) {
        return refuse("its base block is damaged");
    }
    let kind = le32(log, base::TYPE).unwrap_or(0);
    let (primary, secondary) = (
        le32(log, base::PRIMARY).unwrap_or(0),
        le32(log, base::SECONDARY).unwrap_or(0),
    );
    let written = le64(log, base::WRITTEN).unwrap_or(0);
    recovery.beyond.0 = recovery.beyond.0.max(primary).max(secondary);
    recovery.beyond.1 = recovery.beyond.1.max(written);
    if kind == 6 {
        let entries = entries(log, primary, meter)?;
        if let Some(last) = entries.last() {
            recovery.beyond.0 = recovery.beyond.0.max(last.sequence);
        }
        return Ok(Some(Log::New {
            head: log,
            first: primary,
            entries,
        }));
    }
    let mut refuse = |why: &str| {
        recovery
            .warnings
            .push(format!("a transaction log is not used: {why}"));
        Ok(None)
    };
    if kind != 1 && kind != 2 {
        return refuse("its base block is not that of a log");
    }
    if primary != secondary {
        return refuse("writing it was not finished");
    }
    if !log
        .get(sector(log)..)
        .is_some_and(|rest| rest.starts_with(b"DIRT"))
    {
        // An artefact of installation: a log that was never used.
        return Ok(None);
    }
    Ok(Some(Log::Old { head: log, written }))
}

/// What a log in the old format calls a sector.
fn sector(log: &[u8]) -> usize {
    let factor = index(le32(log, base::CLUSTERING).unwrap_or(1)).clamp(1, 8);
    factor.saturating_mul(SECTOR)
}

/// The entries of a log in the new format, as long as each continues the one before it.
fn entries<'l>(log: &'l [u8], first: u32, meter: &mut Meter) -> Result<Vec<Entry<'l>>> {
    let mut entries = Vec::new();
    let mut expected = first;
    let mut rest = log.get(SECTOR..).unwrap_or_default();
    while let Some((entry, size)) = one(rest, expected) {
        meter.step("log entry")?;
        entries.push(entry);
        expected = expected.wrapping_add(1);
        rest = rest.get(size..).unwrap_or_default();
    }
    Ok(entries)
}

/// The entry at the start of `rest`, if it is whole and has that sequence number.
fn one(rest: &[u8], expected: u32) -> Option<(Entry<'_>, usize)> {
    if array(rest, 0)? != entry::SIGNATURE || le32(rest, entry::SEQUENCE)? != expected {
        return None;
    }
    let size = index(le32(rest, entry::SIZE)?);
    if !size.is_multiple_of(SECTOR) {
        return None;
    }
    let whole = rest.get(..size)?;
    let body = whole.get(entry::REFERENCES..)?;
    let bins = index(le32(whole, entry::BINS)?);
    if bins == 0
        || !bins.is_multiple_of(BLOCK)
        || bins > FARTHEST
        || le64(whole, entry::HASH_1)? != marvin32(body)
        || le64(whole, entry::HASH_2)? != marvin32(whole.get(..entry::HASH_2)?)
    {
        return None;
    }
    let count = index(le32(whole, entry::PAGES)?);
    let (references, pages) = body.split_at_checked(count.checked_mul(8)?)?;
    let entry = Entry {
        sequence: expected,
        flags: le32(whole, entry::FLAGS)?,
        bins,
        references,
        pages,
    };
    Some((entry, size))
}

/// The log in the old format to use: the newest one, and none older than the hive.
fn newest<'u, 'l>(bytes: &[u8], logs: &'u [Log<'l>], whole: bool) -> Option<&'u Log<'l>> {
    let at = if whole {
        base::WRITTEN
    } else {
        BLOCK.saturating_add(bin::TIMESTAMP)
    };
    let since = le64(bytes, at).unwrap_or(0);
    let mut best: Option<(&Log<'l>, u64)> = None;
    for log in logs {
        if let Log::Old { written, .. } = log
            && *written >= since
            && best.is_none_or(|(_, time)| *written > time)
        {
            best = Some((log, *written));
        }
    }
    best.map(|(log, _)| log)
}

/// Replays a log in the old format: its base block, and the pages its bitmap marks.
fn old(bytes: &mut Vec<u8>, log: &[u8], whole: bool, meter: &mut Meter) -> Result<u32> {
    let sector = sector(log);
    let bins = index(le32(log, base::BINS).unwrap_or(0));
    if bins == 0 || !bins.is_multiple_of(BLOCK) || bins > FARTHEST {
        return Ok(0);
    }
    let map_len = (bins / SECTOR).div_ceil(8);
    let map_at = sector.saturating_add(4);
    let pages_at = sector.saturating_add(round_up(map_len.saturating_add(4), sector));
    let (Some(map), Some(mut pages)) = (
        log.get(map_at..map_at.saturating_add(map_len)),
        log.get(pages_at..),
    ) else {
        return Ok(0);
    };
    let marked: usize = map.iter().map(|byte| index(byte.count_ones())).sum();
    if pages.len() < marked.saturating_mul(SECTOR) {
        return Ok(0);
    }
    grow(bytes, bins, meter)?;
    for (i, byte) in map.iter().enumerate() {
        for bit in 0..8_usize {
            if byte >> bit & 1 == 0 {
                continue;
            }
            let Some((page, rest)) = pages.split_at_checked(SECTOR) else {
                return Ok(0);
            };
            pages = rest;
            let number = i.saturating_mul(8).saturating_add(bit);
            let at = BLOCK.saturating_add(number.saturating_mul(SECTOR));
            if let Some(to) = bytes.get_mut(at..at.saturating_add(SECTOR)) {
                to.copy_from_slice(page);
            }
        }
    }
    if !whole {
        restore(bytes, log);
    }
    let sequence = le32(bytes, base::PRIMARY).unwrap_or(0);
    settle(bytes, bins, sequence, None);
    Ok(1)
}

/// Replays logs in the new format, in the order of their sequence numbers.
fn new(bytes: &mut Vec<u8>, logs: &[Log<'_>], whole: bool, meter: &mut Meter) -> Result<u32> {
    let mut logs: Vec<(&[u8], u32, &[Entry<'_>])> = logs
        .iter()
        .filter_map(|log| match log {
            Log::New { head, first, entries } => Some((*head, *first, entries.as_slice())),
            Log::Old { .. } => None,
        })
        .collect();
    if whole {
        let since = le32(bytes, base::SECONDARY).unwrap_or(0);
        logs.retain(|(_, first, _)| *first >= since);
        logs.sort_by_key(|(_, first, _)| *first);
    } else {
        // Only the log with the latest entries is known to fit its own copy of the base block.
        logs.retain(|(_, _, entries)| !entries.is_empty());
        let last = |entries: &[Entry<'_>]| entries.last().map_or(0, |e| e.sequence);
        logs.sort_by_key(|(_, _, entries)| std::cmp::Reverse(last(entries)));
        logs.truncate(1);
        if let Some((head, ..)) = logs.first() {
            restore(bytes, head);
        }
    }
    let mut applied = 0_u32;
    let mut expected = None;
    for (_, first, entries) in logs {
        // A log whose entries are damaged leaves a gap: what comes behind it does not fit.
        if entries.is_empty() || expected.is_some_and(|n| n != first) {
            break;
        }
        for entry in entries {
            if !apply(bytes, entry, meter)? {
                return Ok(applied);
            }
            applied = applied.saturating_add(1);
            expected = Some(entry.sequence.wrapping_add(1));
        }
    }
    Ok(applied)
}

/// Applies one entry. Says whether its pages lie where pages can lie.
fn apply(bytes: &mut Vec<u8>, entry: &Entry<'_>, meter: &mut Meter) -> Result<bool> {
    let (references, _) = entry.references.as_chunks::<8>();
    let mut pages = entry.pages;
    let mut plan = Vec::new();
    for reference in references {
        meter.step("page of a log entry")?;
        let (offset, len) = (
            index(le32(reference, 0).unwrap_or(0)),
            index(le32(reference, 4).unwrap_or(0)),
        );
        let Some((page, rest)) = pages.split_at_checked(len) else {
            return Ok(false);
        };
        if offset.saturating_add(len) > entry.bins {
            return Ok(false);
        }
        pages = rest;
        plan.push((BLOCK.saturating_add(offset), page));
    }
    grow(bytes, entry.bins, meter)?;
    for (at, page) in plan {
        if let Some(to) = bytes.get_mut(at..at.saturating_add(page.len())) {
            to.copy_from_slice(page);
        }
    }
    settle(bytes, entry.bins, entry.sequence, Some(entry.flags));
    Ok(true)
}

/// Makes room for `bins` bytes of hive bins.
fn grow(bytes: &mut Vec<u8>, bins: usize, meter: &mut Meter) -> Result<()> {
    let len = bins.saturating_add(BLOCK);
    if len > bytes.len() {
        meter.bytes(wide(len.saturating_sub(bytes.len())), "hive")?;
        bytes.resize(len, 0);
    }
    Ok(())
}

/// Takes the base block from a log's copy.
fn restore(bytes: &mut [u8], log: &[u8]) {
    if let (Some(to), Some(from)) = (bytes.get_mut(..base::KEPT), log.get(..base::KEPT)) {
        to.copy_from_slice(from);
        put(bytes, base::TYPE, 0);
    }
}

/// Makes the base block in memory that of a hive that was written to the end.
fn settle(bytes: &mut [u8], bins: usize, sequence: u32, flags: Option<u32>) {
    put(bytes, base::BINS, field(bins));
    put(bytes, base::PRIMARY, sequence);
    put(bytes, base::SECONDARY, sequence);
    if let Some(flags) = flags {
        let others = le32(bytes, base::FLAGS).unwrap_or(0) & !1;
        put(bytes, base::FLAGS, others | flags & 1);
    }
    let sum = xor32(bytes);
    put(bytes, base::CHECKSUM, sum);
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(4)) {
        to.copy_from_slice(&value.to_le_bytes());
    }
}
