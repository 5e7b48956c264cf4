//! Files, directories, names and paths inside a guest, and the traits filesystems implement.
//!
//! `ext4`, `xfs` and `ntfs` implement [`FsRead`]; nobody above needs to know which one it is. Paths are resolved
//! here, by node and inside the guest only: there is no outside a link could lead to.
//!
//! Non-goals: partitions, mounting, host paths.

mod acl;
mod calendar;
mod door;
mod files;
mod filetime;
mod mem;
mod path;
mod walk;
mod write;
pub mod wtf8;

use h2k_block::{Class, Error, Extent, Result};
use std::ops::ControlFlow;

pub use acl::linux_acl;
pub use calendar::Civil;
pub use files::{EachName, Files, FsFiles, fill, join, sorted_names, whole};
pub use mem::MemFs;
pub use path::{lookup_path, parts, read_file, resolve};
pub use walk::{Visit, walk};
pub use write::{Attributes, FsWrite, NAME_MAX, check_name};

/// A name inside a guest: bytes, without `/`. Filesystems that store UTF-16 hand out WTF-8.
pub type Name = [u8];

/// One file, directory or link of one filesystem. Opaque: means nothing to another filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u64);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// Bytes.
    File,
    /// Names.
    Dir,
    /// A path to somewhere else.
    Link,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// The kind in the upper four bits of a Unix mode, as in `S_IFMT`.
    #[must_use]
    pub fn from_mode(mode: u32) -> Option<Self> {
        match mode & 0o170_000 {
            0o010_000 => Some(Self::Fifo),
            0o020_000 => Some(Self::CharDevice),
            0o040_000 => Some(Self::Dir),
            0o060_000 => Some(Self::BlockDevice),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Link),
            0o140_000 => Some(Self::Socket),
            _ => None,
        }
    }

    /// The kind in a directory entry, in the numbering that ext2, XFS and btrfs share.
    #[must_use]
    pub fn from_entry(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::File,
            2 => Self::Dir,
            3 => Self::CharDevice,
            4 => Self::BlockDevice,
            5 => Self::Fifo,
            6 => Self::Socket,
            7 => Self::Link,
            _ => return None,
        })
    }

    /// The letter `ls -l` begins a line with.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Dir => 'd',
            Self::Link => 'l',
            Self::CharDevice => 'c',
            Self::BlockDevice => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }
}

/// A moment: seconds since 1970 UTC and nanoseconds within the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970-01-01 00:00 UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanos: u32,
}

/// What every filesystem can say about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes of content (of a link: bytes of its target).
    pub len: u64,
    /// Bytes occupied on the volume.
    pub allocated: u64,
    /// Permission bits, 0o0000 to 0o7777, where the filesystem keeps them.
    pub mode: Option<u16>,
    /// Owner, where the filesystem keeps one.
    pub uid: Option<u32>,
    /// Group, where the filesystem keeps one.
    pub gid: Option<u32>,
    /// Names this node has.
    pub links: u32,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// The number `ls -i` shows: inode, MFT record.
    pub inode: u64,
    /// Last change of the content.
    pub modified: Time,
    /// Last change of the node itself.
    pub changed: Time,
    /// Last access.
    pub accessed: Time,
    /// Creation, where the filesystem keeps it.
    pub created: Option<Time>,
}

impl Stat {
    /// A node of which nothing more is known: one name, no content, no owner, times of zero.
    #[must_use]
    pub fn bare(kind: FileKind, inode: u64) -> Self {
        Self {
            kind,
            len: 0,
            allocated: 0,
            mode: None,
            uid: None,
            gid: None,
            links: 1,
            device: None,
            inode,
            modified: Time::default(),
            changed: Time::default(),
            accessed: Time::default(),
            created: None,
        }
    }
}

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The name. Never `.` or `..`, never empty.
    pub name: &'a Name,
    /// The node it stands for.
    pub node: Node,
    /// What the directory says the node is; `None` where directories do not tell.
    pub kind: Option<FileKind>,
}

/// How full a volume is. All in bytes, except the node counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Size of a block (cluster) in bytes.
    pub block: u64,
    /// Bytes of the whole filesystem as `statfs` counts them.
    pub total: u64,
    /// Bytes nobody uses.
    pub free: u64,
    /// Nodes that can exist, where there is a limit.
    pub nodes: Option<u64>,
    /// Nodes that are free, where there is a limit.
    pub nodes_free: Option<u64>,
}

/// What a filesystem says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// "ext4", "ntfs", … as `blkid` spells it.
    pub kind: &'static str,
    /// Label, if there is one.
    pub label: Option<Vec<u8>>,
    /// UUID or serial number, as `blkid` prints it.
    pub uuid: Option<String>,
    /// Feature names, as the filesystem's own tools print them.
    pub features: Vec<String>,
    /// What is odd but did not stop us: a journal that was replayed, a log that was not.
    pub warnings: Vec<String>,
}

/// Where part of a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileExtent {
    /// The run within the file; its kind says whether bytes are stored.
    pub run: Extent,
    /// Where the run lies on the volume, in bytes, if it lies there verbatim.
    pub at: Option<u64>,
}

/// Shows one directory entry or stream; breaks to stop.
pub type EachEntry<'a> = dyn FnMut(Entry<'_>) -> ControlFlow<()> + 'a;

/// Shows one extended attribute, name and value; breaks to stop.
pub type EachXattr<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Read access. Shared: any number of readers on one opened filesystem.
pub trait FsRead: Send + Sync {
    /// What the filesystem says of itself.
    fn facts(&self) -> Facts;

    /// How full it is.
    ///
    /// # Errors
    /// When the counters cannot be read.
    fn usage(&self) -> Result<Usage>;

    /// The directory everything hangs from.
    fn root(&self) -> Node;

    /// What `node` is.
    ///
    /// # Errors
    /// When the node is damaged or does not exist.
    fn stat(&self, node: Node) -> Result<Stat>;

    /// The node called `name` in `dir`, by the filesystem's own idea of equal names.
    ///
    /// # Errors
    /// When `dir` is no directory or is damaged.
    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>>;

    /// Shows the entries of `dir`, without `.` and `..`, until `each` breaks.
    ///
    /// # Errors
    /// When `dir` is no directory or is damaged.
    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()>;

    /// Reads up to `buf.len()` bytes of a file; short only at its end. Holes read as zero.
    ///
    /// # Errors
    /// When the content is damaged, encrypted or coded in a way this filesystem does not read.
    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Where a link points, as stored.
    ///
    /// # Errors
    /// When `link` is no link or is damaged.
    fn target(&self, link: Node) -> Result<Vec<u8>>;

    /// Shows extended attributes with their full names (`user.x`, `security.selinux`), values as stored.
    ///
    /// # Errors
    /// When the attributes are damaged.
    fn xattrs(&self, _node: Node, _each: &mut EachXattr<'_>) -> Result<()> {
        Ok(())
    }

    /// Shows alternate data streams (NTFS): name and a node that reads as a file.
    ///
    /// # Errors
    /// When the streams are damaged.
    fn streams(&self, _node: Node, _each: &mut EachEntry<'_>) -> Result<()> {
        Ok(())
    }

    /// The extent of `file` that begins at `offset`, at most up to `end` (both inside the file).
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent>;

    /// What the volume holds at `offset`, at most up to `end` (bytes of the volume): `Data` where anything is
    /// stored, `Hole` where the filesystem says the space is free. Lets a copier skip free space.
    ///
    /// # Errors
    /// When the allocation maps are damaged.
    fn used_at(&self, offset: u64, end: u64) -> Result<Extent>;
}

/// Refuses `offset..end` unless it is a part of a file of `len` bytes: for implementors of
/// [`FsRead::file_extent_at`].
///
/// # Errors
/// [`Class::OutOfBounds`] when it is empty or goes past the end.
pub fn check_extent(offset: u64, end: u64, len: u64) -> Result<()> {
    if offset < end && end <= len {
        return Ok(());
    }
    Err(Error::new(
        Class::OutOfBounds,
        format!("extent {offset:#x}..{end:#x} asked, the file has {len} bytes"),
    ))
}
