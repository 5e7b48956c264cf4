//! From disks to volumes: partition tables, LVM2, MD arrays, LUKS, and what is recognised by its superblock.
//!
//! [`scan`] looks at the disks of one guest together and answers with [`Volumes`]: everything a filesystem could lie
//! on, under the name guestfish gives it (`/dev/sda1`), as a disk of its own. [`identify`] says what a run of
//! bytes holds, the way `blkid` does.
//!
//! ```text
//!   sda ──┬─▶ /dev/sda1 ──▶ vfat
//!         └─▶ /dev/sda2 ──▶ LVM2_member ─┐
//!   sdb ──────────────────▶ LVM2_member ─┴─▶ /dev/vg/root ──▶ xfs
//!   sdc ──────▶ ext4                       (a file system on the bare disk)
//! ```
//!
//! Nothing is read that is not asked for, except superblocks and tables; volumes pass extents through, so a copier
//! sees the holes of the image below. A map from a volume to the disks is plain numbers: [`Volumes::over`] makes the
//! same volumes again over writable disks, such as overlays.
//!
//! Non-goals: writing any of these structures, files, mounting.

mod bytes;
mod disk;
mod identify;
#[cfg(feature = "crypt")]
mod luks;
mod lvm;
mod map;
mod md;
mod name;
mod node;
mod scan;
mod table;
mod volumes;

pub use disk::Disk;
pub use identify::{Identity, Usage, identify};
#[cfg(feature = "crypt")]
pub use luks::{KeySlot, Luks, Secret, UNLOCK_LIMITS};
pub use name::{disk_name, guid, mapper_name, partition_name};
pub use scan::scan;
pub use table::{Partition, PartitionType, Role, Scheme, Table};
#[cfg(feature = "crypt")]
pub use volumes::Crypt;
pub use volumes::{Kind, LogicalVolume, Problem, Raid, Volume, Volumes};
