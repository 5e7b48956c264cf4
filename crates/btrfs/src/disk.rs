//! The filesystem seen through [`FsRead`].

use crate::codec::Decoder;
use crate::file::{self, Body, Disk};
use crate::inode::{self, Inode};
use crate::layout::{INODE_NODATASUM, Key, kind, object};
use crate::open::{self, DeviceInfo};
use crate::space::{self, OnDevice};
use crate::subvolume::{self, Subvolume};
use crate::table::{self, Table, Tree};
use crate::tree::Root;
use crate::volume::Volume;
use crate::{data, dir, feature, superblock};
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{
    EachEntry, EachXattr, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Time, Usage, parts,
};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Memory the inode cache may hold, in bytes.
const INODES: u64 = 2 << 20;
/// Memory that decoded extents may hold, in bytes, and how large one can be.
const DECODED: u64 = 8 << 20;
const LARGEST: u64 = 128 << 10;
/// Longest target of a symbolic link.
const TARGET: u64 = 65536;
/// Inode number of the empty directories that snapshots have in place of subvolumes below the original.
const STUB: u64 = 2;

/// A compressed extent, decoded.
struct Decoded {
    from: Disk,
    bytes: Vec<u8>,
}

struct Shared {
    volume: Volume,
    roots: Root,
    csums: Option<Root>,
    table: Table,
    limits: Limits,
    inodes: Cache<Inode>,
    decoder: Decoder,
    decoded: Cache<Decoded>,
    devices: Vec<DeviceInfo>,
    warnings: Vec<String>,
    maps: Vec<OnceLock<Vec<OnDevice>>>,
}

/// A btrfs filesystem opened for reading. Copies share everything but the root.
#[derive(Clone)]
pub struct Btrfs {
    shared: Arc<Shared>,
    root: Node,
}

/// Whether `disk` looks like (a part of) a btrfs filesystem: the magic number and nothing more.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    superblock::probe(disk)
}

/// Opens the filesystem on `disks`: all devices of it, in any order. Some may be missing, as long as what is read has
/// a copy on another; [`Btrfs::devices`] and [`Facts::warnings`] name them. The root is the default subvolume's.
///
/// # Errors
/// [`Class::Corrupt`] for structures that contradict themselves, [`Class::Unsupported`] with the names of features that
/// are not read, [`Class::NotFound`] when a device is missing that cannot be done without, [`Class::Invalid`] when the
/// disks are not of one filesystem.
pub fn open(disks: Vec<Arc<dyn BlockRead>>, limits: &Limits) -> Result<Btrfs> {
    opened(disks, limits).map_err(|e| e.through("btrfs"))
}

fn opened(disks: Vec<Arc<dyn BlockRead>>, limits: &Limits) -> Result<Btrfs> {
    let open::Opened {
        volume,
        roots,
        devices,
        mut warnings,
    } = open::open(disks, limits)?;
    let csums = match subvolume::item(&volume, &roots, object::CSUM_TREE) {
        Ok(found) => found.map(|item| item.root),
        Err(e) => {
            warnings.push(format!("the checksum tree cannot be found: {e}"));
            None
        }
    };
    let each = u64::try_from(size_of::<Inode>())
        .unwrap_or(256)
        .saturating_add(32);
    let mut fs = Btrfs {
        root: Node(0),
        shared: Arc::new(Shared {
            maps: volume.devices.iter().map(|_| OnceLock::new()).collect(),
            volume,
            roots,
            csums,
            table: Table::default(),
            limits: *limits,
            inodes: Cache::new(INODES, each),
            decoder: Decoder::default(),
            decoded: Cache::new(DECODED, LARGEST),
            devices,
            warnings,
        }),
    };
    let shared = &fs.shared;
    let dir = shared.volume.sb.head.root_dir_objectid.get();
    let id = subvolume::default(&shared.volume, &shared.roots, dir)?;
    fs.root = shared.top(id)?;
    let root = fs.find_inode(fs.root)?;
    if root.kind != FileKind::Dir {
        return Err(Error::corrupt("root inode", root.at, "is not a directory"));
    }
    Ok(fs)
}

impl Shared {
    /// The root directory of subvolume `id`.
    fn top(&self, id: u64) -> Result<Node> {
        let place = self.table.place(&self.volume, &self.roots, id)?;
        let (tree, _) = self.table.take_apart(table::node(place, 0)?)?;
        table::node(place, tree.directory)
    }

    /// The node that an entry `name` of directory `dir` (in `tree`, which has the short number `place`) leads to.
    fn follow(&self, place: usize, tree: &Tree, dir: u64, name: &[u8], location: Key) -> Result<Node> {
        match location.kind {
            kind::INODE => table::node(place, location.object),
            kind::ROOT => {
                let here = subvolume::hangs(&self.volume, &self.roots, tree.id, dir, name, location.object)?;
                if here {
                    self.top(location.object)
                } else {
                    table::node(place, STUB)
                }
            }
            other => {
                let what = format!(
                    "{:?} leads to an item of type {other}, {} or {} was expected",
                    String::from_utf8_lossy(name),
                    kind::INODE,
                    kind::ROOT
                );
                Err(Error::corrupt("directory item", tree.root.at, what))
            }
        }
    }

    /// Bytes `from..from + into.len()` of a decoded extent.
    fn decoded(&self, disk: &Disk, csums: Option<&Root>, from: u64, into: &mut [u8]) -> Result<()> {
        let whole = usize::try_from(disk.ram).unwrap_or(usize::MAX);
        if from == 0 && into.len() == whole {
            return self.decode(disk, csums, into);
        }
        let make = || {
            let mut bytes = vec![0; whole];
            self.decode(disk, csums, &mut bytes)?;
            Ok::<_, Error>(Arc::new(Decoded { from: *disk, bytes }))
        };
        let same = |found: &Decoded| {
            let a = &found.from;
            (a.at, a.len, a.ram, a.coding) == (disk.at, disk.len, disk.ram, disk.coding)
        };
        let mut found = self.decoded.get(disk.at, make)?;
        if !same(&found) {
            // Two items that disagree about one extent: a lie, but each is answered by what it says.
            found = make()?;
        }
        let start = usize::try_from(from).unwrap_or(usize::MAX);
        let part = found.bytes.get(start..).and_then(|b| b.get(..into.len()));
        into.copy_from_slice(
            part.ok_or_else(|| Error::corrupt("file extent item", disk.at, "is too short"))?,
        );
        Ok(())
    }

    fn decode(&self, disk: &Disk, csums: Option<&Root>, into: &mut [u8]) -> Result<()> {
        let Some(coding) = disk.coding else {
            return Err(Error::corrupt("file extent item", disk.at, "is not compressed"));
        };
        let sector = usize::try_from(self.volume.sb.sector).unwrap_or(usize::MAX);
        self.volume.scratch.with(Vec::new, |packed| {
            packed.resize(usize::try_from(disk.len).unwrap_or(0), 0);
            data::read(&self.volume, csums, disk.at, packed)?;
            let done = self.decoder.decode(coding, packed, into, sector);
            done.map_err(|_| Error::corrupt("extent", disk.at, format!("is no {coding:?} stream")))
        })
    }
}

impl Btrfs {
    /// The same filesystem with another root directory: what `mount -o subvol=` does.
    #[must_use]
    pub fn rooted(&self, root: Node) -> Self {
        Self {
            shared: self.shared.clone(),
            root,
        }
    }

    /// All devices of the filesystem, present or missing.
    #[must_use]
    pub fn devices(&self) -> &[DeviceInfo] {
        &self.shared.devices
    }

    /// All live subvolumes and snapshots, by number, with their paths.
    ///
    /// # Errors
    /// When the root tree is damaged; [`Class::Limit`] when there are more than the limits allow.
    pub fn subvolumes(&self) -> Result<Vec<Subvolume>> {
        let mut meter = Meter::new(self.shared.limits);
        subvolume::all(&self.shared.volume, &self.shared.roots, &mut meter).map_err(|e| e.through("btrfs"))
    }

    /// The root directory of the subvolume with number `id` (`subvolid=`; 5, and 0 as well, is the top level).
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is none; else when the root tree is damaged.
    pub fn subvolume(&self, id: u64) -> Result<Node> {
        let id = if id == 0 { object::FS_TREE } else { id };
        self.shared.top(id).map_err(|e| e.through("btrfs"))
    }

    /// The root directory of the subvolume at `path` from the top level (`subvol=`); `None` when nothing is there.
    ///
    /// # Errors
    /// [`Class::Invalid`] when what is there is no subvolume; else when directories are damaged.
    pub fn subvolume_at(&self, path: &[u8]) -> Result<Option<Node>> {
        let mut here = self.subvolume(object::FS_TREE)?;
        for part in parts(path) {
            if self.inode(here)?.kind != FileKind::Dir {
                return Ok(None);
            }
            match self.lookup(here, part)? {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        let (tree, number) = self.shared.table.take_apart(here)?;
        if number == tree.directory {
            return Ok(Some(here));
        }
        let what = format!("{} is no subvolume", String::from_utf8_lossy(path));
        Err(Error::new(Class::Invalid, what).through("btrfs"))
    }

    /// The number of the subvolume that `node` is in.
    ///
    /// # Errors
    /// [`Class::NotFound`] for a node that this filesystem did not hand out.
    pub fn subvolume_of(&self, node: Node) -> Result<u64> {
        let (tree, _) = self.shared.table.take_apart(node)?;
        Ok(tree.id)
    }

    /// What the disk that was given as number `disk` (from 0) holds at `offset`, up to `end`, both in bytes of that disk:
    /// as [`FsRead::used_at`], which answers for the first one.
    ///
    /// # Errors
    /// When the extent tree is damaged; [`Class::NotFound`] for a disk that was not given.
    pub fn used_on(&self, disk: usize, offset: u64, end: u64) -> Result<Extent> {
        let shared = &self.shared;
        if shared.volume.sb.head.log_root.get() != 0 {
            // Blocks of the log are not in the extent tree.
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data));
        }
        let (Some(device), Some(map)) = (shared.volume.devices.get(disk), shared.maps.get(disk)) else {
            return Err(Error::new(Class::NotFound, format!("there is no disk {disk}")));
        };
        let map = map.get_or_init(|| space::on_device(&shared.volume, &device.uuid));
        let size = shared
            .devices
            .iter()
            .find(|d| d.uuid == device.uuid)
            .map_or(0, |d| d.bytes);
        subvolume::item(&shared.volume, &shared.roots, object::EXTENT_TREE)
            .and_then(|item| {
                let extents = item
                    .ok_or_else(|| Error::corrupt("root tree", shared.roots.at, "there is no extent tree"))?;
                space::used_at(&shared.volume, &extents.root, map, size, offset, end)
            })
            .map_err(|e| e.through("btrfs"))
    }

    fn inode(&self, node: Node) -> Result<Arc<Inode>> {
        self.find_inode(node).map_err(|e| e.through("btrfs"))
    }

    fn find_inode(&self, node: Node) -> Result<Arc<Inode>> {
        self.shared.inodes.get(node.0, || {
            let (tree, number) = self.shared.table.take_apart(node)?;
            if number == STUB {
                return self.stub(node, &tree).map(Arc::new);
            }
            inode::read(&self.shared.volume, &tree.root, number).map(Arc::new)
        })
    }

    /// The empty directory that Linux shows where a snapshot has no subvolume to show.
    fn stub(&self, node: Node, tree: &Tree) -> Result<Inode> {
        let root = table::node(table::place_of(node), tree.directory)?;
        let above = self.find_inode(root)?;
        Ok(Inode {
            number: STUB,
            kind: FileKind::Dir,
            mode: 0o755,
            size: 0,
            nbytes: 0,
            links: 1,
            uid: 0,
            gid: 0,
            device: None,
            flags: 0,
            otime: Some(Time::default()),
            ..(*above).clone()
        })
    }

    fn directory(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        if inode.kind == FileKind::Dir {
            return Ok(inode);
        }
        Err(Error::new(
            Class::Invalid,
            format!("inode {} is not a directory", inode.number),
        ))
    }

    fn content(&self, node: Node) -> Result<(Arc<Inode>, Arc<Tree>)> {
        let inode = self.inode(node)?;
        if inode.kind != FileKind::File && inode.kind != FileKind::Link {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} has no content to read", inode.number),
            ));
        }
        Ok((inode, self.shared.table.take_apart(node)?.0))
    }

    /// Fills `buf` from `offset` of a file; all of it lies before the end.
    fn fill(&self, inode: &Inode, tree: &Tree, offset: u64, buf: &mut [u8]) -> Result<()> {
        let shared = &self.shared;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (run, cursor) = file::find(&shared.volume, &tree.root, inode.number, at)?;
            let left = run.end.saturating_sub(at);
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            let within = at.saturating_sub(run.start);
            match (run.body, &cursor) {
                (Body::Inline(coding), Some(cursor)) => {
                    let stored = file::inline(cursor);
                    let whole = usize::try_from(run.end).unwrap_or(0);
                    let start = usize::try_from(within).unwrap_or(usize::MAX);
                    let mut decoded = Vec::new();
                    let bytes = match coding {
                        None => stored,
                        Some(coding) => {
                            decoded.resize(whole, 0);
                            let sector = usize::try_from(shared.volume.sb.sector).unwrap_or(usize::MAX);
                            let done = shared.decoder.decode(coding, stored, &mut decoded, sector);
                            done.map_err(|_| {
                                let what = format!("inode {}: no {coding:?} stream", inode.number);
                                Error::corrupt("inline extent", cursor.at(), what)
                            })?;
                            &decoded
                        }
                    };
                    let part = bytes.get(start..).and_then(|b| b.get(..n));
                    head.copy_from_slice(part.ok_or_else(|| {
                        Error::corrupt("inline extent", cursor.at(), "is shorter than it says")
                    })?);
                }
                (Body::Disk(disk), _) => {
                    let csums = if inode.flags & INODE_NODATASUM != 0 {
                        None
                    } else {
                        Some(shared.csums.as_ref().ok_or_else(|| {
                            Error::corrupt("root tree", shared.roots.at, "there is no checksum tree")
                        })?)
                    };
                    let from = disk.offset.saturating_add(within);
                    if disk.coding.is_some() {
                        shared.decoded(&disk, csums, from, head)?;
                    } else {
                        data::read(&shared.volume, csums, disk.at.saturating_add(from), head)?;
                    }
                }
                _ => head.fill(0),
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }
}

impl FsRead for Btrfs {
    fn facts(&self) -> Facts {
        let sb = &self.shared.volume.sb;
        let label = sb.label();
        let hex: String = sb.head.fsid.iter().map(|b| format!("{b:02x}")).collect();
        let part = |a: usize, b: usize| hex.get(a..b).unwrap_or_default();
        let uuid = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
        let mut features = feature::list(sb.head.incompat_flags.get(), sb.head.compat_ro_flags.get());
        features.push(sb.checksum.name().to_owned());
        let mut warnings = self.shared.warnings.clone();
        match self.shared.volume.repaired() {
            0 => {}
            n => warnings.push(format!(
                "{n} damaged or unreadable blocks were read from another copy so far"
            )),
        }
        Facts {
            kind: "btrfs",
            label: (!label.is_empty()).then_some(label),
            uuid: Some(uuid),
            features,
            warnings,
        }
    }

    fn usage(&self) -> Result<Usage> {
        let shared = &self.shared;
        let tree = space::block_group_tree(shared.volume.sb.head.compat_ro_flags.get());
        space::usage(&shared.volume, &shared.roots, tree).map_err(|e| e.through("btrfs"))
    }

    fn root(&self) -> Node {
        self.root
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let inode = self.inode(node)?;
        let sector = u64::from(self.shared.volume.sb.sector);
        Ok(Stat {
            kind: inode.kind,
            len: inode.size,
            allocated: inode
                .nbytes
                .checked_next_multiple_of(sector)
                .unwrap_or(inode.nbytes),
            mode: Some(inode.mode),
            uid: Some(inode.uid),
            gid: Some(inode.gid),
            links: inode.links,
            device: inode.device,
            inode: inode.number,
            modified: inode.mtime,
            changed: inode.ctime,
            accessed: inode.atime,
            created: inode.otime,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let inode = self.directory(dir)?;
        let (tree, number) = self.shared.table.take_apart(dir)?;
        if inode.number == STUB {
            return Ok(None);
        }
        let found = dir::lookup(&self.shared.volume, &tree.root, number, name).and_then(|found| {
            let place = table::place_of(dir);
            found
                .map(|location| self.shared.follow(place, &tree, number, name, location))
                .transpose()
        });
        found.map_err(|e| e.through("btrfs"))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let inode = self.directory(dir)?;
        let (tree, number) = self.shared.table.take_apart(dir)?;
        if inode.number == STUB {
            return Ok(());
        }
        let place = table::place_of(dir);
        let show = &mut |entry: dir::Entry<'_>| -> Result<ControlFlow<()>> {
            let node = self
                .shared
                .follow(place, &tree, number, entry.name, entry.location)?;
            Ok(each(Entry {
                name: entry.name,
                node,
                kind: entry.kind,
            }))
        };
        dir::list(&self.shared.volume, &tree.root, number, show).map_err(|e| e.through("btrfs"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let (inode, tree) = self.content(file)?;
        let room = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let part = buf.get_mut(..want).unwrap_or_default();
        self.fill(&inode, &tree, offset, part)
            .map_err(|e| e.through("btrfs"))?;
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let (inode, tree) = self.content(link)?;
        if inode.kind != FileKind::Link {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a link", inode.number),
            ));
        }
        if inode.size > TARGET {
            let what = format!(
                "inode {}: a link of {} bytes, at most {TARGET} are allowed",
                inode.number, inode.size
            );
            return Err(Error::corrupt("symbolic link", inode.at, what).through("btrfs"));
        }
        let mut target = vec![0; usize::try_from(inode.size).unwrap_or(0)];
        self.fill(&inode, &tree, 0, &mut target)
            .map_err(|e| e.through("btrfs"))?;
        Ok(target)
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        let (tree, number) = self.shared.table.take_apart(node)?;
        if number == STUB {
            return Ok(());
        }
        dir::xattrs(&self.shared.volume, &tree.root, number, each).map_err(|e| e.through("btrfs"))
    }

    /// The place is one on the first disk that was given; `None` where the best copy is on another.
    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let (inode, tree) = self.content(file)?;
        h2k_fs::check_extent(offset, end, inode.size)?;
        let volume = &self.shared.volume;
        let (run, _) =
            file::find(volume, &tree.root, inode.number, offset).map_err(|e| e.through("btrfs"))?;
        let mut len = run.end.min(end).saturating_sub(offset);
        let kind = match run.body {
            Body::Hole => Kind::Hole,
            Body::Reserved => Kind::Zero,
            Body::Inline(_) | Body::Disk(_) => Kind::Data,
        };
        let mut at = None;
        let mut compressed = matches!(run.body, Body::Inline(Some(_)));
        if let Body::Disk(disk) = run.body {
            compressed = disk.coding.is_some();
            let within = offset.saturating_sub(run.start);
            let logical = disk.at.saturating_add(disk.offset).saturating_add(within);
            if !compressed && let Some((device, place, room)) = volume.locate(logical) {
                len = len.min(room);
                at = (device == 0).then_some(place);
            }
        }
        Ok(FileExtent {
            run: Extent {
                compressed,
                ..Extent::new(offset, len, kind)
            },
            at,
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        self.used_on(0, offset, end)
    }
}
