use super::{Geometry, Run, Spot};
use crate::bytes::{index, wide};
use h2k_block::{BlockRead, BlockWrite, Class, Error, Extent, Kind, RawSpan, Result};
use std::sync::Arc;

/// Runs of one kind that [`Mapped::map`] joins into one extent before it answers: stripes are short.
const JOIN: usize = 64;

/// A device that a map points into, or what is known of one that is absent.
#[derive(Debug)]
pub(crate) struct Target<D: ?Sized> {
    /// The device; `None` where it is missing.
    pub(crate) disk: Option<Arc<D>>,
    /// What a person calls it: `/dev/sda2`, or the UUID of what is missing.
    pub(crate) name: String,
}

/// A volume whose bytes lie on other devices.
#[derive(Debug)]
pub(crate) struct Mapped<D: ?Sized> {
    geometry: Arc<dyn Geometry>,
    targets: Vec<Target<D>>,
}

impl<D: BlockRead + ?Sized> Mapped<D> {
    pub(crate) fn new(geometry: Arc<dyn Geometry>, targets: Vec<Target<D>>) -> Self {
        Self { geometry, targets }
    }

    /// The device of a run and the bytes of it that can be had there.
    fn target(&self, target: usize, offset: u64, len: u64) -> Result<&Arc<D>> {
        let Some(target) = self.targets.get(target) else {
            return Err(Error::new(Class::Invalid, "a volume's map names no target").at("volume", offset));
        };
        let Some(disk) = &target.disk else {
            return Err(Error::new(
                Class::NotFound,
                format!("{} is missing, and no other copy is there", target.name),
            )
            .advise("give all the disks of this guest together"));
        };
        if offset.checked_add(len).is_none_or(|end| end > disk.len()) {
            return Err(Error::corrupt(
                "volume",
                offset,
                format!(
                    "{len} bytes at {offset:#x} of {} belong to this volume, but it ends at {:#x}",
                    target.name,
                    disk.len()
                ),
            ));
        }
        Ok(disk)
    }

    /// Reads the start of `buf` from the first copy that can be read; answers how much.
    fn read_some(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let end = offset.saturating_add(wide(buf.len()));
        let mut failed: Option<Error> = None;
        for copy in 0..self.geometry.copies(offset).max(1) {
            let run = self.geometry.place(offset, end, copy);
            let n = index(run.len).clamp(1, buf.len());
            let Some(piece) = buf.get_mut(..n) else {
                break;
            };
            let done = match run.spot {
                Spot::Zero => {
                    piece.fill(0);
                    Ok(())
                }
                Spot::On { target, offset } => self
                    .target(target, offset, run.len)
                    .and_then(|disk| disk.read_at(offset, piece)),
            };
            match done {
                Ok(()) => return Ok(n),
                // Somebody asked us to stop, or the account is empty: another copy would not help.
                Err(e) if matches!(e.class(), Class::Cancelled | Class::Limit) => return Err(e),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        let failed = failed.unwrap_or_else(|| Error::new(Class::Invalid, "a volume's map has no copies"));
        match self.geometry.rebuild(offset, end) {
            // What could not be read first is what the user should hear of.
            Some(runs) => self.sum(&runs, buf).map_err(|_| failed),
            None => Err(failed),
        }
    }

    /// Fills the start of `buf` with the exclusive or of `runs`; answers how much.
    fn sum(&self, runs: &[Run], buf: &mut [u8]) -> Result<usize> {
        let len = runs.iter().map(|r| r.len).min().unwrap_or(0);
        let n = index(len).min(buf.len());
        let Some(piece) = buf.get_mut(..n).filter(|p| !p.is_empty()) else {
            return Err(Error::new(Class::Invalid, "a row without devices"));
        };
        piece.fill(0);
        let mut other = vec![0; n];
        for run in runs {
            if let Spot::On { target, offset } = run.spot {
                self.target(target, offset, wide(n))?
                    .read_at(offset, &mut other)?;
                for (sum, byte) in piece.iter_mut().zip(&other) {
                    *sum ^= byte;
                }
            }
        }
        Ok(n)
    }

    /// The first copy that is there at all.
    fn present(&self, offset: u64, end: u64) -> Option<Run> {
        (0..self.geometry.copies(offset).max(1))
            .map(|copy| self.geometry.place(offset, end, copy))
            .find(|run| match run.spot {
                Spot::Zero => true,
                Spot::On { target, offset } => self.target(target, offset, run.len).is_ok(),
            })
    }

    /// The extent of one run, in the volume's coordinates. What is missing counts as data: reading it says why.
    fn one(&self, offset: u64, end: u64) -> Result<Extent> {
        let Some(run) = self.present(offset, end) else {
            let run = self.geometry.place(offset, end, 0);
            return Ok(Extent::new(offset, run.len, Kind::Data));
        };
        match run.spot {
            Spot::Zero => Ok(Extent::new(offset, run.len, Kind::Zero)),
            Spot::On { target, offset: at } => {
                let disk = self.target(target, at, run.len)?;
                let below = disk.extent_at(at, at.saturating_add(run.len))?;
                Ok(Extent {
                    start: offset,
                    ..below
                })
            }
        }
    }
}

impl<D: BlockRead + ?Sized> BlockRead for Mapped<D> {
    fn len(&self) -> u64 {
        self.geometry.len()
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let done = self.read_some(offset, buf)?;
            offset = offset.saturating_add(wide(done));
            buf = buf.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let mut found = self.one(offset, end)?;
        for _ in 0..JOIN {
            if found.end() >= end {
                break;
            }
            let next = self.one(found.end(), end)?;
            if (next.kind, next.depth, next.compressed) != (found.kind, found.depth, found.compressed) {
                break;
            }
            found.len = found.len.saturating_add(next.len);
        }
        Ok(found)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        match self.present(offset, end) {
            Some(Run {
                spot: Spot::On { target, offset },
                len,
            }) => self
                .target(target, offset, len)?
                .raw_at(offset, offset.saturating_add(len)),
            _ => Ok(None),
        }
    }

    fn grain(&self) -> u32 {
        let grains = self.targets.iter().filter_map(|t| t.disk.as_ref());
        grains.map(|d| d.grain()).max().unwrap_or(65536)
    }
}

impl<D: BlockWrite + ?Sized> BlockWrite for Mapped<D> {
    /// Every copy that is there is written. A copy on a missing device would come back stale, so a volume that
    /// lacks one is not written at all.
    fn store(&self, mut offset: u64, mut buf: &[u8]) -> Result<()> {
        if let Some(why) = self.geometry.read_only() {
            return Err(Error::new(Class::ReadOnly, why));
        }
        if let Some(missing) = self.targets.iter().find(|t| t.disk.is_none()) {
            return Err(Error::new(
                Class::ReadOnly,
                format!("{} is missing; an incomplete volume is not written", missing.name),
            ));
        }
        while !buf.is_empty() {
            let end = offset.saturating_add(wide(buf.len()));
            // Copies may be laid out differently: what is written at once lies in one piece in each.
            let runs: Vec<Run> = (0..self.geometry.copies(offset).max(1))
                .map(|copy| self.geometry.place(offset, end, copy))
                .collect();
            let len = runs.iter().map(|r| r.len).min().unwrap_or(1);
            let (piece, rest) = buf.split_at(index(len).clamp(1, buf.len()));
            for run in runs {
                match run.spot {
                    Spot::On { target, offset } => {
                        self.target(target, offset, len)?.write_at(offset, piece)?;
                    }
                    Spot::Zero => {
                        return Err(Error::new(
                            Class::ReadOnly,
                            "this part of the volume is stored nowhere and cannot be written",
                        )
                        .at("volume", offset));
                    }
                }
            }
            offset = offset.saturating_add(wide(piece.len()));
            buf = rest;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.targets
            .iter()
            .filter_map(|t| t.disk.as_ref())
            .try_for_each(|disk| disk.flush())
    }
}
