//! Writing into a filesystem: [`FsWrite`].

use crate::{FsRead, Name, Node, Time};
use h2k_block::{Class, Error, Result};

/// Longest name, in bytes.
pub const NAME_MAX: usize = 255;

/// What [`FsWrite::set_attributes`] changes; `None` leaves a value as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0o0000 to 0o7777.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last change of the content.
    pub modified: Option<Time>,
    /// Last access.
    pub accessed: Option<Time>,
}

/// Write access. Exclusive: one writer, and nobody reads while it writes.
///
/// An operation happens whole or not at all: after an error the filesystem is what it was before. Nodes made here
/// belong to user and group 0 and carry the time of [`set_clock`](Self::set_clock). Every operation may fail with
/// [`Class::NoSpace`] when the volume is full, [`Class::Corrupt`] when what it needs is damaged,
/// [`Class::Unsupported`] for what a filesystem cannot do (named), [`Class::ReadOnly`] for nodes that are marked
/// immutable, and [`Class::NotFound`] for nodes that do not exist; names that are empty, `.`, `..`, too long or
/// hold `/` or a zero byte are [`Class::Invalid`], and so is a node of the wrong kind.
pub trait FsWrite: FsRead {
    /// The moment that operations from now on are stamped with. The caller decides, so that the same edits give
    /// the same bytes.
    fn set_clock(&mut self, now: Time);

    /// Makes an empty regular file.
    ///
    /// # Errors
    /// [`Class::Exists`] when the name is taken; else see the trait.
    fn create(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node>;

    /// Makes an empty directory.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    fn mkdir(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node>;

    /// Makes a link that points to `target`, stored as it is.
    ///
    /// # Errors
    /// As [`create`](Self::create); [`Class::Invalid`] for targets that are empty, too long or hold a zero byte.
    fn symlink(&mut self, dir: Node, name: &Name, target: &[u8]) -> Result<Node>;

    /// Gives `node`, which is no directory, one more name.
    ///
    /// # Errors
    /// As [`create`](Self::create); [`Class::Limit`] when it cannot have more names.
    fn add_name(&mut self, dir: Node, name: &Name, node: Node) -> Result<()>;

    /// Removes a name of something that is no directory, and the thing itself with its last name.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such name; else see the trait.
    fn remove(&mut self, dir: Node, name: &Name) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such name, [`Class::Exists`] when the directory is not empty.
    fn rmdir(&mut self, dir: Node, name: &Name) -> Result<()>;

    /// Moves a name. What has the new name is replaced, as `rename(2)` does: a directory only by a directory and only
    /// when it is empty. Two names of one node stay as they are.
    ///
    /// Where a node is the place of a name, as in FAT, what was moved has another one now: look it up again.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such name, [`Class::Exists`] when the directory to be replaced is not
    /// empty, [`Class::Invalid`] for a directory that would be moved into itself.
    fn rename(&mut self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()>;

    /// Replaces all content of a file. Owner, mode, names and extended attributes stay.
    ///
    /// # Errors
    /// See the trait.
    fn replace(&mut self, file: Node, content: &[u8]) -> Result<()>;

    /// Writes `bytes` at `offset`; what lies between the old end and `offset` reads as zero.
    ///
    /// # Errors
    /// See the trait; [`Class::Limit`] when a file cannot be that long.
    fn write_at(&mut self, file: Node, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Writes `bytes` at the end.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn append(&mut self, file: Node, bytes: &[u8]) -> Result<()> {
        let end = self.stat(file)?.len;
        self.write_at(file, end, bytes)
    }

    /// Cuts a file off, or makes it longer: what is new reads as zero.
    ///
    /// # Errors
    /// As [`write_at`](Self::write_at).
    fn truncate(&mut self, file: Node, len: u64) -> Result<()>;

    /// Sets permission bits, owner, group and times.
    ///
    /// # Errors
    /// See the trait.
    fn set_attributes(&mut self, node: Node, attributes: &Attributes) -> Result<()>;

    /// Sets an extended attribute by its full name (`user.x`, `security.selinux`), value as stored.
    ///
    /// # Errors
    /// See the trait; [`Class::NoSpace`] when there is no room for it beside the others.
    fn set_xattr(&mut self, node: Node, name: &[u8], value: &[u8]) -> Result<()>;

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is none of that name.
    fn remove_xattr(&mut self, node: Node, name: &[u8]) -> Result<()>;

    /// Leaves the filesystem as a clean unmount would: counters and journal agree with what was written.
    ///
    /// # Errors
    /// See the trait.
    fn settle(&mut self) -> Result<()>;
}

/// Checks a name that is to be made.
///
/// # Errors
/// [`Class::Invalid`] when no file can be called that.
pub fn check_name(name: &Name) -> Result<()> {
    let why = if name.is_empty() {
        "is empty"
    } else if name == b"." || name == b".." {
        "has a meaning of its own"
    } else if name.len() > NAME_MAX {
        "is longer than 255 bytes"
    } else if name.iter().any(|b| matches!(b, b'/' | 0)) {
        "holds a slash or a zero byte"
    } else {
        return Ok(());
    };
    let shown = String::from_utf8_lossy(name);
    Err(Error::new(Class::Invalid, format!("the name {shown:?} {why}")))
}
