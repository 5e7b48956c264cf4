//! The filesystem seen through [`FsRead`].

use crate::boot::{self, Geometry, Root};
use crate::clusters::{Chain, Clusters, Want};
use crate::dir::{self, Found, Reader, Step};
use crate::layout::{DELETED, ENTRY, Short, attr};
use crate::oem;
use crate::table::{Link, Table, Width};
use crate::time::stamp;
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{EachEntry, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage, wtf8};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use zerocopy::FromBytes;

/// Nodes are the bytes their short entries lie at, which are multiples of 32; the root has no entry.
pub(crate) const ROOT: Node = Node(1);
/// Most bytes of a directory: 65,536 entries (section 6).
pub(crate) const MOST_DIR: u64 = 65_536 * 32;
/// Bytes of a directory read at once.
const PIECE: u64 = 4 << 10;

/// A FAT filesystem opened for reading.
pub struct Fat {
    pub(crate) geometry: Geometry,
    pub(crate) clusters: Clusters,
    warnings: Vec<String>,
    label: Option<Vec<u8>>,
    pub(crate) dirty: bool,
    /// A disk error was met when the volume was used last.
    pub(crate) worn: bool,
    pub(crate) free: OnceLock<u64>,
    /// Places of entries that a writer has removed: nodes no longer.
    pub(crate) gone: BTreeSet<u64>,
}

/// Whether `disk` looks like FAT: a boot sector whose fields agree with each other.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    boot::probe(disk)
}

/// Opens the filesystem on `disk`.
///
/// # Errors
/// [`Class::Corrupt`] for a boot sector that contradicts itself and has no backup.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Fat> {
    let mut warnings = Vec::new();
    let geometry = boot::read(&*disk, &mut |w| warnings.push(w)).map_err(|e| e.through("fat"))?;
    let tables = tables(&disk, &geometry, &mut warnings);
    let (mut dirty, mut worn) = (geometry.dirty, geometry.worn);
    if let Some(first) = tables.first()
        && let Ok(flags) = first.raw(1, &mut None)
    {
        // The two highest bits of the second entry (section 4.2).
        let (clean, fine) = match geometry.width {
            Width::Fat12 | Width::Exfat => (true, true),
            Width::Fat16 => (flags & 0x8000 != 0, flags & 0x4000 != 0),
            Width::Fat32 => (flags & 0x0800_0000 != 0, flags & 0x0400_0000 != 0),
        };
        dirty |= !clean;
        worn |= !fine;
    }
    if worn {
        warnings.push("a disk error was met when the volume was used last".to_owned());
    }
    if dirty {
        warnings.push("the volume was not unmounted cleanly".to_owned());
    }
    if let Some(at) = geometry.info
        && let Err(e) = boot::info(&*disk, at)
    {
        warnings.push(format!("FSInfo is not used: {e}"));
    }
    let clusters = Clusters::new(
        disk,
        tables,
        geometry.heap,
        geometry.cluster_bits,
        geometry.clusters,
        *limits,
    );
    let mut fs = Fat {
        geometry,
        clusters,
        warnings,
        label: None,
        dirty,
        worn,
        free: OnceLock::new(),
        gone: BTreeSet::new(),
    };
    if let Root::Cluster(first) = fs.geometry.root
        && !fs.clusters.has(first)
    {
        let what = format!("the root directory begins in cluster {first}, which does not exist");
        return Err(Error::corrupt("boot sector", 0, what).through("fat"));
    }
    // A root that cannot be read is a matter of those who list it.
    fs.label = fs.read_label().unwrap_or(None);
    Ok(fs)
}

/// The tables to ask, best first: the active one, else the first and then the second.
fn tables(disk: &Arc<dyn BlockRead>, geometry: &Geometry, warnings: &mut Vec<String>) -> Vec<Table> {
    let table = |n: u64| {
        let at = geometry.fat_at.saturating_add(n.saturating_mul(geometry.fat_len));
        Table::new(disk.clone(), at, geometry.fat_len, geometry.width)
    };
    if let Some(active) = geometry.active {
        return vec![table(active)];
    }
    if geometry.fats == 1 {
        return vec![table(0)];
    }
    let (first, second) = (table(0), table(1));
    // The first entry repeats the media byte (section 4.2); a table that was overwritten seldom does.
    let sound = |t: &Table| {
        t.raw(0, &mut None)
            .is_ok_and(|v| v & 0xff == u32::from(geometry.media) || v & 0xff >= 0xf8)
    };
    if !sound(&first) && sound(&second) {
        warnings.push("the first FAT is damaged; the second was used".to_owned());
        return vec![second, first];
    }
    vec![first, second]
}

/// A directory's entries: where they lie.
pub(crate) enum Place {
    Fixed(u64, u64),
    Chain(Arc<Chain>),
}

impl Fat {
    pub(crate) fn fat32(&self) -> bool {
        self.geometry.width == Width::Fat32
    }

    /// The entry behind `node`.
    pub(crate) fn short(&self, node: Node) -> Result<Short> {
        let at = node.0;
        let fixed = match self.geometry.root {
            Root::Fixed { at: root, len } => at.checked_sub(root).is_some_and(|n| n < len),
            Root::Cluster(_) => false,
        };
        let end = self.clusters.byte(self.clusters.count.saturating_add(2));
        let inside = fixed || (self.clusters.heap..end).contains(&at);
        let none = || Error::new(Class::NotFound, format!("there is no node {at}"));
        if !inside || !at.is_multiple_of(32) || self.gone.contains(&at) {
            return Err(none());
        }
        let mut bytes = [0; ENTRY];
        self.clusters.disk.read_at(at, &mut bytes)?;
        let short = Short::read_from_bytes(&bytes)
            .map_err(|_| Error::corrupt("directory entry", at, "is too short"))?;
        // What was removed, labels and pieces of long names are no nodes.
        match short.name {
            [0 | DELETED, ..] => Err(none()),
            _ if short.attributes & attr::VOLUME != 0 => Err(none()),
            _ => Ok(short),
        }
    }

    pub(crate) fn place(&self, node: Node) -> Result<Place> {
        let (key, first) = if node == ROOT {
            match self.geometry.root {
                Root::Fixed { at, len } => return Ok(Place::Fixed(at, len)),
                Root::Cluster(first) => (1, first),
            }
        } else {
            let short = self.short(node)?;
            if short.attributes & attr::DIRECTORY == 0 {
                return Err(Error::new(
                    Class::Invalid,
                    format!("node {} is not a directory", node.0),
                ));
            }
            (node.0, dir::cluster(&short, self.fat32()))
        };
        if first == 0 {
            return Ok(Place::Chain(Arc::default()));
        }
        let most = self.clusters.needed(MOST_DIR);
        Ok(Place::Chain(self.clusters.chain(
            key,
            first,
            Want::AtMost(most),
        )?))
    }

    /// Shows the entries of `node` until `each` breaks.
    pub(crate) fn entries(&self, node: Node, each: &mut dyn FnMut(Step) -> ControlFlow<()>) -> Result<()> {
        let place = self.place(node)?;
        let end = match &place {
            Place::Fixed(_, len) => *len,
            Place::Chain(chain) => u64::from(chain.clusters) << self.clusters.bits,
        };
        let mut reader = Reader::default();
        let mut buf = [0; 4 << 10];
        let mut offset = 0_u64;
        while offset < end {
            let (at, room) = match &place {
                Place::Fixed(at, len) => (at.saturating_add(offset), len.saturating_sub(offset)),
                Place::Chain(chain) => match self.clusters.place(chain, offset) {
                    Some(found) => found,
                    None => return Ok(()),
                },
            };
            let room = room.min(PIECE);
            let piece = usize::try_from(room)
                .ok()
                .and_then(|n| buf.get_mut(..n))
                .unwrap_or_default();
            self.clusters.disk.read_at(at, piece)?;
            let mut here = at;
            for bytes in piece.as_chunks::<ENTRY>().0 {
                match reader.step(here, bytes) {
                    Step::Nothing => {}
                    Step::End => return Ok(()),
                    step => {
                        if each(step).is_break() {
                            return Ok(());
                        }
                    }
                }
                here = here.saturating_add(32);
            }
            offset = offset.saturating_add(room);
        }
        Ok(())
    }

    /// The entry called `name` in `dir`, whatever the case of its letters.
    pub(crate) fn find(&self, dir: Node, name: &Name) -> Result<Option<Found>> {
        let Some(units) = wtf8::decode(name) else {
            self.place(dir)?;
            return Ok(None);
        };
        let wanted: Vec<u16> = dir::trimmed(&units).iter().map(|u| oem::up(*u)).collect();
        let mut found = None;
        let each = &mut |step: Step| match step {
            // What is listed can be looked up, also a name that no dots were cut from.
            Step::Name(entry) if entry.is(&wanted) || entry.name() == name => {
                found = Some(entry);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        self.entries(dir, each)?;
        Ok(found)
    }

    /// The label in the root directory, as blkid and Windows have it.
    fn read_label(&self) -> Result<Option<Vec<u8>>> {
        let mut label = None;
        self.entries(ROOT, &mut |step| match step {
            Step::Label(name) => {
                label = Some(name);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        let mut label = label.unwrap_or(self.geometry.label);
        if let Some(first) = label.first_mut()
            && *first == 0x05
        {
            *first = 0xe5;
        }
        if label == *b"NO NAME    " {
            return Ok(None);
        }
        let end = label.iter().rposition(|b| *b != b' ' && *b != 0);
        let kept = end.and_then(|i| label.get(..=i)).unwrap_or_default();
        let text: String = kept.iter().map(|b| oem::character(*b)).collect();
        Ok((!text.is_empty()).then(|| text.into_bytes()))
    }

    /// Size and clusters of a file.
    fn content(&self, node: Node) -> Result<(u64, Arc<Chain>)> {
        let short = if node == ROOT {
            None
        } else {
            Some(self.short(node)?)
        };
        let Some(short) = short.filter(|s| s.attributes & attr::DIRECTORY == 0) else {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} has no content to read", node.0),
            ));
        };
        let len = u64::from(short.size.get());
        if len == 0 {
            return Ok((0, Arc::default()));
        }
        let want = Want::Exactly(self.clusters.needed(len));
        let chain = self
            .clusters
            .chain(node.0, dir::cluster(&short, self.fat32()), want)?;
        Ok((len, chain))
    }

    fn free_clusters(&self) -> Result<u64> {
        if let Some(known) = self.free.get() {
            return Ok(*known);
        }
        let mut meter = Meter::new(self.clusters.limits);
        let mut held = None;
        let mut free = 0_u64;
        for n in 0..self.clusters.count {
            meter.step("FAT entry")?;
            if self.is_free(n.saturating_add(2), &mut held)? {
                free = free.saturating_add(1);
            }
        }
        Ok(*self.free.get_or_init(|| free))
    }

    pub(crate) fn is_free(&self, cluster: u32, held: &mut crate::table::Held) -> Result<bool> {
        match self.clusters.tables.first() {
            Some(table) => Ok(table.link(cluster, held)? == Link::Free),
            None => Ok(false),
        }
    }
}

impl FsRead for Fat {
    fn facts(&self) -> Facts {
        let mut warnings = self.warnings.clone();
        if self.clusters.used_second() {
            warnings.push("the first FAT is damaged in places; the second answered there".to_owned());
        }
        let kind = match self.geometry.width {
            Width::Fat12 => "fat12",
            Width::Fat16 => "fat16",
            Width::Fat32 | Width::Exfat => "fat32",
        };
        Facts {
            kind: "vfat",
            label: self.label.clone(),
            uuid: self
                .geometry
                .serial
                .map(|s| format!("{:04X}-{:04X}", s >> 16, s & 0xffff)),
            features: vec![kind.to_owned()],
            warnings,
        }
    }

    fn usage(&self) -> Result<Usage> {
        let block = 1_u64 << self.geometry.cluster_bits;
        Ok(Usage {
            block,
            total: u64::from(self.clusters.count).saturating_mul(block),
            free: self
                .free_clusters()
                .map_err(|e| e.through("fat"))?
                .saturating_mul(block),
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        ROOT
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let mut stat = Stat::bare(FileKind::Dir, node.0);
        if node != ROOT {
            let short = self.short(node).map_err(|e| e.through("fat"))?;
            stat.modified = stamp(short.modified_date.get(), short.modified_time.get(), 0);
            stat.changed = stat.modified;
            stat.accessed = stamp(short.accessed_date.get(), 0, 0);
            let born = short.created_date.get();
            stat.created = (born != 0).then(|| stamp(born, short.created_time.get(), short.created_tenth));
            if short.attributes & attr::DIRECTORY == 0 {
                stat.kind = FileKind::File;
                stat.len = u64::from(short.size.get());
                stat.allocated = stat.len.next_multiple_of(1 << self.geometry.cluster_bits);
                return Ok(stat);
            }
        }
        stat.len = match self.place(node).map_err(|e| e.through("fat"))? {
            Place::Fixed(_, len) => len,
            Place::Chain(chain) => u64::from(chain.clusters) << self.clusters.bits,
        };
        stat.allocated = stat.len;
        Ok(stat)
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let found = self.find(dir, name).map_err(|e| e.through("fat"))?;
        Ok(found.map(|entry| Node(entry.at)))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let show = &mut |step: Step| match step {
            Step::Name(found) => each(Entry {
                name: &found.name(),
                node: Node(found.at),
                kind: Some(kind(&found)),
            }),
            _ => ControlFlow::Continue(()),
        };
        self.entries(dir, show).map_err(|e| e.through("fat"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (len, chain) = self.content(file).map_err(|e| e.through("fat"))?;
        let room = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let buf = buf.get_mut(..want).unwrap_or_default();
        self.clusters
            .read(&chain, offset, buf)
            .map_err(|e| e.through("fat"))?;
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        Err(Error::new(
            Class::Invalid,
            format!("node {} is not a link: FAT has none", link.0),
        ))
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let (len, chain) = self.content(file).map_err(|e| e.through("fat"))?;
        h2k_fs::check_extent(offset, end, len)?;
        let (at, run) = self.clusters.place(&chain, offset).ok_or_else(|| {
            Error::corrupt("FAT", self.geometry.fat_at, "a chain shorter than its file").through("fat")
        })?;
        Ok(FileExtent {
            run: Extent::new(offset, run.min(end.saturating_sub(offset)), Kind::Data),
            at: Some(at),
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        if self.dirty {
            // Names may point at clusters the table does not know of yet.
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data));
        }
        let mut held = None;
        self.clusters
            .used_at(offset, end, &mut |cluster| self.is_free(cluster, &mut held))
            .map_err(|e| e.through("fat"))
    }
}

fn kind(found: &Found) -> FileKind {
    if found.short.attributes & attr::DIRECTORY == 0 {
        FileKind::File
    } else {
        FileKind::Dir
    }
}
