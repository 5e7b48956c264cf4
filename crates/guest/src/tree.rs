//! Several filesystems under one root.

use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::{FileExtent, FileKind, FsRead, Name, Node, Stat, parts};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many links one path may follow, as in Linux (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// A file, directory or link of a [`Tree`]. Means nothing to another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which filesystem, as a place in [`Tree::mounts`].
    pub mount: usize,
    /// What in it.
    pub node: Node,
}

/// One name in a directory of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The name. Never `.` or `..`, never empty.
    pub name: &'a Name,
    /// What it stands for; where something is mounted, the root of that.
    pub place: Place,
    /// What the directory says it is; `None` where directories do not tell.
    pub kind: Option<FileKind>,
}

/// A filesystem in a [`Tree`].
#[derive(Clone)]
pub struct Mount {
    /// Where it is mounted: absolute, free of links.
    pub point: Vec<u8>,
    /// What is mounted: `/dev/sda2`, or `btrfsvol:/dev/sda2/root`.
    pub source: String,
    /// The filesystem.
    pub fs: Arc<dyn FsRead>,
    /// The directory of the filesystem that is seen at the mount point; its root, except for a bind mount.
    pub root: Node,
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount")
            .field("point", &String::from_utf8_lossy(&self.point))
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A mount table, and everything below it. Shared: any number of readers.
#[derive(Clone, Debug)]
pub struct Tree {
    mounts: Vec<Mount>,
    /// Directories that something is mounted on.
    covered: BTreeMap<Place, usize>,
}

impl Tree {
    /// A tree of one filesystem. `source` is its name for people.
    #[must_use]
    pub fn new(source: impl Into<String>, fs: Arc<dyn FsRead>) -> Self {
        let root = fs.root();
        Self::rooted(source, fs, root)
    }

    /// As [`new`](Self::new), with a directory of the filesystem as the root.
    #[must_use]
    pub fn rooted(source: impl Into<String>, fs: Arc<dyn FsRead>, root: Node) -> Self {
        Self {
            mounts: vec![Mount {
                point: b"/".to_vec(),
                source: source.into(),
                fs,
                root,
            }],
            covered: BTreeMap::new(),
        }
    }

    /// The same tree with `another` in place of each filesystem; nodes have to be the same in both.
    #[must_use]
    pub fn over(&self, mut another: impl FnMut(&Mount) -> Arc<dyn FsRead>) -> Self {
        let mut tree = self.clone();
        for mount in &mut tree.mounts {
            mount.fs = another(mount);
        }
        tree
    }

    /// Mounts a filesystem on the directory that `point` leads to. A second one on the same directory hides the first.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such directory; else as [`find`](Self::find).
    pub fn mount(
        &mut self,
        point: &[u8],
        source: impl Into<String>,
        fs: Arc<dyn FsRead>,
        meter: &mut Meter,
    ) -> Result<()> {
        let root = fs.root();
        self.cover(point, source.into(), fs, root, meter)
    }

    /// Shows the directory `from` at `point` as well: a bind mount.
    ///
    /// # Errors
    /// As [`mount`](Self::mount).
    pub fn bind(&mut self, from: &[u8], point: &[u8], meter: &mut Meter) -> Result<()> {
        let place = self.directory(from, meter)?;
        let mount = self.at(place)?;
        let (source, fs) = (mount.source.clone(), Arc::clone(&mount.fs));
        self.cover(point, source, fs, place.node, meter)
    }

    fn cover(
        &mut self,
        point: &[u8],
        source: String,
        fs: Arc<dyn FsRead>,
        root: Node,
        meter: &mut Meter,
    ) -> Result<()> {
        let (place, path) = self.trail(point, true, meter)?.ok_or_else(|| absent(point))?;
        if self.stat(place)?.kind != FileKind::Dir {
            return Err(no_directory(point));
        }
        self.covered.insert(place, self.mounts.len());
        self.mounts.push(Mount {
            point: path,
            source,
            fs,
            root,
        });
        Ok(())
    }

    /// What is mounted, the root first.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The filesystem a place lies on.
    ///
    /// # Errors
    /// [`Class::Invalid`] for a place of another tree.
    pub fn at(&self, place: Place) -> Result<&Mount> {
        self.mounts
            .get(place.mount)
            .ok_or_else(|| Error::new(Class::Invalid, "a place that is not of this tree"))
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> Place {
        let node = self.mounts.first().map_or(Node(0), |m| m.root);
        self.enter(Place { mount: 0, node })
    }

    /// What is seen at a place: the root of what is mounted there, if something is.
    fn enter(&self, mut place: Place) -> Place {
        // Each step goes to a later mount, so this ends.
        while let Some(mount) = self.covered.get(&place).filter(|m| **m > place.mount) {
            let Some(over) = self.mounts.get(*mount) else {
                break;
            };
            place = Place {
                mount: *mount,
                node: over.root,
            };
        }
        place
    }

    /// Walks `path` from the root and follows every link on the way, and with `follow` the one at the end. `None` when
    /// it leads nowhere. Links are followed inside the tree; `..` at the root stays at the root, as in `chroot`.
    ///
    /// # Errors
    /// [`Class::Limit`] for links that go round in circles; else what the filesystems say.
    pub fn lookup(&self, path: &[u8], follow: bool, meter: &mut Meter) -> Result<Option<Place>> {
        Ok(self.trail(path, follow, meter)?.map(|(place, _)| place))
    }

    /// The place that `path` leads to, every link followed.
    ///
    /// # Errors
    /// [`Class::NotFound`] when it leads nowhere; else as [`lookup`](Self::lookup).
    pub fn find(&self, path: &[u8], meter: &mut Meter) -> Result<Place> {
        self.lookup(path, true, meter)?.ok_or_else(|| absent(path))
    }

    /// As [`find`](Self::find), but a link at the end is not followed.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_itself(&self, path: &[u8], meter: &mut Meter) -> Result<Place> {
        self.lookup(path, false, meter)?.ok_or_else(|| absent(path))
    }

    fn directory(&self, path: &[u8], meter: &mut Meter) -> Result<Place> {
        let place = self.find(path, meter)?;
        match self.stat(place)?.kind {
            FileKind::Dir => Ok(place),
            _ => Err(no_directory(path)),
        }
    }

    /// The path of what `path` leads to, free of links; `None` when it leads nowhere.
    ///
    /// # Errors
    /// As [`lookup`](Self::lookup).
    pub fn canonical(&self, path: &[u8], meter: &mut Meter) -> Result<Option<Vec<u8>>> {
        Ok(self.trail(path, true, meter)?.map(|(_, path)| path))
    }

    fn trail(&self, path: &[u8], follow: bool, meter: &mut Meter) -> Result<Option<(Place, Vec<u8>)>> {
        let mut trail: Vec<(Place, Vec<u8>)> = Vec::new();
        let mut todo: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
        let mut links = 0_usize;
        while let Some(part) = todo.pop_front() {
            meter.step("path component")?;
            if part == b".." {
                trail.pop();
                continue;
            }
            let here = trail.last().map_or_else(|| self.root(), |(place, _)| *place);
            if self.stat(here)?.kind != FileKind::Dir {
                return Ok(None);
            }
            let Some(next) = self.child(here, &part)? else {
                return Ok(None);
            };
            let last = todo.is_empty();
            if self.stat(next)?.kind != FileKind::Link || (last && !follow) {
                trail.push((next, part));
                continue;
            }
            links = links.saturating_add(1);
            if links > LINKS {
                let shown = String::from_utf8_lossy(path).into_owned();
                return Err(Error::new(
                    Class::Limit,
                    format!("more than {LINKS} symbolic links have to be followed"),
                )
                .through(shown)
                .advise("the links go round in circles; look at them with ls -l"));
            }
            let target = self.target(next)?;
            // Every part of a target is stored and looked up: it is paid for.
            meter.bytes(u64::try_from(target.len()).unwrap_or(u64::MAX), "link target")?;
            if target.first() == Some(&b'/') {
                trail.clear();
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(part.to_vec());
            }
        }
        let place = trail.last().map_or_else(|| self.root(), |(place, _)| *place);
        let mut full = Vec::new();
        for (_, name) in &trail {
            full.push(b'/');
            full.extend_from_slice(name);
        }
        if full.is_empty() {
            full.push(b'/');
        }
        Ok(Some((place, full)))
    }

    /// What is called `name` in a directory, by its filesystem's own idea of equal names.
    ///
    /// # Errors
    /// When `dir` is no directory or is damaged.
    pub fn child(&self, dir: Place, name: &Name) -> Result<Option<Place>> {
        let found = self.at(dir)?.fs.lookup(dir.node, name);
        let node = found.map_err(|e| self.through(dir, e))?;
        let mount = dir.mount;
        Ok(node.map(|node| self.enter(Place { mount, node })))
    }

    /// Shows the entries of a directory, without `.` and `..`, until `each` breaks. A name that would be a path is not
    /// shown: whoever joins names to paths may rely on that.
    ///
    /// # Errors
    /// When `dir` is no directory or is damaged; [`Class::Corrupt`] after the others when there was such a name.
    pub fn list(&self, dir: Place, each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<()> {
        let mount = dir.mount;
        let mut impossible = None;
        let told = self.at(dir)?.fs.list(dir.node, &mut |entry| {
            if !is_name(entry.name) {
                impossible.get_or_insert_with(|| String::from_utf8_lossy(entry.name).into_owned());
                return ControlFlow::Continue(());
            }
            let below = Place {
                mount,
                node: entry.node,
            };
            let place = self.enter(below);
            each(Entry {
                name: entry.name,
                place,
                kind: if place == below {
                    entry.kind
                } else {
                    Some(FileKind::Dir)
                },
            })
        });
        told.map_err(|e| self.through(dir, e))?;
        match impossible {
            Some(name) => {
                let what = format!("a directory entry with the name {name:?}, which nothing can have");
                Err(self.through(dir, Error::corrupt("directory", 0, what)))
            }
            None => Ok(()),
        }
    }

    /// What a place is.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn stat(&self, place: Place) -> Result<Stat> {
        let stat = self.at(place)?.fs.stat(place.node);
        stat.map_err(|e| self.through(place, e))
    }

    /// Reads up to `buf.len()` bytes of a file; short only at its end. Holes read as zero.
    ///
    /// # Errors
    /// When the content is damaged, encrypted or coded in a way that is not read.
    pub fn read_at(&self, file: Place, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let read = self.at(file)?.fs.read_at(file.node, offset, buf);
        read.map_err(|e| self.through(file, e))
    }

    /// Where a link points, as stored.
    ///
    /// # Errors
    /// When `link` is no link or is damaged.
    pub fn target(&self, link: Place) -> Result<Vec<u8>> {
        let target = self.at(link)?.fs.target(link.node);
        target.map_err(|e| self.through(link, e))
    }

    /// The extended attributes of a place, by name; values in the form Linux' system calls take.
    ///
    /// # Errors
    /// When they are damaged; [`Class::Limit`] when they are larger than the meter allows.
    pub fn xattrs(&self, place: Place, meter: &mut Meter) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut all = BTreeMap::new();
        let mut over = None;
        let told = self.at(place)?.fs.xattrs(place.node, &mut |name, value| {
            let len = name.len().saturating_add(value.len());
            if let Err(e) = meter.bytes(u64::try_from(len).unwrap_or(u64::MAX), "extended attribute") {
                over = Some(e);
                return ControlFlow::Break(());
            }
            let value = if name.starts_with(b"system.posix_acl_") {
                h2k_fs::linux_acl(value).into_owned()
            } else {
                value.to_vec()
            };
            all.insert(name.to_vec(), value);
            ControlFlow::Continue(())
        });
        told.map_err(|e| self.through(place, e))?;
        over.map_or(Ok(all), Err)
    }

    /// The extent of `file` that begins at `offset`, at most up to `end` (both inside the file).
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn extent_at(&self, file: Place, offset: u64, end: u64) -> Result<FileExtent> {
        let extent = self.at(file)?.fs.file_extent_at(file.node, offset, end);
        extent.map_err(|e| self.through(file, e))
    }

    /// All of a small regular file.
    ///
    /// # Errors
    /// [`Class::Limit`] for a file that is larger than the meter allows; [`Class::Invalid`] for what is no file.
    pub fn read_file(&self, file: Place, meter: &mut Meter) -> Result<Vec<u8>> {
        let read = h2k_fs::read_file(&*self.at(file)?.fs, file.node, meter);
        read.map_err(|e| self.through(file, e))
    }

    fn through(&self, place: Place, e: Error) -> Error {
        match self.mounts.get(place.mount) {
            Some(mount) => e.through(mount.source.clone()),
            None => e,
        }
    }
}

/// Whether this can be the name of something: no slash, no NUL, neither `.` nor `..`.
fn is_name(name: &Name) -> bool {
    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && !matches!(name, b"." | b"..")
}

fn absent(path: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(path);
    Error::new(Class::NotFound, format!("there is no {shown} in this guest"))
        .advise("names are looked up as the guest sees them, capitals included; ls shows what there is")
}

fn no_directory(path: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(path);
    Error::new(Class::Invalid, format!("{shown} is not a directory"))
}
