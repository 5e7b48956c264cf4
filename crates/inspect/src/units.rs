//! The units of systemd.

use crate::report::Asking;
use h2k_guest::{Fact, Look};
use h2k_systemd::{Clocks, Lists, MountUnit, Scope, Socket, Timer, UnitFile};
use schemars::JsonSchema;
use serde::Serialize;

/// What systemd is told to do, and how far starting the system has it done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SystemdUnits {
    /// The target that starting the system is for.
    pub default_target: Option<Fact<String>>,
    /// Every unit file of the system, with its state; aliases, templates and what generators would make among them.
    pub files: Vec<UnitFile>,
    /// Unit files for the managers of all users.
    pub user_files: Vec<UnitFile>,
    /// Units that starting the default target starts, before conditions are asked.
    pub started_at_boot: Vec<String>,
    /// Timers; when they come true next is not reckoned, since nobody knows when the guest is started.
    pub timers: Vec<Timer>,
    /// Sockets.
    pub sockets: Vec<Socket>,
    /// Units that mount something.
    pub mounts: Vec<MountUnit>,
}

/// Whether there is a systemd to ask.
pub(crate) fn has(asking: &Asking<'_>) -> bool {
    let files = asking.files();
    let answer = ["/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|dir| files.is_dir(dir));
    asking.system.kind == h2k_guest::SystemKind::Linux && answer
}

pub(crate) fn look(_: &Asking<'_>, files: &Look<'_>) -> SystemdUnits {
    let units = h2k_systemd::Units::new(files, Scope::System, true);
    let lists = Lists::new(&units);
    let users = h2k_systemd::Units::new(files, Scope::User, false);
    let mut timers = lists.timers(0, &Clocks::utc());
    for timer in &mut timers {
        timer.next = None;
    }
    SystemdUnits {
        default_target: units.default_target().map(|t| t.map(|name| name.to_string())),
        files: lists.unit_files(),
        user_files: Lists::new(&users).unit_files(),
        started_at_boot: lists.started().iter().map(ToString::to_string).collect(),
        timers,
        sockets: lists.sockets(),
        mounts: lists.mounts(),
    }
}
