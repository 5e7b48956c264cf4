//! What systemd's tools would say of a guest that is switched off.

mod analyze;
mod ask;
mod calendar;
mod lists;
mod security;

use super::super::guest::GuestArgs;
use super::super::{Context, Outcome, exit};
use super::say;
use crate::term::{Align, Table, shown};
use h2k_block::Limits;
use h2k_convert::Failure;
use h2k_guest::Look;
use h2k_journal::Found;
use h2k_systemd::{Name, Scope, Units};
use serde::Serialize;
use serde_json::{Value, json};
use std::ffi::OsString;

/// Say what systemctl and systemd-analyze would say of a guest, without running it
///
/// Units are read from the guest's files, with what generators would make of fstab, crypttab and init scripts. What
/// only a running manager knows is taken from the journal, and is then as of the last boot.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    ListUnits(lists::Units),
    ListUnitFiles(lists::UnitFiles),
    ListTimers(lists::Timers),
    ListSockets(lists::Sockets),
    ListMounts(lists::Mounts),
    ListTargets(lists::Targets),
    ListFailed(lists::Failed),
    ListDependencies(ask::Dependencies),
    GetDefault(lists::Default),
    IsEnabled(ask::Enabled),
    IsActive(ask::Active),
    IsFailed(ask::Failed),
    Status(ask::Status),
    Show(ask::Show),
    Cat(ask::Cat),
    #[command(subcommand)]
    Analyze(analyze::Command),
}

impl Command {
    pub(in crate::cli) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::ListUnits(args) => args.run(context),
            Self::ListUnitFiles(args) => args.run(context),
            Self::ListTimers(args) => args.run(context),
            Self::ListSockets(args) => args.run(context),
            Self::ListMounts(args) => args.run(context),
            Self::ListTargets(args) => args.run(context),
            Self::ListFailed(args) => args.run(context),
            Self::ListDependencies(args) => args.run(context),
            Self::GetDefault(args) => args.run(context),
            Self::IsEnabled(args) => args.run(context),
            Self::IsActive(args) => args.run(context),
            Self::IsFailed(args) => args.run(context),
            Self::Status(args) => args.run(context),
            Self::Show(args) => args.run(context),
            Self::Cat(args) => args.run(context),
            Self::Analyze(command) => command.run(context),
        }
    }
}

/// Shown in the help of the commands that take units.
const UNITS: &str = "\
Units:
  DISK:UNIT names a unit of the guest on that disk; further ones may be given as :UNIT. With -a, units are
  given without a disk: -a one.img -a two.img UNIT. A name without an ending is a service's.";

/// Which guest, and which units of it.
#[derive(clap::Args, Debug)]
struct UnitArgs {
    /// The guest's disk, and units in it
    #[arg(value_name = "DISK[:UNIT]", required_unless_present = "add")]
    units: Vec<OsString>,
    /// Ask the managers of users, as far as all users share them, instead of the system's
    #[arg(long)]
    user: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

/// What a command has to answer with.
struct Asked<'a> {
    context: &'a Context,
    look: &'a Look<'a>,
    units: &'a Units<'a>,
    names: Vec<Name>,
}

impl UnitArgs {
    /// Does `work` with the units of the guest. What could not be read is told as warnings.
    fn ask(&self, context: &Context, work: impl FnOnce(&Asked<'_>) -> Outcome) -> Outcome {
        let files = self.guest.files(&self.units, &context.screen)?;
        let names: Result<Vec<Name>, Failure> = files
            .paths
            .iter()
            .filter_map(|path| name(path).transpose())
            .collect();
        let look = Look::new(&files.tree, &Limits::default());
        let scope = if self.user { Scope::User } else { Scope::System };
        let units = Units::new(&look, scope, true);
        work(&Asked {
            context,
            look: &look,
            units: &units,
            names: names?,
        })
    }
}

/// The unit that a path names: `None` for a disk alone.
fn name(path: &[u8]) -> Result<Option<Name>, Failure> {
    let text = String::from_utf8_lossy(path);
    let text = text.trim_start_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let name = Name::parse(text).or_else(|| Name::parse(&format!("{text}.service")));
    match name {
        Some(name) => Ok(Some(name)),
        None => Err(
            Failure::invalid(format!("{} cannot be the name of a unit", shown(text)))
                .advise("units are named like ssh.service, home.mount, getty@tty1.service"),
        ),
    }
}

impl Asked<'_> {
    /// The only unit asked for.
    fn one(&self) -> Result<&Name, Failure> {
        match self.names.as_slice() {
            [name] => Ok(name),
            [] => {
                Err(Failure::invalid("no unit is named").advise("name it behind the disk: DISK:ssh.service"))
            }
            _ => Err(Failure::invalid("one unit is asked about at a time")),
        }
    }

    /// Tells `report` under `key` as JSON, or `text`.
    fn tell(&self, key: &str, report: &impl Serialize, text: impl FnOnce() -> String) -> Outcome {
        let unread = self.look.take_unread();
        say(self.context, &json!({ key: report, "unread": unread }), text)?;
        if !self.context.screen.json {
            self.context.screen.unread(&unread);
        }
        Ok(exit::DONE)
    }

    /// A table; the first column is bold.
    fn table(&self, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let columns: Vec<(&str, Align)> = columns.iter().map(|c| (*c, Align::Left)).collect();
        let mut table = Table::new(&columns);
        for row in rows {
            table.row(row.iter().map(|cell| shown(cell)));
        }
        let style = self.context.screen.out;
        table.render(style, "", &|column, cell| match column {
            0 => style.bold(cell),
            _ => cell.to_owned(),
        })
    }

    /// The journal, as far as it can be read.
    fn journal(&self) -> Result<Found<'_>, Failure> {
        let found = h2k_journal::find(self.look, self.look.limits())?;
        for (path, error) in &found.unreadable {
            self.look.failed(h2k_guest::Source::named(path.clone()), error);
        }
        Ok(found)
    }

    /// What the units did in the last boot; `None` where no journal tells.
    fn last_boot(&self) -> Result<Option<(h2k_journal::Boot, h2k_journal::Units)>, Failure> {
        let found = self.journal()?;
        let boot = found.journal.last_boot();
        Ok(boot.map(|boot| (boot, found.journal.units(boot.id))))
    }
}

/// A command cannot answer without a journal.
fn no_journal() -> Failure {
    let what = "the guest has no journal that was kept, so nobody knows what units did in its last boot";
    Failure::from(h2k_block::Error::new(h2k_block::Class::NotFound, what))
        .advise("is-enabled and list-dependencies say what the next boot would start")
}

/// One word, as JSON and on a terminal.
fn word(value: impl Into<String>) -> Value {
    Value::from(value.into())
}
