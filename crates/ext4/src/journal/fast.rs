//! Fast commits (journal.rst, "Fast commits"): tag-length-value records that say what happened to inodes and names
//! since the last full transaction. They are kept as changes and applied when an inode, its map or a directory is
//! read, so nothing has to be allocated to show the result.

use super::layout::{FcTag, fc};
use super::log::Log;
use crate::bytes::{at, le32, wide};
use crate::checksum::crc32c;
use crate::layout::{EXTENT_MAGIC, EXTENT_MAX_LEN, ExtentLeaf, inode_flag};
use crate::map::{Run, Target};
use h2k_block::{Error, Meter, Result};
use std::collections::{BTreeMap, HashMap};

/// What happened to names of one directory: the inode a name stands for now, or `None` when it is gone.
pub(crate) type Names = BTreeMap<Vec<u8>, Option<u32>>;

/// Everything fast commits say.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    records: HashMap<u32, Vec<u8>>,
    ranges: HashMap<u32, BTreeMap<u64, Run>>,
    names: HashMap<u32, Names>,
    /// Runs of volume blocks that became used, ascending.
    added: Vec<(u64, u64)>,
    /// Fast commits that were complete.
    commits: u32,
}

impl Changes {
    /// How many fast commits were found complete.
    pub(crate) fn commits(&self) -> u32 {
        self.commits
    }

    /// The record of inode `number` with its changes, if there are any. `stored` is what the inode table holds.
    pub(crate) fn record(&self, number: u32, stored: &[u8]) -> Option<Vec<u8>> {
        let new = self.records.get(&number)?;
        let mut merged = stored.to_vec();
        let mut take = |range: std::ops::Range<usize>| {
            let end = range.end.min(new.len()).min(merged.len());
            if let (Some(to), Some(from)) = (merged.get_mut(range.start..end), new.get(range.start..end)) {
                to.copy_from_slice(from);
            }
        };
        // All but i_block, which the ranges describe.
        take(0..0x28);
        take(0x64..usize::MAX);
        let flags = le32(new, 0x20).unwrap_or(0);
        if flags & inode_flag::EXTENTS == 0 {
            take(0x28..0x64);
        } else if le32(stored, 0x28).is_none_or(|w| w & 0xffff != u32::from(EXTENT_MAGIC)) {
            // A new inode: an empty root with room for four entries.
            let root: [u8; 12] = [0x0a, 0xf3, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
            if let Some(block) = merged.get_mut(0x28..0x64) {
                block.fill(0);
                if let Some(to) = block.get_mut(..12) {
                    to.copy_from_slice(&root);
                }
            }
        }
        Some(merged)
    }

    /// Whether the map of inode `number` changed.
    pub(crate) fn has_ranges(&self, number: u32) -> bool {
        self.ranges.contains_key(&number)
    }

    /// The changed run that holds `block`, or the first block after it that has changed (`u64::MAX` if none).
    pub(crate) fn range(&self, number: u32, block: u64) -> std::result::Result<Run, u64> {
        let Some(runs) = self.ranges.get(&number) else {
            return Err(u64::MAX);
        };
        match runs.range(..=block).next_back() {
            Some((_, run)) if run.end() > block => Ok(run.from(block)),
            _ => Err(runs.range(block..).next().map_or(u64::MAX, |(start, _)| *start)),
        }
    }

    /// Whether names of directory `number` changed.
    pub(crate) fn has_names(&self, number: u32) -> bool {
        self.names.contains_key(&number)
    }

    /// The changed names of directory `number`.
    pub(crate) fn names(&self, number: u32) -> Option<&Names> {
        self.names.get(&number)
    }

    /// Runs of volume blocks that the bitmaps do not know as used yet, ascending.
    pub(crate) fn added(&self) -> &[(u64, u64)] {
        &self.added
    }

    fn put(&mut self, inode: u32, run: Run) {
        let runs = self.ranges.entry(inode).or_default();
        // Cut what the new run covers out of the old ones.
        let first = runs
            .range(..run.start)
            .next_back()
            .map_or(run.start, |(start, _)| *start);
        let touched: Vec<Run> = runs.range(first..run.end()).map(|(_, r)| *r).collect();
        for old in touched {
            if old.end() <= run.start {
                continue;
            }
            runs.remove(&old.start);
            if old.start < run.start {
                let len = run.start.saturating_sub(old.start);
                runs.insert(old.start, Run { len, ..old });
            }
            if old.end() > run.end() {
                let rest = old.from(run.end());
                runs.insert(rest.start, rest);
            }
        }
        runs.insert(run.start, run);
    }

    /// Applies one record. Unknown tags do not get here.
    fn apply(&mut self, tag: u16, value: &[u8], fs_blocks: u64) -> Option<()> {
        match tag {
            fc::INODE => {
                let inode = le32(value, 0)?;
                self.records.insert(inode, value.get(4..)?.to_vec());
            }
            fc::ADD_RANGE => {
                let inode = le32(value, 0)?;
                let leaf: &ExtentLeaf = at(value, 4)?;
                let len = leaf.len.get();
                let unwritten = len > EXTENT_MAX_LEN;
                let len = u64::from(if unwritten {
                    len.checked_sub(EXTENT_MAX_LEN)?
                } else {
                    len
                });
                let first = wide(leaf.start_lo.get(), u32::from(leaf.start_hi.get()));
                if len == 0 || first == 0 || first.checked_add(len)? > fs_blocks {
                    return None;
                }
                self.added.push((first, len));
                let run = Run {
                    start: u64::from(leaf.block.get()),
                    len,
                    target: if unwritten {
                        Target::Unwritten
                    } else {
                        Target::At(first)
                    },
                };
                self.put(inode, run);
            }
            fc::DEL_RANGE => {
                let inode = le32(value, 0)?;
                let run = Run {
                    start: u64::from(le32(value, 4)?),
                    len: u64::from(le32(value, 8)?),
                    target: Target::Hole,
                };
                if run.len > 0 {
                    self.put(inode, run);
                }
            }
            fc::CREAT | fc::LINK | fc::UNLINK => {
                let parent = le32(value, 0)?;
                let inode = le32(value, 4)?;
                let name = value.get(8..).filter(|n| !n.is_empty() && n.len() <= 255)?;
                let now = (tag != fc::UNLINK).then_some(inode);
                self.names.entry(parent).or_default().insert(name.to_vec(), now);
            }
            _ => {}
        }
        Some(())
    }
}

/// Reads the fast commit area: the commits that follow transaction `expected - 1`, up to the first incomplete one.
pub(crate) fn read(log: &Log<'_>, expected: u32, fs_blocks: u64, meter: &mut Meter) -> Result<Changes> {
    let mut changes = Changes::default();
    let mut pending: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut crc = 0;
    let mut begun = false;
    let mut buf = vec![0; log.block_len()];
    for number in log.fast_blocks() {
        meter.step("fast commit block")?;
        log.read(number, &mut buf)?;
        let mut pos = 0_usize;
        // Each record takes at least four bytes.
        while let Some(head) = at::<FcTag>(&buf, pos) {
            let (tag, len) = (head.tag.get(), usize::from(head.len.get()));
            let start = pos.saturating_add(4);
            let Some(value) = buf.get(start..).and_then(|rest| rest.get(..len)) else {
                return Ok(finish(changes));
            };
            let head = buf.get(pos..start).unwrap_or_default();
            // The area begins with a head record of the transaction it follows; anything else is left over.
            if !begun && (tag != fc::HEAD || le32(value, 4) != Some(expected)) {
                return Ok(finish(changes));
            }
            match tag {
                fc::HEAD => {
                    let features = le32(value, 0).unwrap_or(0);
                    if features != 0 {
                        return Err(Error::unsupported(format!(
                            "fast commits use features that are not supported: {features:#x}"
                        )));
                    }
                    if le32(value, 4) != Some(expected) {
                        return Ok(finish(changes));
                    }
                    begun = true;
                    crc = crc32c(crc32c(crc, head), value);
                }
                fc::TAIL => {
                    crc = crc32c(crc32c(crc, head), value.get(..4).unwrap_or_default());
                    if le32(value, 0) != Some(expected) || le32(value, 4) != Some(crc) {
                        return Ok(finish(changes));
                    }
                    for (tag, value) in pending.drain(..) {
                        changes.apply(tag, &value, fs_blocks).ok_or_else(|| {
                            Error::corrupt(
                                "fast commit",
                                u64::from(number),
                                format!("a record with tag {tag} makes no sense"),
                            )
                        })?;
                    }
                    changes.commits = changes.commits.saturating_add(1);
                    crc = 0;
                }
                fc::PAD | fc::ADD_RANGE | fc::DEL_RANGE | fc::CREAT | fc::LINK | fc::UNLINK | fc::INODE => {
                    crc = crc32c(crc32c(crc, head), value);
                    if tag != fc::PAD {
                        meter.bytes(u64::try_from(len).unwrap_or(0), "fast commit records")?;
                        pending.push((tag, value.to_vec()));
                    }
                }
                _ => return Ok(finish(changes)),
            }
            pos = start.saturating_add(len);
        }
    }
    Ok(finish(changes))
}

fn finish(mut changes: Changes) -> Changes {
    changes.added.sort_unstable();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, len: u64, target: Target) -> Run {
        Run { start, len, target }
    }

    #[test]
    fn a_later_range_covers_parts_of_earlier_ones() {
        let mut c = Changes::default();
        c.put(12, run(0, 10, Target::At(100)));
        c.put(12, run(20, 10, Target::At(200)));
        c.put(12, run(5, 20, Target::Hole));
        assert_eq!(c.range(12, 0), Ok(run(0, 5, Target::At(100))));
        assert_eq!(c.range(12, 7), Ok(run(7, 18, Target::Hole)));
        assert_eq!(c.range(12, 25), Ok(run(25, 5, Target::At(205))));
        assert_eq!(c.range(12, 30), Err(u64::MAX));
        c.put(12, run(2, 1, Target::Unwritten));
        assert_eq!(c.range(12, 1), Ok(run(1, 1, Target::At(101))));
        assert_eq!(c.range(12, 3), Ok(run(3, 2, Target::At(103))));
        assert_eq!(c.range(13, 3), Err(u64::MAX));
    }
}
