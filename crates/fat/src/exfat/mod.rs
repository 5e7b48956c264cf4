//! exFAT: cards, sticks, and the partitions some installers make.
//!
//! ```text
//! volume   boot region (12 sectors, the last is their checksum) | its backup | FAT | clusters
//! root     bitmap of clusters, up-case table, label, then files
//! file     file entry | stream entry | 1 to 17 entries of name, under one checksum
//! ```
//!
//! Source: Microsoft, "exFAT file system specification", revision 1.00 with TexFAT's second FAT.

mod boot;
mod layout;
mod set;
mod upcase;
mod volume;

pub use volume::{ExFat, open, probe};
