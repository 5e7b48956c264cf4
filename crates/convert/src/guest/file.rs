//! A file of a guest as a report.

use super::{odd, text};
use h2k_block::Error;
use h2k_fs::{FileKind, Stat};
use h2k_guest::{Place, Tree};
use serde::Serialize;

/// What is known of a file, directory or link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileEntry {
    /// Its name, or its path where more than one directory is told of.
    pub name: String,
    /// The name in hexadecimal, where it is not UTF-8.
    pub name_bytes: Option<String>,
    /// `file`, `dir`, `link`, `char-device`, `block-device`, `fifo`, `socket`; `null` for what cannot be read.
    #[serde(rename = "type")]
    pub type_: Option<&'static str>,
    /// Bytes of content; of a link, of its target.
    pub size: u64,
    /// Bytes occupied on the volume.
    pub allocated: u64,
    /// Permission bits in octal, where the filesystem keeps them.
    pub mode: Option<String>,
    /// Owner, where the filesystem keeps one.
    pub uid: Option<u32>,
    /// Group, where the filesystem keeps one.
    pub gid: Option<u32>,
    /// Names it has.
    pub links: u32,
    /// Number of the inode or MFT record.
    pub inode: u64,
    /// Of a device: `major:minor`.
    pub device: Option<String>,
    /// Last change of the content, in seconds since 1970, UTC.
    pub modified_sec: i64,
    /// Nanoseconds of that second.
    pub modified_nsec: u32,
    /// Of a link: where it points.
    pub target: Option<String>,
    /// The target in hexadecimal, where it is not UTF-8.
    pub target_bytes: Option<String>,
    /// Why nothing more is known.
    pub error: Option<String>,
}

/// The word for a kind of file.
#[must_use]
pub fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Dir => "dir",
        FileKind::Link => "link",
        FileKind::CharDevice => "char-device",
        FileKind::BlockDevice => "block-device",
        FileKind::Fifo => "fifo",
        FileKind::Socket => "socket",
        _ => "unknown",
    }
}

impl FileEntry {
    /// What `stat` says of the thing at `place`.
    #[must_use]
    pub fn new(name: &[u8], place: Place, stat: &Result<Stat, Error>, tree: &Tree) -> Self {
        let named = Self {
            name: text(name),
            name_bytes: odd(name),
            ..Self::default()
        };
        let stat = match stat {
            Ok(stat) => stat,
            Err(e) => {
                return Self {
                    error: Some(e.to_string()),
                    ..named
                };
            }
        };
        let target = (stat.kind == FileKind::Link).then(|| tree.target(place));
        let (target, error) = match target {
            Some(Ok(target)) => (Some(target), None),
            Some(Err(e)) => (None, Some(e.to_string())),
            None => (None, None),
        };
        Self {
            type_: Some(kind_word(stat.kind)),
            size: stat.len,
            allocated: stat.allocated,
            mode: stat.mode.map(|m| format!("{m:04o}")),
            uid: stat.uid,
            gid: stat.gid,
            links: stat.links,
            inode: stat.inode,
            device: stat.device.map(|(major, minor)| format!("{major}:{minor}")),
            modified_sec: stat.modified.seconds,
            modified_nsec: stat.modified.nanos,
            target_bytes: target.as_deref().and_then(odd),
            target: target.as_deref().map(text),
            error,
            ..named
        }
    }
}
