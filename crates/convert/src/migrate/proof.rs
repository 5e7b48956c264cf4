//! A proof that a target differs from its source where fixes wrote, and nowhere else.

use crate::convert::verify;
use crate::fix::edited_at;
use crate::{Convert, Fixed, Result, Watch};
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Output};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What was proved of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    /// The finished disk.
    pub target: String,
    /// Bytes that fixes wrote, and that were left out of the comparison.
    pub edited: u64,
    /// How it was proved that the rest is as in the source.
    pub by: ProvedBy,
}

/// How a target was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProvedBy {
    /// Read again, it has the digest of what was copied: the source as it was read then, with the edits over it.
    Digest,
    /// Source and target were read once more and compared, wherever nothing was edited.
    Comparison,
}

/// What is proved of a disk that was copied and verified.
pub(super) fn verified(fixed: &Fixed, number: usize, job: &Convert) -> Proof {
    let edits = fixed.report.edits.get(number);
    Proof {
        target: job.target.display().to_string(),
        edited: edits.map_or(0, |e| e.bytes),
        by: ProvedBy::Digest,
    }
}

/// A disk with zeros where it was edited.
struct Unedited {
    disk: Arc<dyn BlockRead>,
    /// Sorted, apart from each other.
    ranges: Vec<(u64, u64)>,
}

impl BlockRead for Unedited {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> h2k_block::Result<()> {
        while !buf.is_empty() {
            let (edited, until) = edited_at(&self.ranges, offset);
            let room = usize::try_from(until.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (part, rest) = buf.split_at_mut(room.min(buf.len()));
            if edited {
                part.fill(0);
            } else {
                self.disk.read_at(offset, part)?;
            }
            offset = offset.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> h2k_block::Result<Extent> {
        let (edited, until) = edited_at(&self.ranges, offset);
        let end = end.min(until);
        if edited {
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Zero));
        }
        self.disk.extent_at(offset, end)
    }
}

/// Reads source and target once more and compares everything that was not edited.
pub(super) fn prove(
    fixed: &Fixed,
    number: usize,
    output: &Output,
    job: &Convert,
    stop: &AtomicBool,
    watch: &dyn Watch,
) -> Result<Proof> {
    let nothing = || Error::new(Class::Invalid, "there is nothing to compare");
    let edits = fixed.report.edits.get(number).ok_or_else(nothing)?;
    let (_, opened) = fixed.guest.images.get(number).ok_or_else(nothing)?;
    let part = output
        .parts()
        .find(|(_, path)| **path == job.target)
        .map(|(part, _)| part);
    let target = verify::open(output, part.ok_or_else(nothing)?, job.making.format, true)?;
    let of = |disk: Arc<dyn BlockRead>| Unedited {
        disk,
        ranges: edits.ranges.clone(),
    };
    let options = h2k_copy::Options {
        workers: job.workers,
        ..h2k_copy::Options::default()
    };
    let found = h2k_copy::compare(&of(opened.disk()), &of(target.disk), &options, stop, watch)?;
    if let Some(difference) = found {
        let error = Error::new(
            Class::Corrupt,
            "the target differs from the source where no fix wrote",
        )
        .at("disk", difference.offset)
        .advise("check the memory and the storage of this machine before trusting any copy made on it");
        return Err(crate::Failure::from(error).about(&job.target));
    }
    Ok(Proof {
        target: job.target.display().to_string(),
        edited: edits.bytes,
        by: ProvedBy::Comparison,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::MemDisk;

    #[test]
    fn what_was_edited_reads_as_zero_and_nothing_else_does() {
        let disk: Arc<dyn BlockRead> = Arc::new(MemDisk::new(vec![7; 100]));
        let masked = Unedited {
            disk,
            ranges: vec![(10, 5), (50, 50)],
        };
        let mut all = [1; 100];
        masked.read_at(0, &mut all).unwrap();
        for (at, byte) in all.iter().enumerate() {
            let edited = (10..15).contains(&at) || at >= 50;
            assert_eq!(*byte, if edited { 0 } else { 7 }, "{at}");
        }
        for at in 0..100 {
            let extent = masked.extent_at(at, 100).unwrap();
            let edited = (10..15).contains(&at) || at >= 50;
            assert_eq!(extent.kind == Kind::Zero, edited, "{at}");
        }
    }
}
