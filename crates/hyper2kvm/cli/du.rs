use super::guest::{GuestArgs, GuestFiles, PATHS};
use super::ls::joined;
use super::{Context, Outcome};
use crate::term::List;
use h2k_block::{Limits, Meter, Result};
use h2k_convert::{human, odd, text};
use h2k_fs::FileKind;
use h2k_guest::{Next, Place, Visit, Walk};
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsString;

/// Show how much room directories in a guest take on their volumes
///
/// A file with several names counts once. Directories come after what lies in them, as in du.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  hyper2kvm du -s server.vmdk:/var
  hyper2kvm du --bytes --max-depth 1 server.vmdk:/

{PATHS}"))]
pub(super) struct Args {
    /// Directories, or files
    #[arg(value_name = "DISK:PATH", required_unless_present = "add")]
    paths: Vec<OsString>,
    /// The total of each path only
    #[arg(short, long, conflicts_with = "max_depth")]
    summarize: bool,
    /// Show directories down to this depth; the start has depth 0
    #[arg(long, value_name = "N")]
    max_depth: Option<usize>,
    /// Count bytes of content instead of bytes taken on the volume
    #[arg(long)]
    apparent_size: bool,
    /// Print exact numbers of bytes
    #[arg(short, long)]
    bytes: bool,
    /// Stay on the filesystem of the start
    #[arg(short = 'x', long)]
    one_file_system: bool,
    #[command(flatten)]
    guest: GuestArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Item {
    name: String,
    name_bytes: Option<String>,
    allocated: u64,
    size: u64,
}

/// A directory whose content is being added up.
struct Open {
    path: Vec<u8>,
    depth: usize,
    allocated: u64,
    size: u64,
}

struct Run<'a> {
    args: &'a Args,
    context: &'a Context,
    list: List<'a>,
    /// Files with several names that were counted.
    counted: HashSet<Place>,
    open: Vec<Open>,
}

impl Args {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let files = self.guest.files(&self.paths, &context.screen)?;
        let meter = &mut Meter::new(Limits::default());
        let mut run = Run {
            args: &self,
            context,
            list: List::new(&context.screen, "directories"),
            counted: HashSet::new(),
            open: Vec::new(),
        };
        let mut outcome = Ok(());
        for (path, place) in files.places(meter)? {
            outcome = run.add(&files, path, place, meter);
            if outcome.is_err() {
                break;
            }
        }
        files.finish(context, run.list, outcome, &[])
    }
}

impl Run<'_> {
    fn add(&mut self, files: &GuestFiles<'_>, start: &[u8], place: Place, meter: &mut Meter) -> Result<()> {
        let walk = Walk {
            one_filesystem: self.args.one_file_system,
            max_depth: None,
        };
        let mut each = |visit: Visit<'_>| {
            self.context.alive()?;
            if walk.one_filesystem && visit.place.mount != place.mount {
                return Ok(Next::Pass);
            }
            self.close(visit.depth);
            let stat = match visit.stat {
                Ok(stat) => stat,
                Err(e) => {
                    files.troubles.add(&joined(start, visit.path), &e);
                    return Ok(Next::Pass);
                }
            };
            let again = stat.links > 1 && stat.kind != FileKind::Dir && !self.counted.insert(visit.place);
            let (allocated, size) = if again { (0, 0) } else { (stat.allocated, stat.len) };
            if stat.kind == FileKind::Dir || visit.depth == 0 {
                self.open.push(Open {
                    path: joined(start, visit.path),
                    depth: visit.depth,
                    allocated,
                    size,
                });
            } else if let Some(dir) = self.open.last_mut() {
                dir.allocated = dir.allocated.saturating_add(allocated);
                dir.size = dir.size.saturating_add(size);
            }
            Ok(Next::Enter)
        };
        let mut damaged = |path: &[u8], e: h2k_block::Error| files.troubles.add(&joined(start, path), &e);
        files.tree.walk(place, walk, meter, &mut each, &mut damaged)?;
        self.close(0);
        Ok(())
    }

    /// Ends the directories that something at this depth cannot lie in.
    fn close(&mut self, depth: usize) {
        while self.open.last().is_some_and(|dir| dir.depth >= depth) {
            let Some(dir) = self.open.pop() else { break };
            if let Some(above) = self.open.last_mut() {
                above.allocated = above.allocated.saturating_add(dir.allocated);
                above.size = above.size.saturating_add(dir.size);
            }
            let deepest = if self.args.summarize {
                Some(0)
            } else {
                self.args.max_depth
            };
            if deepest.is_none_or(|deepest| dir.depth <= deepest) {
                self.show(&dir);
            }
        }
    }

    fn show(&mut self, dir: &Open) {
        let screen = &self.context.screen;
        if screen.json {
            self.list.item(&Item {
                name: text(&dir.path),
                name_bytes: odd(&dir.path),
                allocated: dir.allocated,
                size: dir.size,
            });
            return;
        }
        let count = if self.args.apparent_size {
            dir.size
        } else {
            dir.allocated
        };
        let count = if self.args.bytes {
            count.to_string()
        } else {
            human(count)
        };
        self.list
            .text(&[count.as_bytes(), b"\t", &screen.name(&dir.path), b"\n"].concat());
    }
}
