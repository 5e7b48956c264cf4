//! The filesystem seen through [`FsRead`].

use crate::attribute::{Attribute, Body};
use crate::layout::{kind, le32, le64, record};
use crate::record::File;
use crate::reparse::{self, Meaning};
use crate::volume::Volume;
use crate::wof::{self, Algorithm};
use crate::{bitmap, boot, index, state, stream};
use h2k_block::{BlockRead, Class, Error, Extent, Kind, Limits, Meter, Result};
use h2k_fs::{EachEntry, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Time, Usage};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A node of a stream holds its number above the record's 48 bits.
const STREAM_SHIFT: u32 = 48;
/// Longest reparse point (MAXIMUM_REPARSE_DATA_BUFFER_SIZE).
const REPARSE: u64 = 16 << 10;

/// Longest link of Services for Unix: eight bytes and a path.
const INTERIX: u64 = 8 + 2 * 4096;
/// FILE_ATTRIBUTE_SYSTEM
const SYSTEM: u32 = 4;

/// An NTFS volume opened for reading.
pub struct Ntfs {
    volume: Volume,
    label: Option<Vec<u8>>,
    version: Option<(u8, u8)>,
    warnings: Vec<String>,
    /// Whether the allocation map can be trusted.
    clean: bool,
    condition: Condition,
}

/// How Windows left a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// It is marked dirty: Windows will run chkdsk on it.
    pub dirty: bool,
    /// `$LogFile` was not closed: recent changes may be in there alone.
    pub journal_open: bool,
    /// Windows sleeps on it, or fast start-up is on: what its memory holds is missing.
    pub hibernated: bool,
}

/// Whether `disk` looks like NTFS: the name in the boot sector and nothing more.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    let mut sector = [0; 512];
    if disk.len() < 512 {
        return Ok(false);
    }
    disk.read_at(0, &mut sector)?;
    Ok(boot::looks_right(&sector))
}

/// Opens the volume on `disk`.
///
/// # Errors
/// [`Class::Corrupt`] when neither the boot sector nor its copy, or neither `$MFT` nor its mirror, make sense.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Ntfs> {
    let mut warnings = Vec::new();
    let warn = &mut |w| warnings.push(w);
    let found = (|| -> Result<_> {
        let geometry = boot::read(&*disk, warn)?;
        let room = disk.len().checked_div(geometry.cluster.into()).unwrap_or(0);
        if geometry.clusters > room {
            warn(format!(
                "the volume has {} clusters, the disk room for {room}: it was cut off",
                geometry.clusters
            ));
        }
        let volume = Volume::new(disk, geometry, *limits, warn)?;
        let root = volume.file(record::ROOT)?;
        if !root.directory {
            return Err(Error::corrupt(
                "MFT record",
                root.at,
                "the root is not a directory",
            ));
        }
        Ok(volume)
    })();
    let volume = found.map_err(|e| e.through("ntfs"))?;
    let about = state::about(&volume).unwrap_or_else(|e| {
        warnings.push(format!("$Volume cannot be read: {e}"));
        state::About {
            dirty: true,
            ..state::About::default()
        }
    });
    if about.dirty {
        warnings.push("the volume is marked dirty: Windows will run chkdsk on it".to_owned());
    }
    let open = state::journal_is_open(&volume).unwrap_or(true);
    if open {
        warnings.push(
            "the journal ($LogFile) was not closed (Windows was not shut down cleanly): recent changes may be missing"
                .to_owned(),
        );
    }
    if volume.used_mirror() {
        warnings.push("$LogFile or $Volume is damaged in $MFT; $MFTMirr was used".to_owned());
    }
    let mut fs = Ntfs {
        volume,
        label: about.label,
        version: about.version,
        warnings,
        clean: !about.dirty && !open,
        condition: Condition {
            dirty: about.dirty,
            journal_open: open,
            hibernated: false,
        },
    };
    let hibernated = match fs.lookup(fs.root(), b"hiberfil.sys") {
        Ok(Some(node)) => state::is_hibernated(&fs.volume, node.0).unwrap_or(false),
        _ => false,
    };
    if hibernated {
        fs.clean = false;
        fs.condition.hibernated = true;
        fs.warnings.push(
            "Windows is hibernated (or fast start-up is on): what its memory holds is missing here, and the volume must \
             not be written"
                .to_owned(),
        );
    }
    Ok(fs)
}

/// What a node stands for.
struct Target {
    file: Arc<File>,
    /// Number of the alternate stream, from 1.
    stream: u64,
}

impl Ntfs {
    /// How Windows left the volume.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    fn target_of(&self, node: Node) -> Result<Target> {
        let number = node.0 & (1_u64 << STREAM_SHIFT).saturating_sub(1);
        let file = self.volume.file(number).map_err(|e| e.through("ntfs"))?;
        Ok(Target {
            file,
            stream: node.0 >> STREAM_SHIFT,
        })
    }

    fn meaning(&self, file: &File) -> Result<Meaning> {
        let Some(point) = file.find(kind::REPARSE_POINT, &[]) else {
            return self.interix(file);
        };
        let bad = |what: String| {
            Error::corrupt(
                "$REPARSE_POINT",
                file.at,
                format!("record {}: {what}", file.number),
            )
        };
        let bytes = self
            .volume
            .small(point, REPARSE, &mut Meter::new(self.volume.limits));
        reparse::parse(&bytes.map_err(|e| e.through("ntfs"))?).map_err(|what| bad(what).through("ntfs"))
    }

    /// Only system files of a few bytes can be links or devices of Services for Unix.
    fn interix(&self, file: &File) -> Result<Meaning> {
        let attributes = file
            .resident(kind::STANDARD_INFORMATION)
            .and_then(|i| le32(i, 32))
            .unwrap_or(0);
        let data = file
            .find(kind::DATA, &[])
            .filter(|d| attributes & SYSTEM != 0 && (8..=INTERIX).contains(&d.len()));
        let Some(data) = data.filter(|_| !file.directory && file.number >= record::FIRST_USER) else {
            return Ok(Meaning::Plain);
        };
        let content = self
            .volume
            .small(data, INTERIX, &mut Meter::new(self.volume.limits));
        Ok(reparse::interix(&content.map_err(|e| e.through("ntfs"))?).unwrap_or(Meaning::Plain))
    }

    fn kind_of(file: &File, meaning: &Meaning) -> FileKind {
        match meaning {
            Meaning::Link(_) => FileKind::Link,
            Meaning::Special(kind) => *kind,
            _ if file.directory => FileKind::Dir,
            _ => FileKind::File,
        }
    }

    fn directory(&self, node: Node) -> Result<Arc<File>> {
        let found = self.target_of(node)?;
        if found.file.directory && found.stream == 0 {
            Ok(found.file)
        } else {
            Err(Error::new(
                Class::Invalid,
                format!("record {} is not a directory", found.file.number),
            ))
        }
    }

    /// The data of a node: attribute, length, and how it is compressed behind a reparse point.
    fn data<'a>(&self, target: &'a Target) -> Result<Option<(&'a Attribute, u64, Option<Algorithm>)>> {
        let file = &target.file;
        if target.stream > 0 {
            let found = usize::try_from(target.stream)
                .ok()
                .and_then(|n| named_streams(file).nth(n.saturating_sub(1)));
            return Ok(found.map(|a| (a, a.len(), None)));
        }
        let Some(data) = file.find(kind::DATA, &[]) else {
            return Ok(None);
        };
        let compressed = match self.meaning(file)? {
            Meaning::Compressed(algorithm) if wof::stream_of(file).is_some() => Some(algorithm),
            _ => None,
        };
        Ok(Some((data, data.len(), compressed)))
    }
}

fn named_streams(file: &File) -> impl Iterator<Item = &Attribute> {
    file.attributes
        .iter()
        .filter(|a| a.kind == kind::DATA && !a.name.is_empty())
}

fn time(bytes: &[u8], at: usize) -> Time {
    Time::of_filetime(le64(bytes, at).unwrap_or(0))
}

impl FsRead for Ntfs {
    fn facts(&self) -> Facts {
        let version = self
            .version
            .map(|(major, minor)| format!("version {major}.{minor}"));
        Facts {
            kind: "ntfs",
            label: self.label.clone(),
            uuid: Some(format!("{:016X}", self.volume.geometry.serial)),
            features: version.into_iter().collect(),
            warnings: self.warnings.clone(),
        }
    }

    fn usage(&self) -> Result<Usage> {
        let g = &self.volume.geometry;
        let free = bitmap::free(&self.volume).map_err(|e| e.through("ntfs"))?;
        Ok(Usage {
            block: g.cluster.into(),
            total: g.clusters.saturating_mul(g.cluster.into()),
            free: free.saturating_mul(g.cluster.into()),
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        Node(record::ROOT)
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let target = self.target_of(node)?;
        let file = &target.file;
        let meaning = self.meaning(file)?;
        let stream = target.stream > 0;
        let kind = if stream {
            FileKind::File
        } else {
            Self::kind_of(file, &meaning)
        };
        let (len, allocated) = match (&meaning, self.data(&target)?) {
            (Meaning::Link(path), _) if !stream => (u64::try_from(path.len()).unwrap_or(0), 0),
            (_, Some((data, len, compressed))) => {
                let held = if compressed.is_some() {
                    wof::stream_of(file).unwrap_or(data)
                } else {
                    data
                };
                let allocated = match &held.body {
                    Body::Resident(_) => 0,
                    Body::Runs { runs, .. } => {
                        let clusters: u64 = runs
                            .iter()
                            .filter(|r| r.lcn.is_some())
                            .fold(0, |n, r| r.len.saturating_add(n));
                        clusters.saturating_mul(self.volume.geometry.cluster.into())
                    }
                };
                (len, allocated)
            }
            _ => (0, 0),
        };
        // Names made for DOS are the same link twice.
        let names = file.attributes.iter().filter(|a| a.kind == self::kind::FILE_NAME);
        let links = names
            .filter(|a| matches!(&a.body, Body::Resident(b) if b.get(65) != Some(&2)))
            .count();
        let info = file
            .resident(self::kind::STANDARD_INFORMATION)
            .unwrap_or_default();
        Ok(Stat {
            len,
            allocated,
            links: u32::try_from(links).unwrap_or(u32::MAX).max(1),
            modified: time(info, 8),
            changed: time(info, 16),
            accessed: time(info, 24),
            created: Some(time(info, 0)),
            ..Stat::bare(kind, file.number)
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        let file = self.directory(dir)?;
        let Some(units) = h2k_fs::wtf8::decode(name) else {
            return Ok(None);
        };
        let found = index::lookup(&self.volume, &file, &units).map_err(|e| e.through("ntfs"))?;
        Ok(found.map(Node))
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let file = self.directory(dir)?;
        let root = file.number == record::ROOT;
        let shown = index::list(&self.volume, &file, &mut |entry| {
            // The volume's own files ($MFT and the like) are found by name, not listed: as ntfs-3g and Windows do.
            if root && entry.record < record::FIRST_USER {
                return ControlFlow::Continue(());
            }
            let name = h2k_fs::wtf8::encode(entry.units.iter().copied());
            let kind = if entry.directory {
                FileKind::Dir
            } else {
                FileKind::File
            };
            each(Entry {
                name: &name,
                node: Node(entry.record),
                kind: (!entry.reparse).then_some(kind),
            })
        });
        shown.map_err(|e| e.through("ntfs"))
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let target = self.target_of(file)?;
        let record = &target.file;
        if target.stream == 0 {
            if let Meaning::Elsewhere(why) = self.meaning(record)? {
                let what = format!("record {}: {why}", record.number);
                return Err(Error::unsupported(what)
                    .at("$REPARSE_POINT", record.at)
                    .through("ntfs"));
            }
            if record.directory {
                return Err(Error::new(
                    Class::Invalid,
                    format!("record {} is a directory", record.number),
                ));
            }
        }
        let Some((data, len, compressed)) = self.data(&target)? else {
            return Ok(0);
        };
        let want = usize::try_from(len.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let part = buf.get_mut(..want).unwrap_or_default();
        match compressed {
            Some(algorithm) => wof::read(&self.volume, record, algorithm, len, offset, part),
            None => stream::read(&self.volume, data, offset, part),
        }
        .map_err(|e| e.at("MFT record", record.at).through("ntfs"))?;
        Ok(want)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        let target = self.target_of(link)?;
        match self.meaning(&target.file)? {
            Meaning::Link(path) if target.stream == 0 => Ok(path),
            _ => Err(Error::new(
                Class::Invalid,
                format!("record {} is not a link", target.file.number),
            )),
        }
    }

    fn streams(&self, node: Node, each: &mut EachEntry<'_>) -> Result<()> {
        let target = self.target_of(node)?;
        let hidden = matches!(self.meaning(&target.file)?, Meaning::Compressed(_));
        let wof = wof::stream_of(&target.file).filter(|_| hidden).map(|a| &a.name);
        for (number, stream) in (1_u64..).zip(named_streams(&target.file)) {
            if wof == Some(&stream.name) || number >= 1 << 16 {
                continue;
            }
            let name = h2k_fs::wtf8::encode(stream.name.iter().copied());
            let node = Node(target.file.number | number << STREAM_SHIFT);
            if each(Entry {
                name: &name,
                node,
                kind: Some(FileKind::File),
            })
            .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let target = self.target_of(file)?;
        let whole = Extent::new(offset, end.saturating_sub(offset), Kind::Data);
        match self.data(&target)? {
            Some((data, _, None)) => {
                stream::extent_at(&self.volume, data, offset, end).map_err(|e| e.through("ntfs"))
            }
            Some((_, _, Some(_))) => Ok(FileExtent {
                run: Extent {
                    compressed: true,
                    ..whole
                },
                at: None,
            }),
            None => Ok(FileExtent {
                run: Extent {
                    kind: Kind::Hole,
                    ..whole
                },
                at: None,
            }),
        }
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        if !self.clean {
            // The journal may hold allocations the map does not know of.
            return Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data));
        }
        bitmap::used_at(&self.volume, offset, end).map_err(|e| e.through("ntfs"))
    }
}
