//! What a fix wants changed.

use h2k_fs::Attributes;

/// One change of a guest's files. Paths are absolute, as the guest sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The file has this content from now on. Links are followed; a file that is there keeps owner, mode, labels and
    /// attributes; a new one belongs to root and gets `mode`; directories that are missing are made.
    Write {
        /// The file.
        path: Vec<u8>,
        /// All of its content.
        content: Vec<u8>,
        /// Permission bits of a new file.
        mode: u16,
    },
    /// These bytes follow what the file holds. Links are followed; the file has to be there.
    Append {
        /// The file.
        path: Vec<u8>,
        /// What follows.
        bytes: Vec<u8>,
    },
    /// A symbolic link, in place of whatever file or link has the name.
    Link {
        /// The link.
        path: Vec<u8>,
        /// Where it points, stored as it is.
        target: Vec<u8>,
    },
    /// The file or link is gone. A link is not followed. Nothing happens where there is nothing.
    Remove {
        /// What goes.
        path: Vec<u8>,
    },
    /// The file, link or directory has another name. Links are not followed.
    Rename {
        /// The name it has.
        from: Vec<u8>,
        /// The name it gets; what has it is replaced.
        to: Vec<u8>,
    },
    /// A directory is there; missing parents are made, too.
    Directory {
        /// The directory.
        path: Vec<u8>,
        /// Permission bits, where it is made.
        mode: u16,
    },
    /// Owner, mode or times are these. Links are followed.
    Attributes {
        /// What they are of.
        path: Vec<u8>,
        /// What is set.
        attributes: Attributes,
    },
}

impl Edit {
    /// `content` in a file; a new one gets mode 0644.
    #[must_use]
    pub fn write(path: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self::Write {
            path: path.into(),
            content: content.into(),
            mode: 0o644,
        }
    }

    /// What it changes.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Write { path, .. }
            | Self::Append { path, .. }
            | Self::Link { path, .. }
            | Self::Remove { path }
            | Self::Rename { from: path, .. }
            | Self::Directory { path, .. }
            | Self::Attributes { path, .. } => path,
        }
    }
}
