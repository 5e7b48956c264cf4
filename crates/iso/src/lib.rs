//! ISO 9660: from a disc to files.
//!
//! [`iso9660`] reads the plain tree, Joliet and Rock Ridge. [`open`] takes what a disc has and is best: Rock Ridge
//! before Joliet before the plain tree.
//!
//! Non-goals: writing, audio tracks, discs as sectors of 2352 bytes.

pub mod iso9660;

pub use iso9660::{Iso, open, probe};
