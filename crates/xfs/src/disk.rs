//! The filesystem seen through [`FsRead`].

use crate::bmap::{Fork, Found, Record};
use crate::inode::{self, Inode};
use crate::layout::{FLAG_REALTIME, REMOTE_CRC, magic};
use crate::tree::Volume;
use crate::{alloc, attr, backup, dir, feature, log};
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Result};
use h2k_fs::{EachEntry, EachXattr, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Memory the inode cache may hold, in bytes, counting each as large as it can be.
const INODES: u64 = 4 << 20;
/// Longest target of a symbolic link (XFS_SYMLINK_MAXLEN).
const TARGET: u64 = 1024;

/// An XFS filesystem opened for reading.
pub struct Xfs {
    volume: Volume,
    limits: Limits,
    inodes: Cache<Inode>,
    warnings: Vec<String>,
    dirty: bool,
}

/// Whether `disk` looks like XFS: the magic number and nothing more.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let mut magic = [0; 4];
    if disk.len() < 512 {
        return Ok(false);
    }
    disk.read_at(0, &mut magic)?;
    Ok(magic == *b"XFSB")
}

/// What to do about a filesystem whose log lies on another device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalLog {
    /// Refuse it: the log may hold changes.
    #[default]
    Refuse,
    /// Read what lies on the volume without them, with a warning.
    Ignore,
}

/// Opens the filesystem on `disk`. A damaged primary superblock is replaced by a copy, with a warning.
///
/// # Errors
/// [`Class::Corrupt`] for a superblock that contradicts itself, [`Class::Unsupported`] with the names of features
/// that are not read, a log on another device among them.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Xfs> {
    open_with(disk, limits, ExternalLog::Refuse)
}

/// As [`open`], with a choice about a log on another device.
///
/// # Errors
/// As [`open`].
pub fn open_with(disk: Arc<dyn BlockRead>, limits: &Limits, external: ExternalLog) -> Result<Xfs> {
    let mut warnings = Vec::new();
    let chosen = backup::find(&*disk, &mut |w| warnings.push(w)).map_err(|e| e.through("xfs"))?;
    let mut geometry = chosen.geometry;
    if let Some((group, e)) = &chosen.copy {
        warnings.push(format!(
            "the primary superblock is damaged ({e}); the copy in allocation group {group} is used"
        ));
        if let Err(e) = backup::count(&*disk, &mut geometry, *limits) {
            warnings.push(format!("free space is as that copy remembers it: {e}"));
        }
    }
    if geometry.log_start == 0 {
        let what = "the log lies on another device";
        if external == ExternalLog::Refuse {
            return Err(Error::unsupported(format!("{what}, which is not read"))
                .at("superblock", 48)
                .through("xfs"));
        }
        warnings.push(format!(
            "{what} and was not looked at: recent changes may be missing"
        ));
    }
    let volume = Volume::new(disk, geometry);
    let unseen = volume.geometry.log_start == 0;
    let dirty = match log::is_dirty(&volume) {
        Ok(dirty) => dirty,
        Err(e) => {
            warnings.push(format!("the log could not be looked at: {e}"));
            true
        }
    };
    if dirty {
        warnings.push(
            "the log was not written back (the volume was not unmounted cleanly): recent changes may be missing"
                .to_owned(),
        );
    }
    let inodes = Cache::new(INODES, u64::from(volume.geometry.inode).saturating_mul(2));
    let fs = Xfs {
        volume,
        limits: *limits,
        inodes,
        warnings,
        dirty: dirty || unseen,
    };
    let root = fs.inode(fs.root())?;
    if root.kind != FileKind::Dir {
        return Err(Error::corrupt("root inode", root.at, "is not a directory").through("xfs"));
    }
    Ok(fs)
}

impl Xfs {
    fn inode(&self, node: Node) -> Result<Arc<Inode>> {
        let found = self
            .inodes
            .get(node.0, || inode::read(&self.volume, node.0).map(Arc::new));
        found.map_err(|e| e.through("xfs"))
    }

    fn directory(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        if inode.kind == FileKind::Dir {
            Ok(inode)
        } else {
            Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a directory", inode.number),
            ))
        }
    }

    /// The part of `record` from byte `offset` of the file: where it lies and how far it goes.
    fn place(&self, inode: &Inode, record: &Record, offset: u64) -> Result<(u64, u64)> {
        let sb = &self.volume.geometry;
        let from = record.start << sb.block_log;
        let len = record.count << sb.block_log;
        let within = offset.saturating_sub(from);
        let at = sb
            .byte(record.block, record.count)
            .and_then(|b| b.checked_add(within));
        let at = at.ok_or_else(|| {
            let what = format!(
                "inode {}: {} blocks from {:#x} lie outside the volume",
                inode.number, record.count, record.block
            );
            Error::corrupt("extent", inode.at, what).through("xfs")
        })?;
        Ok((at, len.saturating_sub(within)))
    }

    /// What lies at byte `offset` of the content: run length in bytes and its place, `None` for zeros.
    fn run(&self, inode: &Inode, offset: u64) -> Result<(u64, Option<u64>)> {
        let bits = self.volume.geometry.block_log;
        match inode
            .data
            .find(&self.volume, inode.at, offset >> bits)
            .map_err(|e| e.through("xfs"))?
        {
            Found::Extent(record) => {
                let (at, len) = self.place(inode, &record, offset)?;
                Ok((len, (!record.unwritten).then_some(at)))
            }
            Found::Hole(next) => {
                let end = next.saturating_mul(1_u64 << bits.min(16));
                Ok((end.saturating_sub(offset).max(1), None))
            }
        }
    }

    fn content(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.inode(node)?;
        if inode.kind != FileKind::File && inode.kind != FileKind::Link {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} has no content to read", inode.number),
            ));
        }
        if inode.flags & FLAG_REALTIME != 0 {
            let what = format!(
                "inode {} lies on the realtime device, which is not read",
                inode.number
            );
            return Err(Error::unsupported(what).at("inode", inode.at).through("xfs"));
        }
        Ok(inode)
    }
}

impl FsRead for Xfs {
    fn facts(&self) -> Facts {
        let sb = &self.volume.geometry;
        let label: Vec<u8> = sb.label.iter().copied().take_while(|b| *b != 0).collect();
        let hex: String = sb.uuid.iter().map(|b| format!("{b:02x}")).collect();
        let part = |a: usize, b: usize| hex.get(a..b).unwrap_or_default();
        let uuid = format!(
            "{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        );
        Facts {
            kind: "xfs",
            label: (!label.is_empty()).then_some(label),
            uuid: Some(uuid),
            features: feature::list(sb),
            warnings: self.warnings.clone(),
        }
    }

    fn usage(&self) -> Result<Usage> {
        let sb = &self.volume.geometry;
        let block = u64::from(sb.block);
        let total = sb.blocks.saturating_sub(if sb.log_start == 0 {
            0
        } else {
            sb.log_blocks.into()
        });
        // As statfs has it: inodes that exist, and those that free space could still become.
        let possible = sb
            .inode_count
            .saturating_add(sb.free_blocks << sb.inodes_per_block_log.min(16));
        let most = u128::from(sb.blocks) << sb.inodes_per_block_log.min(16);
        let most = most.saturating_mul(sb.inode_max_percent.into()) / 100;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let nodes = if sb.inode_max_percent == 0 {
            possible
        } else {
            possible.min(most).max(sb.inode_count)
        };
        let used = sb.inode_count.saturating_sub(sb.inode_free);
        Ok(Usage {
            block,
            total: total.saturating_mul(block),
            free: sb.free_blocks.saturating_mul(block),
            nodes: Some(nodes),
            nodes_free: Some(nodes.saturating_sub(used)),
        })
    }

    fn root(&self) -> Node {
        Node(self.volume.geometry.root)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let inode = self.inode(node)?;
        Ok(Stat {
            kind: inode.kind,
            len: inode.size,
            allocated: inode.blocks << self.volume.geometry.block_log,
            mode: Some(inode.mode),
            uid: Some(inode.uid),
            gid: Some(inode.gid),
            links: inode.links,
            device: inode.device,
            inode: inode.number,
            modified: inode.mtime,
            changed: inode.ctime,
            accessed: inode.atime,
            created: inode.created,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let inode = self.directory(dir)?;
        let found = dir::lookup(&self.volume, &inode, name).map_err(|e| e.through("xfs"))?;
        Ok(found.map(Node))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let inode = self.directory(dir)?;
        let show = &mut |entry: dir::Name<'_>| -> ControlFlow<()> {
            let kind = entry.ftype.and_then(FileKind::from_entry);
            each(Entry {
                name: entry.name,
                node: Node(entry.inode),
                kind,
            })
        };
        dir::list(&self.volume, &inode, show).map_err(|e| e.through("xfs"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.content(file)?;
        let room = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let mut rest = buf.get_mut(..want).unwrap_or_default();
        if let Fork::Local(bytes) = &inode.data {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let source = bytes.get(from..).unwrap_or_default();
            for (to, byte) in rest.iter_mut().zip(source) {
                *to = *byte;
            }
            return Ok(rest.len().min(source.len()));
        }
        let mut at = offset;
        while !rest.is_empty() {
            let (len, place) = self.run(&inode, at)?;
            let n = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let (head, tail) = rest.split_at_mut(n);
            match place {
                Some(place) => self
                    .volume
                    .disk
                    .read_at(place, head)
                    .map_err(|e| e.through("xfs"))?,
                None => head.fill(0),
            }
            at = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            rest = tail;
        }
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let inode = self.content(link)?;
        if inode.kind != FileKind::Link {
            return Err(Error::new(
                Class::Invalid,
                format!("inode {} is not a link", inode.number),
            ));
        }
        if let Fork::Local(bytes) = &inode.data {
            return Ok(bytes.to_vec());
        }
        if inode.size > TARGET {
            let what = format!(
                "inode {}: a link of {} bytes, at most {TARGET} are allowed",
                inode.number, inode.size
            );
            return Err(Error::corrupt("symbolic link", inode.at, what).through("xfs"));
        }
        let sb = &self.volume.geometry;
        let len = usize::try_from(inode.size).unwrap_or(0);
        let mut target = Vec::new();
        let mut number = 0_u64;
        while target.len() < len {
            let (_, place) = self.run(&inode, number << sb.block_log)?;
            let at = place
                .ok_or_else(|| Error::corrupt("symbolic link", inode.at, "has a hole").through("xfs"))?;
            let block = self
                .volume
                .block(at, sb.block, "symbolic link", Some(REMOTE_CRC))
                .map_err(|e| e.through("xfs"))?;
            let body = attr::remote_body(sb.has_crc, &block, magic::SYMLINK)
                .map_err(|what| Error::corrupt("symbolic link", at, what).through("xfs"))?;
            let room = len.saturating_sub(target.len());
            target.extend_from_slice(body.get(..room.min(body.len())).unwrap_or_default());
            number = number.saturating_add(1);
        }
        Ok(target)
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        let inode = self.inode(node)?;
        attr::list(&self.volume, &inode, self.limits, each).map_err(|e| e.through("xfs"))
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let inode = self.content(file)?;
        let len = end.saturating_sub(offset);
        if let Fork::Local(_) = inode.data {
            return Ok(FileExtent {
                run: Extent::new(offset, len, Kind::Data),
                at: None,
            });
        }
        let (run, at) = self.run(&inode, offset)?;
        let kind = if at.is_some() { Kind::Data } else { Kind::Hole };
        Ok(FileExtent {
            run: Extent::new(offset, run.min(len), kind),
            at,
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        if self.dirty {
            // The log may hold allocations the trees do not know of.
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data));
        }
        alloc::used_at(&self.volume, offset, end).map_err(|e| e.through("xfs"))
    }
}
