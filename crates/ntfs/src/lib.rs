//! NTFS: from a volume to files.
//!
//! ```text
//! volume   boot sector | clusters … | backup boot sector
//! $MFT     record 0 ($MFT itself) | 1 ($MFTMirr) | … | 16 and up: files
//! record   header | attribute | attribute | …   (fixups in the last two bytes of every sector)
//! attribute   resident: the bytes.  non-resident: runs of clusters
//! ```
//!
//! Sources: the NTFS documentation of the Linux-NTFS project (a specification text, not its code), Microsoft's
//! documents on file records, reparse points (MS-FSCC) and compression (MS-XCA), and the published description of the
//! WIM resource format. All integers are little-endian.
//!
//! Non-goals: writing, the journal's contents ($LogFile is only asked whether it was closed), security descriptors,
//! decryption of EFS.

mod attribute;
mod bitmap;
mod boot;
mod disk;
mod index;
mod layout;
pub mod lznt1;
pub mod lzx;
mod names;
mod record;
mod reparse;
mod runs;
mod state;
mod stream;
mod volume;
mod wof;
pub mod xpress;

pub use disk::{Condition, Ntfs, open, probe};
