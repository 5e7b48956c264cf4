use super::source::SourceArgs;
use super::{Context, Outcome, exit, info};
use h2k_convert::{ImageReport, SnapshotReport};
use serde::Serialize;
use std::path::PathBuf;

/// List the internal snapshots of an image
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(List),
}

/// List the internal snapshots of an image
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The image
    image: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Serialize)]
struct Report {
    filename: String,
    snapshots: Vec<SnapshotReport>,
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::List(args) => args.run(context),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Outcome {
        // Snapshots are the image's own: its parents need not be there.
        let opened = self.source.source(self.image, None).open_alone()?;
        let image = ImageReport::of(&opened.info);
        let screen = &context.screen;
        if screen.json {
            screen.document(&Report {
                filename: image.filename,
                snapshots: image.snapshots,
            });
        } else if image.snapshots.is_empty() {
            screen.note(&format!("{} has no internal snapshots", image.filename));
        } else {
            screen.say(&info::snapshots(&image.snapshots, screen.out, ""));
        }
        Ok(exit::DONE)
    }
}
