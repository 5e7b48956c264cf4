//! A job from description to report: what is done in which order.
//!
//! Each job is plain data with a method that does it: [`Convert`], [`Source::open`], [`Digesting`],
//! [`Comparing`] and so on. Each answers with a report that derives `Serialize` (those names are promises,
//! see `docs/json.md`) or with a [`Failure`], which knows which file the sentence is about and what was left behind.
//!
//! Nothing here knows a terminal: whoever calls draws the [`Watch`] events, sets the stop flag and prints reports.
//!
//! Non-goals: parsing flags, printing, formats, moving bytes.

mod archive;
mod boot_test;
mod check;
mod checksum;
mod convert;
mod counter;
mod create;
mod delta;
mod extract;
mod failure;
mod fix;
mod free;
mod guest;
mod image;
mod in_place;
mod machine;
mod map;
mod measure;
mod migrate;
mod named;
mod private;
mod reading;
mod recover;
mod registry;
mod resize;
mod same;
mod size;
mod source;
mod target;
mod uniform;
mod watch;

pub use archive::{FileOut, TarOut, TarOutReport};
pub use boot_test::{BootResult, BootTest};
pub use check::{CheckReport, Checking, FindingReport, Repair, RepairedReport, Where};
pub use checksum::{Checksums, EachSum, Summed};
pub use convert::{Chain, Convert, ConvertReport, DigestReport, Plan, Resize};
pub use create::{Create, CreatedReport};
pub use extract::{CopyOut, CopyOutReport, OnTrouble, SkippedReport};
pub use failure::{ErrorReport, Failure, Result};
pub use fix::{
    CheckedReport, DiskEdits, FixOnly, FixReport, FixTimes, Fixed, FixedReport, Fixing, Into, RefusedReport,
    SystemFixes, Validation,
};
pub use guest::{
    DeviceReport, FileEntry, FilesystemsReport, GuestSource, HoldsReport, Key, LeftOutReport,
    LogicalVolumeReport, LuksReport, LuksSlotReport, OpenGuest, PartitionReport, PartitionsReport,
    ProblemReport, RaidReport, StructureReport, TableReport, hex, kind_word, odd, text,
};
pub use image::{FileReport, ImageReport, SnapshotReport, Tables};
pub use machine::{MachineDisk, MachineSource, ManifestCheck, ManifestWish, OpenMachine, Spill};
pub use map::{MapEntry, map};
pub use measure::{Measure, MeasureReport, Measured};
pub use migrate::{Migrate, MigrateReport, MigrateTimes, Proof, ProvedBy};
pub use reading::{ComparedReport, Comparing, DigestedReport, Digesting};
pub use recover::{Recover, RecoveredReport};
pub use registry::{
    ChangedReport, Changing, DifferenceReport, HIVES, HiveCheckReport, HiveDiffReport, HiveSource, KeyReport,
    OpenHive, ValueReport, hive_in, is_hive,
};
pub use resize::{ResizedReport, Resizing};
pub use size::human;
pub use source::{Opened, Source, local, redo_log_of};
pub use target::{Compression, Making, Preallocation, Reference};
pub use watch::{Phase, Unwatched, Watch};

pub use h2k_block::{Class, Sharing};
pub use h2k_copy::{DigestKind, Event};
pub use h2k_image::Format;
