use super::making::{MakingArgs, ToArgs};
use super::source::SourceArgs;
use super::{Context, Outcome, exit, value};
use crate::term::{Fields, size};
use h2k_convert::{Failure, Measure, Measured};
use std::path::{Path, PathBuf};

/// Say how much room a target will need
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm measure --to qcow2 web01.vmdk
  hyper2kvm measure --to vhdx --size 2T")]
pub(super) struct Args {
    /// The image that would be converted
    #[arg(required_unless_present = "size")]
    image: Option<PathBuf>,
    /// Measure an empty disk of this size instead
    #[arg(long, value_name = "SIZE", value_parser = value::bytes, conflicts_with = "image")]
    size: Option<u64>,
    /// Read this internal snapshot instead of the current state
    #[arg(long, value_name = "NAME|ID", help_heading = "Source")]
    snapshot: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    making: MakingArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let report = self.meant()?.run(context.stop.flag())?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else {
            let mut fields = Fields::default();
            fields.add("format", report.format);
            fields.add("virtual size", size(report.virtual_size));
            fields.add("required", format!("at most {}", size(report.required)));
            fields.add("file length", size(report.length));
            fields.add("fully allocated", size(report.fully_allocated));
            screen.say(&fields.render(screen.out, ""));
        }
        Ok(exit::DONE)
    }

    fn meant(self) -> Result<Measure, Failure> {
        // There is no target whose name could say the format; qcow2 is what KVM is given.
        let making = self.making.making(self.to.format(Path::new("measured.qcow2"))?);
        let what = match (self.image, self.size) {
            (Some(image), _) => Measured::Image(self.source.source(image, self.snapshot)),
            (None, Some(size)) => Measured::Empty(size),
            (None, None) => return Err(Failure::invalid("neither an image nor a size was given")),
        };
        Ok(Measure { what, making })
    }
}
