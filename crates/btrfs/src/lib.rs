//! btrfs: from one or several volumes to files.
//!
//! ```text
//! devices  superblock at 64 KiB (copies at 64 MiB, 256 GiB) | stripes of chunks …
//! chunks   logical addresses → stripes on devices, in one copy or several (chunk tree; the first ones are in the superblock)
//! trees    B-trees of (object, type, offset) → item: roots, extents, checksums, one of files for each subvolume
//! files    inode, names, extents: in the item, or at a logical address, compressed or not, with a checksum a sector
//! ```
//!
//! Sources: "On-disk Format" and "Btrfs design" of the btrfs documentation, and the layout documentation of permissively
//! licensed readers. All integers are little-endian.
//!
//! Every block and sector is compared with its checksum and taken from another copy where it does not agree. A log tree
//! is recognised and named in [`Facts::warnings`](h2k_fs::Facts::warnings); reading goes on with the last transaction.
//! Non-goals: writing, computing lost data from parity, zoned devices, quotas, send streams.

mod block;
mod checksum;
mod chunk;
mod codec;
mod data;
mod dir;
mod disk;
mod feature;
mod file;
mod inode;
mod layout;
mod open;
mod space;
mod subvolume;
mod superblock;
mod table;
mod tree;
mod volume;

pub use disk::{Btrfs, open, probe};
pub use open::{DeviceInfo, Member, member};
pub use subvolume::Subvolume;
