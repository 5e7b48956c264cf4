//! The units of a guest's systemd, and what `systemctl`, `systemd-analyze`, `hostnamectl` and their kin would say of
//! them, from files alone.
//!
//! ```text
//! /etc/systemd/system ┐                 ┌▶ State    enabled, masked, static …  (is-enabled, list-unit-files)
//! /run/systemd/system ├▶ Index ▶ Units ─┼▶ Unit     what its files say          (show, cat)
//! /usr/lib/systemd/…  │                 └▶ Graph    what pulls in what, when    (list-dependencies, dot)
//! what generators make┘
//! ```
//!
//! Everything is read from the files of a [`h2k_guest::Tree`] by a [`h2k_guest::Look`]; nothing is run, so what only a
//! running manager knows is either taken from the journal of the last boot, and labelled so, or not answered.
//!
//! Sources: the manual pages of systemd named in each module. What they leave open was asked of `systemctl --root`,
//! `systemd-analyze` and `systemd --test`, which the tests still do.
//!
//! Non-goals: changing units, running generators.

mod calendar;
mod condition;
pub mod ctl;
mod elapse;
mod glob;
mod graph;
mod implied;
mod index;
mod lists;
mod made;
pub mod name;
mod preset;
mod scope;
mod security;
pub mod span;
mod specifier;
mod state;
pub mod syntax;
mod syscalls;
mod unit;
mod units;
mod verify;
mod zone;

pub use calendar::Calendar;
pub use condition::{Condition, Holds, together};
pub use graph::{Dep, Edge, Graph};
pub use index::{Pull, Rank};
pub use lists::{Listed, Lists, MountUnit, Rule, Socket, Timer, UnitFile};
pub use name::{Kind, Name, escape_path};
pub use scope::Scope;
pub use security::{Calls, Check, Exposure, Level, security};
pub use state::{Install, State};
pub use syscalls::{SYSCALLS_OF, SyscallSet, syscall_sets, syscalls};
pub use unit::{Load, Unit, boolean};
pub use units::Units;
pub use verify::{Problem, verify};
pub use zone::{Clocks, TimeZone};
