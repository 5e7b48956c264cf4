//! Going through everything below a place.

use crate::tree::{Place, Tree};
use h2k_block::{Error, Meter, Result};
use h2k_fs::{FileKind, Stat};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// What [`Tree::walk`] shows.
pub struct Visit<'a> {
    /// Path below the start, components joined by `/`; empty for the start itself.
    pub path: &'a [u8],
    /// How many components that are.
    pub depth: usize,
    /// The place.
    pub place: Place,
    /// What it is, or why that cannot be said.
    pub stat: std::result::Result<Stat, Error>,
}

impl Visit<'_> {
    /// The last component of the path; empty for the start itself.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// How a walk goes on after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Into the directory, if it is one.
    Enter,
    /// Past it.
    Pass,
    /// Not at all.
    Stop,
}

/// How to walk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    /// Stay on the filesystem of the start.
    pub one_filesystem: bool,
    /// Enter no directory deeper than this; the start has depth 0.
    pub max_depth: Option<usize>,
}

/// The names in a directory, and what they stand for.
pub type Names = Vec<(Vec<u8>, Place)>;

struct Pending {
    /// Length of the path of the directory it lies in.
    above: usize,
    depth: usize,
    name: Vec<u8>,
    place: Place,
}

impl Tree {
    /// Walks everything below `start` and `start` itself, depth first, names in byte order, parents before children.
    /// Links are shown, not followed. A directory that was seen already (a loop in a damaged tree) is shown but not
    /// entered again. Memory depends on the directories on the way, not on the size of the tree.
    ///
    /// Damage below one directory does not hide its siblings: `each` sees the error in [`Visit::stat`], and `damaged`
    /// is told of directories that could not be listed.
    ///
    /// # Errors
    /// [`h2k_block::Class::Limit`] when the meter is empty; what `each` fails with.
    pub fn walk(
        &self,
        start: Place,
        walk: Walk,
        meter: &mut Meter,
        each: &mut dyn FnMut(Visit<'_>) -> Result<Next>,
        damaged: &mut dyn FnMut(&[u8], Error),
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let mut path: Vec<u8> = Vec::new();
        let mut todo = vec![Pending {
            above: 0,
            depth: 0,
            name: Vec::new(),
            place: start,
        }];
        while let Some(next) = todo.pop() {
            meter.step("directory entry")?;
            path.truncate(next.above);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&next.name);
            let stat = self.stat(next.place);
            let is_dir = stat.as_ref().is_ok_and(|s| s.kind == FileKind::Dir);
            let wish = each(Visit {
                path: &path,
                depth: next.depth,
                place: next.place,
                stat,
            })?;
            match wish {
                Next::Stop => return Ok(()),
                Next::Pass => continue,
                Next::Enter => {}
            }
            let deep = walk.max_depth.is_some_and(|max| next.depth >= max);
            let elsewhere = walk.one_filesystem && next.place.mount != start.mount;
            if !is_dir || deep || elsewhere || !seen.insert(next.place) {
                continue;
            }
            let (names, trouble) = self.sorted(next.place, meter)?;
            if let Some(e) = trouble {
                damaged(&path, e);
            }
            for (name, place) in names.into_iter().rev() {
                todo.push(Pending {
                    above: path.len(),
                    depth: next.depth.saturating_add(1),
                    name,
                    place,
                });
            }
        }
        Ok(())
    }

    /// The names in a directory in byte order, as far as they could be read, and why it was no further.
    ///
    /// # Errors
    /// [`h2k_block::Class::Limit`] when the meter is empty.
    pub fn sorted(&self, dir: Place, meter: &mut Meter) -> Result<(Names, Option<Error>)> {
        let mut names = Names::new();
        let mut over = None;
        let listed = self.list(dir, &mut |entry| {
            if let Err(e) = meter.step("directory entry") {
                over = Some(e);
                return ControlFlow::Break(());
            }
            names.push((entry.name.to_vec(), entry.place));
            ControlFlow::Continue(())
        });
        if let Some(e) = over {
            return Err(e);
        }
        names.sort();
        Ok((names, listed.err()))
    }
}
