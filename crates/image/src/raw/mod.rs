//! Raw: the disk's bytes and nothing else. Holes are the host file's holes.
//!
//! ```text
//!   disk.raw   | 0 ……………………………………………………… len |
//!
//!   disk.000   | 0 ………… |  disk.001 | ………… |  disk.002 | … len |      or .001, .002, .003 …
//! ```

mod disk;
mod sink;

pub(crate) use disk::{RawDisk, open};
pub(crate) use sink::create;
pub use sink::{Options, Preallocation};
