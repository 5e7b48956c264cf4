use super::guest::{GuestArgs, PATHS};
use super::{Context, Outcome};
use h2k_block::Output;
use h2k_convert::{Failure, FileOut, TarOut, TarOutReport, human};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Write files of a guest as a tar archive
///
/// In pax format, with owners, times to the nanosecond, hard links, extended attributes, and without the holes of sparse
/// files, as GNU tar and bsdtar read them. Members are named from the directory given: ./fstab of /etc/fstab. The same
/// guest makes the same archive. Needs no root; the owners are in the archive.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm tar-out server.vmdk:/etc etc.tar
  hyper2kvm tar-out server.vmdk:/ - | zstd > server.tar.zst
  tar --xattrs --xattrs-include='*' -xf etc.tar

{PATHS}"))]
pub(super) struct Args {
    /// The directory, or one file
    #[arg(value_name = "DISK:PATH")]
    path: OsString,
    /// The archive; - is standard output
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Replace an archive that is there
    #[arg(short, long)]
    force: bool,
    /// Leave extended attributes out
    #[arg(long)]
    no_xattrs: bool,
    /// Store holes as the zeros they are: for readers that know no sparse files
    #[arg(long)]
    no_sparse: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    archived: TarOutReport,
    filename: String,
    warnings: serde_json::Value,
    errors: serde_json::Value,
}

/// How much is written at once.
const PIECE: usize = 1 << 20;

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let screen = &context.screen;
        let to_stdout = self.to.as_os_str() == "-";
        if to_stdout && screen.json {
            return Err(
                Failure::invalid("standard output cannot hold both the archive and a JSON document")
                    .advise("name a file for the archive, or leave --json out"),
            );
        }
        let files = self.guest.files(&[self.path], screen)?;
        let job = TarOut {
            from: files.paths.into_iter().next().unwrap_or_else(|| b"/".to_vec()),
            xattrs: !self.no_xattrs,
            sparse: !self.no_sparse,
        };
        let stop = context.stop.flag();
        let mut trouble = |path: &[u8], e: &h2k_block::Error| files.troubles.add(path, e);
        let wrong = |e: h2k_block::Error| Failure::from(e).about(&self.to);
        let archived = if to_stdout {
            let mut out = BufWriter::with_capacity(PIECE, std::io::stdout().lock());
            let report = job.run(&files.tree, &mut out, stop, &mut trouble)?;
            out.flush().map_err(|e| wrong(e.into()))?;
            report
        } else {
            // Not finished is not there: the file gets its name at the end.
            let mut output = Output::new(self.force);
            let file = output.create(&self.to).map_err(wrong)?;
            let mut out = BufWriter::with_capacity(PIECE, FileOut::new(file));
            let report = job.run(&files.tree, &mut out, stop, &mut trouble);
            let report = report.map_err(|e| e.about(&self.to))?;
            let out = out.into_inner().map_err(|e| wrong(e.into_error().into()))?;
            out.finish().map_err(wrong)?;
            output.commit().map_err(wrong)?;
            report
        };
        if screen.json {
            screen.document(&Report {
                archived,
                filename: self.to.display().to_string(),
                warnings: files.warnings,
                errors: files.troubles.json().1,
            });
        } else {
            screen.note(&format!(
                "archived {} members, {} of content",
                archived.members,
                human(archived.bytes)
            ));
        }
        Ok(files.troubles.code())
    }
}
