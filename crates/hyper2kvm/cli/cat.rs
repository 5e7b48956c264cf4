use super::guest::{GuestArgs, PATHS};
use super::{Context, Outcome, exit};
use h2k_block::{Class, Error, Limits, Meter, Result};
use h2k_convert::{Failure, hex, odd, text};
use h2k_fs::FileKind;
use h2k_guest::{Place, Tree};
use serde::Serialize;
use std::ffi::OsString;

/// Print the content of files in a guest
///
/// Files are written to standard output as they are, one after the other. Links are followed inside the guest.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm cat server.vmdk:/etc/os-release
  hyper2kvm cat server.qcow2:/etc/fstab :/etc/hosts
  hyper2kvm cat -a one.img -a two.img /var/log/syslog

{PATHS}"))]
pub(super) struct Args {
    /// The files
    #[arg(value_name = "DISK:PATH", required = true)]
    paths: Vec<OsString>,
    #[command(flatten)]
    guest: GuestArgs,
}

/// How much is read at once.
const PIECE: usize = 1 << 20;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Content {
    name: String,
    name_bytes: Option<String>,
    size: u64,
    content: Option<String>,
    content_bytes: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    files: Vec<Content>,
    warnings: serde_json::Value,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let meter = &mut Meter::new(Limits::default());
        let places = files.places(meter)?;
        for (path, place) in &places {
            readable(&files.tree, *place, path).map_err(|e| files.about(path, e))?;
        }
        if context.screen.json {
            let contents: std::result::Result<_, Failure> = places
                .into_iter()
                .map(|(path, place)| {
                    content(&files.tree, path, place, meter).map_err(|e| files.about(path, e))
                })
                .collect();
            context.screen.document(&Report {
                files: contents?,
                warnings: files.warnings,
            });
            return Ok(exit::DONE);
        }
        for (path, place) in places {
            let written = write(&files.tree, place, context).map_err(|e| files.about(path, e));
            context.ended(written.map(|()| exit::DONE))?;
        }
        Ok(exit::DONE)
    }
}

fn readable(tree: &Tree, place: Place, path: &[u8]) -> Result<()> {
    let shown = text(path);
    match tree.stat(place)?.kind {
        FileKind::File => Ok(()),
        FileKind::Dir => {
            let error = Error::new(Class::Invalid, format!("{shown} is a directory"));
            Err(error.advise("ls lists it, copy-out copies it"))
        }
        _ => Err(Error::new(
            Class::Invalid,
            format!("{shown} is a device, a pipe or a socket: it has no content on the disk"),
        )),
    }
}

fn write(tree: &Tree, file: Place, context: &Context) -> Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0_u64;
    loop {
        context.alive()?;
        let read = tree.read_at(file, at, &mut piece)?;
        if read == 0 {
            return Ok(());
        }
        context.screen.raw(piece.get(..read).unwrap_or_default());
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

fn content(tree: &Tree, path: &[u8], file: Place, meter: &mut Meter) -> Result<Content> {
    let bytes = tree.read_file(file, meter)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (content, content_bytes) = match String::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(e) => (None, Some(hex(e.as_bytes()))),
    };
    Ok(Content {
        name: text(path),
        name_bytes: odd(path),
        size,
        content,
        content_bytes,
    })
}
