use super::fixing::{self, FixArgs};
use super::guest::GuestArgs;
use super::{Context, Outcome, exit};
use h2k_convert::{Phase, Watch};
use std::path::PathBuf;

/// Say what would be changed in a guest so that it boots on KVM
///
/// Asks every fix, makes their edits in memory, and judges the result: every fix is asked again, and doctor has to say
/// that the guest boots. Nothing is written. Text edits are shown as differences, others by their sizes; each finding
/// says where it was read, and what cannot be done says why.
///
/// Exits with 0 when nothing has to be changed, with 3 when something has, with 4 when something stands in the way.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm plan server.vmdk
  hyper2kvm plan --disable linux.agents --json -a first.vmdk -a second.vmdk
  hyper2kvm plan --list")]
pub(super) struct Args {
    /// The disks of one guest, in their order; or the description of a machine: OVA, OVF, VMX, libvirt domain
    #[arg(value_name = "DISK", required_unless_present_any = ["add", "list"])]
    disks: Vec<PathBuf>,
    /// Show every fix there is
    #[arg(long)]
    list: bool,
    /// Show also what is left as it is, and where each finding was read
    #[arg(long)]
    all: bool,
    /// Show which files change, not how
    #[arg(long)]
    brief: bool,
    #[command(flatten)]
    fixes: FixArgs,
    #[command(flatten)]
    guest: GuestArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        if self.list {
            screen.say(&fixing::list(screen.out));
            return Ok(exit::DONE);
        }
        let job = self.fixes.fixing(&self.guest, &self.disks)?;
        let fixed = context.watched(|stop, progress| {
            progress.phase(Phase::Look);
            job.run(stop)
        })?;
        if screen.json {
            screen.document(&fixed.report);
        } else {
            let shows = fixing::Shows {
                all: self.all,
                diffs: !self.brief,
            };
            screen.say(&fixing::text(&fixed.report, screen.out, shows));
            // Without a system, the text has them.
            let told = fixed.report.systems.is_empty();
            for obstacle in fixed.report.unread.iter().filter(|_| !told) {
                screen.warn(&crate::term::shown(&format!(
                    "{}: {}",
                    obstacle.source, obstacle.message
                )));
            }
        }
        Ok(fixing::code(&fixed.report))
    }
}
