use super::fixing::{self, FixArgs};
use super::guest::GuestArgs;
use super::{Context, Outcome, exit};
use crate::term::{shown, size};
use h2k_convert::{FixOnly, Into};
use std::path::PathBuf;

/// Fix what keeps a guest from booting on KVM, without copying it
///
/// Does what plan shows. With --overlay the fixes go into a new qcow2 image that refers to the disk for the rest, and
/// the disk stays as it is. With --in-place they are written into raw disks and qcow2 images, into all of them or into
/// none: when that is interrupted, recover finishes it. Snapshots and parents of an image stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm fix --overlay server-fixed.qcow2 server.vmdk
  hyper2kvm fix --in-place server.raw
  hyper2kvm fix --in-place system.qcow2 data.qcow2
  hyper2kvm fix --overlay a.qcow2 --overlay b.qcow2 -a first.vmdk -a second.vmdk")]
#[command(group = clap::ArgGroup::new("into").required(true).args(["in_place", "overlay"]))]
pub(super) struct Args {
    /// The disks of one guest, in their order
    #[arg(value_name = "DISK", required_unless_present = "add")]
    disks: Vec<PathBuf>,
    /// Write the fixes into the disk itself (raw, qcow2)
    #[arg(long, help_heading = "Target")]
    in_place: bool,
    /// Write the fixes into this qcow2 image over the disk; once for each disk, in their order
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    overlay: Vec<PathBuf>,
    /// Replace images that exist
    #[arg(long, requires = "overlay", help_heading = "Target")]
    force: bool,
    /// Go on where something cannot be fixed, and leave that as it is
    #[arg(long, help_heading = "Fixes")]
    allow_partial: bool,
    #[command(flatten)]
    fixes: FixArgs,
    #[command(flatten)]
    guest: GuestArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        let job = FixOnly {
            fixing: self.fixes.fixing(&self.guest, &self.disks)?,
            into: match self.in_place {
                true => Into::InPlace,
                false => Into::Over(self.overlay),
            },
            allow_partial: self.allow_partial,
            replace: self.force,
        };
        let report = context.watched(|stop, progress| job.run(stop, progress))?;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            let mut text = fixing::text(&report.fixes, screen.out, fixing::Shows::default());
            for disk in &report.disks {
                let taken = disk.target_file.actual_size.unwrap_or(disk.target_file.length);
                text.push_str(&format!(
                    "{}: {} over {}\n",
                    shown(&disk.target),
                    size(taken),
                    shown(&disk.source)
                ));
            }
            screen.say(&text);
        }
        Ok(exit::DONE)
    }
}
