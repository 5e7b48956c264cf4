//! Which filesystem reads which kind of volume: one line each.

use h2k_block::{BlockRead, Error, Limits, Result};
use h2k_fs::FsRead;
use std::sync::Arc;

/// A filesystem that was opened.
#[derive(Clone)]
pub struct Opened {
    /// What one sees when it is mounted without options.
    pub fs: Arc<dyn FsRead>,
    /// Its subvolumes, where it has such things.
    pub subvolumes: Option<Arc<dyn Subvolumes>>,
}

/// A subvolume of btrfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subvolume {
    /// Path from the top level, without a leading slash; empty for the top level itself.
    pub path: Vec<u8>,
    /// Its number: 5 for the top level, from 256 for others.
    pub id: u64,
    /// Whether it was made as a snapshot of another.
    pub snapshot: bool,
    /// Whether nobody may write to it, as backups are.
    pub read_only: bool,
    /// Whether it is what one sees when mounting without options.
    pub default: bool,
}

/// A filesystem with several trees in it.
pub trait Subvolumes: Send + Sync {
    /// All subvolumes, the top level included.
    ///
    /// # Errors
    /// When the list is damaged.
    fn list(&self) -> Result<Vec<Subvolume>>;

    /// Opens the subvolume of that number.
    ///
    /// # Errors
    /// [`h2k_block::Class::NotFound`] when there is none; else when it is damaged.
    fn open(&self, id: u64) -> Result<Arc<dyn FsRead>>;
}

/// Opens a filesystem that lies on one or more devices.
type Open = fn(&[Arc<dyn BlockRead>], &Limits) -> Result<Opened>;

struct Reader {
    /// As `blkid` (and `h2k_volume::identify`) spells it.
    kinds: &'static [&'static str],
    open: Open,
}

/// Adding a filesystem is adding a line.
const READERS: &[Reader] = &[
    Reader {
        kinds: &["btrfs"],
        open: btrfs,
    },
    Reader {
        kinds: &["ext2", "ext3", "ext4"],
        open: |disks, limits| plain(h2k_ext4::open(one(disks)?, limits)?),
    },
    Reader {
        kinds: &["vfat"],
        open: |disks, limits| plain(h2k_fat::open(one(disks)?, limits)?),
    },
    Reader {
        kinds: &["exfat"],
        open: |disks, limits| plain(h2k_fat::exfat::open(one(disks)?, limits)?),
    },
    Reader {
        kinds: &["iso9660", "udf"],
        open: |disks, limits| {
            Ok(Opened {
                fs: h2k_iso::open(one(disks)?, limits)?.into(),
                subvolumes: None,
            })
        },
    },
    Reader {
        kinds: &["squashfs"],
        open: |disks, limits| plain(h2k_squashfs::open(one(disks)?, limits)?),
    },
    Reader {
        kinds: &["xfs"],
        open: |disks, limits| plain(h2k_xfs::open(one(disks)?, limits)?),
    },
    Reader {
        kinds: &["ntfs"],
        open: |disks, limits| plain(h2k_ntfs::open(one(disks)?, limits)?),
    },
];

fn plain(fs: impl FsRead + 'static) -> Result<Opened> {
    Ok(Opened {
        fs: Arc::new(fs),
        subvolumes: None,
    })
}

fn btrfs(disks: &[Arc<dyn BlockRead>], limits: &Limits) -> Result<Opened> {
    let fs = h2k_btrfs::open(disks.to_vec(), limits)?;
    Ok(Opened {
        fs: Arc::new(fs.clone()),
        subvolumes: Some(Arc::new(fs)),
    })
}

impl Subvolumes for h2k_btrfs::Btrfs {
    fn list(&self) -> Result<Vec<Subvolume>> {
        let default = self.subvolume_of(self.root())?;
        // What no directory leads to cannot be named either.
        let all = self.subvolumes()?.into_iter().filter_map(|s| {
            Some(Subvolume {
                path: s.path?,
                id: s.id,
                snapshot: s.parent_uuid.is_some(),
                read_only: s.read_only,
                default: s.id == default,
            })
        });
        Ok(all.collect())
    }

    fn open(&self, id: u64) -> Result<Arc<dyn FsRead>> {
        Ok(Arc::new(self.rooted(self.subvolume(id)?)))
    }
}

fn one(disks: &[Arc<dyn BlockRead>]) -> Result<Arc<dyn BlockRead>> {
    let first = disks.first().map(Arc::clone);
    first.ok_or_else(|| Error::new(h2k_block::Class::Invalid, "a filesystem on no device"))
}

/// Whether filesystems of this kind are read.
#[must_use]
pub fn can_open(kind: &str) -> bool {
    READERS.iter().any(|reader| reader.kinds.contains(&kind))
}

/// Opens the filesystem of that kind on these devices, the one that was asked for first.
pub(crate) fn open(kind: &str, disks: &[Arc<dyn BlockRead>], limits: &Limits) -> Result<Opened> {
    let Some(reader) = READERS.iter().find(|reader| reader.kinds.contains(&kind)) else {
        return Err(Error::unsupported(format!(
            "{kind} is recognised; its files are not read"
        )));
    };
    (reader.open)(disks, limits)
}
