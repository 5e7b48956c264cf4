//! ext2, ext3 and ext4: from a volume to files.
//!
//! [`open`] takes a volume and answers with an [`Ext4`], which is an [`h2k_fs::FsRead`]: any number of threads may
//! ask it at once. A journal that holds changes is replayed into an overlay in memory. [`open_writer`] takes an overlay
//! and answers with an [`Ext4Writer`], which is an [`h2k_fs::FsWrite`]. The volume below is never written.
//!
//! ```text
//!  group 0                                group 1
//! ┌──────┬───────┬────────────┬─────────┬─────────┬────────┬────────┬──────┬─────────┬─ ─ ─
//! │ boot │ super │ group      │ reserved│ block   │ inode  │ inode  │ data │ (copies │
//! │ 1 KiB│ block │ descriptors│ for more│ bitmap  │ bitmap │ table  │      │ of both)│
//! └──────┴───────┴────────────┴─────────┴─────────┴────────┴────────┴──────┴─────────┴─ ─ ─
//! ```
//!
//! Sources: the kernel's `Documentation/filesystems/ext4/*.rst` and `Documentation/filesystems/fscrypt.rst`; the
//! names of structures and fields are theirs. What is read, refused and proved is in `docs/formats/ext4.md`.
//!
//! [`check`] judges a filesystem's structure, as `e2fsck -fn` does, and changes nothing.
//!
//! Non-goals: repairing a filesystem, deleted files, decryption.

mod backup;
mod blocks;
mod bytes;
mod check;
mod checksum;
mod crypt;
mod dir;
mod extent;
mod feature;
mod fold;
mod geometry;
mod group;
mod hash;
mod htree;
mod indirect;
mod inode;
mod journal;
mod layout;
mod map;
mod open;
mod read;
mod used;
mod volume;
mod warnings;
mod write;
mod xattr;

pub use check::check;
pub use open::{Journal, open, open_with, probe};
pub use volume::Ext4;
pub use write::{Ext4Writer, open_writer};
