use super::entry::{Cluster, Dialect};
use super::header::Table;
use h2k_block::Cache;
use h2k_block::{Error, HostFile, Result};
use std::sync::Arc;

/// Tables are read and kept in slices of at most this many bytes.
const SLICE: u64 = 65536;
/// How many bytes of slices are kept, for all threads together: 16 GiB of a disk with clusters of 64 KiB.
const BUDGET: u64 = 2 << 20;
/// How many L2 entries one look-up visits at most, so that a lie about the disk's size costs no time.
const VISITS: u32 = 1 << 17;

/// What the tables say of a run of guest bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Hole,
    Zero,
    /// Stored as they are; the first byte is at `host`.
    Data {
        host: u64,
    },
    /// Part of one compressed cluster (or, in a run that need not be contiguous, of several).
    Coded {
        at: u64,
        len: u64,
    },
}

/// A run of guest bytes in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) state: State,
    pub(super) len: u64,
}

/// Which neighbours make one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The same kind of thing.
    Alike,
    /// One that can be read with one read: data that lies together, one compressed cluster.
    Together,
}

/// The two levels of tables from guest clusters to host clusters.
pub(super) struct Tables {
    file: Arc<dyn HostFile>,
    dialect: Dialect,
    l1: Table,
    /// Length of the file that holds the clusters, up to a cluster border.
    data_end: u64,
    file_end: u64,
    slices: Cache<[u64]>,
}

impl Tables {
    /// The tables below `l1`, which was checked. Clusters lie in a file of `data_len` bytes.
    pub(super) fn new(file: Arc<dyn HostFile>, dialect: Dialect, l1: Table, data_len: u64) -> Self {
        let geometry = dialect.geometry;
        Self {
            data_end: geometry.ceil(data_len).unwrap_or(u64::MAX),
            file_end: file.len(),
            slices: Cache::new(BUDGET, SLICE.min(geometry.cluster())),
            file,
            dialect,
            l1,
        }
    }

    /// The run that begins at `offset`, at most up to `end`. Never empty.
    ///
    /// # Errors
    /// When the first entry makes no sense. A later one ends the run before it.
    pub(super) fn run(&self, offset: u64, end: u64, joined: Joined) -> Result<Run> {
        let mut run: Option<Run> = None;
        let mut at = offset;
        let mut visits = VISITS;
        while at < end && visits > 0 {
            let next = match self.step(at, end, joined, run, &mut visits) {
                Ok(next) => next,
                Err(e) if run.is_none() => return Err(e),
                Err(_) => break,
            };
            let Some(next) = next else {
                break;
            };
            at = offset.saturating_add(next.len).min(end);
            run = Some(Run {
                state: next.state,
                len: at.saturating_sub(offset),
            });
        }
        run.ok_or_else(|| Error::corrupt("L2 table", 0, "an empty run was asked for"))
    }

    /// `run`, which ends at `at`, with what follows in the same slice of a table; `None` when nothing of it joins.
    fn step(
        &self,
        mut at: u64,
        end: u64,
        joined: Joined,
        mut run: Option<Run>,
        visits: &mut u32,
    ) -> Result<Option<Run>> {
        let geometry = self.dialect.geometry;
        let index = at.wrapping_shr(geometry.span_bits());
        let Some(table) = self.l2_table(index)? else {
            let last = end.saturating_sub(1).wrapping_shr(geometry.span_bits());
            let next = self.next_table(index, last)?;
            let hole = next.saturating_mul(geometry.span()).min(end);
            let hole = Run {
                state: State::Hole,
                len: hole.saturating_sub(at),
            };
            return Ok(join(run, hole, joined));
        };
        let entry_bytes = 1_u64.wrapping_shl(geometry.entry_bits());
        let slice_bytes = SLICE.min(geometry.cluster());
        let number = geometry.index(at)
            & geometry
                .span()
                .wrapping_sub(1)
                .wrapping_shr(geometry.cluster_bits());
        let byte = number.saturating_mul(entry_bytes);
        let start = byte & !slice_bytes.wrapping_sub(1);
        let slice = self.slice(table.saturating_add(start), slice_bytes)?;
        let mut byte = byte;
        let mut grew = false;
        while at < end && byte < start.saturating_add(slice_bytes) && *visits > 0 {
            *visits = visits.saturating_sub(1);
            let found = match self.cluster(&slice, table, byte, start, at) {
                Ok(found) => found,
                Err(e) if !grew => return Err(e),
                Err(_) => return Ok(run),
            };
            let cluster_end = geometry.floor(at).saturating_add(geometry.cluster()).min(end);
            while at < cluster_end {
                let piece = self.piece(found, at, cluster_end);
                let Some(longer) = join(run, piece, joined) else {
                    return Ok(if grew { run } else { None });
                };
                run = Some(longer);
                grew = true;
                at = at.saturating_add(piece.len);
            }
            byte = byte.saturating_add(entry_bytes);
        }
        Ok(run)
    }

    /// What the entry `byte` bytes into an L2 table says of the cluster at guest offset `at`.
    fn cluster(&self, slice: &[u64], table: u64, byte: u64, start: u64, at: u64) -> Result<Cluster> {
        let bad = |what: String| {
            let place = table.saturating_add(byte);
            Err(Error::corrupt("L2 table entry", place, what))
        };
        let word = |n: u64| {
            let index = byte.saturating_sub(start).wrapping_shr(3).saturating_add(n);
            usize::try_from(index)
                .ok()
                .and_then(|i| slice.get(i))
                .copied()
                .ok_or_else(|| Error::corrupt("L2 table", table, "overlaps another table"))
        };
        let geometry = self.dialect.geometry;
        let bitmap = if geometry.extended() { word(1)? } else { 0 };
        let found = match self.dialect.l2(word(0)?, bitmap) {
            Ok(found) => found,
            Err(what) => return bad(what.to_owned()),
        };
        let host = match found {
            Cluster::Data { host }
            | Cluster::Parts {
                host: Some(host),
                data: 1..,
                ..
            } => Some(host),
            Cluster::Coded { at, .. } => Some(at),
            _ => None,
        };
        if let Some(host) = host
            && host >= self.data_end
        {
            return bad(format!(
                "points past the end of the file ({host:#x} of {:#x})",
                self.data_end
            ));
        }
        if self.dialect.external && host.is_some_and(|host| host != geometry.floor(at)) {
            return bad(format!(
                "puts guest offset {:#x} at another offset of the external data file",
                geometry.floor(at)
            ));
        }
        Ok(found)
    }

    /// What `cluster` says from guest offset `at`, at most up to `end`, which is in the same cluster.
    fn piece(&self, cluster: Cluster, at: u64, end: u64) -> Run {
        let geometry = self.dialect.geometry;
        let within = geometry.within(at);
        let len = end.saturating_sub(at);
        let state = match cluster {
            Cluster::Hole => State::Hole,
            Cluster::Zero { .. } => State::Zero,
            Cluster::Data { host } => State::Data {
                host: host.saturating_add(within),
            },
            Cluster::Coded { at, len } => State::Coded { at, len },
            Cluster::Parts { host, data, zero } => {
                let unit = within.wrapping_shr(geometry.unit_bits());
                let bit = 1_u32.wrapping_shl(u32::try_from(unit).unwrap_or(0));
                let unit_end = unit
                    .saturating_add(1)
                    .wrapping_shl(geometry.unit_bits())
                    .saturating_sub(within);
                let state = match host {
                    _ if zero & bit != 0 => State::Zero,
                    Some(host) if data & bit != 0 => State::Data {
                        host: host.saturating_add(within),
                    },
                    _ => State::Hole,
                };
                return Run {
                    state,
                    len: len.min(unit_end),
                };
            }
        };
        Run { state, len }
    }

    /// The L2 table that L1 entry `index` points to.
    fn l2_table(&self, index: u64) -> Result<Option<u64>> {
        let entry = self.l1_entry(index)?;
        let bad = |what: String| Error::corrupt("L1 table entry", self.l1.at(index), what);
        let offset = self.dialect.l1(entry).map_err(|what| bad(what.to_owned()))?;
        if let Some(offset) = offset
            && offset >= self.file_end
        {
            return Err(bad(format!(
                "points past the end of the file ({offset:#x} of {:#x})",
                self.file_end
            )));
        }
        Ok(offset)
    }

    /// The first L1 entry after `index` that is not empty, or the one after `last`.
    fn next_table(&self, index: u64, last: u64) -> Result<u64> {
        let mut next = index.saturating_add(1);
        while next <= last && self.l1_entry(next)? == 0 {
            next = next.saturating_add(1);
            // Runs of empty entries are looked for in a whole slice at a time.
            let per_slice = SLICE.wrapping_shr(3);
            if next & per_slice.wrapping_sub(1) != 0 {
                let slice = self.l1_slice(next)?;
                let from = usize::try_from(next & per_slice.wrapping_sub(1)).unwrap_or(0);
                let empty = slice.get(from..).unwrap_or_default();
                let empty = empty.iter().position(|e| *e != 0).unwrap_or(empty.len());
                next = next.saturating_add(u64::try_from(empty).unwrap_or(0));
            }
        }
        Ok(next.min(last.saturating_add(1)))
    }

    fn l1_entry(&self, index: u64) -> Result<u64> {
        let slice = self.l1_slice(index)?;
        let within = index & SLICE.wrapping_shr(3).wrapping_sub(1);
        usize::try_from(within)
            .ok()
            .and_then(|i| slice.get(i))
            .copied()
            .ok_or_else(|| Error::corrupt("L1 table", self.l1.offset, "overlaps another table"))
    }

    fn l1_slice(&self, index: u64) -> Result<Arc<[u64]>> {
        let first = index & !SLICE.wrapping_shr(3).wrapping_sub(1);
        let bytes = self.l1.entries.saturating_sub(first).saturating_mul(8).min(SLICE);
        self.slice(self.l1.at(first), bytes)
    }

    /// `len` bytes of a table at `offset`, as numbers. What lies past the end of the file is 0: the last cluster of
    /// a file need not be written in full.
    fn slice(&self, offset: u64, len: u64) -> Result<Arc<[u64]>> {
        self.slices.get(offset, || {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            let there = self.file_end.saturating_sub(offset).min(len);
            let there = usize::try_from(there).unwrap_or(0);
            if let Some(head) = bytes.get_mut(..there) {
                self.file.read_at(offset, head)?;
            }
            let (words, _) = bytes.as_chunks::<8>();
            Ok(words.iter().map(|w| u64::from_be_bytes(*w)).collect())
        })
    }
}

/// `run` and `next` as one run, or `None` when they are two.
fn join(run: Option<Run>, next: Run, joined: Joined) -> Option<Run> {
    let Some(run) = run else {
        return Some(next);
    };
    let one = match (run.state, next.state) {
        (State::Hole, State::Hole) | (State::Zero, State::Zero) => true,
        (State::Data { host }, State::Data { host: after }) => {
            joined == Joined::Alike || host.checked_add(run.len) == Some(after)
        }
        (State::Coded { .. }, State::Coded { .. }) => joined == Joined::Alike,
        _ => false,
    };
    one.then(|| Run {
        state: run.state,
        len: run.len.saturating_add(next.len),
    })
}
