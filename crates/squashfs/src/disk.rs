//! The filesystem seen through [`FsRead`].

use crate::codec::Method;
use crate::inode::{self, Body, Inode, Stored};
use crate::metadata::Metadata;
use crate::superblock::{self, Superblock};
use crate::xattr;
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{
    EachEntry, EachXattr, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Time, Usage,
};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory of inodes and of unpacked blocks that are kept.
const INODES: u64 = 4 << 20;
const INODE: u64 = 16 << 10;
const UNPACKED: u64 = 8 << 20;
/// Inodes with longer block lists are not kept with the others; the last of them is.
const SHORT: usize = 1000;

/// A SquashFS filesystem opened for reading.
pub struct Squash {
    sb: Superblock,
    method: Method,
    metadata: Metadata,
    limits: Limits,
    inodes: Cache<Inode>,
    long: Mutex<Option<(u64, Arc<Inode>)>>,
    unpacked: Cache<[u8]>,
    warnings: Vec<String>,
}

/// Whether `disk` looks like SquashFS: the magic number and nothing more.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let mut magic = [0; 4];
    if disk.len() < 96 {
        return Ok(false);
    }
    disk.read_at(0, &mut magic)?;
    Ok(magic == *b"hsqs")
}

/// Opens the filesystem on `disk`.
///
/// # Errors
/// [`Class::Corrupt`] for a superblock that contradicts itself, [`Class::Unsupported`] with the name of a version or
/// method that is not read.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Squash> {
    let (sb, method) = superblock::read(&*disk).map_err(|e| e.through("squashfs"))?;
    let mut warnings = Vec::new();
    if sb.used.get() > disk.len() {
        warnings.push(format!(
            "the image is cut off: {} of {} bytes are there",
            disk.len(),
            sb.used.get()
        ));
    }
    let fs = Squash {
        sb,
        method,
        metadata: Metadata::new(disk, method),
        limits: *limits,
        inodes: Cache::new(INODES, INODE),
        long: Mutex::new(None),
        unpacked: Cache::new(UNPACKED, sb.block.get().into()),
        warnings,
    };
    fs.directory(fs.root())?;
    Ok(fs)
}

impl Squash {
    fn inode(&self, node: Node) -> Result<Arc<Inode>> {
        let lock = || self.long.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, inode)) = &*lock()
            && *known == node.0
        {
            return Ok(inode.clone());
        }
        let mut long = None;
        let kept = self.inodes.get(node.0, || {
            let mut meter = Meter::new(self.limits);
            let table = self.sb.inode_table.get();
            let found = inode::read(&self.metadata, table, node.0, self.sb.block.get(), &mut meter);
            let found = Arc::new(found.map_err(Some)?);
            if !matches!(&found.body, Body::File { blocks, .. } if blocks.len() > SHORT) {
                return Ok(found);
            }
            long = Some(found);
            Err(None)
        });
        match (kept, long) {
            (Ok(inode), _) => Ok(inode),
            (Err(_), Some(inode)) => {
                *lock() = Some((node.0, inode.clone()));
                Ok(inode)
            }
            (Err(e), None) => {
                let e = e.unwrap_or_else(|| Error::new(Class::Invalid, "no inode"));
                Err(e.through("squashfs"))
            }
        }
    }

    fn directory(&self, node: Node) -> Result<(Arc<Inode>, u32, u16, u32)> {
        let inode = self.inode(node)?;
        match inode.body {
            Body::Dir { block, offset, len } => Ok((inode, block, offset, len)),
            _ => Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a directory", inode.number),
            )),
        }
    }

    /// Shows the entries of a directory: name, node, type.
    fn entries(&self, node: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let (inode, block, offset, len) = self.directory(node)?;
        self.walk(&inode, block, offset, len, each)
            .map_err(|e| e.through("squashfs"))
    }

    fn walk(&self, inode: &Inode, block: u32, offset: u16, len: u32, each: &mut EachEntry<'_>) -> Result<()> {
        let at = self.sb.directory_table.get().saturating_add(block.into());
        let mut cursor = self.metadata.cursor(at, offset);
        let mut meter = Meter::new(self.limits);
        // The size counts three bytes for `.` and `..`, which are not stored.
        let mut left = u64::from(len.saturating_sub(3));
        let bad = |what: String| Error::corrupt("directory", inode.at, what);
        while left > 0 {
            let (count, start, _number) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            left = left.saturating_sub(12);
            if count >= 256 {
                return Err(bad(format!("{count} names behind one header, 256 are the most")));
            }
            for _ in 0..=count {
                meter.step("directory entry")?;
                let (place, _delta) = (cursor.u16()?, cursor.u16()?);
                let (kind, size) = (cursor.u16()?, cursor.u16()?);
                if size >= 256 {
                    return Err(bad(format!("a name of {size} bytes, 256 are the most")));
                }
                let mut name = vec![0; usize::from(size).saturating_add(1)];
                cursor.fill(&mut name)?;
                left = left.saturating_sub(u64::from(size).saturating_add(9));
                if name.contains(&b'/') || name.contains(&0) || matches!(name.as_slice(), b"." | b"..") {
                    return Err(bad("holds a name that no file can have".to_owned()));
                }
                let shown = Entry {
                    name: &name,
                    node: Node(u64::from(start) << 16 | u64::from(place)),
                    kind: file_type(kind),
                };
                if each(shown).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The unpacked block that is stored at `stored`, of at most `most` bytes.
    fn block(&self, stored: Stored, most: usize) -> Result<Arc<[u8]>> {
        let bad = |what: String| Error::corrupt("data block", stored.at, what);
        let len = usize::try_from(stored.size & 0x00ff_ffff).unwrap_or(usize::MAX);
        let size = usize::try_from(self.sb.block.get()).unwrap_or(0);
        let there =
            stored.at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX)) <= self.metadata.disk.len();
        if len > size || !there {
            return Err(bad(format!("{len} bytes in blocks of {size}, or behind the end")));
        }
        let block = self.unpacked.get(stored.at, || {
            let mut bytes = vec![0; len];
            self.metadata.disk.read_at(stored.at, &mut bytes)?;
            if stored.size & 1 << 24 == 0 {
                let unpacked = self.method.unpack(&bytes, size);
                bytes =
                    unpacked.ok_or_else(|| bad(format!("is no {} of {size} bytes", self.method.name())))?;
            }
            Ok::<_, Error>(Arc::from(bytes))
        })?;
        if block.len() < most {
            return Err(bad(format!(
                "unpacks to {} bytes, its file needs {most}",
                block.len()
            )));
        }
        Ok(block)
    }

    /// The bytes of block `n` of a file: where they are in an unpacked block, `None` for zeros.
    fn piece(&self, inode: &Inode, n: usize, len: usize) -> Result<Option<(Arc<[u8]>, usize)>> {
        let Body::File { blocks, fragment } = &inode.body else {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} has no content to read", inode.number),
            ));
        };
        if let Some(stored) = blocks.get(n) {
            if stored.size & 0x00ff_ffff == 0 {
                return Ok(None);
            }
            return Ok(Some((self.block(*stored, len)?, 0)));
        }
        let Some((index, offset)) = fragment else {
            return Err(Error::corrupt(inode::NAME, inode.at, format!("has no block {n}")));
        };
        if *index >= self.sb.fragments.get() {
            let what = format!("ends in fragment {index} of {}", self.sb.fragments.get());
            return Err(Error::corrupt(inode::NAME, inode.at, what));
        }
        let entry: [u8; 16] = self
            .metadata
            .entry(self.sb.fragment_table.get(), (*index).into())?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = entry;
        let stored = Stored {
            at: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            size: u32::from_le_bytes([i, j, k, l]),
        };
        let offset = usize::try_from(*offset).unwrap_or(usize::MAX);
        let block = self.block(stored, offset.saturating_add(len))?;
        Ok(Some((block, offset)))
    }

    fn id(&self, index: u16) -> Result<u32> {
        if index >= self.sb.ids.get() {
            let what = format!("owner {index} of {}", self.sb.ids.get());
            return Err(Error::corrupt("id table", self.sb.id_table.get(), what));
        }
        let bytes = self.metadata.entry(self.sb.id_table.get(), index.into())?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn fill(&self, inode: &Inode, offset: u64, buf: &mut [u8]) -> Result<()> {
        let size = u64::from(self.sb.block.get());
        let bits = size.trailing_zeros();
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let start = at >> bits << bits;
            let within = usize::try_from(at.saturating_sub(start)).unwrap_or(0);
            let len = usize::try_from(inode.len.saturating_sub(start).min(size)).unwrap_or(0);
            let n = len.saturating_sub(within).min(rest.len());
            if n == 0 {
                return Err(Error::corrupt(inode::NAME, inode.at, "its content ends early"));
            }
            let (head, tail) = rest.split_at_mut(n);
            let number = usize::try_from(at >> bits).unwrap_or(usize::MAX);
            match self.piece(inode, number, len)? {
                Some((block, from)) => {
                    let source = block.get(from.saturating_add(within)..).and_then(|b| b.get(..n));
                    match source {
                        Some(source) => head.copy_from_slice(source),
                        None => return Err(Error::corrupt("data block", inode.at, "is too short")),
                    }
                }
                None => head.fill(0),
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(())
    }

    fn content(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        match inode.body {
            Body::File { .. } => Ok(inode),
            _ => Err(Error::new(
                Class::Invalid,
                format!("inode {} has no content to read", inode.number),
            )),
        }
    }
}

impl FsRead for Squash {
    fn facts(&self) -> Facts {
        Facts {
            kind: "squashfs",
            label: None,
            uuid: None,
            features: vec![self.method.name().to_owned()],
            warnings: self.warnings.clone(),
        }
    }

    fn usage(&self) -> Result<Usage> {
        Ok(Usage {
            block: self.sb.block.get().into(),
            total: self.sb.used.get(),
            free: 0,
            nodes: Some(self.sb.inodes.get().into()),
            nodes_free: Some(0),
        })
    }

    fn root(&self) -> Node {
        Node(self.sb.root.get())
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let inode = self.inode(node)?;
        let time = Time {
            seconds: inode.mtime.into(),
            nanos: 0,
        };
        let allocated = match &inode.body {
            Body::File { blocks, .. } => blocks.iter().fold(0_u64, |sum, b| {
                sum.saturating_add(u64::from(b.size & 0x00ff_ffff))
            }),
            _ => 0,
        };
        let owner = |index| self.id(index).map_err(|e: Error| e.through("squashfs"));
        Ok(Stat {
            kind: inode.kind(),
            len: inode.len,
            allocated,
            mode: Some(inode.mode & 0o7777),
            uid: Some(owner(inode.uid)?),
            gid: Some(owner(inode.gid)?),
            links: inode.links,
            device: inode.device(),
            inode: inode.number.into(),
            modified: time,
            changed: time,
            accessed: time,
            created: None,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let mut found = None;
        self.entries(dir, &mut |entry| {
            if entry.name == name {
                found = Some(entry.node);
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.entries(dir, each)
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.content(file)?;
        let room = usize::try_from(inode.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        self.fill(&inode, offset, buf.get_mut(..want).unwrap_or_default())
            .map_err(|e| e.through("squashfs"))?;
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let inode = self.inode(link)?;
        match &inode.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a link", inode.number),
            )),
        }
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        let inode = self.inode(node)?;
        let table = self.sb.xattr_table.get();
        if inode.xattr == u32::MAX || table == u64::MAX {
            return Ok(());
        }
        let mut meter = Meter::new(self.limits);
        xattr::list(&self.metadata, table, inode.xattr, &mut meter, each).map_err(|e| e.through("squashfs"))
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let inode = self.content(file)?;
        h2k_fs::check_extent(offset, end, inode.len)?;
        let size = u64::from(self.sb.block.get());
        let bits = size.trailing_zeros();
        let left = size.saturating_sub(offset & size.saturating_sub(1));
        let stored = match &inode.body {
            Body::File { blocks, .. } => usize::try_from(offset >> bits).ok().and_then(|n| blocks.get(n)),
            _ => None,
        };
        let hole = stored.is_some_and(|s| s.size & 0x00ff_ffff == 0);
        let kind = if hole { Kind::Hole } else { Kind::Data };
        let mut run = Extent::new(offset, left.min(end.saturating_sub(offset)), kind);
        let plain = stored.filter(|s| s.size & 1 << 24 != 0 && !hole);
        run.compressed = !hole && plain.is_none();
        let within = size.saturating_sub(left);
        Ok(FileExtent {
            run,
            at: plain.map(|s| s.at.saturating_add(within)),
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        // An image has no free space.
        Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data))
    }
}

fn file_type(kind: u16) -> Option<FileKind> {
    Some(match kind {
        1 => FileKind::Dir,
        2 => FileKind::File,
        3 => FileKind::Link,
        4 => FileKind::BlockDevice,
        5 => FileKind::CharDevice,
        6 => FileKind::Fifo,
        7 => FileKind::Socket,
        _ => return None,
    })
}
