//! FAT12, FAT16, FAT32 and exFAT: from a volume to files.
//!
//! ```text
//! FAT      boot sector | (FAT32: FSInfo, backup boot sector) | FAT 1 | FAT 2 | (FAT12/16: root directory) | clusters
//! exFAT    boot region | its backup | FAT | clusters (among them the bitmap and the upcase table)
//! file     a 32-byte entry in its directory → first cluster → the FAT chains the rest
//! name     long names: UTF-16 in entries of their own before (FAT) or after (exFAT) that one
//! ```
//!
//! Sources: Microsoft, "FAT: General Overview of On-Disk Format" 1.03 and the "exFAT file system specification". All
//! integers are little-endian. What the specification leaves open (code page, time zone) is as Linux shows it by
//! default: code page 437, times of FAT taken as UTC.
//!
//! [`open`] reads FAT, [`open_writer`] writes it; [`exfat::open`] reads exFAT. Non-goals: writing exFAT, undeleting.

mod boot;
mod check;
mod clusters;
mod dir;
pub mod exfat;
mod layout;
mod oem;
mod table;
mod time;
mod volume;
mod write;

pub use check::check;
pub use volume::{Fat, open, probe};
pub use write::{FatWriter, open_writer};
