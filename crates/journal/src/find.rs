//! Where the journal of a guest lies.

use crate::file::File;
use crate::layout::{index, wide};
use crate::merge::Journal;
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, lookup_path};
use std::ops::ControlFlow;
use std::sync::Arc;

const HOMES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What lies in a guest's journal directories.
#[derive(Default)]
pub struct Found {
    /// The files that could be opened.
    pub journal: Journal,
    /// Those that could not: path and reason.
    pub unreadable: Vec<(String, Error)>,
}

/// Whether a file of this name belongs to a journal: `*.journal`, and `*.journal~` for one that was not closed and
/// put aside.
#[must_use]
pub fn is_journal_name(name: &[u8]) -> bool {
    name.strip_suffix(b"~").unwrap_or(name).ends_with(b".journal")
}

/// Opens every journal file below `/var/log/journal` and `/run/log/journal` of `fs`, of all machines and namespaces.
///
/// # Errors
/// When the directories cannot be read.
pub fn find(fs: &Arc<dyn FsRead>, limits: &Limits) -> Result<Found> {
    let mut meter = Meter::new(*limits);
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    let mut todo = Vec::new();
    for home in HOMES {
        if let Some(dir) = lookup_path(&**fs, home.as_bytes(), true, &mut meter)? {
            todo.push((home.to_owned(), dir, true));
        }
    }
    while let Some((path, dir, enter)) = todo.pop() {
        if fs.stat(dir)?.kind != FileKind::Dir {
            continue;
        }
        let mut names: Vec<(Vec<u8>, Node)> = Vec::new();
        let mut over = None;
        fs.list(dir, &mut |entry| {
            if let Err(e) = meter.step("directory entry") {
                over = Some(e);
                return ControlFlow::Break(());
            }
            names.push((entry.name.to_vec(), entry.node));
            ControlFlow::Continue(())
        })?;
        if let Some(e) = over {
            return Err(e);
        }
        names.sort();
        for (name, node) in names {
            let path = format!("{path}/{}", String::from_utf8_lossy(&name));
            let stat = match fs.stat(node) {
                Ok(stat) => stat,
                Err(e) => {
                    unreadable.push((path, e));
                    continue;
                }
            };
            if stat.kind == FileKind::Dir && enter {
                todo.push((path, node, false));
            } else if stat.kind == FileKind::File && is_journal_name(&name) {
                let disk = FsFile {
                    fs: fs.clone(),
                    node,
                    len: stat.len,
                };
                match File::open(Arc::new(disk), path.clone(), limits) {
                    Ok(file) => files.push(file),
                    Err(e) => unreadable.push((path, e)),
                }
            }
        }
    }
    Ok(Found {
        journal: Journal::new(files),
        unreadable,
    })
}

/// A file of a filesystem as a run of bytes.
struct FsFile {
    fs: Arc<dyn FsRead>,
    node: Node,
    len: u64,
}

impl BlockRead for FsFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(wide(done));
            let n = self.fs.read_at(self.node, at, rest)?;
            if n == 0 {
                return Err(Error::new(
                    Class::Corrupt,
                    format!("the file ends at {at}, its length is said to be {}", self.len),
                ));
            }
            done = done.saturating_add(n.min(index(self.len)));
        }
        Ok(())
    }
}
