use crate::{FileKind, FsRead, Node, Stat};
use h2k_block::{Error, Meter, Result};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// What [`walk`] shows.
pub struct Visit<'a> {
    /// Path below the start, components joined by `/`; empty for the start itself.
    pub path: &'a [u8],
    /// The node.
    pub node: Node,
    /// What it is, or why that cannot be said.
    pub stat: std::result::Result<Stat, Error>,
}

/// Walks a tree depth first, names in byte order, parents before children. Links are shown, not followed;
/// a directory that was seen already (a loop in a damaged tree) is shown but not entered again.
///
/// Damage below one directory does not hide its siblings: `each` sees the error in [`Visit::stat`], and
/// `damaged` is told of directories that could not be listed.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the meter is empty.
pub fn walk(
    fs: &dyn FsRead,
    start: Node,
    meter: &mut Meter,
    each: &mut dyn FnMut(Visit<'_>) -> ControlFlow<()>,
    damaged: &mut dyn FnMut(&[u8], Error),
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut todo: Vec<(Vec<u8>, Node)> = vec![(Vec::new(), start)];
    while let Some((path, node)) = todo.pop() {
        meter.step("directory entry")?;
        let stat = fs.stat(node);
        let enter = stat.as_ref().is_ok_and(|s| s.kind == FileKind::Dir) && seen.insert(node);
        if each(Visit {
            path: &path,
            node,
            stat,
        })
        .is_break()
        {
            return Ok(());
        }
        if !enter {
            continue;
        }
        let mut names: Vec<(Vec<u8>, Node)> = Vec::new();
        let mut over = None;
        let listed = fs.list(node, &mut |entry| {
            if let Err(e) = meter.step("directory entry") {
                over = Some(e);
                return ControlFlow::Break(());
            }
            names.push((entry.name.to_vec(), entry.node));
            ControlFlow::Continue(())
        });
        if let Some(e) = over {
            return Err(e);
        }
        if let Err(e) = listed {
            damaged(&path, e);
        }
        names.sort();
        for (name, child) in names.into_iter().rev() {
            let mut full = path.clone();
            if !full.is_empty() {
                full.push(b'/');
            }
            full.extend_from_slice(&name);
            todo.push((full, child));
        }
    }
    Ok(())
}
