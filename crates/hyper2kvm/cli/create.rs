use super::making::{MakingArgs, ToArgs};
use super::source::AccessArgs;
use super::{Context, Outcome, exit, value};
use crate::term::size;
use h2k_convert::{Create, Failure, Reference, Source, human};
use std::path::PathBuf;

/// Make an empty disk
///
/// With --backing, the new disk shows the content of another image until it is written to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  hyper2kvm create disk.qcow2 20G
  hyper2kvm create --backing base.qcow2 --backing-format qcow2 work.qcow2")]
pub(super) struct Args {
    /// The file to make
    target: PathBuf,
    /// Size of the disk; that of the backing image when not given
    #[arg(value_parser = value::bytes, required_unless_present = "backing")]
    size: Option<u64>,
    /// The image that shows through where the new one stores nothing
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "backing_format",
        help_heading = "Target"
    )]
    backing: Option<PathBuf>,
    /// Replace the target if it exists
    #[arg(long, help_heading = "Target")]
    force: bool,
    #[command(flatten)]
    to: ToArgs,
    #[command(flatten)]
    making: MakingArgs,
    #[command(flatten)]
    access: AccessArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let report = self.meant()?.run(context.stop.flag())?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            screen.say(&format!(
                "{}: {}, {}, {} on disk\n",
                screen.out.bold(&report.filename),
                report.format,
                size(report.virtual_size),
                human(report.file.actual_size.unwrap_or(report.file.length))
            ));
        }
        Ok(exit::DONE)
    }

    fn meant(self) -> Result<Create, Failure> {
        h2k_convert::local(&self.target)?;
        let mut making = self.making.making(self.to.format(&self.target)?);
        if let (Some(parent), Some(format)) = (&self.backing, self.access.backing_format) {
            let name = parent.to_str().ok_or_else(|| {
                Failure::invalid(format!(
                    "the name {} is not UTF-8 and cannot be recorded",
                    parent.display()
                ))
            })?;
            making.backing = Some(Reference {
                name: name.to_owned(),
                format,
            });
        }
        let parent = self.backing.map(|path| {
            // As it will be looked for: beside the new image.
            let beside = self.target.parent().map(|dir| dir.join(&path)).unwrap_or(path);
            Source {
                format: self.access.backing_format,
                ..self.access.source(beside)
            }
        });
        Ok(Create {
            target: self.target,
            making,
            size: self.size,
            parent,
            replace: self.force,
        })
    }
}
