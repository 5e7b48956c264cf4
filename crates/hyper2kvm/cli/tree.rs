use super::guest::{GuestArgs, GuestFiles, PATHS};
use super::ls::joined;
use super::{Context, Outcome};
use crate::term::{List, fancy};
use h2k_block::{Limits, Meter, Result};
use h2k_convert::FileEntry;
use h2k_fs::FileKind;
use h2k_guest::Place;
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsString;

/// Draw what lies below a directory in a guest
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm tree server.vmdk:/boot
  hyper2kvm tree -L 2 server.vmdk:/

{PATHS}"))]
pub(super) struct Args {
    /// Where to begin
    #[arg(value_name = "DISK:PATH", required_unless_present = "add")]
    path: Option<OsString>,
    /// Show names that begin with a dot, too
    #[arg(short = 'A', long)]
    all: bool,
    /// Directories only
    #[arg(short, long)]
    directories: bool,
    /// Go so many levels deep
    #[arg(short = 'L', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    level: Option<u64>,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
struct Item {
    depth: usize,
    #[serde(flatten)]
    entry: FileEntry,
}

/// A name that is still to be drawn.
struct Pending {
    path: Vec<u8>,
    name: Vec<u8>,
    place: Place,
    depth: usize,
    last: bool,
}

struct Run<'a> {
    args: &'a Args,
    context: &'a Context,
    files: &'a GuestFiles<'a>,
    list: List<'a>,
    directories: u64,
    others: u64,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let paths: Vec<OsString> = self.path.iter().cloned().collect();
        let files = self.guest.files(&paths, &context.screen)?;
        let mut run = Run {
            args: &self,
            context,
            files: &files,
            list: List::new(&context.screen, "files"),
            directories: 0,
            others: 0,
        };
        let meter = &mut Meter::new(Limits::default());
        let mut outcome = Ok(());
        for (start, place) in files.places(meter)? {
            outcome = run.draw(start, place, meter);
        }
        if outcome.is_ok() && !context.screen.json {
            let count = format!("\n{} directories, {} files\n", run.directories, run.others);
            run.list.text(count.as_bytes());
        }
        let more = [
            ("directories", run.directories.into()),
            ("others", run.others.into()),
        ];
        files.finish(context, run.list, outcome, &more)
    }
}

impl Run<'_> {
    fn draw(&mut self, start: &[u8], place: Place, meter: &mut Meter) -> Result<()> {
        let screen = &self.context.screen;
        if !screen.json {
            self.list.text(&[&screen.name(start)[..], b"\n"].concat());
        }
        let deepest = self
            .args
            .level
            .and_then(|l| usize::try_from(l).ok())
            .unwrap_or(usize::MAX);
        let lines = if fancy() {
            ["│   ", "    ", "├── ", "└── "]
        } else {
            ["|   ", "    ", "|-- ", "`-- "]
        };
        let [bar, blank, tee, corner] = lines;
        // Whether the directory drawn at each level was the last of its own.
        let mut closed: Vec<bool> = Vec::new();
        let mut seen = HashSet::from([place]);
        let mut todo = Vec::new();
        self.enter(start, place, 1, meter, &mut todo)?;
        while let Some(next) = todo.pop() {
            self.context.alive()?;
            let stat = self.files.tree.stat(next.place);
            let is_dir = stat.as_ref().is_ok_and(|s| s.kind == FileKind::Dir);
            if let Err(e) = &stat {
                self.files.troubles.add(&next.path, e);
            }
            if is_dir {
                self.directories = self.directories.saturating_add(1);
            } else {
                self.others = self.others.saturating_add(1);
            }
            closed.truncate(next.depth.saturating_sub(1));
            let entry = FileEntry::new(&next.name, next.place, &stat, &self.files.tree);
            if screen.json {
                self.list.item(&Item {
                    depth: next.depth,
                    entry,
                });
            } else {
                for done in &closed {
                    self.list.text(if *done { blank } else { bar }.as_bytes());
                }
                self.list.text(if next.last { corner } else { tee }.as_bytes());
                self.list.text(&screen.name(&next.name));
                if stat.is_ok_and(|s| s.kind == FileKind::Link) {
                    let target = self
                        .files
                        .tree
                        .target(next.place)
                        .unwrap_or_else(|_| b"?".to_vec());
                    self.list.text(&[b" -> ", &screen.name(&target)[..]].concat());
                }
                self.list.text(b"\n");
            }
            closed.push(next.last);
            if is_dir && next.depth < deepest && seen.insert(next.place) {
                self.enter(
                    &next.path,
                    next.place,
                    next.depth.saturating_add(1),
                    meter,
                    &mut todo,
                )?;
            }
        }
        Ok(())
    }

    fn enter(
        &self,
        path: &[u8],
        dir: Place,
        depth: usize,
        meter: &mut Meter,
        todo: &mut Vec<Pending>,
    ) -> Result<()> {
        let (mut names, trouble) = self.files.tree.sorted(dir, meter)?;
        if let Some(e) = trouble {
            self.files.troubles.add(path, &e);
        }
        names.retain(|(name, place)| {
            let shown = self.args.all || name.first() != Some(&b'.');
            let is_dir = || {
                self.files
                    .tree
                    .stat(*place)
                    .is_ok_and(|s| s.kind == FileKind::Dir)
            };
            shown && (!self.args.directories || is_dir())
        });
        for (i, (name, place)) in names.into_iter().rev().enumerate() {
            todo.push(Pending {
                path: joined(path, &name),
                name,
                place,
                depth,
                last: i == 0,
            });
        }
        Ok(())
    }
}
