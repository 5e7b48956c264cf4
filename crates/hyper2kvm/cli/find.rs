use super::guest::{GuestArgs, PATHS};
use super::ls::joined;
use super::{Context, Outcome, value};
use crate::glob::Glob;
use crate::term::List;
use h2k_block::{Limits, Meter};
use h2k_convert::FileEntry;
use h2k_fs::{FileKind, Stat};
use h2k_guest::{Next, Visit, Walk};
use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Find files in a guest by name, type, size
///
/// Paths are printed as find does: the start as it was given, then what lies below, names in byte order. All conditions
/// have to hold. Links are not followed below the start.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm find server.vmdk:/etc --name '*.conf'
  hyper2kvm find server.vmdk:/ --type f --size +100M
  hyper2kvm find -0 server.qcow2:/home --iname '*.jpg' | xargs -0 -n1 echo

{PATHS}"))]
pub(super) struct Args {
    /// Where to begin
    #[arg(value_name = "DISK:PATH", required_unless_present = "add")]
    paths: Vec<OsString>,
    /// Only names that match: * any bytes, ? one, [a-z] one of these
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    name: Option<OsString>,
    /// As --name, capitals and small letters (of ASCII) taken for the same
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    iname: Option<OsString>,
    /// Only paths that match as a whole; * matches slashes, too
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    path: Option<OsString>,
    /// Only things of this type
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Option<Type>,
    /// Only regular files of exactly this size; more than it with +, less with -
    #[arg(long, value_name = "[+-]SIZE", allow_hyphen_values = true, value_parser = size)]
    size: Option<Size>,
    /// Go no deeper than this; the start has depth 0
    #[arg(long, value_name = "N")]
    max_depth: Option<usize>,
    /// Stay on the filesystem of the start
    #[arg(short = 'x', long)]
    one_file_system: bool,
    /// End each path with a NUL instead of a line end: safe for any name
    #[arg(short = '0', long = "print0")]
    print0: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Type {
    /// Regular files
    F,
    /// Directories
    D,
    /// Symbolic links
    L,
    /// Character devices
    C,
    /// Block devices
    B,
    /// Named pipes
    P,
    /// Sockets
    S,
}

impl Type {
    fn is(self, kind: FileKind) -> bool {
        kind == match self {
            Self::F => FileKind::File,
            Self::D => FileKind::Dir,
            Self::L => FileKind::Link,
            Self::C => FileKind::CharDevice,
            Self::B => FileKind::BlockDevice,
            Self::P => FileKind::Fifo,
            Self::S => FileKind::Socket,
        }
    }
}

/// A size, and how the file's has to compare with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(Ordering, u64);

fn size(text: &str) -> Result<Size, String> {
    let (order, rest) = match text.strip_prefix('+') {
        Some(rest) => (Ordering::Greater, rest),
        None => match text.strip_prefix('-') {
            Some(rest) => (Ordering::Less, rest),
            None => (Ordering::Equal, text),
        },
    };
    value::bytes(rest).map(|bytes| Size(order, bytes))
}

/// What is looked for.
struct Wanted<'a> {
    args: &'a Args,
    name: Option<Glob>,
    path: Option<Glob>,
}

impl Wanted<'_> {
    fn has(&self, name: &[u8], path: &[u8], stat: Option<&Stat>) -> bool {
        let named = self.name.as_ref().is_none_or(|glob| glob.matches(name));
        let placed = self.path.as_ref().is_none_or(|glob| glob.matches(path));
        let kind = |t: Type| stat.is_some_and(|s| t.is(s.kind));
        let sized = |Size(order, bytes): Size| {
            stat.is_some_and(|s| s.kind == FileKind::File && s.len.cmp(&bytes) == order)
        };
        named && placed && self.args.kind.is_none_or(kind) && self.args.size.is_none_or(sized)
    }
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let mut meter = Meter::new(Limits::default());
        let glob = |text: &OsString, fold: bool| Glob::new(text.clone().into_vec(), fold);
        let name = self.name.as_ref().map(|n| glob(n, false));
        let wanted = Wanted {
            args: &self,
            name: name.or_else(|| self.iname.as_ref().map(|n| glob(n, true))),
            path: self.path.as_ref().map(|p| glob(p, false)),
        };
        let walk = Walk {
            one_filesystem: self.one_file_system,
            max_depth: self.max_depth,
        };
        let mut list = List::new(&context.screen, "files");
        let end = if self.print0 { b"\0" } else { b"\n" };
        let mut outcome = Ok(());
        for (start, place) in files.places(&mut meter)? {
            let mut each = |visit: Visit<'_>| {
                context.alive()?;
                let path = joined(start, visit.path);
                let own = h2k_fs::parts(&path).last().unwrap_or(b"/");
                if let Err(e) = &visit.stat {
                    files.troubles.add(&path, e);
                }
                if !wanted.has(own, &path, visit.stat.as_ref().ok()) {
                    return Ok(Next::Enter);
                }
                if context.screen.json {
                    list.item(&FileEntry::new(&path, visit.place, &visit.stat, &files.tree));
                } else if self.print0 {
                    list.text(&[&path[..], end].concat());
                } else {
                    list.text(&[&context.screen.name(&path)[..], end].concat());
                }
                Ok(Next::Enter)
            };
            let mut damaged = |path: &[u8], e: h2k_block::Error| files.troubles.add(&joined(start, path), &e);
            outcome = files.tree.walk(place, walk, &mut meter, &mut each, &mut damaged);
            if outcome.is_err() {
                break;
            }
        }
        files.finish(context, list, outcome, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_compared_as_they_are_written() {
        assert_eq!(size("+1K"), Ok(Size(Ordering::Greater, 1024)));
        assert_eq!(size("-1M"), Ok(Size(Ordering::Less, 1 << 20)));
        assert_eq!(size("7"), Ok(Size(Ordering::Equal, 7)));
        assert!(size("+").is_err());
    }
}
