use super::source::SourceArgs;
use super::{Context, Outcome, exit, value};
use crate::term::size;
use h2k_convert::{Resize, Resizing};
use std::path::PathBuf;

/// Change the size of a disk in place
///
/// New space reads as zero. raw and qcow2 images are resized in place; other formats through convert --resize.
/// A change that is interrupted leaves a redo log beside the image: hyper2kvm recover finishes it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm resize disk.qcow2 +10G
  hyper2kvm resize --shrink disk.raw 8G")]
pub(super) struct Args {
    /// The image
    image: PathBuf,
    /// The new size, or with + how much more
    #[arg(value_name = "[+]SIZE", value_parser = value::resize)]
    size: Resize,
    /// Let the end of the disk be cut off with everything in it
    #[arg(long)]
    shrink: bool,
    #[command(flatten)]
    source: SourceArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let job = Resizing {
            image: self.source.source(self.image, None),
            size: self.size,
            shrink: self.shrink,
        };
        let report = job.run()?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            screen.say(&format!(
                "{}: {}, was {}\n",
                screen.out.bold(&report.filename),
                size(report.new_size),
                size(report.old_size)
            ));
        }
        Ok(exit::DONE)
    }
}
