use super::{Geometry, Run, Stripe};

/// The same bytes on several targets (RAID 1, LVM's mirrors).
#[derive(Debug)]
pub(crate) struct Mirrored {
    /// The leg to read from first comes first.
    legs: Vec<Stripe>,
    len: u64,
}

impl Mirrored {
    /// `None` without legs.
    pub(crate) fn new(legs: Vec<Stripe>, len: u64) -> Option<Self> {
        (!legs.is_empty()).then_some(Self { legs, len })
    }
}

impl Geometry for Mirrored {
    fn len(&self) -> u64 {
        self.len
    }

    fn copies(&self, _offset: u64) -> usize {
        self.legs.len()
    }

    fn place(&self, offset: u64, end: u64, copy: usize) -> Run {
        let leg = self.legs.get(copy).or_else(|| self.legs.first());
        let leg = leg.copied().unwrap_or(Stripe { target: 0, start: 0 });
        Run::on(
            leg.target,
            leg.start.saturating_add(offset),
            end.saturating_sub(offset),
        )
    }
}
