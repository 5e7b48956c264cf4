//! XFS versions 4 and 5: from a volume to files.
//!
//! ```text
//! volume   AG 0 | AG 1 | AG 2 (the log lies in the middle of one of them) | …
//! AG       superblock | AGF free space | AGI inodes | AGFL | B+tree blocks, inode chunks, file blocks …
//! inode    core | data fork (local, extents or B+tree) | attribute fork
//! ```
//!
//! Sources: "XFS Algorithms & Data Structures", 3rd edition (the xfs documentation project). All integers are
//! big-endian except CRC-32C checksums.
//!
//! A log that was not written back is recognised and named in [`Facts::warnings`](h2k_fs::Facts::warnings); reading
//! goes on with what is on the disk. Non-goals: writing, quota contents, realtime volumes and external logs (named
//! and refused).

mod alloc;
mod attr;
mod backup;
mod bmap;
mod dir;
mod disk;
mod feature;
mod inode;
mod layout;
mod log;
mod superblock;
mod tree;

pub use disk::{ExternalLog, Xfs, open, open_with, probe};
