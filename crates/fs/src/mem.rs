//! A filesystem made of maps: code above [`FsRead`] is tested on it without any image.

mod write;

use crate::{
    EachEntry, EachXattr, Entry, Facts, FileExtent, FileKind, FsRead, Name, Node, Stat, Time, Usage,
};
use h2k_block::{Class, Error, Extent, Kind, Result};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

const ROOT: Node = Node(2);
const BLOCK: u64 = 4096;

#[derive(Clone, Debug)]
enum Body {
    File(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Node>),
    Link(Vec<u8>),
    Device(FileKind, u32, u32),
    Other(FileKind),
}

#[derive(Clone, Debug)]
struct Item {
    body: Body,
    mode: u16,
    uid: u32,
    gid: u32,
    links: u32,
    modified: Time,
    changed: Time,
    accessed: Time,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    streams: BTreeMap<Vec<u8>, Node>,
    broken: Option<&'static str>,
}

impl Item {
    fn new(body: Body, mode: u16) -> Self {
        Self {
            body,
            mode,
            uid: 0,
            gid: 0,
            links: 1,
            modified: Time::default(),
            changed: Time::default(),
            accessed: Time::default(),
            xattrs: BTreeMap::new(),
            streams: BTreeMap::new(),
            broken: None,
        }
    }
}

/// A tree in memory. Building needs `&mut self`; afterwards it is read like any other filesystem.
#[derive(Clone, Debug)]
pub struct MemFs {
    items: BTreeMap<Node, Item>,
    next: u64,
    facts: Facts,
    now: Time,
}

impl Default for MemFs {
    fn default() -> Self {
        let root = Item::new(Body::Dir(BTreeMap::new()), 0o755);
        Self {
            items: BTreeMap::from([(ROOT, root)]),
            next: ROOT.0.saturating_add(1),
            facts: Facts {
                kind: "memory",
                ..Facts::default()
            },
            now: Time::default(),
        }
    }
}

impl MemFs {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What [`FsRead::facts`] is to answer.
    pub fn set_facts(&mut self, facts: Facts) {
        self.facts = facts;
    }

    /// Puts a regular file with mode 0644 at `path`, making directories on the way. An existing file is replaced.
    ///
    /// # Errors
    /// [`Class::Invalid`] when a component of the path is no directory.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) -> Result<Node> {
        self.put(path, Body::File(content.into()), 0o644)
    }

    /// Makes a directory with mode 0755, and those on the way.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn dir(&mut self, path: &str) -> Result<Node> {
        let mut here = ROOT;
        for part in crate::parts(path.as_bytes()) {
            let part = part.to_vec();
            here = match self.names(here)?.get(&part) {
                Some(node) => *node,
                None => self.add(here, part, Item::new(Body::Dir(BTreeMap::new()), 0o755))?,
            };
        }
        self.names(here)?;
        Ok(here)
    }

    /// Puts a link to `target`, stored as it is.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn link(&mut self, path: &str, target: impl Into<Vec<u8>>) -> Result<Node> {
        self.put(path, Body::Link(target.into()), 0o777)
    }

    /// Puts a device, pipe or socket; the numbers matter for devices only.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn special(&mut self, path: &str, kind: FileKind, major: u32, minor: u32) -> Result<Node> {
        let body = match kind {
            FileKind::CharDevice | FileKind::BlockDevice => Body::Device(kind, major, minor),
            other => Body::Other(other),
        };
        self.put(path, body, 0o600)
    }

    /// Gives `node` one more name.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn hard_link(&mut self, path: &str, node: Node) -> Result<()> {
        let (dir, name) = self.place(path)?;
        self.names_mut(dir)?.insert(name, node);
        let item = self.item_mut(node)?;
        item.links = item.links.saturating_add(1);
        Ok(())
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// [`Class::NotFound`] for a node that does not exist.
    pub fn set_mode(&mut self, node: Node, mode: u16) -> Result<()> {
        self.item_mut(node)?.mode = mode;
        Ok(())
    }

    /// Sets owner and group.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode).
    pub fn set_owner(&mut self, node: Node, uid: u32, gid: u32) -> Result<()> {
        let item = self.item_mut(node)?;
        item.uid = uid;
        item.gid = gid;
        Ok(())
    }

    /// Sets all times of a node.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode).
    pub fn set_time(&mut self, node: Node, time: Time) -> Result<()> {
        let item = self.item_mut(node)?;
        item.modified = time;
        item.changed = time;
        item.accessed = time;
        Ok(())
    }

    /// Sets an extended attribute by its full name.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode).
    pub fn set_xattr(&mut self, node: Node, name: &[u8], value: &[u8]) -> Result<()> {
        self.item_mut(node)?.xattrs.insert(name.to_vec(), value.to_vec());
        Ok(())
    }

    /// Adds an alternate data stream.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode).
    pub fn stream(&mut self, node: Node, name: &[u8], content: impl Into<Vec<u8>>) -> Result<Node> {
        let id = self.fresh(Item::new(Body::File(content.into()), 0o644));
        self.item_mut(node)?.streams.insert(name.to_vec(), id);
        Ok(id)
    }

    /// Makes every later question about `node` fail as damage does: for testing what callers do about it.
    ///
    /// # Errors
    /// As [`set_mode`](Self::set_mode).
    pub fn damage(&mut self, node: Node, why: &'static str) -> Result<()> {
        self.item_mut(node)?.broken = Some(why);
        Ok(())
    }

    fn put(&mut self, path: &str, body: Body, mode: u16) -> Result<Node> {
        let (dir, name) = self.place(path)?;
        self.add(dir, name, Item::new(body, mode))
    }

    fn place(&mut self, path: &str) -> Result<(Node, Vec<u8>)> {
        let path = path.trim_end_matches('/');
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() || name == "." || name == ".." {
            return Err(Error::new(Class::Invalid, format!("{path:?} names nothing")));
        }
        Ok((self.dir(dir)?, name.as_bytes().to_vec()))
    }

    fn add(&mut self, dir: Node, name: Vec<u8>, item: Item) -> Result<Node> {
        self.names(dir)?;
        let node = self.fresh(item);
        self.names_mut(dir)?.insert(name, node);
        Ok(node)
    }

    fn fresh(&mut self, item: Item) -> Node {
        let node = Node(self.next);
        self.next = self.next.saturating_add(1);
        self.items.insert(node, item);
        node
    }

    fn item(&self, node: Node) -> Result<&Item> {
        let item = self.items.get(&node).ok_or_else(|| absent(node))?;
        match item.broken {
            Some(why) => Err(Error::corrupt("node", node.0, why)),
            None => Ok(item),
        }
    }

    fn item_mut(&mut self, node: Node) -> Result<&mut Item> {
        self.items.get_mut(&node).ok_or_else(|| absent(node))
    }

    fn names(&self, dir: Node) -> Result<&BTreeMap<Vec<u8>, Node>> {
        match &self.item(dir)?.body {
            Body::Dir(names) => Ok(names),
            _ => Err(Error::new(Class::Invalid, "not a directory")),
        }
    }

    fn names_mut(&mut self, dir: Node) -> Result<&mut BTreeMap<Vec<u8>, Node>> {
        match &mut self.item_mut(dir)?.body {
            Body::Dir(names) => Ok(names),
            _ => Err(Error::new(Class::Invalid, "not a directory")),
        }
    }

    fn content(&self, file: Node) -> Result<&[u8]> {
        match &self.item(file)?.body {
            Body::File(content) => Ok(content),
            _ => Err(Error::new(Class::Invalid, "not a regular file")),
        }
    }

    fn show(&self, names: &BTreeMap<Vec<u8>, Node>, each: &mut EachEntry<'_>) {
        for (name, node) in names {
            let entry = Entry {
                name,
                node: *node,
                kind: self.items.get(node).map(|i| kind(&i.body)),
            };
            if each(entry).is_break() {
                break;
            }
        }
    }
}

fn kind(body: &Body) -> FileKind {
    match body {
        Body::File(_) => FileKind::File,
        Body::Dir(_) => FileKind::Dir,
        Body::Link(_) => FileKind::Link,
        Body::Device(kind, ..) | Body::Other(kind) => *kind,
    }
}

fn absent(node: Node) -> Error {
    Error::new(Class::NotFound, format!("there is no node {}", node.0))
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl FsRead for MemFs {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn usage(&self) -> Result<Usage> {
        let mut total = 0_u64;
        for item in self.items.values() {
            if let Body::File(content) = &item.body {
                total = total.saturating_add(size(content).next_multiple_of(BLOCK));
            }
        }
        Ok(Usage {
            block: BLOCK,
            total,
            ..Usage::default()
        })
    }

    fn root(&self) -> Node {
        ROOT
    }

    fn stat(&self, node: Node) -> Result<Stat> {
        let item = self.item(node)?;
        let (len, device) = match &item.body {
            Body::File(bytes) | Body::Link(bytes) => (size(bytes), None),
            Body::Device(_, major, minor) => (0, Some((*major, *minor))),
            Body::Dir(_) | Body::Other(_) => (0, None),
        };
        Ok(Stat {
            kind: kind(&item.body),
            len,
            allocated: len.next_multiple_of(BLOCK),
            mode: Some(item.mode),
            uid: Some(item.uid),
            gid: Some(item.gid),
            links: match &item.body {
                // Its own two names, and `..` of every directory in it.
                Body::Dir(names) => names.values().fold(2, |sum: u32, node| {
                    let dir = self
                        .items
                        .get(node)
                        .is_some_and(|i| matches!(i.body, Body::Dir(_)));
                    sum.saturating_add(u32::from(dir))
                }),
                _ => item.links,
            },
            device,
            inode: node.0,
            modified: item.modified,
            changed: item.changed,
            accessed: item.accessed,
            created: None,
        })
    }

    fn lookup(&self, dir: Node, name: &Name) -> Result<Option<Node>> {
        Ok(self.names(dir)?.get(name).copied())
    }

    fn list(&self, dir: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.show(self.names(dir)?, each);
        Ok(())
    }

    fn read_at(&self, file: Node, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let content = self.content(file)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(start..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    fn target(&self, link: Node) -> Result<Vec<u8>> {
        match &self.item(link)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Error::new(Class::Invalid, "not a link")),
        }
    }

    fn xattrs(&self, node: Node, each: &mut EachXattr<'_>) -> Result<()> {
        for (name, value) in &self.item(node)?.xattrs {
            if each(name, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn streams(&self, node: Node, each: &mut EachEntry<'_>) -> Result<()> {
        self.show(&self.item(node)?.streams, each);
        Ok(())
    }

    fn file_extent_at(&self, file: Node, offset: u64, end: u64) -> Result<FileExtent> {
        let len = size(self.content(file)?);
        crate::check_extent(offset, end, len)?;
        Ok(FileExtent {
            run: Extent::new(offset, end.saturating_sub(offset), Kind::Data),
            at: None,
        })
    }

    fn used_at(&self, offset: u64, end: u64) -> Result<Extent> {
        Ok(Extent::new(offset, end.saturating_sub(offset), Kind::Data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lookup_path, resolve};
    use h2k_block::{Limits, Meter};

    fn sample() -> MemFs {
        let mut fs = MemFs::new();
        fs.file("/etc/hostname", "web01\n").unwrap();
        fs.link("/etc/alias", "../etc/hostname").unwrap();
        fs.link("/up", "../../../etc/alias").unwrap();
        fs.link("/loop", "loop").unwrap();
        fs.special("/dev/sda", FileKind::BlockDevice, 8, 0).unwrap();
        fs
    }

    #[test]
    fn links_are_followed_inside_and_never_above_the_root() {
        let fs = sample();
        let mut meter = Meter::new(Limits::default());
        let node = resolve(&fs, b"/up", &mut meter).unwrap().unwrap();
        let mut buf = [0; 16];
        let n = fs.read_at(node, 0, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"web01\n");
        let link = lookup_path(&fs, b"/up", false, &mut meter).unwrap().unwrap();
        assert_eq!(fs.stat(link).unwrap().kind, FileKind::Link);
        let e = resolve(&fs, b"/loop", &mut meter).unwrap_err();
        assert_eq!(e.class(), Class::Limit);
    }

    #[test]
    fn a_second_name_is_the_same_node() {
        let mut fs = sample();
        let mut meter = Meter::new(Limits::default());
        let node = resolve(&fs, b"/etc/hostname", &mut meter).unwrap().unwrap();
        fs.hard_link("/other/name", node).unwrap();
        assert_eq!(resolve(&fs, b"/other/name", &mut meter).unwrap(), Some(node));
        assert_eq!(fs.stat(node).unwrap().links, 2);
    }

    #[test]
    fn a_damaged_node_answers_with_corrupt() {
        let mut fs = sample();
        let node = fs.file("/bad", "").unwrap();
        fs.damage(node, "for a test").unwrap();
        assert_eq!(fs.stat(node).unwrap_err().class(), Class::Corrupt);
    }

    #[test]
    fn a_file_is_no_directory() {
        let mut fs = sample();
        assert_eq!(
            fs.file("/etc/hostname/x", "").unwrap_err().class(),
            Class::Invalid
        );
    }
}
