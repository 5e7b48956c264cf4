//! From a block of a file to a block of the volume: which [`Run`] a logical block lies in.

use crate::blocks::Blocks;
use crate::extent;
use crate::geometry::Geometry;
use crate::indirect;
use crate::inode::Inode;
use crate::layout::inode_flag;
use h2k_block::Result;

/// What a run of logical blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Stored, from this block of the volume on.
    At(u64),
    /// Allocated but never written: reads as zero.
    Unwritten,
    /// Not there: reads as zero.
    Hole,
}

/// A run of logical blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First logical block.
    pub(crate) start: u64,
    /// Number of blocks, at least 1.
    pub(crate) len: u64,
    /// Where they are.
    pub(crate) target: Target,
}

impl Run {
    /// First logical block after the run.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// The part of the run from `block` on; the run holds `block`.
    pub(crate) fn from(self, block: u64) -> Self {
        let skip = block.saturating_sub(self.start);
        Self {
            start: block,
            len: self.len.saturating_sub(skip).max(1),
            target: match self.target {
                Target::At(at) => Target::At(at.saturating_add(skip)),
                other => other,
            },
        }
    }
}

/// The run that begins at logical `block`, as far as one structure tells. Inline data has no map.
pub(crate) fn find(geo: &Geometry, blocks: &Blocks, inode: &Inode, block: u64) -> Result<Run> {
    if inode.has(inode_flag::EXTENTS) {
        extent::find(geo, blocks, inode, block)
    } else {
        indirect::find(blocks, inode, block)
    }
}

/// Runs joined into one at most.
const JOINED: u32 = 4096;

/// As [`find`], joined with the following runs as long as they continue on the volume, up to `end`.
pub(crate) fn find_joined(
    geo: &Geometry,
    blocks: &Blocks,
    inode: &Inode,
    block: u64,
    end: u64,
) -> Result<Run> {
    let mut run = find(geo, blocks, inode, block)?;
    // A lying tree can offer a run for every single block of a huge hole.
    for _ in 0..JOINED {
        if run.end() >= end {
            break;
        }
        let next = find(geo, blocks, inode, run.end())?;
        let joins = match (run.target, next.target) {
            (Target::At(a), Target::At(b)) => a.checked_add(run.len) == Some(b),
            (a, b) => a == b,
        };
        if !joins {
            break;
        }
        run.len = run.len.saturating_add(next.len);
    }
    Ok(run)
}
