//! What has to change in a guest so that it boots on KVM, and how it is changed.
//!
//! ```text
//!  Assembled ──▶ Drafted: the same tree, with edits in memory over it
//!                  │  ▲
//!                  ▼  │ edits
//!                 Fix::look ──▶ Finding: leave, change, blocked; with evidence
//!                  │
//!                  ▼ once, at the end
//!                 Draft::replay ──▶ FsWrite of each filesystem, on an overlay
//! ```
//!
//! * A [`Fix`] looks at a [`View`] of the guest and answers with [`Finding`]s, some of which carry [`Edit`]s.
//! * [`propose`] asks every fix in order. What one proposes is drafted at once, so that the next one sees it and two
//!   fixes can change one file. Nothing is written: a plan is this and no more.
//! * [`Draft::replay`] brings the drafted edits of one filesystem onto its writer.
//!
//! A fix proposes what is not so yet, so a second look at the result proposes nothing. Paths are the guest's and are
//! resolved inside its tree; none becomes a path of the host.
//!
//! Non-goals: opening images, deciding the order of a migration, running anything of the guest's.

pub mod configuration;
mod diff;
mod draft;
mod drafted;
mod edit;
mod finding;
mod fixes;
mod labels;
mod options;
mod propose;
mod view;

pub use draft::Draft;
pub use drafted::{Change, ChangeKind, Drafted, Stamp};
pub use edit::Edit;
pub use finding::{Finding, Outcome};
pub use fixes::{Fix, all, by_id, clock};
pub use options::{FstabMode, Hypervisor, NetworkLevel, Nic, Options, Target};
pub use propose::{Proposal, propose};
pub use view::View;
