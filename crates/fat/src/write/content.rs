//! Content of files: written, replaced, cut off. FAT knows no holes: every byte has its cluster.

use super::attrs::set_modified;
use super::{FatWriter, narrow, wide};
use crate::clusters::{Chain, Want};
use crate::layout::{Short, attr};
use h2k_block::{Class, Error, Result};
use h2k_fs::Node;

/// Bytes of zeros written at once over what may have to be put back.
const PIECE: u64 = 64 << 10;

/// A part of a file that lies together on the volume.
struct Span {
    at: u64,
    len: u64,
    /// Nobody used these clusters before this operation: what lay there is nobody's loss.
    fresh: bool,
}

impl FatWriter {
    /// All clusters of a file or directory, also those behind its end.
    pub(super) fn chain_of(&self, short: &Short, at: u64) -> Result<Chain> {
        let first = self.cluster(short);
        let size = u64::from(short.size.get());
        if first == 0 && size == 0 {
            return Ok(Chain::default());
        }
        let chain = self
            .fs
            .clusters
            .walk(first, Want::AtMost(self.fs.clusters.count))?;
        if chain.clusters < self.fs.clusters.needed(size) {
            let what = format!("has {size} bytes, but {} clusters only", chain.clusters);
            return Err(Error::corrupt("directory entry", at, what));
        }
        Ok(chain)
    }

    /// The parts of `from..to`; clusters from the `kept`th on are fresh.
    fn spans(&self, chain: &Chain, kept: u32, from: u64, to: u64) -> Result<Vec<Span>> {
        let border = u64::from(kept) << self.fs.clusters.bits;
        let mut all = Vec::new();
        let mut offset = from;
        while offset < to {
            let Some((at, room)) = self
                .fs
                .clusters
                .place(chain, offset)
                .filter(|(_, room)| *room > 0)
            else {
                return Err(Error::new(Class::Invalid, "a byte was written that has no place"));
            };
            let fresh = offset >= border;
            let stop = if fresh { to } else { to.min(border) };
            let len = room.min(stop.saturating_sub(offset));
            all.push(Span { at, len, fresh });
            offset = offset.saturating_add(len);
        }
        Ok(all)
    }

    /// Makes `from..to` of a chain of fresh clusters zero.
    pub(super) fn clear_fresh(&mut self, chain: &Chain, from: u64, to: u64) -> Result<()> {
        self.clear(chain, 0, from, to)
    }

    fn clear(&mut self, chain: &Chain, kept: u32, from: u64, to: u64) -> Result<()> {
        for Span { at, len, fresh } in self.spans(chain, kept, from, to)? {
            let end = at.saturating_add(len);
            if fresh {
                self.over.store_zeros(at..end)?;
                continue;
            }
            let mut here = at;
            while here < end {
                let n = end.saturating_sub(here).min(PIECE);
                self.put(here, &vec![0; narrow(n)])?;
                here = here.saturating_add(n);
            }
        }
        Ok(())
    }

    /// Gives a file `len` bytes, of which `bytes` are written at `offset`; other new ones are zero.
    fn store(&mut self, file: Node, offset: u64, bytes: &[u8], len: u64) -> Result<()> {
        let short = self.file(file)?;
        let Ok(size) = u32::try_from(len) else {
            let what = format!("a file of FAT cannot have {len} bytes, at most {}", u32::MAX);
            return Err(Error::new(Class::Limit, what));
        };
        let mut chain = self.chain_of(&short, file.0)?;
        let old = u64::from(short.size.get());
        let need = self.fs.clusters.needed(len);
        let kept = chain.clusters.min(need);
        if need > chain.clusters {
            let more = need.saturating_sub(chain.clusters);
            self.extend(&mut chain, more)?;
        } else {
            self.shorten(&mut chain, need)?;
        }
        let end = offset.saturating_add(wide(bytes.len()));
        self.clear(&chain, kept, old, offset.min(len))?;
        let mut rest = bytes;
        for Span { at, len, fresh } in self.spans(&chain, kept, offset, end)? {
            let (part, after) = rest.split_at_checked(narrow(len)).unwrap_or((rest, &[]));
            if fresh {
                self.over.write_at(at, part)?;
            } else {
                self.put(at, part)?;
            }
            rest = after;
        }
        // What follows in fresh clusters is nobody's either, but the same edits have to give the same bytes.
        let border = u64::from(kept) << self.fs.clusters.bits;
        let stop = u64::from(chain.clusters) << self.fs.clusters.bits;
        self.clear(&chain, kept, len.max(border), stop)?;
        let mut short = short;
        self.set_cluster(&mut short, chain.first());
        let (now, cluster) = (self.now, (short.cluster_high, short.cluster_low));
        self.edit(file, |short| {
            short.size = size.into();
            (short.cluster_high, short.cluster_low) = cluster;
            short.attributes |= attr::ARCHIVE;
            set_modified(short, now);
        })
    }

    pub(super) fn replace_content(&mut self, file: Node, content: &[u8]) -> Result<()> {
        self.store(file, 0, content, wide(content.len()))
    }

    pub(super) fn write_content(&mut self, file: Node, offset: u64, bytes: &[u8]) -> Result<()> {
        let old = u64::from(self.file(file)?.size.get());
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset.saturating_add(wide(bytes.len()));
        self.store(file, offset, bytes, old.max(end))
    }

    pub(super) fn truncate_content(&mut self, file: Node, len: u64) -> Result<()> {
        self.store(file, len, &[], len)
    }
}
