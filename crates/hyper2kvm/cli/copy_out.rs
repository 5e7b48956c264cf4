use super::guest::{GuestArgs, PATHS};
use super::{Context, Outcome};
use crate::term::shown;
use h2k_convert::{CopyOut, CopyOutReport, human};
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// Copy files and directories out of a guest
///
/// Modes, times, hard links, holes and extended attributes are kept; owners where the host permits it, which is to root
/// only, and with them set-user-ID bits and capabilities. A link named on the command line is followed inside the guest;
/// links below are copied as links. Nothing the guest says leads out of the destination. Each file appears under its name
/// when it is whole; what cannot be copied is named, and the rest is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm copy-out server.vmdk:/etc/fstab .
  hyper2kvm copy-out server.vmdk:/etc :/var/log out/
  hyper2kvm copy-out server.qcow2:/boot new-name

{PATHS}"))]
pub(super) struct Args {
    /// What to copy
    #[arg(value_name = "DISK:PATH", required = true)]
    paths: Vec<OsString>,
    /// A directory to copy into; or, for one source, a new name
    #[arg(value_name = "TO", required = true)]
    to: PathBuf,
    /// Replace files that are there, and copy into directories that are
    #[arg(short, long)]
    force: bool,
    /// Leave everything to whoever runs this, and security attributes out
    #[arg(long)]
    no_owner: bool,
    /// Make devices and named pipes, too
    #[arg(long)]
    devices: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    copied: CopyOutReport,
    warnings: serde_json::Value,
    errors: serde_json::Value,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let screen = &context.screen;
        let job = CopyOut {
            from: files.paths,
            to: self.to,
            force: self.force,
            owners: !self.no_owner && rustix::process::geteuid().is_root(),
            devices: self.devices,
        };
        let copied = job.run(&files.tree, context.stop.flag(), &mut |path, e| {
            files.troubles.add(path, e)
        });
        let copied = copied?;
        if screen.json {
            screen.document(&Report {
                copied,
                warnings: files.warnings,
                errors: files.troubles.json().1,
            });
            return Ok(files.troubles.code());
        }
        for skipped in &copied.skipped {
            let line = format!("{} is left out: {}", skipped.name, skipped.message);
            screen.note(&format!("{} {}", screen.err.dim("note:"), shown(&line)));
        }
        screen.note(&format!(
            "copied {} files ({}), {} directories, {} links",
            copied.files,
            human(copied.bytes),
            copied.directories,
            copied.symlinks.saturating_add(copied.hard_links)
        ));
        Ok(files.troubles.code())
    }
}
