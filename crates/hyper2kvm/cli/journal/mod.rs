//! The journal of a guest: what it logged.

mod about;
mod files;
mod query;
mod startup;
mod when;

use super::guest::DiskArgs;
use super::{Context, Outcome};
use crate::term::shown;
use h2k_block::Limits;
use h2k_convert::Failure;
use h2k_guest::Look;
use h2k_journal::{Found, Id, Journal, find};

/// Read what a guest logged: systemd's journal, its boots, failed units and start-up times
///
/// The journal files below /var/log/journal (and /run/log/journal, where that is on a disk) are read as one, in the
/// order and the forms that journalctl has. Nothing of the guest is run. Times are UTC unless --local is given.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Query(Box<query::Args>),
    Errors(query::Errors),
    Warnings(query::Warnings),
    Export(query::Export),
    Cursor(query::Cursor),
    Boots(about::Boots),
    Failed(about::Failed),
    Startup(startup::Args),
    DiskUsage(files::DiskUsage),
    Verify(files::Verify),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Query(args) => args.run(context),
            Self::Errors(args) => args.run(context),
            Self::Warnings(args) => args.run(context),
            Self::Export(args) => args.run(context),
            Self::Cursor(args) => args.run(context),
            Self::Boots(args) => args.run(context),
            Self::Failed(args) => args.run(context),
            Self::Startup(args) => args.run(context),
            Self::DiskUsage(args) => args.run(context),
            Self::Verify(args) => args.run(context),
        }
    }
}

impl DiskArgs {
    /// Does `work` with the journal of the guest.
    fn journal(&self, context: &Context, work: impl FnOnce(&Found<'_>, &Look<'_>) -> Outcome) -> Outcome {
        let limits = limits();
        let assembled = self.assembled(&context.screen)?;
        let look = Look::new(&assembled.tree, &limits);
        let found = find(&look, &limits)?;
        for (path, error) in &found.unreadable {
            context.screen.warn(&shown(&format!("{path}: {error}")));
        }
        for file in found.journal.files() {
            for warning in file.warnings() {
                let line = shown(&format!("{}: {warning}", file.name()));
                context
                    .screen
                    .note(&format!("{} {line}", context.screen.err.dim("note:")));
            }
        }
        work(&found, &look)
    }
}

impl DiskArgs {
    /// Does `work` with the journal of the guest and the boot that is `named`.
    fn boot(
        &self,
        named: &str,
        context: &Context,
        work: impl FnOnce(&Journal<'_>, Id) -> Outcome,
    ) -> Outcome {
        self.journal(context, |found, _| {
            let journal = &found.journal;
            if journal.files().is_empty() {
                return Err(none());
            }
            work(journal, when::boot(named, &journal.boots())?)
        })
    }
}

/// What one call on a journal may cost: an active server has some GiB of journals.
fn limits() -> Limits {
    Limits {
        bytes: Limits::default().bytes.saturating_mul(16),
        steps: Limits::default().steps.saturating_mul(16),
        ..Limits::default()
    }
}

/// There is no journal, which is not the same as an empty one.
fn none() -> Failure {
    Failure::from(h2k_block::Error::new(
        h2k_block::Class::NotFound,
        "the guest has no journal files below /var/log/journal",
    ))
    .advise("its journal may have been kept in memory only; `journal query` shows /var/log/messages or syslog instead")
}
