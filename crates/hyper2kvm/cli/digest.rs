use super::source::SourceArgs;
use super::{Context, Outcome, exit};
use h2k_convert::{DigestKind, Digesting};
use std::path::PathBuf;

/// How content is digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// BLAKE3 of all bytes: the fastest that covers every byte
    Blake3,
    /// SHA-256 of all bytes: what sha256sum says of the raw disk
    Sha256,
    /// BLAKE3 of the 64 KiB blocks that are not zero, with their offsets: does not read holes
    Sparse,
}

impl From<Kind> for DigestKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Blake3 => Self::Blake3,
            Kind::Sha256 => Self::Sha256,
            Kind::Sparse => Self::Sparse,
        }
    }
}

/// Digest the content of a disk, whatever format holds it
///
/// Two images with the same content have the same digest. With --kind sha256 it is what sha256sum says of the disk
/// converted to raw.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    image: PathBuf,
    /// How
    #[arg(long, value_name = "KIND", default_value = "blake3")]
    kind: Kind,
    /// Read this internal snapshot instead of the current state
    #[arg(long, value_name = "NAME|ID")]
    snapshot: Option<String>,
    /// Worker threads; one for each processor when not given
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
    workers: usize,
    #[command(flatten)]
    source: SourceArgs,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let job = Digesting {
            source: self.source.source(self.image, self.snapshot),
            kind: self.kind.into(),
            workers: self.workers,
        };
        let screen = &context.screen;
        let report = context.watched(|stop, progress| job.run(stop, progress))?;
        if screen.json {
            screen.document(&report);
        } else {
            // As sha256sum prints it, so that the lines can be sorted and compared.
            screen.say(&format!("{}  {}\n", report.digest.value, report.filename));
        }
        Ok(exit::DONE)
    }
}
