//! [`FsWrite`] for [`MemFs`]: the model that other filesystems are compared with.

use super::{Body, Item, MemFs, absent};
use crate::{Attributes, FileKind, FsRead, FsWrite, Name, Node, Time, check_name};
use h2k_block::{Class, Error, Result};
use std::collections::BTreeMap;

/// Longest target of a link.
const TARGET_MAX: usize = 4095;

fn wrong(what: &str) -> Error {
    Error::new(Class::Invalid, what)
}

fn taken(name: &Name) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::new(Class::Exists, format!("{name:?} exists already"))
}

fn missing(name: &Name) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::new(Class::NotFound, format!("there is no {name:?}"))
}

impl MemFs {
    fn free_name(&self, dir: Node, name: &Name) -> Result<()> {
        check_name(name)?;
        match self.names(dir)?.get(name) {
            Some(_) => Err(taken(name)),
            None => Ok(()),
        }
    }

    fn named(&self, dir: Node, name: &Name) -> Result<Node> {
        check_name(name)?;
        self.names(dir)?.get(name).copied().ok_or_else(|| missing(name))
    }

    /// Content or names of `node` changed now.
    fn touch(&mut self, node: Node) -> Result<()> {
        let now = self.now;
        let item = self.item_mut(node)?;
        item.modified = now;
        item.changed = now;
        Ok(())
    }

    fn changed(&mut self, node: Node) -> Result<()> {
        let now = self.now;
        self.item_mut(node)?.changed = now;
        Ok(())
    }

    fn make(&mut self, dir: Node, name: &Name, body: Body, mode: u16) -> Result<Node> {
        self.free_name(dir, name)?;
        let mut item = Item::new(body, mode & 0o7777);
        item.modified = self.now;
        item.changed = self.now;
        item.accessed = self.now;
        let node = self.add(dir, name.to_vec(), item)?;
        self.touch(dir)?;
        Ok(node)
    }

    /// Takes one name away from `node`.
    fn unname(&mut self, node: Node) -> Result<()> {
        let now = self.now;
        let item = self.item_mut(node)?;
        item.links = item.links.saturating_sub(1);
        item.changed = now;
        if item.links == 0 {
            self.items.remove(&node);
        }
        Ok(())
    }

    fn is_empty(&self, dir: Node) -> Result<()> {
        if self.names(dir)?.is_empty() {
            return Ok(());
        }
        Err(Error::new(Class::Exists, "the directory is not empty"))
    }

    /// Whether `inside` lies below `dir` or is `dir`.
    fn holds(&self, dir: Node, inside: Node) -> bool {
        let mut left = vec![dir];
        while let Some(node) = left.pop() {
            if node == inside {
                return true;
            }
            if let Some(Item {
                body: Body::Dir(names),
                ..
            }) = self.items.get(&node)
            {
                left.extend(names.values());
            }
        }
        false
    }

    fn bytes_mut(&mut self, file: Node) -> Result<&mut Vec<u8>> {
        self.content(file)?;
        match &mut self.item_mut(file)?.body {
            Body::File(bytes) => Ok(bytes),
            _ => Err(wrong("not a regular file")),
        }
    }
}

impl FsWrite for MemFs {
    fn set_clock(&mut self, now: Time) {
        self.now = now;
    }

    fn create(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        self.make(dir, name, Body::File(Vec::new()), mode)
    }

    fn mkdir(&mut self, dir: Node, name: &Name, mode: u16) -> Result<Node> {
        self.make(dir, name, Body::Dir(BTreeMap::new()), mode)
    }

    fn symlink(&mut self, dir: Node, name: &Name, target: &[u8]) -> Result<Node> {
        if target.is_empty() || target.len() > TARGET_MAX || target.contains(&0) {
            return Err(wrong("no link can point there"));
        }
        self.make(dir, name, Body::Link(target.to_vec()), 0o777)
    }

    fn add_name(&mut self, dir: Node, name: &Name, node: Node) -> Result<()> {
        self.free_name(dir, name)?;
        if self.stat(node)?.kind == FileKind::Dir {
            return Err(wrong("a directory has one name only"));
        }
        self.names_mut(dir)?.insert(name.to_vec(), node);
        let item = self.item_mut(node)?;
        item.links = item.links.saturating_add(1);
        self.changed(node)?;
        self.touch(dir)
    }

    fn remove(&mut self, dir: Node, name: &Name) -> Result<()> {
        let node = self.named(dir, name)?;
        if self.stat(node)?.kind == FileKind::Dir {
            return Err(wrong("is a directory"));
        }
        self.names_mut(dir)?.remove(name);
        self.unname(node)?;
        self.touch(dir)
    }

    fn rmdir(&mut self, dir: Node, name: &Name) -> Result<()> {
        let node = self.named(dir, name)?;
        self.is_empty(node)?;
        self.names_mut(dir)?.remove(name);
        self.items.remove(&node);
        self.touch(dir)
    }

    fn rename(&mut self, from: Node, name: &Name, to: Node, new: &Name) -> Result<()> {
        let node = self.named(from, name)?;
        check_name(new)?;
        let old = self.names(to)?.get(new).copied();
        if old == Some(node) {
            return Ok(());
        }
        let is_dir = self.stat(node)?.kind == FileKind::Dir;
        if is_dir && self.holds(node, to) {
            return Err(wrong("a directory cannot be moved into itself"));
        }
        if let Some(old) = old {
            match (is_dir, self.stat(old)?.kind == FileKind::Dir) {
                (true, true) => self.is_empty(old)?,
                (false, false) => {}
                _ => return Err(wrong("a directory replaces a directory only")),
            }
        }
        self.names_mut(from)?.remove(name);
        self.names_mut(to)?.insert(new.to_vec(), node);
        match old {
            Some(old) if is_dir => drop(self.items.remove(&old)),
            Some(old) => self.unname(old)?,
            None => {}
        }
        self.changed(node)?;
        self.touch(from)?;
        self.touch(to)
    }

    fn replace(&mut self, file: Node, content: &[u8]) -> Result<()> {
        *self.bytes_mut(file)? = content.to_vec();
        self.touch(file)
    }

    fn write_at(&mut self, file: Node, offset: u64, bytes: &[u8]) -> Result<()> {
        let content = self.bytes_mut(file)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let start = usize::try_from(offset).ok();
        let Some((start, end)) = start.and_then(|s| Some((s, s.checked_add(bytes.len())?))) else {
            return Err(Error::new(Class::Limit, "a file cannot be that long"));
        };
        if content.len() < end {
            content.resize(end, 0);
        }
        if let Some(to) = content.get_mut(start..end) {
            to.copy_from_slice(bytes);
        }
        self.touch(file)
    }

    fn truncate(&mut self, file: Node, len: u64) -> Result<()> {
        let len = usize::try_from(len).map_err(|_| Error::new(Class::Limit, "a file cannot be that long"))?;
        self.bytes_mut(file)?.resize(len, 0);
        self.touch(file)
    }

    fn set_attributes(&mut self, node: Node, attributes: &Attributes) -> Result<()> {
        self.item(node)?;
        let now = self.now;
        let item = self.items.get_mut(&node).ok_or_else(|| absent(node))?;
        item.mode = attributes.mode.map_or(item.mode, |m| m & 0o7777);
        item.uid = attributes.uid.unwrap_or(item.uid);
        item.gid = attributes.gid.unwrap_or(item.gid);
        item.modified = attributes.modified.unwrap_or(item.modified);
        item.accessed = attributes.accessed.unwrap_or(item.accessed);
        item.changed = now;
        Ok(())
    }

    fn set_xattr(&mut self, node: Node, name: &[u8], value: &[u8]) -> Result<()> {
        self.item(node)?;
        self.item_mut(node)?.xattrs.insert(name.to_vec(), value.to_vec());
        self.changed(node)
    }

    fn remove_xattr(&mut self, node: Node, name: &[u8]) -> Result<()> {
        self.item(node)?;
        match self.item_mut(node)?.xattrs.remove(name) {
            Some(_) => self.changed(node),
            None => Err(missing(name)),
        }
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<()>) -> Class {
        result.unwrap_err().class()
    }

    #[test]
    fn a_file_lives_as_long_as_it_has_a_name() {
        let mut fs = MemFs::new();
        let root = fs.root();
        let file = fs.create(root, b"a", 0o640).unwrap();
        fs.write_at(file, 3, b"xy").unwrap();
        fs.append(file, b"z").unwrap();
        fs.add_name(root, b"b", file).unwrap();
        fs.remove(root, b"a").unwrap();
        assert_eq!(fs.stat(file).unwrap().links, 1);
        let mut buf = [9; 8];
        assert_eq!(fs.read_at(file, 0, &mut buf).unwrap(), 6);
        assert_eq!(&buf[..6], b"\0\0\0xyz");
        fs.remove(root, b"b").unwrap();
        assert_eq!(fs.stat(file).unwrap_err().class(), Class::NotFound);
    }

    #[test]
    fn renaming_replaces_as_the_system_call_does() {
        let mut fs = MemFs::new();
        let root = fs.root();
        let dir = fs.mkdir(root, b"d", 0o755).unwrap();
        let below = fs.mkdir(dir, b"e", 0o755).unwrap();
        fs.create(root, b"f", 0o644).unwrap();
        assert_eq!(refused(fs.rename(root, b"d", below, b"x")), Class::Invalid);
        assert_eq!(refused(fs.rename(root, b"f", root, b"d")), Class::Invalid);
        assert_eq!(refused(fs.rmdir(root, b"d")), Class::Exists);
        assert_eq!(refused(fs.rename(root, b"g", root, b"h")), Class::NotFound);
        fs.rename(root, b"f", below, b"g").unwrap();
        assert_eq!(fs.lookup(root, b"f").unwrap(), None);
        assert_eq!(fs.stat(root).unwrap().links, 3);
        fs.rename(dir, b"e", root, b"e").unwrap();
        assert_eq!(fs.stat(root).unwrap().links, 4);
        fs.rmdir(root, b"d").unwrap();
        assert_eq!(refused(fs.create(root, b"a/b", 0).map(drop)), Class::Invalid);
    }
}
