//! The filesystem seen through [`FsRead`].

use super::descriptor::{self, Tree, Trees};
use super::layout::{SECTOR, flag};
use super::names::{self, Names};
use super::record::{self, Inode, Raw};
use super::{susp, zisofs};
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{EachEntry, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage, wtf8};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Memory of inodes kept, counting each as large as it can be; and of unpacked blocks.
const INODES: u64 = 4 << 20;
const INODE: u64 = 32 << 10;
const UNPACKED: u64 = 4 << 20;

/// Which of a disc's trees is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Rock Ridge if the disc has it, else Joliet, else the plain tree.
    #[default]
    Best,
    /// The primary tree with Rock Ridge where there is any.
    RockRidge,
    /// Joliet's tree, or the plain one where there is none.
    Joliet,
    /// The primary tree without Rock Ridge.
    Plain,
}

/// How a disc is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which tree.
    pub view: View,
    /// How names without Rock Ridge or Joliet are shown.
    pub names: Names,
    /// First sector (of 2048 bytes) of the session whose tree is read; a disc of one session, and one that was
    /// written over in the way of a DVD, has all at 0.
    pub session: u32,
}

/// An ISO 9660 filesystem opened for reading.
pub struct Iso {
    disk: Arc<dyn BlockRead>,
    tree: Tree,
    /// Bytes to skip in each system use area, where Rock Ridge is read.
    rock: Option<usize>,
    names: Names,
    limits: Limits,
    root: u64,
    facts: Facts,
    inodes: Cache<Inode>,
    unpacked: Cache<[u8]>,
}

/// Takes a name, its node, and whether that is a directory.
type EachName<'a> = dyn FnMut(&[u8], Node, bool) -> ControlFlow<()> + 'a;

/// Whether `disk` has a volume descriptor of ISO 9660.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let mut name = [0; 5];
    let at = 16 * SECTOR;
    if disk.len() < at.saturating_add(SECTOR) {
        return Ok(false);
    }
    disk.read_at(at.saturating_add(1), &mut name)?;
    Ok(name == *b"CD001")
}

/// Opens the best tree of `disk`.
///
/// # Errors
/// As [`open_with`].
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Iso> {
    open_with(disk, limits, Options::default())
}

/// Opens the tree of `disk` that `options` ask for.
///
/// # Errors
/// [`Class::Corrupt`] for descriptors that contradict themselves, [`Class::Unsupported`] for the High Sierra format.
pub fn open_with(disk: Arc<dyn BlockRead>, limits: &Limits, options: Options) -> Result<Iso> {
    let trees = descriptor::read(&*disk, options.session).map_err(|e| e.through("iso9660"))?;
    let skip = trees.primary.as_ref().and_then(|tree| rock_ridge(&*disk, tree));
    let (tree, rock) = match (options.view, trees.primary, trees.joliet) {
        (View::Joliet, _, Some(joliet)) => (joliet, None),
        (View::Best, Some(_), Some(joliet)) if skip.is_none() => (joliet, None),
        (View::Plain | View::Joliet, Some(primary), _) => (primary, None),
        (_, Some(primary), _) => (primary, skip),
        (_, None, Some(joliet)) => (joliet, None),
        (_, None, None) => {
            return Err(Error::corrupt("volume descriptor", 0, "there is none").through("iso9660"));
        }
    };
    let facts = facts(&*disk, &trees, &tree, skip.is_some());
    let mut fs = Iso {
        disk,
        tree,
        rock,
        names: options.names,
        limits: *limits,
        root: 0,
        facts,
        inodes: Cache::new(INODES, INODE),
        unpacked: Cache::new(UNPACKED, 1 << 17),
    };
    let raw = Raw::read(&*fs.disk, tree.root).map_err(|e| e.through("iso9660"))?;
    fs.root = raw.start(&tree);
    fs.directory(fs.root())?;
    Ok(fs)
}

/// The skip of Rock Ridge, if the first record of the root says that the disc has it.
fn rock_ridge(disk: &dyn BlockRead, tree: &Tree) -> Option<usize> {
    let root = Raw::read(disk, tree.root).ok()?;
    let own = Raw::read(disk, root.start(tree)).ok()?;
    susp::skip(&own.area)
}

/// Text of a descriptor without the blanks behind it.
fn text(bytes: &[u8], joliet: bool) -> Vec<u8> {
    let text = if joliet {
        wtf8::encode(bytes.as_chunks::<2>().0.iter().map(|b| u16::from_be_bytes(*b)))
    } else {
        bytes.to_vec()
    };
    let end = text.iter().rposition(|b| !matches!(b, b' ' | 0));
    end.and_then(|i| text.get(..=i)).unwrap_or_default().to_vec()
}

/// A date as blkid makes an identifier of it.
fn identifier(date: &[u8; 17]) -> Option<String> {
    let digits = std::str::from_utf8(date.get(..16)?).ok()?;
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let some = digits.bytes().all(|b| b.is_ascii_digit()) && digits.bytes().any(|b| b != b'0');
    some.then(|| {
        format!(
            "{}-{}-{}-{}-{}-{}-{}",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(8, 10),
            part(10, 12),
            part(12, 14),
            part(14, 16)
        )
    })
}

fn facts(disk: &dyn BlockRead, trees: &Trees, tree: &Tree, rock: bool) -> Facts {
    let d = &tree.descriptor;
    let label = text(&d.volume, tree.joliet > 0);
    let dates = &trees.primary.as_ref().unwrap_or(tree).descriptor;
    let mut features = Vec::new();
    if let Some(joliet) = &trees.joliet {
        features.push(format!("joliet:{}", joliet.joliet));
    }
    if rock {
        features.push("rockridge".to_owned());
    }
    if let Some(sector) = trees.catalog {
        features.extend(descriptor::boots(disk, sector));
    }
    let mut warnings = Vec::new();
    let needed = u64::from(d.space.get()).saturating_mul(tree.block);
    if needed > disk.len() {
        warnings.push(format!(
            "the disc is cut off: {} of {needed} bytes are there",
            disk.len()
        ));
    }
    Facts {
        kind: "iso9660",
        label: (!label.is_empty()).then_some(label),
        uuid: identifier(&dates.modified).or_else(|| identifier(&dates.created)),
        features,
        warnings,
    }
}

impl Iso {
    /// Whether the tree that is read has Rock Ridge: modes, owners, links.
    #[must_use]
    pub fn has_rock_ridge(&self) -> bool {
        self.rock.is_some()
    }

    /// The inode of the record at byte `node`; of a directory that is the record it has of itself.
    fn inode(&self, node: Node) -> Result<Arc<Inode>> {
        let found = self.inodes.get(node.0, || {
            if node.0 >= self.disk.len() {
                return Err(Error::new(
                    Class::NotFound,
                    format!("there is no node {}", node.0),
                ));
            }
            record::inode(&*self.disk, &self.tree, node.0, self.rock).map(Arc::new)
        });
        found.map_err(|e| e.through("iso9660"))
    }

    fn directory(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        if inode.kind == FileKind::Dir {
            Ok(inode)
        } else {
            Err(Error::new(
                Class::Invalid,
                format!("node {} is not a directory", node.0),
            ))
        }
    }

    /// Shows the records of a directory, with the first record of files of several sections.
    fn records(&self, dir: &Inode, each: &mut dyn FnMut(Raw) -> Result<ControlFlow<()>>) -> Result<()> {
        let Some((start, len)) = dir.extents.first().copied() else {
            return Ok(());
        };
        let mut meter = Meter::new(self.limits);
        let mut sector = [0; 2048];
        let mut first: Option<Raw> = None;
        let mut offset = 0_u64;
        while offset < len {
            let at = start.saturating_add(offset);
            // A directory fills its sectors; one with blocks of 512 bytes may begin inside of one.
            let room = SECTOR.saturating_sub(at % SECTOR).min(len.saturating_sub(offset));
            let bytes = usize::try_from(room).ok().and_then(|n| sector.get_mut(..n));
            let bytes = bytes.unwrap_or_default();
            self.disk.read_at(at, bytes)?;
            let (mut rest, mut here) = (&*bytes, at);
            while let Some(raw) = Raw::parse(here, rest)? {
                meter.step("directory record")?;
                let n = usize::from(raw.record.len);
                rest = rest.get(n..).unwrap_or_default();
                here = here.saturating_add(raw.record.len.into());
                if raw.record.flags & flag::MORE != 0 && !raw.is_dir() {
                    first.get_or_insert(raw);
                    continue;
                }
                if each(first.take().unwrap_or(raw))?.is_break() {
                    return Ok(());
                }
            }
            offset = offset.saturating_add(room);
        }
        Ok(())
    }

    /// Shows the names of a directory: what, where, and whether it is one itself.
    fn names(&self, dir: Node, each: &mut EachName<'_>) -> Result<()> {
        let inode = self.directory(dir)?;
        let mut show = |raw: Raw| -> Result<ControlFlow<()>> {
            if names::is_dots(&raw) || raw.record.flags & flag::ASSOCIATED != 0 {
                return Ok(ControlFlow::Continue(()));
            }
            let mut node = if raw.is_dir() {
                raw.start(&self.tree)
            } else {
                raw.at
            };
            let mut is_dir = raw.is_dir();
            let mut name = Vec::new();
            if let Some(skip) = self.rock {
                let area = raw.area.get(skip..).unwrap_or_default();
                let rock = susp::read(&*self.disk, self.tree.block, area, raw.at)?;
                if rock.relocated {
                    return Ok(ControlFlow::Continue(()));
                }
                if let Some(block) = rock.child {
                    node = u64::from(block).saturating_mul(self.tree.block);
                    is_dir = true;
                }
                name = rock.name;
            }
            let name = match (self.tree.joliet, name.is_empty()) {
                (_, false) => names::safe(name),
                (0, true) => names::plain(&raw.name, self.names),
                (_, true) => names::joliet(&raw.name),
            };
            Ok(each(&name, Node(node), is_dir))
        };
        self.records(&inode, &mut show).map_err(|e| e.through("iso9660"))
    }

    fn content(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        if inode.kind != FileKind::File {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} has no content to read", node.0),
            ));
        }
        if let Some(what) = &inode.refused {
            let error = Error::unsupported(format!("{what} is not read"));
            return Err(error.at(record::NAME, inode.at).through("iso9660"));
        }
        Ok(inode)
    }

    /// Fills `buf` from byte `offset` of what is stored.
    fn stored(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (place, len) = inode.place(at).ok_or_else(|| {
                let what = format!("byte {at:#x} of {:#x} stored ones", inode.stored);
                Error::corrupt(record::NAME, inode.at, what)
            })?;
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            if place.saturating_add(u64::try_from(n).unwrap_or(0)) > self.disk.len() {
                let what = format!(
                    "a file of {} bytes lies at {place:#x}, the disc has {:#x} bytes",
                    inode.stored,
                    self.disk.len()
                );
                return Err(Error::corrupt(record::NAME, inode.at, what));
            }
            self.disk.read_at(place, head)?;
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }

    /// Fills `buf` from byte `offset` of a file that is stored in compressed blocks.
    fn unpack(&self, inode: &Inode, z: susp::Zisofs, offset: u64, buf: &mut [u8]) -> Result<()> {
        let start = inode.extents.first().map_or(0, |(at, _)| *at);
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let n = u32::try_from(at >> z.block_bits).unwrap_or(u32::MAX);
            let key = start.wrapping_mul(0x1_0000_0001).wrapping_add(n.into());
            let block = self.unpacked.get(key, || {
                let stored = |at: u64, buf: &mut [u8]| self.stored(inode, at, buf);
                zisofs::block(z, inode.stored, &stored, start, n).map(Arc::from)
            })?;
            let within = usize::try_from(at & (1_u64 << z.block_bits).saturating_sub(1)).unwrap_or(0);
            let source = block.get(within..).unwrap_or_default();
            let n = source.len().min(rest.len());
            if n == 0 {
                return Err(Error::corrupt("zisofs block", start, "ends before the file does"));
            }
            let (head, tail) = rest.split_at_mut(n);
            head.copy_from_slice(source.get(..n).unwrap_or_default());
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }
}

impl FsRead for Iso {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn usage(&self) -> Result<Usage> {
        let total = u64::from(self.tree.descriptor.space.get()).saturating_mul(self.tree.block);
        Ok(Usage {
            block: self.tree.block,
            total,
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        Node(self.root)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let inode = self.inode(node)?;
        let rock = &inode.rock;
        let modified = rock.modified.unwrap_or(inode.recorded);
        Ok(Stat {
            kind: inode.kind,
            len: inode.len,
            allocated: inode
                .stored
                .checked_next_multiple_of(SECTOR)
                .unwrap_or(inode.stored),
            mode: rock.mode.and_then(|m| u16::try_from(m & 0o7777).ok()),
            uid: rock.uid,
            gid: rock.gid,
            links: rock.links.unwrap_or(1),
            device: rock
                .device
                .filter(|_| matches!(inode.kind, FileKind::CharDevice | FileKind::BlockDevice)),
            inode: node.0,
            modified,
            changed: rock.changed.unwrap_or(modified),
            accessed: rock.accessed.unwrap_or(modified),
            created: rock.created,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let (mut found, mut folded) = (None, None);
        let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
        let wanted = lower(name);
        self.names(dir, &mut |entry, node, _| {
            if entry == name {
                found = Some(node);
                return ControlFlow::Break(());
            }
            // Without Rock Ridge the case of names does not count, unless one is spelt just so.
            if self.rock.is_none() && folded.is_none() && lower(entry) == wanted {
                folded = Some(node);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found.or(folded))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.names(dir, &mut |name, node, is_dir| {
            each(Entry {
                name,
                node,
                // What is no directory may be anything with Rock Ridge.
                kind: is_dir.then_some(FileKind::Dir),
            })
        })
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.content(file)?;
        let room = usize::try_from(inode.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let buf = buf.get_mut(..want).unwrap_or_default();
        let done = match inode.zisofs {
            Some(z) => self.unpack(&inode, z, offset, buf),
            None => self.stored(&inode, offset, buf),
        };
        done.map_err(|e| e.through("iso9660"))?;
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let inode = self.inode(link)?;
        if inode.kind != FileKind::Link {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} is not a link", link.0),
            ));
        }
        Ok(inode.rock.target.clone())
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let inode = self.content(file)?;
        h2k_fs::check_extent(offset, end, inode.len)?;
        let len = end.saturating_sub(offset);
        if inode.zisofs.is_some() {
            let mut run = Extent::new(offset, len, Kind::Data);
            run.compressed = true;
            return Ok(FileExtent { run, at: None });
        }
        let (at, room) = inode.place(offset).ok_or_else(|| {
            Error::corrupt(record::NAME, inode.at, "sections shorter than their file").through("iso9660")
        })?;
        Ok(FileExtent {
            run: Extent::new(offset, room.min(len), Kind::Data),
            at: Some(at),
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        // A disc has no free space.
        Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data))
    }
}
