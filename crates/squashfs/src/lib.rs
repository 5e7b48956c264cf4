//! SquashFS 4.0: from an image to files.
//!
//! ```text
//! image      superblock | data blocks, fragments | inodes | directories | fragment table | ids | attributes
//! metadata   compressed blocks of 8 KiB; a reference is a block and a byte inside of it
//! file       a list of block sizes; its end may lie in a fragment, which holds the ends of many files
//! ```
//!
//! Source: the Linux kernel's documentation of the format ("Squashfs 4.0 Filesystem") and the published description of
//! its structures. All integers are little-endian.
//!
//! Non-goals: writing; versions 1 to 3 and the `lzma` method, which are named and refused.

mod codec;
mod disk;
mod inode;
mod metadata;
mod superblock;
mod xattr;

pub use disk::{Squash, open, probe};
