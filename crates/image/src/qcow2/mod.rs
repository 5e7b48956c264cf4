//! QEMU copy-on-write, versions 2 and 3.
//!
//! Source: "Qcow2 Image File Format" of the QEMU project (`docs/interop/qcow2.rst`); section names below are its own.
//! What is read, written and refused, and what proves it: `docs/formats/qcow2.md`.
//!
//! ```text
//!  host file, in clusters of 512 bytes to 2 MiB
//! ┌────────┬────────────┬─────┬──────────────┬────────────┬──────┬──────┬───────────────┬─────
//! │ header │ extensions │ ... │ backing name │ refc table │ refc │  L1  │ L2 │ data ... │ ...
//! └───┬────┴────────────┴─────┴──────────────┴──────┬─────┴──▲───┴──┬───┴─▲──┴───▲────────────
//!     │ l1_table_offset ───────────────────────────────────────────▶│     │      │
//!     │ refcount_table_offset ─────────────────────▶└────────┘      └─────┘      │
//!     │ snapshots_offset ──▶ snapshot table ──▶ an L1 table each                 │
//!                                                                                │
//!  guest offset = │ L1 index │ L2 index │ within │     L2 entry ─────────────────┘
//!                                                      unallocated │ zero │ data │ compressed │ 32 subclusters
//! ```
//!
//! * `layout` has the bytes, `header` and `entry` turn them into values, `geometry` does the arithmetic
//! * `open`, `tables`, `disk` read; `snapshot` and `bitmap` list
//! * `options`, `place`, `sink` make a new image: the placer chooses places in order, the sink moves bytes
//! * `check` counts references, `repair`, `resize` and `overwrite` make an `edit` of an existing image

mod bitmap;
mod check;
mod disk;
mod edit;
mod entry;
mod geometry;
mod header;
mod layout;
mod open;
mod options;
mod overwrite;
mod place;
mod refcount;
mod repair;
mod resize;
mod sink;
mod snapshot;
mod tables;
mod walk;

pub use check::check;
pub use edit::Edit;
pub(crate) use open::{open, probe};
pub use options::{Backing, Compression, Options, Preallocation};
pub use overwrite::overwrite;
pub use repair::{Repair, Repaired, repair};
pub use resize::{Shrink, resize};
pub(crate) use sink::create;
