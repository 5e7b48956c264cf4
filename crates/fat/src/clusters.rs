//! Clusters and the chains they form.

use crate::table::{Held, Link, Table};
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Meter, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory of one run.
const RUN: u64 = 16;
/// Chains of at most so many runs are kept for many files; of longer ones only the last is.
const SHORT: usize = 1024;
const BUDGET: u64 = 4 << 20;
/// Entries looked at for one answer of [`Clusters::used_at`].
const STRIDE: u32 = 1 << 20;

/// Clusters that lie one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many clusters of the file come before.
    pub(crate) before: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// The clusters of one file or directory, in order.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    runs: Vec<Run>,
    pub(crate) clusters: u32,
}

impl Chain {
    /// `count` clusters that lie together from `first` on.
    pub(crate) fn contiguous(first: u32, count: u32) -> Self {
        let run = Run {
            before: 0,
            first,
            count,
        };
        Self {
            runs: vec![run],
            clusters: count,
        }
    }

    /// The runs, in order.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The first cluster, 0 where there is none.
    pub(crate) fn first(&self) -> u32 {
        self.runs.first().map_or(0, |run| run.first)
    }

    /// The last cluster.
    pub(crate) fn last(&self) -> Option<u32> {
        let run = self.runs.last()?;
        run.first.checked_add(run.count.checked_sub(1)?)
    }

    /// Cuts off what comes after the first `keep` clusters, and hands it out.
    pub(crate) fn cut(&mut self, keep: u32) -> Vec<Run> {
        let whole = self.runs.partition_point(|r| r.before < keep);
        let mut gone = self.runs.split_off(whole);
        self.clusters = self.clusters.min(keep);
        if let Some(run) = self.runs.last_mut() {
            let stays = keep.saturating_sub(run.before).min(run.count);
            if stays < run.count {
                let rest = Run {
                    before: keep,
                    first: run.first.saturating_add(stays),
                    count: run.count.saturating_sub(stays),
                };
                run.count = stays;
                gone.insert(0, rest);
            }
        }
        gone
    }

    /// Adds a cluster at the end.
    pub(crate) fn push(&mut self, cluster: u32, meter: &mut Meter) -> Result<()> {
        match self.runs.last_mut() {
            Some(run) if run.first.checked_add(run.count) == Some(cluster) => {
                run.count = run.count.saturating_add(1);
            }
            _ => {
                meter.bytes(RUN, "cluster chain")?;
                self.runs.push(Run {
                    before: self.clusters,
                    first: cluster,
                    count: 1,
                });
            }
        }
        self.clusters = self.clusters.saturating_add(1);
        Ok(())
    }

    /// The run that holds the `n`th cluster.
    fn find(&self, n: u32) -> Option<Run> {
        let i = self.runs.partition_point(|r| r.before <= n).checked_sub(1)?;
        let run = *self.runs.get(i)?;
        (n.checked_sub(run.before)? < run.count).then_some(run)
    }
}

/// How many clusters a chain has to have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// As many as the size of the file needs; what follows is not looked at.
    Exactly(u32),
    /// To its end, which has to come before so many.
    AtMost(u32),
}

fn short_chains() -> Cache<Chain> {
    let each = RUN.saturating_mul(u64::try_from(SHORT).unwrap_or(u64::MAX));
    Cache::new(BUDGET, each)
}

/// All clusters of a volume and the tables that chain them.
pub(crate) struct Clusters {
    pub(crate) disk: Arc<dyn BlockRead>,
    /// The table in use, and the one to ask where that is damaged.
    pub(crate) tables: Vec<Table>,
    /// Byte of cluster 2, the first one.
    pub(crate) heap: u64,
    /// Binary logarithm of the bytes of a cluster.
    pub(crate) bits: u32,
    /// How many clusters there are.
    pub(crate) count: u32,
    pub(crate) limits: Limits,
    short: Cache<Chain>,
    long: Mutex<Option<(u64, Arc<Chain>)>>,
    second: AtomicBool,
}

impl Clusters {
    pub(crate) fn new(
        disk: Arc<dyn BlockRead>,
        tables: Vec<Table>,
        heap: u64,
        bits: u32,
        count: u32,
        limits: Limits,
    ) -> Self {
        Self {
            disk,
            tables,
            heap,
            bits,
            count,
            limits,
            short: short_chains(),
            long: Mutex::new(None),
            second: AtomicBool::new(false),
        }
    }

    /// Forgets every chain: tables or entries have changed.
    pub(crate) fn forget_chains(&mut self) {
        self.short = short_chains();
        self.long = Mutex::new(None);
    }

    /// Whether the second table had to answer for the first.
    pub(crate) fn used_second(&self) -> bool {
        self.second.load(Ordering::Relaxed)
    }

    /// Whether `cluster` exists.
    pub(crate) fn has(&self, cluster: u32) -> bool {
        cluster.checked_sub(2).is_some_and(|n| n < self.count)
    }

    /// The byte `cluster` begins at.
    pub(crate) fn byte(&self, cluster: u32) -> u64 {
        let n = u64::from(cluster.saturating_sub(2));
        self.heap.saturating_add(n << self.bits)
    }

    /// Clusters that `len` bytes need.
    pub(crate) fn needed(&self, len: u64) -> u32 {
        let size = 1_u64 << self.bits;
        u32::try_from(len.div_ceil(size)).unwrap_or(u32::MAX)
    }

    /// The chain from `first`, from memory if `key` was asked for before.
    pub(crate) fn chain(&self, key: u64, first: u32, want: Want) -> Result<Arc<Chain>> {
        let lock = || self.long.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, chain)) = &*lock()
            && *known == key
        {
            return Ok(chain.clone());
        }
        let mut long = None;
        let kept = self.short.get(key, || {
            let chain = Arc::new(self.walk(first, want).map_err(Some)?);
            if chain.runs.len() <= SHORT {
                return Ok(chain);
            }
            long = Some(chain);
            Err(None)
        });
        match (kept, long) {
            (Ok(chain), _) => Ok(chain),
            (Err(_), Some(chain)) => {
                *lock() = Some((key, chain.clone()));
                Ok(chain)
            }
            (Err(e), None) => Err(e.unwrap_or_else(|| Error::new(Class::Invalid, "no chain"))),
        }
    }

    /// The chain by the first table, or by the second where the first is damaged.
    pub(crate) fn walk(&self, first: u32, want: Want) -> Result<Chain> {
        let mut failed = None;
        for table in &self.tables {
            match self.walk_in(table, first, want) {
                Ok(chain) => {
                    if failed.is_some() {
                        self.second.store(true, Ordering::Relaxed);
                    }
                    return Ok(chain);
                }
                Err(e) if matches!(e.class(), Class::Corrupt | Class::Io) => {
                    failed.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Class::Invalid, "a volume without a table")))
    }

    fn walk_in(&self, table: &Table, first: u32, want: Want) -> Result<Chain> {
        let mut meter = Meter::new(self.limits);
        let mut chain = Chain::default();
        let mut held: Held = None;
        let bad = |what: String| Error::corrupt("FAT", table.at(), what);
        let (most, exact) = match want {
            Want::Exactly(n) => (n, true),
            Want::AtMost(n) => (n, false),
        };
        let mut cluster = first;
        // Brent's way to notice a circle: compare with a cluster that was passed, ever further back.
        let (mut passed, mut next_mark) = (first, 2_u32);
        while !(exact && chain.clusters >= most) {
            if !self.has(cluster) {
                return Err(bad(format!(
                    "the chain of cluster {first} goes to {cluster}, of clusters 2 to {}",
                    self.count.saturating_add(1)
                )));
            }
            if chain.clusters >= most {
                return Err(bad(format!(
                    "the chain of cluster {first} has more than {most} clusters"
                )));
            }
            meter.step("cluster chain")?;
            chain.push(cluster, &mut meter)?;
            if exact && chain.clusters >= most {
                break;
            }
            match table.link(cluster, &mut held)? {
                Link::Next(next) => {
                    if next == passed {
                        return Err(bad(format!("the chain of cluster {first} is a circle")));
                    }
                    cluster = next;
                }
                Link::End if exact => {
                    return Err(bad(format!(
                        "the chain of cluster {first} ends after {} clusters, its size needs {most}",
                        chain.clusters
                    )));
                }
                Link::End => break,
                link => {
                    return Err(bad(format!(
                        "the chain of cluster {first} holds cluster {cluster}, which is marked {}",
                        if link == Link::Free { "free" } else { "bad" }
                    )));
                }
            }
            if chain.clusters >= next_mark {
                passed = cluster;
                next_mark = next_mark.saturating_mul(2);
            }
        }
        Ok(chain)
    }

    /// Where byte `offset` of `chain` lies and how many bytes follow it there.
    pub(crate) fn place(&self, chain: &Chain, offset: u64) -> Option<(u64, u64)> {
        let run = chain.find(u32::try_from(offset >> self.bits).ok()?)?;
        let within = offset.checked_sub(u64::from(run.before) << self.bits)?;
        let len = (u64::from(run.count) << self.bits).checked_sub(within)?;
        Some((self.byte(run.first).checked_add(within)?, len))
    }

    /// Fills `buf` from byte `offset` of `chain`.
    pub(crate) fn read(&self, chain: &Chain, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (place, len) = self.place(chain, at).ok_or_else(|| {
                Error::corrupt(
                    "FAT",
                    self.heap,
                    format!("byte {at:#x} of a file lies behind its chain"),
                )
            })?;
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            self.disk.read_at(place, head)?;
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }

    /// The run of used or free space at byte `offset` of the volume, up to `end`; `free` answers for one cluster.
    pub(crate) fn used_at(
        &self,
        offset: u64,
        end: u64,
        free: &mut dyn FnMut(u32) -> Result<bool>,
    ) -> Result<Extent> {
        let data = |until: u64| Extent::new(offset, until.min(end).saturating_sub(offset), Kind::Data);
        let Some(within) = offset.checked_sub(self.heap) else {
            return Ok(data(self.heap));
        };
        let last = self.count.saturating_add(2);
        let first = u32::try_from(within >> self.bits)
            .unwrap_or(u32::MAX)
            .saturating_add(2);
        if first >= last {
            return Ok(data(end));
        }
        let state = free(first)?;
        let stride = STRIDE
            .min(u32::try_from(self.limits.steps).unwrap_or(STRIDE))
            .max(1);
        let stop = first.saturating_add(stride).min(last);
        let mut until = first.saturating_add(1);
        while until < stop && self.byte(until) < end && free(until)? == state {
            until = until.saturating_add(1);
        }
        let kind = if state { Kind::Hole } else { Kind::Data };
        let len = self.byte(until).min(end).saturating_sub(offset);
        Ok(Extent::new(offset, len, kind))
    }
}
