use super::geometry::Geometry;
use super::tables::{Joined, State, Tables};
use crate::codec::{Coding, Decoder};
use crate::pool::Pool;
use h2k_block::Cache;
use h2k_block::{BlockRead, Error, Extent, HostFile, Kind, RawSpan, Result};
use std::sync::Arc;

/// How many bytes of decoded clusters are kept for reads smaller than a cluster.
const BUDGET: u64 = 2 << 20;

/// The guest's disk in a qcow2 image.
///
/// Memory: at most 2 MiB of tables and 2 MiB of decoded clusters (or one cluster) for each image of a chain, and for
/// each thread one buffer for the bytes of a compressed cluster.
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
    buffers: Pool<Vec<u8>>,
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

    /// Reads a part of the compressed cluster at `at`; `offset` is where in the guest's disk.
    fn read_coded(&self, at: u64, len: u64, offset: u64, buf: &mut [u8]) -> Result<()> {
        let cluster = usize::try_from(self.geometry.cluster()).unwrap_or(usize::MAX);
        if buf.len() == cluster {
            return self.decode(at, len, offset, buf);
        }
        // Two entries can share an offset and differ in length; the shorter one may be damaged. The key is the place
        // in the guest's disk, so that each is judged for itself.
        let whole = self.decoded.get(self.geometry.floor(offset), || {
            let mut whole = vec![0; cluster];
            self.decode(at, len, self.geometry.floor(offset), &mut whole)?;
            Ok::<_, Error>(Arc::from(whole))
        })?;
        let skip = usize::try_from(self.geometry.within(offset)).unwrap_or(usize::MAX);
        let part = whole.get(skip..).and_then(|w| w.get(..buf.len()));
        buf.copy_from_slice(part.unwrap_or_default());
        Ok(())
    }

    /// Decodes the compressed cluster at `at` into `cluster`; `offset` is its place in the guest's disk.
    fn decode(&self, at: u64, len: u64, offset: u64, cluster: &mut [u8]) -> Result<()> {
        // The count of sectors may run past the end of the file, where the stream has ended already.
        let len = usize::try_from(len.min(self.data_end.saturating_sub(at))).unwrap_or(0);
        // Nobody sees what lies past the end of the disk, so it need not be there.
        let needed = usize::try_from(self.len.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(cluster.len());
        self.buffers.with(Vec::new, |coded| {
            if coded.len() < len {
                coded.resize(len, 0);
            }
            let coded = coded.get_mut(..len).unwrap_or_default();
            self.data.read_at(at, coded)?;
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
        })
    }
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
            let (head, rest) = buf.split_at_mut(n);
            match run.state {
                State::Hole => self.read_below(offset, head)?,
                State::Zero => head.fill(0),
                State::Data { host } => self.read_data(host, head)?,
                State::Coded { at, len } => self.read_coded(at, len, offset, head)?,
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
