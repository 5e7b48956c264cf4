use super::guest::{GuestArgs, GuestFiles, PATHS};
use super::{Context, Outcome};
use crate::term::{List, utc};
use h2k_block::{Error, Limits, Meter, Result};
use h2k_convert::{FileEntry, odd, text};
use h2k_fs::{FileKind, Stat};
use h2k_guest::{Next, Place, Walk};
use serde::Serialize;
use std::ffi::OsString;

/// List directories in a guest
///
/// Without a path, the root. Names that begin with a dot are left out, as in ls, unless --all is given. Names are
/// written as they are to a pipe or file; on a terminal, what would command it is shown as escapes. Owners are numbers,
/// times are UTC.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm ls server.vmdk:/etc
  hyper2kvm ls -lA server.vmdk:/root
  hyper2kvm ls -R --json -m /dev/sda1:/ server.vmdk:

{PATHS}"))]
pub(super) struct Args {
    /// Directories, or files
    #[arg(value_name = "DISK:PATH", required_unless_present = "add")]
    paths: Vec<OsString>,
    /// Show permissions, links, owner, group, size and time as well
    #[arg(short, long)]
    long: bool,
    /// Show names that begin with a dot, too
    #[arg(short = 'A', long)]
    all: bool,
    /// List everything below, directory by directory
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Directory {
    name: String,
    name_bytes: Option<String>,
    entries: Vec<FileEntry>,
}

/// A name, what it stands for, and what that is.
type Line = (Vec<u8>, Place, Result<Stat>);

struct Run<'a> {
    args: &'a Args,
    context: &'a Context,
    files: &'a GuestFiles<'a>,
    list: List<'a>,
    /// Whether directories get a heading.
    headings: bool,
    first: bool,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let meter = &mut Meter::new(Limits::default());
        let mut others = Vec::new();
        let mut directories = Vec::new();
        for path in &files.paths {
            let about = |e: Error| files.about(path, e);
            // With -l a link is shown itself, as in ls; else what it leads to.
            let named = if self.long {
                files.tree.find_itself(path, meter)
            } else {
                files.tree.find(path, meter)
            };
            let place = named.map_err(about)?;
            let stat = files.tree.stat(place).map_err(about)?;
            match stat.kind {
                FileKind::Dir => directories.push((path, place)),
                _ => others.push((path.clone(), place, Ok(stat))),
            }
        }
        let mut run = Run {
            headings: files.paths.len() > 1 || self.recursive,
            args: &self,
            context,
            files: &files,
            list: List::new(&context.screen, "listings"),
            first: true,
        };
        if !others.is_empty() {
            run.show(None, &others);
        }
        let mut outcome = Ok(());
        for (path, place) in directories {
            outcome = run
                .directory(path, place, meter)
                .map_err(|e| e.through(text(path)));
            if outcome.is_err() {
                break;
            }
        }
        files.finish(context, run.list, outcome, &[])
    }
}

impl Run<'_> {
    fn directory(&mut self, path: &[u8], start: Place, meter: &mut Meter) -> Result<()> {
        let walk = Walk {
            max_depth: Some(if self.args.recursive { usize::MAX } else { 0 }),
            ..Walk::default()
        };
        // Only directories are walked into here; each is listed as a whole.
        let tree = &self.files.tree;
        let mut inner = Meter::new(meter.left());
        tree.walk(
            start,
            walk,
            meter,
            &mut |visit| {
                self.context.alive()?;
                if visit.stat.as_ref().is_ok_and(|s| s.kind != FileKind::Dir) {
                    return Ok(Next::Pass);
                }
                if self.hidden(visit.name()) {
                    return Ok(Next::Pass);
                }
                if visit.stat.is_err() {
                    return Ok(Next::Pass); // Told of where its directory was listed.
                }
                let full = joined(path, visit.path);
                let (names, trouble) = tree.sorted(visit.place, &mut inner)?;
                if let Some(e) = trouble {
                    self.files.troubles.add(&full, &e);
                }
                let names = names.into_iter().filter(|(name, _)| !self.hidden(name));
                let lines: Vec<Line> = names
                    .map(|(name, place)| (name, place, tree.stat(place)))
                    .collect();
                for (name, _, stat) in &lines {
                    if let Err(e) = stat {
                        self.files.troubles.add(&joined(&full, name), e);
                    }
                }
                self.show(Some(&full), &lines);
                Ok(if self.args.recursive {
                    Next::Enter
                } else {
                    Next::Stop
                })
            },
            &mut |_, _| {}, // Told of above.
        )
    }

    fn hidden(&self, name: &[u8]) -> bool {
        !self.args.all && name.first() == Some(&b'.')
    }

    fn show(&mut self, directory: Option<&[u8]>, lines: &[Line]) {
        let screen = &self.context.screen;
        if screen.json {
            let path = directory.unwrap_or_default();
            let entries = lines.iter();
            let entries =
                entries.map(|(name, place, stat)| FileEntry::new(name, *place, stat, &self.files.tree));
            self.list.item(&Directory {
                name: text(path),
                name_bytes: odd(path),
                entries: entries.collect(),
            });
            return;
        }
        if self.headings
            && let Some(path) = directory
        {
            let gap: &[u8] = if self.first { b"" } else { b"\n" };
            self.list.text(&[gap, &screen.name(path), b":\n"].concat());
        }
        self.first = false;
        if !self.args.long {
            for (name, ..) in lines {
                self.list.text(&screen.name(name));
                self.list.text(b"\n");
            }
            return;
        }
        let cells: Vec<[String; 6]> = lines.iter().map(|(_, _, stat)| long(stat)).collect();
        let width = |i: usize| {
            cells
                .iter()
                .filter_map(|c| c.get(i))
                .map(String::len)
                .max()
                .unwrap_or(0)
        };
        let [mode, links, uid, gid, size, time] = [0, 1, 2, 3, 4, 5].map(width);
        for ((name, place, stat), cell) in lines.iter().zip(&cells) {
            let [a, b, c, d, e, f] = cell;
            let line = format!("{a:<mode$} {b:>links$} {c:>uid$} {d:>gid$} {e:>size$} {f:<time$} ");
            self.list.text(line.as_bytes());
            self.list.text(&screen.name(name));
            if stat.as_ref().is_ok_and(|s| s.kind == FileKind::Link) {
                let target = self.files.tree.target(*place).unwrap_or_else(|_| b"?".to_vec());
                self.list.text(b" -> ");
                self.list.text(&screen.name(&target));
            }
            self.list.text(b"\n");
        }
    }
}

/// Mode, links, owner, group, size or device, time.
fn long(stat: &Result<Stat>) -> [String; 6] {
    let unknown = || "?".to_owned();
    let Ok(stat) = stat else {
        return [
            "?".repeat(10),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
        ];
    };
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    [
        mode(stat),
        stat.links.to_string(),
        number(stat.uid),
        number(stat.gid),
        match stat.device {
            Some((major, minor)) => format!("{major}, {minor}"),
            None => stat.len.to_string(),
        },
        utc(stat.modified.seconds).trim_end_matches(" UTC").to_owned(),
    ]
}

/// `drwxr-xr-t`; `d---------` becomes `d?????????` where the filesystem keeps no permissions.
pub(super) fn mode(stat: &Stat) -> String {
    let mut out = String::from(stat.kind.letter());
    let Some(mode) = stat.mode else {
        out.push_str("?????????");
        return out;
    };
    for (shift, special, set, unset) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = mode.checked_shr(shift).unwrap_or(0);
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (bits & 1 != 0, mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => set,
            (false, true) => unset,
        });
    }
    out
}

/// `dir/name`, whatever slashes `dir` ends with.
pub(super) fn joined(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if name.is_empty() {
        return dir.to_vec();
    }
    let end = dir
        .iter()
        .rposition(|b| *b != b'/')
        .map_or(0, |i| i.saturating_add(1));
    [dir.get(..end).unwrap_or_default(), b"/", name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_by_one_slash() {
        assert_eq!(joined(b"/", b"etc"), b"/etc");
        assert_eq!(joined(b"/etc//", b"x/y"), b"/etc/x/y");
        assert_eq!(joined(b"/etc", b""), b"/etc");
    }
}
