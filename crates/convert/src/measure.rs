//! How much room a target will need: its writer works on a file that keeps nothing and counts.

use crate::counter::{BLOCK, Counter};
use crate::failure::About;
use crate::uniform::Uniform;
use crate::{Making, Result, Source};
use h2k_block::{Batch, BlockRead, Body, Class, Error, HostFile, Kind, Piece, Sink, extents};
use h2k_image::Target;
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks how much room a target will need.
#[derive(Clone, Debug)]
pub struct Measure {
    /// The image to be converted, or the size of an empty disk.
    pub what: Measured,
    /// The target.
    pub making: Making,
}

/// What is measured.
#[derive(Clone, Debug)]
pub enum Measured {
    /// A disk of so many bytes with nothing in it.
    Empty(u64),
    /// An image.
    Image(Source),
}

/// How much room a target will need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MeasureReport {
    /// Format of the target.
    pub format: &'static str,
    /// Size of the guest's disk in bytes.
    pub virtual_size: u64,
    /// Bytes of host space at most. Compression, and zeros that are stored as data in the source, make it less.
    pub required: u64,
    /// Length of the target's files then. Where it is more than `required`, they have holes.
    pub length: u64,
    /// Length of the target's files when every byte of the disk holds data.
    pub fully_allocated: u64,
}

impl Measure {
    /// Measures.
    ///
    /// # Errors
    /// What the source says; [`Class::Unsupported`] when the format cannot hold a disk of this size.
    pub fn run(&self, stop: &AtomicBool) -> Result<MeasureReport> {
        let target = self.making.uncompressed().target()?;
        match &self.what {
            Measured::Empty(size) => Ok(measure(&Uniform::empty(*size), &target, stop)?),
            Measured::Image(source) => {
                let opened = source.open()?;
                measure(&*opened.disk, &target, stop).about(&source.path)
            }
        }
    }
}

/// How much room a target made from `disk` will need.
pub(crate) fn measure(
    disk: &dyn BlockRead,
    target: &Target,
    stop: &AtomicBool,
) -> h2k_block::Result<MeasureReport> {
    let found = try_on(disk, target, stop)?;
    Ok(MeasureReport {
        format: target.format().name(),
        virtual_size: disk.len(),
        required: found.required,
        length: found.length,
        fully_allocated: full(disk.len(), target, stop)?,
    })
}

/// Bytes of host space a target made from `disk` will need at most.
pub(crate) fn required(disk: &dyn BlockRead, target: &Target, stop: &AtomicBool) -> h2k_block::Result<u64> {
    Ok(try_on(disk, target, stop)?.required)
}

/// Grains up to which a full disk is tried out; beyond, what it needs grows in proportion.
const TRIED: u64 = 1 << 20;

fn full(len: u64, target: &Target, stop: &AtomicBool) -> h2k_block::Result<u64> {
    let empty = try_on(&Uniform::empty(len), target, stop)?;
    if empty.length >= len {
        // The size of the file does not depend on what is in it.
        return Ok(empty.length);
    }
    let sample = TRIED.saturating_mul(empty.grain).min(len);
    let tried = try_on(&Uniform::full(sample), target, stop)?.length;
    if sample == len {
        return Ok(tried);
    }
    let bare = try_on(&Uniform::empty(sample), target, stop)?.length;
    let grown = u128::from(tried.saturating_sub(bare)).saturating_mul(u128::from(len));
    let grown = grown.div_ceil(u128::from(sample.max(1)));
    // A table of tables grows a little faster than the disk: a millionth covers that.
    let slack = len >> 20;
    Ok(empty
        .length
        .saturating_add(u64::try_from(grown).unwrap_or(u64::MAX))
        .saturating_add(slack))
}

struct Tried {
    required: u64,
    length: u64,
    grain: u64,
}

/// Lets the target's own writer make the container on counters.
fn try_on(disk: &dyn BlockRead, target: &Target, stop: &AtomicBool) -> h2k_block::Result<Tried> {
    let mut counters = vec![Arc::new(Counter::default())];
    let first: Arc<dyn HostFile> = counters.first().cloned().unwrap_or_default();
    let mut another = |_: &str| {
        let counter = Arc::new(Counter::default());
        counters.push(counter.clone());
        let file: Arc<dyn HostFile> = counter;
        Ok(file)
    };
    let sink = h2k_image::create(first, &mut another, target, disk.len())?;
    let grain = u64::from(sink.grain());
    feed(disk, &*sink, stop)?;
    sink.finish()?;
    let length = sum(counters.iter().map(|c| c.len()));
    let taken = sum(counters.iter().map(|c| c.taken()));
    Ok(Tried {
        required: taken.min(length.next_multiple_of(BLOCK)),
        length,
        grain,
    })
}

fn sum(all: impl Iterator<Item = u64>) -> u64 {
    all.fold(0, u64::saturating_add)
}

/// Whole grains of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    grains: Range<u64>,
    kind: Kind,
}

/// Sends the outline of `disk` through the doors of `sink`, without reading a byte.
fn feed(disk: &dyn BlockRead, sink: &dyn Sink, stop: &AtomicBool) -> h2k_block::Result<()> {
    let grain = u64::from(sink.grain()).max(1);
    let load = Load::of(sink, grain)?;
    // The same bytes for every batch: nobody reads them.
    let mut batch = Batch {
        guest: load.plain.as_slice().into(),
        coded: load.coded.clone(),
        ..Batch::default()
    };
    let mut last: Option<Run> = None;
    for extent in extents(disk, 0..disk.len()) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Class::Cancelled, "stopped while measuring"));
        }
        let extent = extent?;
        let run = Run {
            grains: extent.start.checked_div(grain).unwrap_or(0)..extent.end().div_ceil(grain),
            kind: extent.kind,
        };
        if let Some(done) = join(&mut last, run) {
            send(&done, grain, disk.len(), &load, &mut batch, sink)?;
        }
    }
    last.map_or(Ok(()), |run| {
        send(&run, grain, disk.len(), &load, &mut batch, sink)
    })
}

/// Adds `run` after `last`, whose last grain it may share; answers with what is complete now.
fn join(last: &mut Option<Run>, mut run: Run) -> Option<Run> {
    let rank = |kind: Kind| match kind {
        Kind::Hole => 0,
        Kind::Zero => 1,
        Kind::Data => 2,
    };
    if let Some(before) = last
        && run.grains.start < before.grains.end
    {
        // The grain they share is as good as the better of the two.
        if rank(run.kind) > rank(before.kind) {
            before.grains.end = run.grains.start;
        } else {
            run.grains.start = before.grains.end;
        }
    }
    if run.grains.is_empty() {
        return None;
    }
    match last {
        Some(before) if before.kind == run.kind => {
            before.grains.end = run.grains.end;
            None
        }
        _ => last.replace(run).filter(|done| !done.grains.is_empty()),
    }
}

/// What a grain of data is to a container, when nothing in it can be compressed.
struct Load {
    /// Bytes sent at once.
    step: u64,
    plain: Vec<u8>,
    coded: Vec<u8>,
    body: Body,
}

impl Load {
    /// Tries what `sink` makes of a grain of noise: containers that always encode do so here too.
    fn of(sink: &dyn Sink, grain: u64) -> h2k_block::Result<Self> {
        let step = grain.max(1 << 20);
        let mut word = 1_u64;
        let noise = std::iter::repeat_with(|| {
            // A linear congruential generator (Knuth's MMIX); its high bits do not compress.
            word = word
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            word.to_be_bytes().first().copied().unwrap_or(0)
        });
        let plain: Vec<u8> = noise.take(usize::try_from(step).unwrap_or(1 << 20)).collect();
        let mut batch = Batch {
            start: 0,
            len: grain,
            guest: plain
                .get(..usize::try_from(grain).unwrap_or(0))
                .unwrap_or_default()
                .into(),
            coded: Vec::new(),
            pieces: vec![Piece {
                start: 0,
                len: grain,
                body: Body::Plain,
                host: 0,
            }],
        };
        sink.encode(&mut batch)?;
        Ok(Self {
            step,
            plain,
            coded: batch.coded,
            body: batch.pieces.first().map_or(Body::Plain, |piece| piece.body),
        })
    }
}

fn send(
    run: &Run,
    grain: u64,
    len: u64,
    load: &Load,
    batch: &mut Batch,
    sink: &dyn Sink,
) -> h2k_block::Result<()> {
    let end = run.grains.end.saturating_mul(grain).min(len);
    let mut at = run.grains.start.saturating_mul(grain);
    while at < end {
        let n = match run.kind {
            Kind::Data => end.saturating_sub(at).min(load.step),
            Kind::Hole | Kind::Zero => end.saturating_sub(at),
        };
        (batch.start, batch.len) = (at, n);
        batch.pieces.clear();
        let mut piece = |start, len, body| {
            batch.pieces.push(Piece {
                start,
                len,
                body,
                host: 0,
            });
        };
        match run.kind {
            Kind::Hole => piece(at, n, Body::Hole),
            Kind::Zero => piece(at, n, Body::Zero),
            Kind::Data => {
                let mut start = at;
                while start < at.saturating_add(n) {
                    let room = at.saturating_add(n).saturating_sub(start).min(grain);
                    piece(start, room, load.body);
                    start = start.saturating_add(room);
                }
            }
        }
        sink.place(batch)?;
        sink.store(batch)?;
        at = at.saturating_add(n);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grain_that_is_data_in_part_is_data() {
        let (mut last, mut done) = (None, Vec::new());
        let run = |grains, kind| Run { grains, kind };
        for next in [
            run(0..3, Kind::Hole),
            run(2..4, Kind::Data),
            run(3..4, Kind::Hole),
            run(3..6, Kind::Zero),
            run(6..7, Kind::Zero),
        ] {
            done.extend(join(&mut last, next));
        }
        done.extend(last);
        assert_eq!(
            done,
            [
                run(0..2, Kind::Hole),
                run(2..4, Kind::Data),
                run(4..7, Kind::Zero)
            ]
        );
    }
}
