//! What VHD, VHDX, VDI and their like have in common: guest runs that lie in the file, are zero, or belong to a parent.

use h2k_block::{BlockRead, Extent, Kind, RawSpan, Result};
use std::sync::Arc;

/// What a container says of a run of guest bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Verbatim in the container's file, from this byte on.
    Here(u64),
    /// Zero, whatever lies below.
    Zero,
    /// Not in this container: the parent's bytes, or zero at the bottom.
    Hole,
}

/// A run of guest bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Length in bytes, never zero.
    pub(crate) len: u64,
    /// What it is.
    pub(crate) stored: Stored,
}

/// The map of a container: guest bytes to runs.
pub(crate) trait Runs: Send + Sync {
    /// Size of the guest's disk in bytes.
    fn len(&self) -> u64;
    /// How the disk likes to be read.
    fn grain(&self) -> u32;
    /// The run that begins at `offset`, at most up to `end`, as long as is cheap to find out. `Here` has been
    /// checked against the end of the file.
    fn run(&self, offset: u64, end: u64) -> Result<Run>;
}

/// A container's map over its file and its parent: the guest's disk.
pub(crate) struct Layered<R> {
    runs: R,
    file: Arc<dyn BlockRead>,
    parent: Option<Arc<dyn BlockRead>>,
}

/// Runs joined for one extent: long enough for any copier, short enough to stay quick.
const JOINED: usize = 64;

impl<R: Runs> Layered<R> {
    /// `file` should answer [`BlockRead::raw_at`], as [`crate::raw::RawDisk`] does.
    pub(crate) fn new(runs: R, file: Arc<dyn BlockRead>, parent: Option<Arc<dyn BlockRead>>) -> Self {
        Self { runs, file, parent }
    }

    fn extent(&self, offset: u64, end: u64) -> Result<Extent> {
        let run = self.runs.run(offset, end)?;
        let len = run.len.min(end.saturating_sub(offset));
        match run.stored {
            Stored::Zero => Ok(Extent::new(offset, len, Kind::Zero)),
            // What the host does not store is zero here, and hides the parent all the same.
            Stored::Here(host) => {
                let below = self.file.extent_at(host, host.saturating_add(len))?;
                let kind = if below.kind == Kind::Data {
                    Kind::Data
                } else {
                    Kind::Zero
                };
                Ok(Extent::new(offset, below.len, kind))
            }
            Stored::Hole => match &self.parent {
                None => Ok(Extent::new(offset, len, Kind::Hole)),
                Some(parent) if offset >= parent.len() => Ok(Extent::new(offset, len, Kind::Zero)),
                Some(parent) => {
                    let end = offset.saturating_add(len).min(parent.len());
                    Ok(parent.extent_at(offset, end)?.deeper())
                }
            },
        }
    }
}

impl<R: Runs> BlockRead for Layered<R> {
    fn len(&self) -> u64 {
        self.runs.len()
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let end = offset.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX));
            let run = self.runs.run(offset, end)?;
            let n = usize::try_from(run.len).unwrap_or(usize::MAX).min(buf.len());
            let (head, rest) = buf.split_at_mut(n);
            match (run.stored, &self.parent) {
                (Stored::Here(host), _) => self.file.read_at(host, head)?,
                (Stored::Hole, Some(parent)) => read_short(&**parent, offset, head)?,
                (Stored::Hole | Stored::Zero, _) => head.fill(0),
            }
            offset = offset.saturating_add(run.len);
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let mut whole = self.extent(offset, end)?;
        for _ in 0..JOINED {
            if whole.end() >= end {
                break;
            }
            // A damaged entry further on is reported when the walk gets there.
            let Ok(next) = self.extent(whole.end(), end) else {
                break;
            };
            if (next.kind, next.depth, next.compressed) != (whole.kind, whole.depth, whole.compressed) {
                break;
            }
            whole.len = whole.len.saturating_add(next.len);
        }
        Ok(whole)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let run = self.runs.run(offset, end)?;
        let len = run.len.min(end.saturating_sub(offset));
        match (run.stored, &self.parent) {
            (Stored::Here(host), _) => self.file.raw_at(host, host.saturating_add(len)),
            (Stored::Hole, Some(parent)) if offset < parent.len() => {
                parent.raw_at(offset, offset.saturating_add(len).min(parent.len()))
            }
            _ => Ok(None),
        }
    }

    fn grain(&self) -> u32 {
        self.runs.grain()
    }
}

/// Reads from a parent that may be shorter than its child: what it lacks is zero.
pub(crate) fn read_short(parent: &dyn BlockRead, offset: u64, buf: &mut [u8]) -> Result<()> {
    let room = usize::try_from(parent.len().saturating_sub(offset)).unwrap_or(usize::MAX);
    let (head, tail) = buf.split_at_mut(room.min(buf.len()));
    tail.fill(0);
    if head.is_empty() {
        Ok(())
    } else {
        parent.read_at(offset, head)
    }
}
