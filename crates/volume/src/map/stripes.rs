use super::{Geometry, Run, Spot};
use std::sync::Arc;

/// Where one stripe begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stripe {
    pub(crate) target: usize,
    /// First byte on the target.
    pub(crate) start: u64,
}

/// A run of bytes of one target.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) stripe: Stripe,
    pub(crate) len: u64,
}

impl Geometry for Linear {
    fn len(&self) -> u64 {
        self.len
    }

    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        let at = self.stripe.start.saturating_add(offset);
        Run::on(self.stripe.target, at, end.saturating_sub(offset))
    }
}

/// Zeros.
#[derive(Debug)]
pub(crate) struct Nothing(pub(crate) u64);

impl Geometry for Nothing {
    fn len(&self) -> u64 {
        self.0
    }

    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        Run {
            spot: Spot::Zero,
            len: end.saturating_sub(offset),
        }
    }
}

/// Chunks dealt out to several targets in turn (RAID 0, LVM's striped segments).
#[derive(Debug)]
pub(crate) struct Striped {
    stripes: Vec<Stripe>,
    /// Bytes that stay together.
    chunk: u64,
    len: u64,
}

impl Striped {
    /// `None` without stripes or with a chunk of nothing.
    pub(crate) fn new(stripes: Vec<Stripe>, chunk: u64, len: u64) -> Option<Self> {
        (!stripes.is_empty() && chunk > 0).then_some(Self { stripes, chunk, len })
    }
}

impl Geometry for Striped {
    fn len(&self) -> u64 {
        self.len
    }

    fn place(&self, offset: u64, end: u64, _copy: usize) -> Run {
        let width = crate::bytes::wide(self.stripes.len()).max(1);
        let chunk = self.chunk.max(1);
        let (number, within) = (
            offset.checked_div(chunk).unwrap_or(0),
            offset.checked_rem(chunk).unwrap_or(0),
        );
        let row = number.checked_div(width).unwrap_or(0);
        let column = crate::bytes::index(number.checked_rem(width).unwrap_or(0));
        let len = chunk.saturating_sub(within).min(end.saturating_sub(offset));
        match self.stripes.get(column) {
            Some(stripe) => {
                let at = row.saturating_mul(chunk).saturating_add(within);
                Run::on(stripe.target, stripe.start.saturating_add(at), len)
            }
            None => Run {
                spot: Spot::Zero,
                len,
            },
        }
    }
}

/// Geometries laid end to end.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Ascending by start, without gaps.
    parts: Vec<(u64, Arc<dyn Geometry>)>,
    len: u64,
}

impl Segments {
    /// Joins `parts` in order; empty ones are dropped. `None` when they are together longer than 2^64 bytes.
    pub(crate) fn new(parts: Vec<Arc<dyn Geometry>>) -> Option<Self> {
        let mut placed = Vec::with_capacity(parts.len());
        let mut len = 0_u64;
        for part in parts {
            let size = part.len();
            if size > 0 {
                placed.push((len, part));
            }
            len = len.checked_add(size)?;
        }
        Some(Self { parts: placed, len })
    }

    fn find(&self, offset: u64) -> Option<&(u64, Arc<dyn Geometry>)> {
        let after = self.parts.partition_point(|(start, _)| *start <= offset);
        self.parts.get(after.checked_sub(1)?)
    }
}

impl Geometry for Segments {
    fn len(&self) -> u64 {
        self.len
    }

    fn copies(&self, offset: u64) -> usize {
        self.find(offset)
            .map_or(1, |(start, part)| part.copies(offset.saturating_sub(*start)))
    }

    fn place(&self, offset: u64, end: u64, copy: usize) -> Run {
        match self.find(offset) {
            Some((start, part)) => {
                let within = offset.saturating_sub(*start);
                part.place(within, end.saturating_sub(*start).min(part.len()), copy)
            }
            None => Run {
                spot: Spot::Zero,
                len: end.saturating_sub(offset).max(1),
            },
        }
    }

    fn rebuild(&self, offset: u64, end: u64) -> Option<Vec<Run>> {
        let (start, part) = self.find(offset)?;
        let within = offset.saturating_sub(*start);
        part.rebuild(within, end.saturating_sub(*start).min(part.len()))
    }

    fn read_only(&self) -> Option<&'static str> {
        self.parts.iter().find_map(|(_, part)| part.read_only())
    }
}
