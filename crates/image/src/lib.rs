//! Containers: from the bytes of host files to the bytes of a guest's disk, and back.
//!
//! [`open`] turns a host file into an [`Image`]: a [`BlockRead`](h2k_block::BlockRead) of the guest's disk and
//! an [`Info`] that says what was found on the way. [`create`] makes a container and answers with the
//! [`Sink`](h2k_block::Sink) that fills it. Every format has a folder of its own with the same files in it:
//! `mod.rs` (a drawing of the file, sources), `layout.rs` (the specification's bytes), `disk.rs` (reading),
//! `sink.rs` (making).
//!
//! Names written inside an image (parents, extents, data files) become files only through a
//! [`Host`](h2k_block::Host); the format of a parent comes from the child or the user, never from a probe of bytes
//! the guest can write.
//!
//! Non-goals: partitions, filesystems, copying, network protocols.

mod chain;
mod check;
mod codec;
mod create;
mod format;
mod guid;
mod info;
mod layered;
mod make;
mod open;
mod packed;
mod pages;
mod sealed;
mod spans;
mod stranger;
mod windows;

mod bochs;
mod cloop;
mod dmg;
mod ewf;
mod parallels;
mod qcow1;

pub mod qcow2;
pub mod raw;
pub mod vdi;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;

pub use check::{Check, Finding, Severity, check};
pub use create::{Target, create};
pub use format::{Format, probe};
pub use info::{Fact, FileInfo, Info, Snapshot, Value};
pub use open::{Image, OpenOptions, Opening, open};
