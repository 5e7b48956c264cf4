//! What a guest is: every fact with where it was read, and what could not be read with why.
//!
//! ```text
//!  Guest ──▶ systems ──▶ Assembled ──▶ Look ──▶ one Section per Topic ──▶ SystemFacts ─┐
//!                                                                                      ├─▶ Inspection
//!  devices, filesystems ───────────────────────────────────────────────────────────────┘
//! ```
//!
//! * A [`Topic`] names what can be asked for; each has a module that looks and a struct that is its answer.
//! * A [`Section`] is such an answer together with what kept it from being complete.
//! * [`inspect`] asks for the topics wanted, of every system found or of one.
//!
//! Non-goals: opening images, printing, changing a guest, running anything of it.

pub mod agents;
mod boot;
pub mod cloud;
mod compare;
pub mod containers;
mod doctor;
pub mod environment;
pub mod firewall;
pub mod init;
pub mod journal;
mod linux;
pub mod locale;
mod mounts;
pub mod network;
pub mod os;
pub mod packages;
mod report;
pub mod schedule;
pub mod security;
pub mod storage;
mod topic;
mod units;
mod unread;
pub mod users;
pub mod windows;
mod xml;

pub use compare::{
    Comparison, DiskUsage, Profile, ProfileFilesystems, ProfileOs, ProfileServices, Reason, compare,
};
pub use doctor::{
    DOCTOR_SCHEMA, Diagnosis, Finding, Level, SystemDiagnosis, Verdict, diagnose, diagnose_booting,
};
pub use linux::network_of as linux_network;
pub use mounts::{MountPoint, Mounts, NotMounted};
pub use report::{
    Inspection, SCHEMA, Section, SystemFacts, boot_of, inspect, inspect_system, inspect_trees, schema,
};
pub use topic::{Topic, Topics};
pub use units::SystemdUnits;
pub use xml::virt_inspector;
