//! What a run of bytes is, by its superblock: kind, label and UUID as `blkid` prints them.
//!
//! A container (RAID member, physical volume, encrypted device) is looked for before a file system, because a
//! container may leave the superblock of what it contains in plain sight. Sources are the formats' own public
//! descriptions, named beside each reader. Nothing is mounted, followed or replayed: a handful of small reads.

mod apple;
mod dos;
mod head;
mod member;
mod optical;
mod packed;
mod swap;
mod unix;
mod zfs;

use h2k_block::{BlockRead, Extent, Result};
use head::Head;

/// What such a device is used for; `blkid` calls it USAGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// Files can be read from it.
    Filesystem,
    /// A member of an array, a volume group, a pool: a part of something larger.
    Member,
    /// Encrypted: it needs a key.
    Encrypted,
    /// Swap space, a journal, and whatever else holds no files.
    Other,
}

impl Usage {
    /// `blkid`'s word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Member => "raid",
            Self::Encrypted => "crypto",
            Self::Other => "other",
        }
    }
}

/// What was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `blkid`'s TYPE: `ext4`, `ntfs`, `vfat`, `LVM2_member`, `linux_raid_member`, `crypto_LUKS`, `swap` ….
    /// Kinds that `blkid` does not know are spelled as their makers do: `LDM`, `storage_spaces`.
    pub kind: &'static str,
    /// What it is used for.
    pub usage: Usage,
    /// Version of the format where it matters: `FAT32`, `1.2` of an array, `2` of LUKS.
    pub version: Option<String>,
    /// The label's bytes (UTF-8 where the format stores UTF-16); `None` when empty.
    pub label: Option<Vec<u8>>,
    /// The UUID or serial number, spelled as `blkid` spells it.
    pub uuid: Option<String>,
}

impl Identity {
    fn new(kind: &'static str, usage: Usage) -> Self {
        Self {
            kind,
            usage,
            version: None,
            label: None,
            uuid: None,
        }
    }

    fn filesystem(kind: &'static str) -> Self {
        Self::new(kind, Usage::Filesystem)
    }

    fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the label, cut at the first NUL and without blanks at the end.
    fn label(mut self, bytes: &[u8]) -> Self {
        let label = crate::bytes::until_nul(bytes).trim_ascii_end();
        self.label = (!label.is_empty()).then(|| label.to_vec());
        self
    }

    /// Sets the UUID unless it is all zero.
    fn uuid(mut self, bytes: [u8; 16]) -> Self {
        self.uuid = (bytes != [0; 16]).then(|| crate::name::uuid(bytes));
        self
    }

    fn uuid_text(mut self, text: Option<String>) -> Self {
        self.uuid = text;
        self
    }

    /// The label for people.
    #[must_use]
    pub fn label_text(&self) -> Option<String> {
        self.label
            .as_deref()
            .map(|l| String::from_utf8_lossy(l).into_owned())
    }
}

type Probe = fn(&Head<'_>) -> Result<Option<Identity>>;

/// In the order in which they are believed.
const PROBES: &[Probe] = &[
    member::linux_raid,
    member::lvm2,
    member::luks,
    dos::bitlocker,
    member::bcache,
    member::drbd,
    member::vmfs,
    member::ldm,
    member::storage_spaces,
    dos::exfat,
    dos::ntfs,
    dos::refs,
    dos::fat,
    swap::suspended,
    swap::swap,
    unix::xfs,
    unix::ext,
    unix::btrfs,
    unix::reiserfs,
    unix::jfs,
    optical::udf,
    optical::iso9660,
    zfs::zfs,
    apple::hfs,
    apple::apfs,
    unix::ufs,
    packed::squashfs,
    packed::erofs,
    packed::cramfs,
    unix::f2fs,
    unix::nilfs2,
    unix::ocfs2,
    unix::gfs2,
    unix::bcachefs,
    unix::befs,
    unix::minix,
];

/// Recognises what `disk` holds from its first byte on.
///
/// # Errors
/// What reading the disk gives; unknown or damaged content is `None`.
pub fn identify(disk: &dyn BlockRead) -> Result<Option<Identity>> {
    let head = Head::read(disk)?;
    for probe in PROBES {
        if let Some(found) = probe(&head)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether the first sector belongs to a file system on the bare device: bytes that look like partition records
/// there are boot code.
pub(crate) fn is_volume_boot_record(disk: &dyn BlockRead) -> Result<bool> {
    let head = Head::read(disk)?;
    for probe in [dos::bitlocker, dos::exfat, dos::ntfs, dos::refs, dos::fat] {
        if probe(&head)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether anything recognisable begins at `start`.
pub(crate) fn is_something(disk: &dyn BlockRead, start: u64) -> Result<bool> {
    if start >= disk.len() {
        return Ok(false);
    }
    Ok(identify(&From { disk, start })?.is_some())
}

/// A disk from some byte on, borrowed.
struct From<'a> {
    disk: &'a dyn BlockRead,
    start: u64,
}

impl BlockRead for From<'_> {
    fn len(&self) -> u64 {
        self.disk.len().saturating_sub(self.start)
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.disk.read_at(self.start.saturating_add(offset), buf)
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let below = self
            .disk
            .extent_at(self.start.saturating_add(offset), self.start.saturating_add(end))?;
        Ok(Extent {
            start: offset,
            ..below
        })
    }
}
