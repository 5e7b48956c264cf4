//! Changing a draft.

use super::{Content, Draft, Fresh, Step, directory, wrong};
use h2k_block::{Class, Error, Result};
use h2k_fs::{Attributes, FileKind, FsRead, Name, Node, check_name};
use std::sync::Arc;

impl Draft {
    fn free(&self, dir: Node, name: &Name) -> Result<()> {
        check_name(name)?;
        if self.lookup(dir, name)?.is_some() {
            let shown = String::from_utf8_lossy(name);
            return Err(Error::new(Class::Exists, format!("there is a {shown} already")));
        }
        Ok(())
    }

    fn taken(&self, dir: Node, name: &Name) -> Result<Node> {
        self.lookup(dir, name)?.ok_or_else(|| {
            let shown = String::from_utf8_lossy(name);
            Error::new(Class::NotFound, format!("there is no {shown}"))
        })
    }

    fn make(&self, dir: Node, name: &Name, fresh: Fresh) -> Result<Node> {
        self.free(dir, name)?;
        let mut state = self.write();
        let node = state.number();
        let named = name.to_vec();
        state.steps.push(match fresh.kind {
            FileKind::Dir => Step::Mkdir(dir, named, node, fresh.mode),
            FileKind::Link => Step::Symlink(dir, named, node, fresh.target.clone()),
            _ => Step::Create(dir, named, node, fresh.mode),
        });
        state.fresh.insert(node, fresh);
        let named = Some((name.to_vec(), node));
        state
            .names
            .entry(dir)
            .or_default()
            .insert(self.folded(name), named);
        Ok(node)
    }

    /// Makes an empty file.
    ///
    /// # Errors
    /// [`Class::Exists`] when the name is taken, [`Class::Invalid`] for what can be no name.
    pub fn create(&self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        let fresh = Fresh {
            kind: FileKind::File,
            mode,
            target: Vec::new(),
        };
        self.make(dir, name, fresh)
    }

    /// Makes an empty directory.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn mkdir(&self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        let fresh = Fresh {
            kind: FileKind::Dir,
            mode,
            target: Vec::new(),
        };
        self.make(dir, name, fresh)
    }

    /// Makes a link that points to `target`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn symlink(&self, dir: Node, name: &Name, target: &[u8]) -> Result<Node> {
        let fresh = Fresh {
            kind: FileKind::Link,
            mode: 0o777,
            target: target.to_vec(),
        };
        self.make(dir, name, fresh)
    }

    /// Removes a name of something that is no directory.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is none, [`Class::Invalid`] for a directory.
    pub fn remove(&self, dir: Node, name: &Name) -> Result<()> {
        let node = self.taken(dir, name)?;
        let stat = self.stat(node)?;
        if stat.kind == FileKind::Dir {
            return Err(Error::new(
                Class::Invalid,
                "a directory is not removed like a file",
            ));
        }
        let mut state = self.write();
        state.steps.push(Step::Remove(dir, name.to_vec()));
        state
            .names
            .entry(dir)
            .or_default()
            .insert(self.folded(name), None);
        if stat.links <= 1 {
            state.contents.remove(&node);
        }
        Ok(())
    }

    /// Moves a name; what has the new name and is no directory is replaced. A directory stays where it is and only gets
    /// another name: so it never ends up inside itself.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such name, [`Class::Exists`] when a directory would be replaced,
    /// [`Class::Unsupported`] for a directory that would be moved elsewhere.
    pub fn rename(&self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()> {
        check_name(new)?;
        let node = self.taken(from, name)?;
        directory(self.stat(to)?.kind, to)?;
        if from != to && self.stat(node)?.kind == FileKind::Dir {
            return Err(Error::unsupported("directories are not moved elsewhere"));
        }
        let same = from == to && self.folded(name) == self.folded(new);
        if !same && let Some(over) = self.lookup(to, new)? {
            let stat = self.stat(over)?;
            if over == node {
                return Ok(()); // Two names of one file stay as they are, as rename(2) has it.
            }
            if stat.kind == FileKind::Dir || self.stat(node)?.kind == FileKind::Dir {
                return Err(Error::new(
                    Class::Exists,
                    "the new name is taken, and directories neither replace nor are replaced",
                ));
            }
            if stat.links <= 1 {
                self.write().contents.remove(&over);
            }
        }
        let mut state = self.write();
        state
            .steps
            .push(Step::Rename(from, name.to_vec(), node, to, new.to_vec()));
        state
            .names
            .entry(from)
            .or_default()
            .insert(self.folded(name), None);
        state
            .names
            .entry(to)
            .or_default()
            .insert(self.folded(new), Some((new.to_vec(), node)));
        Ok(())
    }

    fn file(&self, file: Node) -> Result<u64> {
        let stat = self.stat(file)?;
        if stat.kind == FileKind::File {
            Ok(stat.len)
        } else {
            Err(wrong("file", file))
        }
    }

    /// Replaces all content of a file.
    ///
    /// # Errors
    /// [`Class::Invalid`] for what is no file.
    pub fn replace(&self, file: Node, content: &[u8]) -> Result<()> {
        self.file(file)?;
        self.write()
            .contents
            .insert(file, Content::Whole(Arc::from(content)));
        Ok(())
    }

    /// Writes at the end of a file. What it holds is not read for that.
    ///
    /// # Errors
    /// [`Class::Invalid`] for what is no file.
    pub fn append(&self, file: Node, more: &[u8]) -> Result<()> {
        let len = self.file(file)?;
        let mut state = self.write();
        let joined = |held: &[u8]| -> Arc<[u8]> { [held, more].concat().into() };
        let content = match state.contents.get(&file) {
            Some(Content::Whole(held)) => Content::Whole(joined(held)),
            Some(Content::Tail(at, held)) => Content::Tail(*at, joined(held)),
            None => Content::Tail(len, Arc::from(more)),
        };
        state.contents.insert(file, content);
        Ok(())
    }

    /// Sets permission bits, owner, group and times.
    ///
    /// # Errors
    /// What kept the node from being read.
    pub fn set_attributes(&self, node: Node, attributes: &Attributes) -> Result<()> {
        self.stat(node)?;
        let mut state = self.write();
        let set = state.attributes.entry(node).or_default();
        *set = Attributes {
            mode: attributes.mode.or(set.mode),
            uid: attributes.uid.or(set.uid),
            gid: attributes.gid.or(set.gid),
            modified: attributes.modified.or(set.modified),
            accessed: attributes.accessed.or(set.accessed),
        };
        state.steps.push(Step::Attributes(node, *attributes));
        Ok(())
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// What kept the node from being read.
    pub fn set_xattr(&self, node: Node, name: &[u8], value: &[u8]) -> Result<()> {
        self.stat(node)?;
        let mut state = self.write();
        state
            .xattrs
            .entry(node)
            .or_default()
            .insert(name.to_vec(), value.to_vec());
        state.steps.push(Step::Xattr(node, name.to_vec(), value.to_vec()));
        Ok(())
    }
}
