//! The journal (jbd2): what a crash left behind is replayed into memory, the volume itself is never written.
//!
//! ```text
//!  block 0      s_first                                         s_maxlen
//! ┌───────────┬───────────────────────────────────────────────┬ ─ ─ ─ ─ ─ ─ ─ ─┐
//! │ superblock│ … desc data data … revoke commit │ desc data … │ fast commits     │
//! └───────────┴───────────────────────────────────────────────┴ ─ ─ ─ ─ ─ ─ ─ ─┘
//!               ^ s_start: the oldest transaction; the log wraps at its end
//! ```
//!
//! Source: the kernel's `Documentation/filesystems/ext4/journal.rst`. A transaction counts when its commit block is
//! there and all its checksums are right; the first one that does not ends the log. Blocks that a later transaction
//! revoked are not replayed. Fast commits, logical records behind the last full transaction, are kept as [`fast::Changes`]
//! and applied when inodes and directories are read.

pub(crate) mod fast;
mod layout;
mod log;
mod replay;

pub(crate) use log::Log;
pub(crate) use replay::replay;
