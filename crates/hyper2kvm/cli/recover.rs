use super::{Context, Outcome, exit};
use h2k_convert::{Recover, Source};
use std::path::PathBuf;

/// Finish a change in place that was interrupted
///
/// fix --in-place, check --repair --in-place and resize write what they are going to change into a redo log beside the
/// image (IMAGE.h2k-redo) first. Where such a log is left, the change was interrupted, and no other command opens the
/// image until this one has finished the change or found that it had not begun. Where fix changes several disks, the
/// log lies beside the first and a note beside the others: recovering one finishes all.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    image: PathBuf,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let report = Recover {
            image: Source::new(self.image),
        }
        .run()?;
        let screen = &context.screen;
        if screen.json {
            screen.document(&report);
        } else if !screen.quiet {
            let what = match (report.log_found, report.recovered) {
                (true, true) => "the interrupted change is complete now",
                (true, false) => {
                    "nothing of the interrupted change is left to do: it had not begun, or was complete"
                }
                (false, _) => "nothing to recover",
            };
            screen.say(&format!("{}: {what}\n", screen.out.bold(&report.filename)));
        }
        Ok(exit::DONE)
    }
}
