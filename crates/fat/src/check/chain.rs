//! Chains of clusters: who claims which, and what nobody claims.

use super::Check;
use crate::boot;
use crate::clusters::{Chain, Run};
use crate::table::{Held, Link};
use h2k_block::{Result, Severity};

impl Check {
    /// Follows the chain from `first` on and claims its clusters for `whose`, whose entry lies at byte `at`. Ends, with
    /// findings, where it leaves the volume, where it is a circle, and where another chain has been before.
    pub(super) fn claim(&mut self, first: u32, at: u64, whose: &dyn Fn() -> String) -> Result<Chain> {
        let mut chain = Chain::default();
        let mut held: Held = None;
        let mut cluster = first;
        loop {
            self.meter.step("cluster chain")?;
            if !self.clusters.has(cluster) {
                let last = self.geometry.clusters.saturating_add(1);
                self.error("FAT", at, || {
                    format!("{}: its chain goes to cluster {cluster}, of 2 to {last}", whose())
                });
                break;
            }
            if self.is_claimed(cluster) {
                let circle = chain.runs().iter().any(|run| run_has(run, cluster));
                self.error("FAT", at, || match circle {
                    true => format!("{}: its chain comes back to cluster {cluster}", whose()),
                    false => format!("{}: cluster {cluster} belongs to something else, too", whose()),
                });
                break;
            }
            let link = self.table()?.link(cluster, &mut held)?;
            if link == Link::Free || link == Link::Bad {
                let word = if link == Link::Free { "free" } else { "bad" };
                self.error("FAT", at, || {
                    format!("{}: its cluster {cluster} is marked {word}", whose())
                });
                break;
            }
            self.set_claimed(cluster);
            chain.push(cluster, &mut self.meter)?;
            match link {
                Link::Next(next) => cluster = next,
                _ => break,
            }
        }
        Ok(chain)
    }

    fn is_claimed(&self, cluster: u32) -> bool {
        let (byte, bit) = place(cluster);
        self.claimed.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    fn set_claimed(&mut self, cluster: u32) {
        let (byte, bit) = place(cluster);
        if let Some(bits) = self.claimed.get_mut(byte) {
            *bits |= bit;
        }
    }

    /// What the table says of clusters that nobody claims, and how many are free.
    pub(super) fn totals(&mut self) -> Result<()> {
        let mut held: Held = None;
        let mut free = 0_u32;
        let at = self.table()?.at();
        let bits = self.geometry.width.bits();
        for cluster in 2..self.geometry.clusters.saturating_add(2) {
            self.meter.step("table")?;
            let link = self.table()?.link(cluster, &mut held)?;
            if link == Link::Free {
                free = free.saturating_add(1);
            }
            if matches!(link, Link::Free | Link::Bad) || self.is_claimed(cluster) {
                continue;
            }
            let entry = at.saturating_add(u64::from(cluster).saturating_mul(bits) / 8);
            self.out.note(Severity::Leak, "FAT", entry, || {
                format!("cluster {cluster} is marked as used, and nothing uses it")
            });
        }
        let Some(place) = self.geometry.info else {
            return Ok(());
        };
        // What is wrong with it has been told.
        let Ok(info) = boot::info(&*self.disk, place) else {
            return Ok(());
        };
        let (said, next) = (info.free_count.get(), info.next_free.get());
        if said != u32::MAX && said != free {
            self.error("FSInfo", place.saturating_add(488), || {
                format!("it counts {said} free clusters, {free} are")
            });
        }
        if next != u32::MAX && !self.clusters.has(next) {
            self.odd("FSInfo", place.saturating_add(492), || {
                format!("it has the search for free clusters begin at {next}")
            });
        }
        Ok(())
    }
}

fn run_has(run: &Run, cluster: u32) -> bool {
    cluster.checked_sub(run.first).is_some_and(|n| n < run.count)
}

/// Which byte and which bit of it stand for a cluster.
fn place(cluster: u32) -> (usize, u8) {
    let byte = usize::try_from(cluster / 8).unwrap_or(usize::MAX);
    (byte, 1_u8.checked_shl(cluster % 8).unwrap_or(0))
}
