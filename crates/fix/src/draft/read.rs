//! Reading a draft.

use super::{Content, Draft, Fresh, directory, wrong};
use h2k_block::{Extent, Kind, Result};
use h2k_fs::{
    EachEntry, EachXattr, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Usage, check_extent,
};
use std::ops::ControlFlow;

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => wide(bytes.len()),
            Self::Tail(at, bytes) => at.saturating_add(wide(bytes.len())),
        }
    }
}

impl Draft {
    fn fresh(&self, node: Node) -> Option<Fresh> {
        self.read().fresh.get(&node).cloned()
    }

    fn content(&self, node: Node) -> Option<Content> {
        self.read().contents.get(&node).cloned()
    }

    fn kind(&self, node: Node) -> Result<FileKind> {
        match self.fresh(node) {
            Some(fresh) => Ok(fresh.kind),
            None => Ok(self.below.stat(node)?.kind),
        }
    }
}

/// Copies what `bytes` has at `offset`.
fn copy(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default();
    let n = rest.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
        to.copy_from_slice(from);
    }
    n
}

impl FsRead for Draft {
    fn facts(&self) -> Facts {
        self.below.facts()
    }

    fn usage(&self) -> Result<Usage> {
        self.below.usage()
    }

    fn root(&self) -> Node {
        self.below.root()
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let mut stat = match self.fresh(node) {
            Some(fresh) => Stat {
                mode: Some(fresh.mode),
                uid: Some(0),
                gid: Some(0),
                len: wide(fresh.target.len()),
                modified: self.now,
                changed: self.now,
                accessed: self.now,
                ..Stat::bare(fresh.kind, node.0)
            },
            None => self.below.stat(node)?,
        };
        if let Some(content) = self.content(node) {
            stat.len = content.len();
            (stat.modified, stat.changed) = (self.now, self.now);
        }
        if let Some(set) = self.read().attributes.get(&node) {
            stat.mode = set.mode.or(stat.mode);
            stat.uid = set.uid.or(stat.uid);
            stat.gid = set.gid.or(stat.gid);
            stat.modified = set.modified.unwrap_or(stat.modified);
            stat.accessed = set.accessed.unwrap_or(stat.accessed);
            stat.changed = self.now;
        }
        Ok(stat)
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        directory(self.kind(dir)?, dir)?;
        let state = self.read();
        let changed = state
            .names
            .get(&dir)
            .and_then(|names| names.get(&self.folded(name)));
        match changed {
            Some(found) => Ok(found.as_ref().map(|(_, node)| *node)),
            None if state.fresh.contains_key(&dir) => Ok(None),
            None => self.below.lookup(dir, name),
        }
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        directory(self.kind(dir)?, dir)?;
        // Whoever is shown an entry may ask this draft again: nothing is held meanwhile.
        let (names, fresh) = {
            let state = self.read();
            let names = state.names.get(&dir).cloned().unwrap_or_default();
            (names, state.fresh.contains_key(&dir))
        };
        let mut over = false;
        if !fresh {
            self.below.list(dir, &mut |entry| {
                if names.contains_key(&self.folded(entry.name)) {
                    return ControlFlow::Continue(());
                }
                let flow = each(entry);
                over = flow.is_break();
                flow
            })?;
        }
        for (name, node) in names.values().flatten() {
            if over {
                break;
            }
            let kind = self.kind(*node).ok();
            over = each(Entry {
                name,
                node: *node,
                kind,
            })
            .is_break();
        }
        Ok(())
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        if self.kind(file)? != FileKind::File {
            return Err(wrong("file", file));
        }
        match self.content(file) {
            Some(Content::Whole(bytes)) => Ok(copy(&bytes, offset, buf)),
            Some(Content::Tail(at, bytes)) => {
                let room = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
                let n = room.min(buf.len());
                let (head, rest) = buf.split_at_mut(n);
                if n > 0 {
                    let read = self.below.read_at(file, offset, head)?;
                    if read < n {
                        return Ok(read);
                    }
                }
                let past = offset.saturating_add(wide(n)).saturating_sub(at);
                Ok(n.saturating_add(copy(&bytes, past, rest)))
            }
            None if self.fresh(file).is_some() => Ok(0),
            None => self.below.read_at(file, offset, buf),
        }
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        match self.fresh(link) {
            Some(fresh) if fresh.kind == FileKind::Link => Ok(fresh.target),
            Some(_) => Err(wrong("link", link)),
            None => self.below.target(link),
        }
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        let set = self.read().xattrs.get(&node).cloned().unwrap_or_default();
        let mut over = false;
        if self.fresh(node).is_none() {
            self.below.xattrs(node, &mut |name, value| {
                if set.contains_key(name) {
                    return ControlFlow::Continue(());
                }
                let flow = each(name, value);
                over = flow.is_break();
                flow
            })?;
        }
        for (name, value) in &set {
            if over {
                break;
            }
            over = each(name, value).is_break();
        }
        Ok(())
    }

    fn streams(&self, node: Node, each: &mut EachEntry<'_>) -> Result<()> {
        if self.fresh(node).is_some() {
            return Ok(());
        }
        self.below.streams(node, each)
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let fresh = self.fresh(file).is_some();
        match self.content(file) {
            None if !fresh => self.below.file_extent_at(file, offset, end),
            Some(Content::Tail(at, _)) if offset < at => self.below.file_extent_at(file, offset, end.min(at)),
            _ => {
                check_extent(offset, end, self.stat(file)?.len)?;
                Ok(FileExtent {
                    run: Extent::new(offset, end.saturating_sub(offset), Kind::Data),
                    at: None,
                })
            }
        }
    }

    /// Of the filesystem as it is: what is drafted lies nowhere yet.
    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        self.below.used_at(offset, end)
    }
}
