//! Both sides of a row, in turns, and what their costs come to.

use super::child::Cost;
use super::limit::median;

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
}

/// The costs of all pairs.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) ours: Vec<Cost>,
    pub(super) theirs: Vec<Cost>,
}

impl Pairs {
    /// Runs `count` pairs; `run` is told whose turn it is and whether it is that side's first.
    pub(super) fn run(
        count: usize,
        sides: &[Side],
        run: &mut dyn FnMut(Side, bool) -> Result<Cost, String>,
    ) -> Result<Self, String> {
        let mut pairs = Self::default();
        for pair in 0..count {
            // Whoever goes first finds other caches: they take turns.
            let mut order = sides.to_vec();
            if pair % 2 == 1 {
                order.reverse();
            }
            for side in order {
                let cost = run(side, pair == 0)?;
                let (who, costs) = match side {
                    Side::Ours => ("ours", &mut pairs.ours),
                    Side::Theirs => ("theirs", &mut pairs.theirs),
                };
                println!("{who:>8}  {cost}");
                costs.push(cost);
            }
        }
        Ok(pairs)
    }

    /// Our seconds, by the clock.
    pub(super) fn our_seconds(&self) -> f64 {
        median(self.ours.iter().map(|cost| cost.wall.as_secs_f64()))
    }

    /// Their seconds, by the clock.
    pub(super) fn their_seconds(&self) -> f64 {
        median(self.theirs.iter().map(|cost| cost.wall.as_secs_f64()))
    }

    /// Our processor time in milliseconds.
    pub(super) fn our_cpu_ms(&self) -> f64 {
        median(self.ours.iter().map(|cost| cost.cpu.as_secs_f64() * 1000.0))
    }

    /// How many times faster we are, by the median of the pairs.
    pub(super) fn faster(&self) -> f64 {
        let pairs = self.ours.iter().zip(&self.theirs);
        median(pairs.map(|(ours, theirs)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64()))
    }

    /// The same by processor time.
    pub(super) fn thriftier(&self) -> f64 {
        let pairs = self.ours.iter().zip(&self.theirs);
        median(pairs.map(|(ours, theirs)| theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64()))
    }

    /// Our peak memory in MiB.
    pub(super) fn peak(&self) -> u64 {
        self.ours.iter().map(|cost| cost.peak >> 20).max().unwrap_or(0)
    }
}
