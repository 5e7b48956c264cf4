use super::geometry::Geometry;
use super::tables::{Joined, State, Tables};
use crate::codec::{Coding, Decoder};
use h2k_block::Cache;
use h2k_block::{BlockRead, Buffer, Error, Extent, HostFile, Kind, Pool, RawSpan, Result};
use std::sync::Arc;

/// How many bytes of decoded clusters are kept for reads smaller than a cluster.
const BUDGET: u64 = 2 << 20;

/// How many bytes of the file are read at once for the sake of compressed clusters.
const SPAN: u64 = 1 << 20;

/// Reads begin at such borders of the file, as buffers do in memory: the kernel copies whole pages then.
const PAGE: u64 = 4096;

/// The guest's disk in a qcow2 image.
///
/// Memory: at most 2 MiB of tables and 2 MiB of decoded clusters (or one cluster) for each image of a chain, and for
/// each thread one buffer for the bytes of compressed clusters: 1 MiB, or one cluster.
pub(super) struct Disk {
    tables: Tables,
    geometry: Geometry,
    len: u64,
    /// Where clusters lie: the image, or its external data file.
    data: Arc<dyn HostFile>,
    data_end: u64,
    backing: Option<Arc<dyn BlockRead>>,
    coding: Coding,
    decoder: Decoder,
    buffers: Pool<Coded>,
    decoded: Cache<[u8]>,
}

/// What a [`Disk`] is made of.
pub(super) struct Parts {
    pub(super) tables: Tables,
    pub(super) geometry: Geometry,
    pub(super) len: u64,
    pub(super) data: Arc<dyn HostFile>,
    pub(super) backing: Option<Arc<dyn BlockRead>>,
    pub(super) coding: Coding,
}

/// Compressed clusters that lie near each other, and their bytes.
#[derive(Default)]
struct Coded {
    /// Offset and length of each, in the order of the guest's disk.
    clusters: Vec<(u64, u64)>,
    bytes: Buffer,
}

impl Disk {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            decoded: Cache::new(BUDGET, parts.geometry.cluster()),
            tables: parts.tables,
            geometry: parts.geometry,
            len: parts.len,
            data_end: parts.data.len(),
            data: parts.data,
            backing: parts.backing,
            coding: parts.coding,
            decoder: Decoder::default(),
            buffers: Pool::default(),
        }
    }

    /// Reads what lies at `host`. The file's last cluster need not be there in full: the rest of it is zero.
    fn read_data(&self, host: u64, buf: &mut [u8]) -> Result<()> {
        let there = usize::try_from(self.data_end.saturating_sub(host)).unwrap_or(usize::MAX);
        let (head, tail) = buf.split_at_mut(there.min(buf.len()));
        tail.fill(0);
        self.data.read_at(host, head)
    }

    /// Reads what the backing file shows at `offset`; zero where it has ended or there is none.
    fn read_below(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let Some(backing) = &self.backing else {
            buf.fill(0);
            return Ok(());
        };
        let there = usize::try_from(backing.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let (head, tail) = buf.split_at_mut(there.min(buf.len()));
        tail.fill(0);
        if head.is_empty() {
            return Ok(());
        }
        backing.read_at(offset, head)
    }

    /// Reads from the compressed cluster at `at`: `part` bytes of it or, if that is all of it, as many of those behind
    /// it as `buf` holds in whole and one read fetches. `offset` is where in the guest's disk. Says how many bytes of
    /// `buf` are filled.
    fn read_coded(&self, at: u64, len: u64, offset: u64, part: usize, buf: &mut [u8]) -> Result<usize> {
        let cluster = usize::try_from(self.geometry.cluster()).unwrap_or(usize::MAX);
        if part == cluster {
            return self.buffers.with(Coded::default, |coded| {
                let (low, high) = self.gather((at, len), offset, buf.len(), &mut coded.clusters);
                self.load(low, high, &mut coded.bytes)?;
                let mut start = offset;
                for ((at, len), piece) in coded.clusters.iter().zip(buf.chunks_exact_mut(cluster)) {
                    self.decode(part_of(&coded.bytes, low, *at, *len), *at, start, piece)?;
                    start = start.saturating_add(self.geometry.cluster());
                }
                Ok(coded.clusters.len().saturating_mul(cluster))
            });
        }
        let buf = buf.get_mut(..part).unwrap_or_default();
        // Two entries can share an offset and differ in length; the shorter one may be damaged. The key is the place
        // in the guest's disk, so that each is judged for itself.
        let start = self.geometry.floor(offset);
        let whole = self.decoded.get(start, || {
            let mut whole = vec![0; cluster];
            self.buffers.with(Coded::default, |coded| {
                self.load(page(at), at.saturating_add(len), &mut coded.bytes)?;
                self.decode(part_of(&coded.bytes, page(at), at, len), at, start, &mut whole)
            })?;
            Ok::<_, Error>(Arc::from(whole))
        })?;
        let skip = usize::try_from(self.geometry.within(offset)).unwrap_or(usize::MAX);
        let part = whole.get(skip..).and_then(|w| w.get(..buf.len()));
        buf.copy_from_slice(part.unwrap_or_default());
        Ok(buf.len())
    }

    /// `first` and the compressed clusters that follow it in `room` bytes of the guest's disk from `offset` on, as long
    /// as at least half of what is read for them is wanted. Says from where to where the file has to be read.
    fn gather(
        &self,
        first: (u64, u64),
        offset: u64,
        room: usize,
        clusters: &mut Vec<(u64, u64)>,
    ) -> (u64, u64) {
        let cluster = self.geometry.cluster();
        let end = offset.saturating_add(u64::try_from(room).unwrap_or(u64::MAX));
        let (mut low, mut high) = (page(first.0), first.0.saturating_add(first.1));
        let mut wanted = first.1;
        clusters.clear();
        clusters.push(first);
        let mut next = offset.saturating_add(cluster);
        while next.saturating_add(cluster) <= end {
            let stop = next.saturating_add(cluster);
            // What is wrong with a later cluster is said when it is its turn.
            let Ok(run) = self.tables.run(next, stop, Joined::Together) else {
                break;
            };
            let State::Coded { at, len } = run.state else {
                break;
            };
            let (lower, higher) = (low.min(page(at)), high.max(at.saturating_add(len)));
            let span = higher.saturating_sub(lower);
            wanted = wanted.saturating_add(len);
            if run.len != cluster || span > SPAN || span > wanted.saturating_mul(2).saturating_add(PAGE) {
                break;
            }
            (low, high) = (lower, higher);
            clusters.push((at, len));
            next = stop;
        }
        (low, high)
    }

    /// Reads the file from `low` to `high`, or to its end: the last count of sectors may run past it, where the
    /// stream has ended already.
    fn load(&self, low: u64, high: u64, bytes: &mut Buffer) -> Result<()> {
        let len = high.min(self.data_end).saturating_sub(low);
        bytes.stretch(usize::try_from(len).unwrap_or(0));
        self.data.read_at(low, bytes)
    }

    /// Decodes a compressed cluster, `coded` from offset `at` of the file, into `cluster`; `offset` is its place in
    /// the guest's disk.
    fn decode(&self, coded: &[u8], at: u64, offset: u64, cluster: &mut [u8]) -> Result<()> {
        // Nobody sees what lies past the end of the disk, so it need not be there.
        let needed = usize::try_from(self.len.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(cluster.len());
        let len = coded.len();
        let bad = |what: String| Err(Error::corrupt("compressed cluster", at, what));
        match self.decoder.decode(self.coding, coded, cluster) {
            Ok(done) if done >= needed => Ok(()),
            Ok(done) => bad(format!(
                "{len} bytes decode to {done}, the cluster at guest offset {offset:#x} has {needed}"
            )),
            Err(_) => bad(format!(
                "its {len} bytes, the cluster at guest offset {offset:#x}, are not a {} stream",
                if self.coding == Coding::Zstd {
                    "zstd"
                } else {
                    "deflate"
                }
            )),
        }
    }
}

/// The page that `at` is in.
fn page(at: u64) -> u64 {
    at & !PAGE.wrapping_sub(1)
}

/// The `len` bytes at `at`, or as many as there are, of those read from `low` on.
fn part_of(bytes: &[u8], low: u64, at: u64, len: u64) -> &[u8] {
    let skip = usize::try_from(at.saturating_sub(low)).unwrap_or(usize::MAX);
    let rest = bytes.get(skip..).unwrap_or_default();
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    rest.get(..len.min(rest.len())).unwrap_or_default()
}

impl BlockRead for Disk {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            let end = offset.saturating_add(u64::try_from(buf.len()).unwrap_or(u64::MAX));
            let run = self.tables.run(offset, end, Joined::Together)?;
            let n = usize::try_from(run.len).unwrap_or(usize::MAX).min(buf.len());
            if let State::Coded { at, len } = run.state {
                let done = self.read_coded(at, len, offset, n, buf)?;
                offset = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
                buf = buf.get_mut(done..).unwrap_or_default();
                continue;
            }
            let (head, rest) = buf.split_at_mut(n);
            match run.state {
                State::Hole => self.read_below(offset, head)?,
                State::Zero => head.fill(0),
                State::Data { host } => self.read_data(host, head)?,
                State::Coded { .. } => {}
            }
            offset = offset.saturating_add(run.len);
            buf = rest;
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let run = self.tables.run(offset, end, Joined::Alike)?;
        let kind = match run.state {
            State::Data { .. } | State::Coded { .. } => Kind::Data,
            State::Zero => Kind::Zero,
            State::Hole => {
                if let Some(backing) = &self.backing
                    && offset < backing.len()
                {
                    let end = offset.saturating_add(run.len).min(backing.len());
                    return Ok(backing.extent_at(offset, end)?.deeper());
                }
                Kind::Hole
            }
        };
        Ok(Extent {
            compressed: matches!(run.state, State::Coded { .. }),
            ..Extent::new(offset, run.len, kind)
        })
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let run = self.tables.run(offset, end, Joined::Together)?;
        match (run.state, &self.backing) {
            (State::Data { host }, _) => {
                let len = run.len.min(self.data_end.saturating_sub(host));
                Ok((len > 0).then(|| RawSpan {
                    file: self.data.clone(),
                    offset: host,
                    len,
                }))
            }
            (State::Hole, Some(backing)) if offset < backing.len() => {
                backing.raw_at(offset, offset.saturating_add(run.len).min(backing.len()))
            }
            _ => Ok(None),
        }
    }

    fn grain(&self) -> u32 {
        u32::try_from(self.geometry.cluster()).unwrap_or(65536)
    }
}
