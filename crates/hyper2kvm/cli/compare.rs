use super::source::AccessArgs;
use super::{Context, Outcome, exit, value};
use crate::term::exact;
use h2k_convert::{Comparing, Format, Source};
use std::path::PathBuf;

/// Compare what two images hold, whatever their formats
///
/// Where one disk is longer than the other, the rest has to read as zero.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Exit status:\n  0  equal\n  1  different\n  2  could not be compared, or wrong usage"
)]
pub(super) struct Args {
    /// One image
    a: PathBuf,
    /// The other one
    b: PathBuf,
    /// Format of A; guessed from its content when not given
    #[arg(long, value_name = "FORMAT", value_parser = value::format())]
    from_a: Option<Format>,
    /// Format of B; guessed from its content when not given
    #[arg(long, value_name = "FORMAT", value_parser = value::format())]
    from_b: Option<Format>,
    /// The sizes have to be equal too
    #[arg(long)]
    strict: bool,
    /// Worker threads; one for each processor when not given
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
    workers: usize,
    #[command(flatten)]
    access: AccessArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let job = Comparing {
            a: Source {
                format: self.from_a,
                ..self.access.source(self.a)
            },
            b: Source {
                format: self.from_b,
                ..self.access.source(self.b)
            },
            strict: self.strict,
            workers: self.workers,
        };
        let screen = &context.screen;
        let report = context.watched(|stop, progress| job.run(stop, progress))?;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            let text = match report.first_difference {
                _ if report.equal => screen.out.green("equal"),
                Some(at) => format!(
                    "{} at byte {} ({at:#x})",
                    screen.out.yellow("different"),
                    exact(at)
                ),
                None => format!(
                    "{}: {} has {} bytes, {} has {}",
                    screen.out.yellow("different sizes"),
                    report.a,
                    exact(report.a_virtual_size),
                    report.b,
                    exact(report.b_virtual_size)
                ),
            };
            screen.say(&format!("{text}\n"));
        }
        Ok(if report.equal { exit::DONE } else { exit::DIFFERENT })
    }
}
