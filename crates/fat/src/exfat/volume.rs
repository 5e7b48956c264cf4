//! The filesystem seen through [`FsRead`].

use super::boot::{self, Geometry};
use super::layout::{self, Label, entry};
use super::set::Set;
use super::upcase::{self, UpCase};
use crate::clusters::{Chain, Clusters, Want};
use crate::layout::ENTRY;
use crate::table::{Held, Link, Table, Width};
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{EachEntry, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage, wtf8};
use std::ops::ControlFlow;
use std::sync::Arc;
use zerocopy::FromBytes;

/// A node is the byte its file entry lies at, which is a multiple of 32, over 16; bit 0 is set where its directory has
/// no chain in the FAT, so that entries of a set can be followed from one cluster to the next. No file lies at 0.
const ROOT: Node = Node(1);
/// Most bytes of a directory (section 7.4.4).
const MOST_DIR: u64 = 256 << 20;
/// Most bytes of an up-case table: each unit once.
const MOST_UPCASE: u64 = 2 << 16;
/// Bytes of a directory, and of the bitmap, read at once.
const PIECE: u64 = 4 << 10;

/// An exFAT filesystem opened for reading.
pub struct ExFat {
    geometry: Geometry,
    clusters: Clusters,
    upcase: UpCase,
    bitmap: Option<Chain>,
    label: Option<Vec<u8>>,
    warnings: Vec<String>,
}

/// Whether `disk` looks like exFAT: the name in its boot sector and nothing more.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    boot::probe(disk)
}

/// Opens the filesystem on `disk`.
///
/// # Errors
/// [`Class::Corrupt`] for boot sectors that contradict themselves and a root directory that does not exist.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<ExFat> {
    let mut warnings = Vec::new();
    let geometry = boot::read(&*disk, &mut |w| warnings.push(w)).map_err(|e| e.through("exfat"))?;
    if geometry.dirty {
        warnings.push("the volume was not unmounted cleanly".to_owned());
    }
    if geometry.failure {
        warnings.push("a disk error was met when the volume was used last".to_owned());
    }
    let table = Table::new(disk.clone(), geometry.fat_at, geometry.fat_len, Width::Exfat);
    let clusters = Clusters::new(
        disk,
        vec![table],
        geometry.heap,
        geometry.cluster_bits,
        geometry.clusters,
        *limits,
    );
    let mut fs = ExFat {
        geometry,
        clusters,
        upcase: UpCase::usual(),
        bitmap: None,
        label: None,
        warnings,
    };
    fs.tables().map_err(|e| e.through("exfat"))?;
    Ok(fs)
}

/// Where the entries of a directory lie.
struct Place {
    chain: Arc<Chain>,
    len: u64,
    contiguous: bool,
}

fn node(at: u64, contiguous: bool) -> Node {
    Node(at >> 4 | u64::from(contiguous))
}

impl ExFat {
    /// Bitmap, up-case table and label: entries of the root directory.
    fn tables(&mut self) -> Result<()> {
        let place = self.place(ROOT)?;
        let (mut bitmap, mut table, mut label) = (None, None, None);
        self.entries(&place, &mut |_, bytes| {
            let [kind, ..] = *bytes;
            match kind {
                entry::BITMAP => {
                    let found = layout::Table::read_from_bytes(bytes).ok();
                    let ours = found.filter(|t| (t.flags & 1 != 0) == self.geometry.second);
                    bitmap = bitmap.or(ours);
                }
                entry::UPCASE => table = table.or(layout::Table::read_from_bytes(bytes).ok()),
                entry::LABEL => label = label.or(Label::read_from_bytes(bytes).ok()),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        self.label = label.map(|l| {
            let units = l.units.iter().take(usize::from(l.count)).map(|u| u.get());
            wtf8::encode(units)
        });
        self.label = self.label.take().filter(|l| !l.is_empty());
        match self.load_upcase(table) {
            Ok(table) => self.upcase = table,
            Err(e) => self
                .warnings
                .push(format!("the up-case table is not used, a usual one is: {e}")),
        }
        match self.load_bitmap(bitmap) {
            Ok(chain) => self.bitmap = Some(chain),
            Err(e) => self
                .warnings
                .push(format!("the allocation bitmap is not used: {e}")),
        }
        Ok(())
    }

    fn load_upcase(&self, table: Option<layout::Table>) -> Result<UpCase> {
        let bad = |what: String| Error::corrupt("up-case table", self.geometry.heap, what);
        let table = table.ok_or_else(|| bad("there is none".to_owned()))?;
        let len = table.len.get();
        if len == 0 || len > MOST_UPCASE {
            return Err(bad(format!("{len} bytes, at most {MOST_UPCASE} are allowed")));
        }
        let want = Want::Exactly(self.clusters.needed(len));
        let chain = self.clusters.walk(table.cluster.get(), want)?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        self.clusters.read(&chain, 0, &mut bytes)?;
        let (found, stored) = (upcase::checksum(&bytes), table.checksum.get());
        if found != stored {
            return Err(bad(format!("checksum {found:#x}, {stored:#x} is stored")));
        }
        Ok(UpCase::new(&bytes))
    }

    fn load_bitmap(&self, table: Option<layout::Table>) -> Result<Chain> {
        let bad = |what: String| Error::corrupt("allocation bitmap", self.geometry.heap, what);
        let table = table.ok_or_else(|| bad("there is none".to_owned()))?;
        let need = u64::from(self.geometry.clusters).div_ceil(8);
        if table.len.get() < need {
            return Err(bad(format!("{} bytes, {need} are needed", table.len.get())));
        }
        self.clusters
            .walk(table.cluster.get(), Want::Exactly(self.clusters.needed(need)))
    }

    /// The set behind `node`, its checksum verified.
    fn set(&self, found: Node) -> Result<Set> {
        let at = (found.0 & !1) << 4;
        let contiguous = found.0 & 1 != 0;
        let end = self.clusters.byte(self.clusters.count.saturating_add(2));
        if found.0 >> 60 != 0 || !at.is_multiple_of(32) || !(self.clusters.heap..end).contains(&at) {
            return Err(Error::new(
                Class::NotFound,
                format!("there is no node {}", found.0),
            ));
        }
        let mut one = [0; ENTRY];
        self.clusters.disk.read_at(at, &mut one)?;
        let [_, secondaries, ..] = one;
        let mut bytes = one.to_vec();
        let mut here = at;
        for _ in 0..secondaries {
            here = here.saturating_add(32);
            let within = here.saturating_sub(self.clusters.heap);
            if within.is_multiple_of(1 << self.clusters.bits) && !contiguous {
                here = self.next_cluster(within >> self.clusters.bits, at)?;
            }
            if here >= end {
                break;
            }
            self.clusters.disk.read_at(here, &mut one)?;
            bytes.extend_from_slice(&one);
        }
        let set = Set::parse(at, &bytes)?;
        if !set.whole {
            return Err(Error::corrupt(
                "directory entry set",
                at,
                "its checksum does not agree",
            ));
        }
        Ok(set)
    }

    /// The byte of the cluster that follows the one before the `n`th of the heap.
    fn next_cluster(&self, n: u64, at: u64) -> Result<u64> {
        // Clusters count from 2, so the one before the nth is n + 1.
        let cluster = u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        let table = self.clusters.tables.first();
        match table.map(|t| t.link(cluster, &mut None)).transpose()? {
            Some(Link::Next(next)) if self.clusters.has(next) => Ok(self.clusters.byte(next)),
            _ => Err(Error::corrupt(
                "directory entry set",
                at,
                "its directory ends before it does",
            )),
        }
    }

    /// The clusters of a file or directory of `len` bytes.
    fn chain(&self, found: Node, set: &Set, len: u64) -> Result<Arc<Chain>> {
        let need = self.clusters.needed(len);
        let first = set.stream.cluster.get();
        if need == 0 {
            return Ok(Arc::default());
        }
        if !set.contiguous() {
            return self.clusters.chain(found.0, first, Want::Exactly(need));
        }
        let last = first.checked_add(need).and_then(|n| n.checked_sub(1));
        if !self.clusters.has(first) || !last.is_some_and(|n| self.clusters.has(n)) {
            let what = format!(
                "{need} clusters from {first} on, the volume has {}",
                self.clusters.count
            );
            return Err(Error::corrupt("stream extension", (found.0 & !1) << 4, what));
        }
        Ok(Arc::new(Chain::contiguous(first, need)))
    }

    fn place(&self, dir: Node) -> Result<Place> {
        if dir == ROOT {
            let most = self.clusters.needed(MOST_DIR);
            let chain = self.clusters.chain(1, self.geometry.root, Want::AtMost(most))?;
            let len = u64::from(chain.clusters) << self.clusters.bits;
            return Ok(Place {
                chain,
                len,
                contiguous: false,
            });
        }
        let set = self.set(dir)?;
        if !set.is_dir() {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} is not a directory", dir.0),
            ));
        }
        let len = set.stream.len.get();
        if len > MOST_DIR {
            let what = format!("a directory of {len} bytes, at most {MOST_DIR} are allowed");
            return Err(Error::corrupt("stream extension", (dir.0 & !1) << 4, what));
        }
        Ok(Place {
            chain: self.chain(dir, &set, len)?,
            len,
            contiguous: set.contiguous(),
        })
    }

    /// Shows every entry of a directory in use, with its byte, until `each` breaks.
    fn entries(
        &self,
        place: &Place,
        each: &mut dyn FnMut(u64, &[u8; ENTRY]) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut buf = [0; 4 << 10];
        let mut offset = 0_u64;
        while offset < place.len {
            let Some((at, room)) = self.clusters.place(&place.chain, offset) else {
                return Ok(());
            };
            let n = room.min(PIECE).min(place.len.saturating_sub(offset));
            let piece = usize::try_from(n)
                .ok()
                .and_then(|n| buf.get_mut(..n))
                .unwrap_or_default();
            self.clusters.disk.read_at(at, piece)?;
            let mut here = at;
            for bytes in piece.as_chunks::<ENTRY>().0 {
                if bytes.first() == Some(&0) || each(here, bytes).is_break() {
                    return Ok(());
                }
                here = here.saturating_add(32);
            }
            offset = offset.saturating_add(n);
        }
        Ok(())
    }

    /// Shows the files of a directory, also those whose checksum does not agree.
    fn sets(&self, dir: Node, each: &mut dyn FnMut(Node, Set) -> ControlFlow<()>) -> Result<()> {
        let place = self.place(dir)?;
        let mut bytes: Vec<u8> = Vec::new();
        let (mut start, mut left) = (0, 0_u8);
        self.entries(&place, &mut |at, found| {
            let [kind, count, ..] = *found;
            if left > 0 && kind & entry::SECONDARY == entry::SECONDARY {
                bytes.extend_from_slice(found);
                left = left.saturating_sub(1);
            } else {
                bytes.clear();
                left = 0;
                if kind == entry::FILE && kind & entry::IN_USE != 0 {
                    bytes.extend_from_slice(found);
                    (start, left) = (at, count);
                }
            }
            if left == 0
                && let Ok(set) = Set::parse(start, &bytes)
            {
                bytes.clear();
                return each(node(start, place.contiguous), set);
            }
            ControlFlow::Continue(())
        })
    }

    fn content(&self, file: Node) -> Result<(Set, Arc<Chain>)> {
        let set = if file == ROOT { None } else { Some(self.set(file)?) };
        let Some(set) = set.filter(|s| !s.is_dir()) else {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} has no content to read", file.0),
            ));
        };
        // What lies behind the valid length is not read, so its clusters do not matter.
        let valid = set.stream.valid.get().min(set.stream.len.get());
        let chain = self.chain(file, &set, valid)?;
        Ok((set, chain))
    }

    /// Eight clusters of the bitmap, the first of them the `8 * n`th of the heap.
    fn bits(&self, bitmap: &Chain, n: u64, held: &mut Held) -> Result<u8> {
        let page = n / PIECE;
        if held.as_ref().is_none_or(|(at, _)| *at != page) {
            let need = u64::from(self.clusters.count).div_ceil(8);
            let from = page.saturating_mul(PIECE);
            let len = usize::try_from(need.saturating_sub(from).min(PIECE)).unwrap_or(0);
            let mut bytes = vec![0; len];
            self.clusters.read(bitmap, from, &mut bytes)?;
            *held = Some((page, bytes.into()));
        }
        let page = held.as_ref().map(|(_, page)| &**page).unwrap_or_default();
        // Behind the bitmap nothing is free.
        let byte = usize::try_from(n % PIECE).ok().and_then(|i| page.get(i));
        Ok(byte.copied().unwrap_or(0xff))
    }
}

impl FsRead for ExFat {
    fn facts(&self) -> Facts {
        let serial = self.geometry.serial;
        Facts {
            kind: "exfat",
            label: self.label.clone(),
            uuid: (serial != 0).then(|| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
            features: Vec::new(),
            warnings: self.warnings.clone(),
        }
    }

    fn usage(&self) -> Result<Usage> {
        let block = 1_u64 << self.clusters.bits;
        let mut free = 0_u64;
        if let Some(bitmap) = &self.bitmap {
            let mut meter = Meter::new(self.clusters.limits);
            let mut held = None;
            let count = u64::from(self.clusters.count);
            for n in 0..count.div_ceil(8) {
                meter.step("allocation bitmap").map_err(|e| e.through("exfat"))?;
                let byte = self.bits(bitmap, n, &mut held).map_err(|e| e.through("exfat"))?;
                let there = count.saturating_sub(n.saturating_mul(8)).min(8);
                let used = u32::from(byte) & (1_u32 << there).saturating_sub(1);
                free = free.saturating_add(there.saturating_sub(used.count_ones().into()));
            }
        }
        Ok(Usage {
            block,
            total: u64::from(self.clusters.count).saturating_mul(block),
            free: free.saturating_mul(block),
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        ROOT
    }

    fn stat(&self, found: Node) -> Result<Stat> {
        let mut stat = Stat::bare(FileKind::Dir, found.0);
        if found == ROOT {
            stat.len = self.place(ROOT).map_err(|e| e.through("exfat"))?.len;
        } else {
            let set = self.set(found).map_err(|e| e.through("exfat"))?;
            stat.len = set.stream.len.get();
            if !set.is_dir() {
                stat.kind = FileKind::File;
            }
            stat.modified = set.modified();
            stat.changed = stat.modified;
            stat.accessed = set.accessed();
            stat.created = Some(set.created());
        }
        stat.allocated = u64::from(self.clusters.needed(stat.len)) << self.clusters.bits;
        Ok(stat)
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let units = wtf8::decode(name).unwrap_or_default();
        let wanted: Vec<u16> = units.iter().map(|u| self.upcase.up(*u)).collect();
        let mut found = None;
        let each = &mut |at: Node, set: Set| {
            if set
                .name
                .iter()
                .map(|u| self.upcase.up(*u))
                .eq(wanted.iter().copied())
            {
                found = Some(at);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        self.sets(dir, each).map_err(|e| e.through("exfat"))?;
        Ok(found)
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let show = &mut |at: Node, set: Set| {
            each(Entry {
                name: &wtf8::encode(set.name.iter().copied()),
                node: at,
                kind: Some(if set.is_dir() {
                    FileKind::Dir
                } else {
                    FileKind::File
                }),
            })
        };
        self.sets(dir, show).map_err(|e| e.through("exfat"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (set, chain) = self.content(file).map_err(|e| e.through("exfat"))?;
        let room = usize::try_from(set.stream.len.get().saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let valid = usize::try_from(set.stream.valid.get().saturating_sub(offset)).unwrap_or(usize::MAX);
        let (stored, zeros) = buf
            .get_mut(..want)
            .unwrap_or_default()
            .split_at_mut(valid.min(want));
        self.clusters
            .read(&chain, offset, stored)
            .map_err(|e| e.through("exfat"))?;
        zeros.fill(0);
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        Err(Error::new(
            Class::Invalid,
            format!("node {} is not a link: exFAT has none", link.0),
        ))
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let (set, chain) = self.content(file).map_err(|e| e.through("exfat"))?;
        let len = set.stream.len.get();
        h2k_fs::check_extent(offset, end, len)?;
        let valid = set.stream.valid.get().min(len);
        if offset >= valid {
            return Ok(FileExtent {
                run: Extent::new(offset, end.saturating_sub(offset), Kind::Hole),
                at: None,
            });
        }
        let (at, run) = self.clusters.place(&chain, offset).ok_or_else(|| {
            Error::corrupt("FAT", self.geometry.fat_at, "a chain shorter than its file").through("exfat")
        })?;
        Ok(FileExtent {
            run: Extent::new(offset, run.min(end.min(valid).saturating_sub(offset)), Kind::Data),
            at: Some(at),
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        let Some(bitmap) = self.bitmap.as_ref().filter(|_| !self.geometry.dirty) else {
            // Names may point at clusters the bitmap does not know of yet.
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data));
        };
        let mut held = None;
        self.clusters
            .used_at(offset, end, &mut |cluster| {
                let n = u64::from(cluster.saturating_sub(2));
                Ok(self.bits(bitmap, n / 8, &mut held)? >> (n % 8) & 1 == 0)
            })
            .map_err(|e| e.through("exfat"))
    }
}
