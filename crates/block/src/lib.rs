//! The ground floor: what a disk is, how it fails, what it may cost.
//!
//! Everything in this project is a map from one address space to another, and every such map is a
//! [`BlockRead`]: a fixed number of bytes, readable at any position, from any thread. A host file is
//! one, a qcow2 image is one, a partition inside it is one. Nothing here knows a file format.
//!
//! * reading: [`BlockRead`], [`Extent`], [`extents`]
//! * writing: [`BlockWrite`], [`Overlay`] (edits kept apart), [`commit`] (edits land all or none)
//! * making a container: [`Sink`] and the [`Batch`] it is fed
//! * the host's side: [`Host`], [`HostFile`], [`Output`] (a file appears whole or not at all)
//! * failing: [`Error`], [`Class`]; paying: [`Limits`], [`Meter`]; checking: [`Findings`]
//!
//! Non-goals: caching policy, executors, progress display, any file format.

mod buffer;
mod cache;
mod commit;
mod disk;
mod error;
mod file;
mod findings;
mod gate;
mod host;
mod joined;
mod limits;
mod lock;
mod mem;
mod output;
mod overlay;
mod pool;
mod sink;
mod window;

pub use buffer::Buffer;
pub use cache::Cache;
pub use commit::{Logged, Member, commit, commit_all, logged, pending, recover, recover_all};
pub use disk::{BlockRead, BlockWrite, Extent, Kind, RawSpan, extents, is_zero, zeros};
pub use error::{Class, Error, Place, Result};
pub use file::FileDisk;
pub use findings::{Finding, Findings, Severity};
pub use gate::DirHost;
pub use host::{Access, Host, HostFile, Identity, MemHost, NoHost};
pub use joined::{Joined, Part};
pub use limits::{Limits, Meter};
pub use lock::Sharing;
pub use mem::MemDisk;
pub use output::Output;
pub use overlay::{Edit, Overlay};
pub use pool::Pool;
pub use sink::{Batch, Body, Piece, Sink};
pub use window::Window;
