//! UDF: DVDs, driver discs whose files are larger than ISO 9660 likes, disks formatted by Windows.
//!
//! ```text
//! anchor     at sector 256 or the end: where the volume descriptors are, twice
//! volume     partitions, and a logical volume that maps its blocks onto them
//! file set   the root's file entry
//! entry      a file: size, times, and where its content is; or the content itself
//! directory  a file of identifiers: name and the entry it stands for
//! ```
//!
//! Sources: ECMA-167, 3rd edition; OSTA, "Universal Disk Format Specification" 1.02 to 2.60.

mod icb;
mod names;
mod recognize;
mod space;
mod tag;
mod volume;

pub use volume::{Udf, open, probe};
