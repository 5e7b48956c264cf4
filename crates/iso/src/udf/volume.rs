//! The filesystem seen through [`FsRead`].

use super::icb::{self, Icb};
use super::names;
use super::recognize::{self, Volume};
use super::space::{Address, Map};
use super::tag::{self, Fields, id};
use crate::iso9660::safe;
use h2k_block::{BlockRead, Cache, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{EachEntry, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage};
use std::ops::ControlFlow;
use std::sync::Arc;

const INODES: u64 = 4 << 20;
/// What an entry may weigh in the cache; one with more extents is read again each time.
const INODE: u64 = 16 << 10;
const MOST_CACHED: usize = 256;
/// Longest content of a link.
const MOST_TARGET: u64 = 16 << 10;
/// Bytes of a directory read at once.
const PIECE: usize = 32 << 10;

/// A UDF filesystem opened for reading.
pub struct Udf {
    volume: Volume,
    icbs: Cache<Icb>,
}

/// Takes an identifier: name, flags, address.
type EachId<'a> = dyn FnMut(&[u8], u8, Address) -> ControlFlow<()> + 'a;

/// Whether `disk` has the volume recognition sequence of UDF.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    recognize::probe(disk)
}

/// Opens the filesystem on `disk`.
///
/// # Errors
/// [`Class::Corrupt`] for descriptors that are missing or contradict themselves, [`Class::Unsupported`] with the names
/// of what is not read.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Udf> {
    let volume = recognize::read(disk, *limits).map_err(|e| e.through("udf"))?;
    let fs = Udf {
        volume,
        icbs: Cache::new(INODES, INODE),
    };
    let root = fs.icb(fs.root())?;
    if root.kind() != Some(FileKind::Dir) {
        return Err(Error::corrupt("file entry", root.at, "the root is not a directory").through("udf"));
    }
    Ok(fs)
}

fn node(address: Address) -> Node {
    Node(u64::from(address.part) << 32 | u64::from(address.block))
}

fn address(node: Node) -> Address {
    Address {
        block: u32::try_from(node.0 & 0xffff_ffff).unwrap_or(0),
        part: u16::try_from(node.0 >> 32).unwrap_or(u16::MAX),
    }
}

impl Udf {
    fn icb(&self, node: Node) -> Result<Arc<Icb>> {
        let mut large = None;
        let kept = self.icbs.get(node.0, || {
            let found = icb::read(&self.volume.space, address(node)).map_err(Some)?;
            let found = Arc::new(found);
            if !matches!(&found.body, icb::Body::Extents(runs) if runs.len() > MOST_CACHED) {
                return Ok(found);
            }
            large = Some(found);
            Err(None)
        });
        match (kept, large) {
            (Ok(found), _) | (Err(_), Some(found)) => Ok(found),
            (Err(e), None) => {
                let e = e.unwrap_or_else(|| Error::new(Class::Invalid, "no file entry"));
                Err(e.through("udf"))
            }
        }
    }

    /// Shows the identifiers of a directory: name, flags, address.
    fn identifiers(&self, dir: &Icb, each: &mut EachId<'_>) -> Result<()> {
        let space = &self.volume.space;
        let mut meter = Meter::new(space.limits);
        let mut window: Vec<u8> = Vec::new();
        let (mut read, mut offset) = (0_u64, 0_u64);
        while offset < dir.len {
            meter.step("file identifier")?;
            // One identifier is at most a few hundred bytes, plus what implementations keep in it.
            if window.len() < 2048 && read < dir.len {
                let n = usize::try_from(dir.len.saturating_sub(read))
                    .unwrap_or(PIECE)
                    .min(PIECE);
                let from = window.len();
                window.resize(from.saturating_add(n), 0);
                dir.read(space, read, window.get_mut(from..).unwrap_or_default())?;
                read = read.saturating_add(u64::try_from(n).unwrap_or(0));
            }
            let fields = Fields(&window);
            let bad = |what: String| Error::corrupt("file identifier", dir.at, what);
            let (name_len, more) = (usize::from(fields.u8(19)), usize::from(fields.u16(36)));
            let name_at = more.saturating_add(38);
            let len = name_at.saturating_add(name_len).next_multiple_of(4);
            if fields.id() != id::FILE_ID || !tag::valid(&window) || len > window.len() {
                return Err(bad(format!("there is none at byte {offset:#x} of its directory")));
            }
            let flags = fields.u8(18);
            // Deleted, or the parent.
            if flags & 0xc == 0 {
                let name = safe(names::text(fields.bytes(name_at, name_len)));
                if each(&name, flags, Address::of_long(&fields, 20)).is_break() {
                    return Ok(());
                }
            }
            window.drain(..len);
            offset = offset.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn entries(&self, node: Node, each: &mut EachId<'_>) -> Result<()> {
        let icb = self.icb(node)?;
        if icb.kind() != Some(FileKind::Dir) {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} is not a directory", node.0),
            ));
        }
        self.identifiers(&icb, each).map_err(|e| e.through("udf"))
    }

    fn content(&self, node: Node) -> Result<Arc<Icb>> {
        let icb = self.icb(node)?;
        match icb.kind() {
            Some(FileKind::File) => Ok(icb),
            _ => Err(Error::new(
                Class::Invalid,
                format!("node {} has no content to read", node.0),
            )),
        }
    }

    /// The bitmap of a partition's blocks: set bits are free. Only rewritable volumes have one.
    fn free(&self) -> Result<Option<u64>> {
        let Some(part) = self.volume.partitions.first().filter(|p| p.bitmap.1 > 0) else {
            return Ok(None);
        };
        let (at, _) = part.bitmap;
        let space = &self.volume.space;
        let mut head = [0; 24];
        space.disk.read_at(at, &mut head)?;
        let fields = Fields(&head);
        if fields.id() != id::BITMAP {
            return Ok(None);
        }
        let (bits, mut left) = (u64::from(fields.u32(16)), u64::from(fields.u32(20)));
        left = left
            .min(bits.div_ceil(8))
            .min(space.disk.len().saturating_sub(at));
        let mut meter = Meter::new(space.limits);
        let (mut from, mut free) = (at.saturating_add(24), 0_u64);
        let mut piece = vec![0; PIECE];
        while left > 0 {
            meter.step("space bitmap")?;
            let n = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let bytes = piece.get_mut(..n).unwrap_or_default();
            space.disk.read_at(from, bytes)?;
            free = bytes
                .iter()
                .fold(free, |sum, b| sum.saturating_add(b.count_ones().into()));
            let n = u64::try_from(n).unwrap_or(left);
            (from, left) = (from.saturating_add(n), left.saturating_sub(n));
        }
        Ok(Some(free.saturating_mul(space.block)))
    }
}

impl FsRead for Udf {
    fn facts(&self) -> Facts {
        let volume = &self.volume;
        let mut features = vec![format!(
            "{:x}.{:02x}",
            volume.revision >> 8,
            volume.revision & 0xff
        )];
        features.extend(volume.space.maps.iter().filter_map(|map| match map {
            Map::Plain(_) => None,
            Map::Sparable(..) => Some("sparable".to_owned()),
            Map::Virtual(..) => Some("virtual".to_owned()),
            Map::Metadata(_) => Some("metadata".to_owned()),
            Map::Unknown(name) => Some(name.clone()),
        }));
        Facts {
            kind: "udf",
            label: Some(volume.label.clone()).filter(|l| !l.is_empty()),
            uuid: identifier(&volume.set),
            features,
            warnings: volume.warnings.clone(),
        }
    }

    fn usage(&self) -> Result<Usage> {
        let total = self.volume.partitions.iter().map(|p| p.len);
        Ok(Usage {
            block: self.volume.space.block,
            total: total.fold(0, u64::saturating_add),
            free: self.free().map_err(|e| e.through("udf"))?.unwrap_or(0),
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        node(self.volume.root)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let icb = self.icb(node)?;
        let kind = icb.kind().ok_or_else(|| {
            let what = format!("a file of the type {} is not read", icb.file_type);
            Error::unsupported(what).at("file entry", icb.at).through("udf")
        })?;
        let len = match kind {
            FileKind::Link => u64::try_from(self.target(node)?.len()).unwrap_or(0),
            FileKind::File | FileKind::Dir => icb.len,
            _ => 0,
        };
        Ok(Stat {
            kind,
            len,
            allocated: icb
                .len
                .checked_next_multiple_of(self.volume.space.block)
                .unwrap_or(icb.len),
            mode: Some(icb.mode),
            uid: icb.uid,
            gid: icb.gid,
            links: icb.links.into(),
            device: icb
                .device
                .filter(|_| matches!(kind, FileKind::CharDevice | FileKind::BlockDevice)),
            inode: icb.unique,
            modified: icb.modified,
            changed: icb.changed,
            accessed: icb.accessed,
            created: icb.created,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let mut found = None;
        self.entries(dir, &mut |entry, _, at| {
            if entry == name {
                found = Some(node(at));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.entries(dir, &mut |name, flags, at| {
            each(Entry {
                name,
                node: node(at),
                kind: (flags & 2 != 0).then_some(FileKind::Dir),
            })
        })
    }

    fn streams(&self, of: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let Some(dir) = self.icb(of)?.streams else {
            return Ok(());
        };
        let dir = self.icb(node(dir))?;
        let show = &mut |name: &[u8], _: u8, at| {
            each(Entry {
                name,
                node: node(at),
                kind: Some(FileKind::File),
            })
        };
        self.identifiers(&dir, show).map_err(|e| e.through("udf"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let icb = self.content(file)?;
        let room = usize::try_from(icb.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buf.len().min(room);
        let buf = buf.get_mut(..want).unwrap_or_default();
        if !buf.is_empty() {
            icb.read(&self.volume.space, offset, buf)
                .map_err(|e| e.through("udf"))?;
        }
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let icb = self.icb(link)?;
        if icb.kind() != Some(FileKind::Link) {
            return Err(Error::new(
                Class::Invalid,
                format!("node {} is not a link", link.0),
            ));
        }
        if icb.len > MOST_TARGET {
            let what = format!("a link of {} bytes, at most {MOST_TARGET} are read", icb.len);
            return Err(Error::corrupt("file entry", icb.at, what).through("udf"));
        }
        let mut content = vec![0; usize::try_from(icb.len).unwrap_or(0)];
        icb.read(&self.volume.space, 0, &mut content)
            .map_err(|e| e.through("udf"))?;
        Ok(names::target(&content))
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let icb = self.content(file)?;
        h2k_fs::check_extent(offset, end, icb.len)?;
        let (len, at) = icb.place(offset);
        let inline = matches!(icb.body, icb::Body::Inline(_));
        let kind = if at.is_some() || inline {
            Kind::Data
        } else {
            Kind::Hole
        };
        Ok(FileExtent {
            run: Extent::new(offset, len.min(end.saturating_sub(offset)), kind),
            at,
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        // Free blocks are known of rewritable volumes only; nothing is lost by taking all as used.
        Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data))
    }
}

/// The first sixteen characters of the set's identifier, which are unique, in blkid's form: as they are where all are
/// hexadecimal digits, else the first eight and the codes of four more, and so on down to the codes of eight.
fn identifier(set: &[u8]) -> Option<String> {
    let hexadecimal = |n: usize| set.get(..n).is_some_and(|s| s.iter().all(u8::is_ascii_hexdigit));
    let plain = |n: usize| String::from_utf8_lossy(set.get(..n).unwrap_or_default()).to_lowercase();
    let codes = |from: usize, n: usize| -> String {
        let part = set.get(from..).and_then(|s| s.get(..n)).unwrap_or_default();
        part.iter().map(|b| format!("{b:02x}")).collect()
    };
    if set.len() < 8 {
        return None;
    }
    Some(if hexadecimal(16) {
        plain(16)
    } else if hexadecimal(8) {
        plain(8) + &codes(8, 4)
    } else {
        codes(0, 8)
    })
}
