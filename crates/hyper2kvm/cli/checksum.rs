use super::guest::{GuestArgs, PATHS};
use super::ls::joined;
use super::{Context, Outcome};
use crate::term::List;
use h2k_block::{Class, Error, Limits, Meter};
use h2k_convert::{Checksums, DigestKind, Summed, hex, odd, text};
use h2k_fs::FileKind;
use h2k_guest::{Next, Visit, Walk};
use serde::Serialize;
use std::ffi::OsString;

/// Print checksums of files in a guest, in the form sha256sum prints and checks
///
/// Names with a line end or a backslash are escaped as sha256sum escapes them. Links are followed where they are named,
/// and left out below a directory.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm checksum server.vmdk:/boot/vmlinuz
  hyper2kvm checksum -r server.vmdk:/etc > etc.sha256
  hyper2kvm checksum -r --kind blake3 server.vmdk:/

{PATHS}"))]
pub(super) struct Args {
    /// Files; with -r, directories
    #[arg(value_name = "DISK:PATH", required_unless_present = "add")]
    paths: Vec<OsString>,
    /// Every regular file below the directories
    #[arg(short, long)]
    recursive: bool,
    /// Which checksum
    #[arg(long, value_name = "KIND", default_value = "sha256")]
    kind: Kind,
    /// Stay on the filesystem of the start
    #[arg(short = 'x', long)]
    one_file_system: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// As sha256sum
    Sha256,
    /// As b3sum; the fastest
    Blake3,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Item {
    name: String,
    name_bytes: Option<String>,
    size: u64,
    value: Option<String>,
    error: Option<String>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let meter = &mut Meter::new(Limits::default());
        let kind = match self.kind {
            Kind::Sha256 => DigestKind::Sha256,
            Kind::Blake3 => DigestKind::Blake3,
        };
        let starts = files.places(meter)?;
        for (path, place) in &starts {
            let about = |e: Error| files.about(path, e);
            match files.tree.stat(*place).map_err(about)?.kind {
                FileKind::File => {}
                FileKind::Dir if self.recursive => {}
                FileKind::Dir => {
                    let e = Error::new(Class::Invalid, format!("{} is a directory", text(path)));
                    return Err(about(e.advise("-r takes every file below it")));
                }
                _ => {
                    let what = format!("{} is no regular file", text(path));
                    return Err(about(Error::new(Class::Invalid, what)));
                }
            }
        }
        let mut list = List::new(&context.screen, "files");
        let mut sums = Checksums::new(&files.tree, kind, context.stop.flag());
        let mut each = |sum: Summed| {
            context.alive()?;
            if let Err(e) = &sum.digest {
                files.troubles.add(&sum.path, e);
            }
            if context.screen.json {
                list.item(&Item {
                    name: text(&sum.path),
                    name_bytes: odd(&sum.path),
                    size: sum.len,
                    value: sum.digest.as_ref().ok().map(|d| hex(d)),
                    error: sum.digest.as_ref().err().map(ToString::to_string),
                });
            } else if let Ok(digest) = &sum.digest {
                list.text(&line(digest, &sum.path));
            }
            Ok(())
        };
        let walk = Walk {
            one_filesystem: self.one_file_system,
            max_depth: None,
        };
        let mut outcome = Ok(());
        for (start, place) in starts {
            let mut visit = |visit: Visit<'_>| {
                context.alive()?;
                let path = joined(start, visit.path);
                match visit.stat {
                    Ok(stat) if stat.kind == FileKind::File => {
                        sums.add(path, visit.place, stat.len, &mut each)?;
                    }
                    Ok(_) => {}
                    Err(e) => files.troubles.add(&path, &e),
                }
                Ok(Next::Enter)
            };
            let mut damaged = |path: &[u8], e: Error| files.troubles.add(&joined(start, path), &e);
            outcome = files.tree.walk(place, walk, meter, &mut visit, &mut damaged);
            if outcome.is_err() {
                break;
            }
        }
        let outcome = outcome.and_then(|()| sums.finish(&mut each));
        files.finish(context, list, outcome, &[])
    }
}

/// `<digest>  <name>`; a name with a line end, a carriage return or a backslash is escaped, and the line then begins
/// with a backslash.
fn line(digest: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len().saturating_add(80));
    if path.iter().any(|b| matches!(b, b'\n' | b'\r' | b'\\')) {
        out.push(b'\\');
    }
    out.extend_from_slice(hex(digest).as_bytes());
    out.extend_from_slice(b"  ");
    for byte in path {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(*other),
        }
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn odd_names_are_escaped_as_sha256sum_escapes_them() {
        assert_eq!(super::line(&[1], b"/a b"), b"01  /a b\n");
        assert_eq!(super::line(&[1], b"/a\nb\\"), b"\\01  /a\\nb\\\\\n");
    }
}
