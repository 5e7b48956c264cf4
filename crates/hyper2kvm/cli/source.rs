use super::value;
use clap::Args;
use h2k_convert::{Format, Sharing, Source};
use std::path::PathBuf;

/// How an image is opened.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Source")]
pub(super) struct SourceArgs {
    /// Format of the image; guessed from its content when not given
    ///
    /// A raw disk whose guest may have written anything into its first bytes should be named raw: a guess could
    /// mistake it for another format.
    #[arg(long, value_name = "FORMAT", value_parser = value::format())]
    pub(super) from: Option<Format>,
    #[command(flatten)]
    pub(super) access: AccessArgs,
}

/// What may be opened besides the file that was named.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Source")]
pub(super) struct AccessArgs {
    /// Format of a parent whose child does not record it
    ///
    /// It is never guessed: the guest can write anything into a raw parent.
    #[arg(long, value_name = "FORMAT", value_parser = value::format())]
    pub(super) backing_format: Option<Format>,
    /// Also open parents and extents in this directory; may be repeated
    ///
    /// Files that an image names (its parent, its extents) are opened only in the image's own directory and below,
    /// and in the directories named here.
    #[arg(long, value_name = "DIR")]
    pub(super) allow_dir: Vec<PathBuf>,
    /// Read a disk that is in use; what is read may be inconsistent
    #[arg(long)]
    pub(super) force_share: bool,
}

impl SourceArgs {
    /// The image at `path`, opened as these say.
    pub(super) fn source(&self, path: PathBuf, snapshot: Option<String>) -> Source {
        Source {
            format: self.from,
            snapshot,
            ..self.access.source(path)
        }
    }
}

impl AccessArgs {
    /// The image at `path`, its format yet to be found out.
    pub(super) fn source(&self, path: PathBuf) -> Source {
        Source {
            parent_format: self.backing_format,
            allow: self.allow_dir.clone(),
            sharing: if self.force_share {
                Sharing::Force
            } else {
                Sharing::Careful
            },
            ..Source::new(path)
        }
    }
}
