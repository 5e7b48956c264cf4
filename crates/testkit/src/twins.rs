//! Writers against the model: random operations on a filesystem and on [`MemFs`], which have to answer alike.

use crate::listing::{self, Options};
use crate::oracle;
use crate::rng::Rng;
use h2k_block::{Class, Limits, Meter, Overlay};
use h2k_fs::{Attributes, FileKind, FsRead, FsWrite, MemFs, Node, Stat, Time, walk};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The moment that edits begin at.
pub const NOW: Time = Time {
    seconds: 1_790_000_000,
    nanos: 123_456_789,
};

/// Brings the edits in `over` onto `image`, for others to judge.
pub fn bring(over: &Overlay, image: &Path) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(image)
        .expect("the image can be written");
    over.each(&mut |at, bytes| {
        file.write_all_at(bytes, at).expect("the image can be written");
        Ok(())
    })
    .expect("the overlay can be read");
}

/// Brings the edits in `over` onto `image` and asks `checker`, a program and its option, whether it is clean.
///
/// # Panics
/// With what the checker said, when it is not. The image is kept in the host's folder for temporary files.
pub fn judge(over: &Overlay, image: &Path, checker: (&str, &str), when: &str) {
    bring(over, image);
    let (program, option) = checker;
    let out = oracle::run(program, &[option.as_ref(), image.as_os_str()]);
    if !out.status.success() {
        let kept = std::env::temp_dir().join(format!("h2k-{program}-bad.img"));
        let _ = std::fs::copy(image, &kept);
        panic!(
            "{when}: {program} {option}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

/// Makes a directory of thirty files in the root, does `also` with each, and moves one of them to the root.
///
/// # Errors
/// As the filesystem.
pub fn fill_a_little(
    fs: &mut dyn FsWrite,
    also: &dyn Fn(&mut dyn FsWrite, Node) -> h2k_block::Result<()>,
) -> h2k_block::Result<()> {
    let root = fs.root();
    let dir = fs.mkdir(root, b"made here", 0o755)?;
    let name = |n: u8| format!("file-{n}-{}", "x".repeat(60)).into_bytes();
    for n in 0..30_u8 {
        let file = fs.create(dir, &name(n), 0o644)?;
        fs.replace(file, &vec![n; usize::from(n) * 300])?;
        also(fs, file)?;
    }
    fs.rename(dir, &name(3), root, b"moved here")
}

/// Removes the first `most` things in `dir`, as far as they let themselves be removed.
pub fn remove_some(fs: &mut dyn FsWrite, dir: Node, most: usize) {
    let mut names = Vec::new();
    let _ = fs.list(dir, &mut |e| {
        names.push(e.name.to_vec());
        if names.len() < most {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    for name in names {
        let _ = fs.remove(dir, &name);
        let _ = fs.rmdir(dir, &name);
    }
}

/// What a filesystem can do, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// What listings show of it.
    pub options: Options,
    /// Links, owners and attributes.
    pub unix: bool,
    /// Lengths and offsets are divided by this: small volumes are soon full.
    pub shrink: u64,
    /// The `n`th name to be made; no two are equal.
    pub name: fn(u64, &mut Rng) -> Vec<u8>,
    /// What else of a node has to be equal.
    pub details: fn(&dyn FsRead, Node, &Stat) -> String,
}

impl Ways {
    /// As Linux has it.
    pub const UNIX: Self = Self {
        options: Options::UNIX,
        unix: true,
        shrink: 1,
        name: plain_name,
        details: unix_details,
    };
}

fn plain_name(n: u64, rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(4) {
        0 => rng.below(220) as usize,
        _ => rng.below(20) as usize,
    };
    format!("n{n:x}{}", "-".repeat(len)).into_bytes()
}

/// What listings do not show: owner, links, times, attributes.
fn unix_details(fs: &dyn FsRead, node: Node, s: &Stat) -> String {
    let mut xattrs = BTreeMap::new();
    fs.xattrs(node, &mut |name, value| {
        xattrs.insert(name.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    format!(
        "{:?}:{:?} {} links {:?} {:?} {:?}",
        s.uid,
        s.gid,
        s.links,
        s.modified.seconds,
        s.accessed.seconds,
        xattrs
            .iter()
            .map(|(k, v)| (k, v.len(), v.iter().map(|b| u64::from(*b)).sum::<u64>()))
            .collect::<Vec<_>>()
    )
}

fn details(fs: &dyn FsRead, ways: Ways) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut meter = Meter::new(Limits::default());
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let s = visit.stat.unwrap();
            all.insert(visit.path.to_vec(), (ways.details)(fs, visit.node, &s));
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
    all
}

/// Compares a filesystem with the model.
///
/// # Panics
/// With the first differences.
pub fn same_tree(model: &dyn FsRead, ours: &dyn FsRead, ways: Ways, when: &str) {
    let a = listing::of_fs(model, ways.options).unwrap();
    let b = listing::of_fs(ours, ways.options).unwrap();
    assert_eq!(
        listing::differences(&a.text, &b.text),
        None,
        "{when}: {:#?}",
        b.errors
    );
    let (a, b) = (details(model, ways), details(ours, ways));
    for (path, text) in &a {
        assert_eq!(
            Some(text),
            b.get(path),
            "{when}: {}",
            String::from_utf8_lossy(path)
        );
    }
}

/// The model of what is there already. Answers with the nodes of both sides, by the model's.
fn model_of(fs: &dyn FsRead) -> (MemFs, BTreeMap<Node, Node>) {
    let mut model = MemFs::new();
    let mut nodes = BTreeMap::from([(model.root(), fs.root())]);
    let mut seen: BTreeMap<Node, Node> = BTreeMap::from([(fs.root(), model.root())]);
    let mut meter = Meter::new(Limits::default());
    let mut stats = Vec::new();
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let s = visit.stat.unwrap();
            stats.push((visit.node, s));
            if visit.path.is_empty() {
                return ControlFlow::Continue(());
            }
            let path = std::str::from_utf8(visit.path);
            let (dir, name) = match visit.path.iter().rposition(|b| *b == b'/') {
                Some(at) => (&visit.path[..at], &visit.path[at + 1..]),
                None => (&visit.path[..0], visit.path),
            };
            let mut m = Meter::new(Limits::default());
            let dir = h2k_fs::lookup_path(&model, dir, false, &mut m).unwrap().unwrap();
            if let Some(node) = seen.get(&visit.node) {
                model.add_name(dir, name, *node).unwrap();
                return ControlFlow::Continue(());
            }
            let node = match s.kind {
                FileKind::Dir => model.mkdir(dir, name, 0).unwrap(),
                FileKind::Link => model.symlink(dir, name, &fs.target(visit.node).unwrap()).unwrap(),
                FileKind::File => {
                    let node = model.create(dir, name, 0).unwrap();
                    let mut content = vec![0; s.len as usize];
                    fs.read_at(visit.node, 0, &mut content).unwrap();
                    model.replace(node, &content).unwrap();
                    node
                }
                other => {
                    let (major, minor) = s.device.unwrap_or_default();
                    model.special(path.unwrap(), other, major, minor).unwrap()
                }
            };
            fs.xattrs(visit.node, &mut |name, value| {
                FsWrite::set_xattr(&mut model, node, name, value).unwrap();
                ControlFlow::Continue(())
            })
            .unwrap();
            seen.insert(visit.node, node);
            nodes.insert(node, visit.node);
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
    for (node, s) in stats {
        let attributes = Attributes {
            mode: s.mode,
            uid: s.uid,
            gid: s.gid,
            modified: Some(s.modified),
            accessed: Some(s.accessed),
        };
        model.set_attributes(seen[&node], &attributes).unwrap();
    }
    (model, nodes)
}

/// Both sides, and what can be chosen from.
pub struct Twins {
    /// What the filesystem has to be like.
    pub model: MemFs,
    ways: Ways,
    nodes: BTreeMap<Node, Node>,
    names: Vec<(Node, Vec<u8>)>,
    dirs: Vec<Node>,
    rng: Rng,
    count: u64,
    /// Operations that could not be done for lack of space.
    pub full: u64,
    /// Operations that both sides did.
    pub done: u64,
}

impl Twins {
    /// A model of `fs` as it is now.
    pub fn new(fs: &dyn FsRead, seed: u64, ways: Ways) -> Self {
        let (model, nodes) = model_of(fs);
        let mut twins = Self {
            model,
            ways,
            nodes,
            names: Vec::new(),
            dirs: Vec::new(),
            rng: Rng::new(seed),
            count: 0,
            full: 0,
            done: 0,
        };
        twins.choices();
        twins
    }

    /// Lists again what there is.
    fn choices(&mut self) {
        (self.names, self.dirs) = (Vec::new(), vec![self.model.root()]);
        let mut at = 0;
        while let Some(dir) = self.dirs.get(at).copied() {
            at += 1;
            let mut below = Vec::new();
            self.model
                .list(dir, &mut |e| {
                    self.names.push((dir, e.name.to_vec()));
                    if e.kind == Some(FileKind::Dir) {
                        below.push(e.node);
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
            self.dirs.extend(below);
        }
        self.names.retain(|(_, name)| name != b"lost+found");
    }

    fn dir(&mut self) -> Node {
        self.dirs[self.rng.below(self.dirs.len() as u64) as usize]
    }

    fn some(&mut self) -> (Node, Vec<u8>) {
        if self.names.is_empty() || self.rng.below(40) == 0 {
            return (self.dir(), b"no such name".to_vec());
        }
        let n = self.rng.below(self.names.len() as u64) as usize;
        self.names[n].clone()
    }

    fn fresh_name(&mut self) -> Vec<u8> {
        self.count += 1;
        if self.rng.below(30) == 0 {
            return self.some().1;
        }
        (self.ways.name)(self.count, &mut self.rng)
    }

    fn content(&mut self) -> Vec<u8> {
        let len = match self.rng.below(12) {
            0 => 0,
            1..=4 => self.rng.below(200),
            5..=8 => self.rng.below(20_000),
            9..=10 => self.rng.below(120_000),
            _ => self.rng.below(700_000),
        };
        let mut bytes = vec![0; (len / self.ways.shrink) as usize];
        self.rng.fill(&mut bytes);
        bytes
    }

    fn offset(&mut self) -> u64 {
        let offset = match self.rng.below(6) {
            0 => self.rng.below(40 << 20),
            1 => self.rng.below(1 << 20) & !4095,
            _ => self.rng.below(60_000),
        };
        offset / self.ways.shrink
    }

    /// One operation on both sides; both have to answer alike.
    pub fn step(&mut self, fs: &mut dyn FsWrite) {
        let now = Time {
            seconds: NOW.seconds + self.count as i64,
            nanos: 7,
        };
        fs.set_clock(now);
        self.model.set_clock(now);
        let op = match self.rng.below(100) {
            // Links and attributes: removals and edits where there are none.
            28..=38 if !self.ways.unix => 40,
            op @ 90.. if !self.ways.unix => op - 25,
            op => op,
        };
        match op {
            0..=19 => {
                let (dir, name, mode) = (self.dir(), self.fresh_name(), self.rng.below(0o10000) as u16);
                let content = self.content();
                if let Some((a, b)) = self.both(fs, dir, "create", |f, d| f.create(d, &name, mode)) {
                    self.nodes.insert(a, b);
                    self.names.push((dir, name));
                    self.act(fs, a, "replace", |f, n| f.replace(n, &content));
                }
            }
            20..=27 => {
                let (dir, name) = (self.dir(), self.fresh_name());
                if let Some((a, b)) = self.both(fs, dir, "mkdir", |f, d| f.mkdir(d, &name, 0o755)) {
                    self.nodes.insert(a, b);
                    self.names.push((dir, name));
                    self.dirs.push(a);
                }
            }
            28..=33 => {
                let (dir, name) = (self.dir(), self.fresh_name());
                let len = [1, 30, 59, 60, 61, 200, 1000][self.rng.below(7) as usize];
                let target = vec![b'a' + self.rng.below(26) as u8; len];
                if let Some((a, b)) = self.both(fs, dir, "symlink", |f, d| f.symlink(d, &name, &target)) {
                    self.nodes.insert(a, b);
                    self.names.push((dir, name));
                }
            }
            34..=38 => {
                let (dir, name) = (self.dir(), self.fresh_name());
                let (from, old) = self.some();
                if let Ok(Some(node)) = self.model.lookup(from, &old) {
                    let other = self.nodes[&node];
                    let theirs = fs.add_name(self.nodes[&dir], &name, other);
                    if !self.was_full(&theirs) {
                        let ours = self.model.add_name(dir, &name, node);
                        alike("add_name", &ours, &theirs);
                        self.names.push((dir, name));
                    }
                }
            }
            39..=48 => {
                let (dir, name) = self.some();
                self.act(fs, dir, "remove", |f, d| f.remove(d, &name));
            }
            49..=52 => {
                let (dir, name) = self.some();
                self.act(fs, dir, "rmdir", |f, d| f.rmdir(d, &name));
                self.choices();
            }
            53..=62 => {
                let (dir, name) = self.some();
                let (to, new) = if self.rng.below(3) == 0 {
                    self.some()
                } else {
                    (self.dir(), self.fresh_name())
                };
                let theirs = fs.rename(self.nodes[&dir], &name, self.nodes[&to], &new);
                if !self.was_full(&theirs) {
                    let ours = self.model.rename(dir, &name, to, &new);
                    alike("rename", &ours, &theirs);
                    if let Ok(Some(node)) = self.model.lookup(to, &new) {
                        // Where nodes are places of names, it has another one now.
                        let theirs = fs.lookup(self.nodes[&to], &new).unwrap().unwrap();
                        self.nodes.insert(node, theirs);
                    }
                    self.choices();
                }
            }
            63..=86 => {
                let (dir, name) = self.some();
                let Ok(Some(node)) = self.model.lookup(dir, &name) else {
                    return;
                };
                let (content, offset) = (self.content(), self.offset());
                match op {
                    63..=69 => self.act(fs, node, "replace", |f, n| f.replace(n, &content)),
                    70..=77 => self.act(fs, node, "write_at", |f, n| f.write_at(n, offset, &content)),
                    78..=81 => self.act(fs, node, "append", |f, n| f.append(n, &content)),
                    _ => self.act(fs, node, "truncate", |f, n| f.truncate(n, offset)),
                }
            }
            87..=89 => {
                let (dir, name) = self.some();
                let Ok(Some(node)) = self.model.lookup(dir, &name) else {
                    return;
                };
                let attributes = Attributes {
                    mode: Some(self.rng.below(0o10000) as u16),
                    uid: self.ways.unix.then(|| self.rng.below(1 << 20) as u32),
                    gid: self.ways.unix.then(|| self.rng.below(1 << 20) as u32),
                    modified: Some(Time {
                        seconds: self.rng.below(1 << 31) as i64,
                        nanos: 5,
                    }),
                    accessed: None,
                };
                self.act(fs, node, "set_attributes", |f, n| {
                    f.set_attributes(n, &attributes)
                });
            }
            _ => {
                let (dir, name) = self.some();
                let Ok(Some(node)) = self.model.lookup(dir, &name) else {
                    return;
                };
                let which = [
                    "user.a",
                    "user.longer-name",
                    "security.selinux",
                    "trusted.x",
                    "user.b",
                ][self.rng.below(5) as usize]
                    .as_bytes();
                if self.rng.below(4) == 0 {
                    self.act(fs, node, "remove_xattr", |f, n| f.remove_xattr(n, which));
                } else {
                    let len = [0, 5, 31, 60, 200, 600][self.rng.below(6) as usize];
                    let value = vec![self.rng.word() as u8; len];
                    self.act(fs, node, "set_xattr", |f, n| f.set_xattr(n, which, &value));
                }
            }
        }
    }

    fn was_full<T>(&mut self, theirs: &h2k_block::Result<T>) -> bool {
        let full = matches!(theirs, Err(e) if e.class() == Class::NoSpace || e.class() == Class::Limit);
        self.full += u64::from(full);
        full
    }

    fn both(
        &mut self,
        fs: &mut dyn FsWrite,
        node: Node,
        what: &str,
        op: impl Fn(&mut dyn FsWrite, Node) -> h2k_block::Result<Node>,
    ) -> Option<(Node, Node)> {
        let theirs = op(fs, self.nodes[&node]);
        if self.was_full(&theirs) {
            return None;
        }
        let ours = op(&mut self.model, node);
        alike(what, &ours.as_ref().map(drop), &theirs.as_ref().map(drop));
        self.done += 1;
        Some((ours.ok()?, theirs.ok()?))
    }

    fn act(
        &mut self,
        fs: &mut dyn FsWrite,
        node: Node,
        what: &str,
        op: impl Fn(&mut dyn FsWrite, Node) -> h2k_block::Result<()>,
    ) {
        let theirs = op(fs, self.nodes[&node]);
        if !self.was_full(&theirs) {
            let ours = op(&mut self.model, node);
            alike(what, &ours, &theirs);
            self.done += u64::from(ours.is_ok());
        }
    }
}

fn alike<T, E: std::borrow::Borrow<h2k_block::Error>>(
    what: &str,
    ours: &Result<T, E>,
    theirs: &Result<T, E>,
) {
    let class = |r: &Result<T, E>| r.as_ref().err().map(|e| e.borrow().class());
    assert_eq!(
        class(ours),
        class(theirs),
        "{what}: the model says {:?}, the filesystem {:?}",
        ours.as_ref().err().map(|e| e.borrow().to_string()),
        theirs.as_ref().err().map(|e| e.borrow().to_string())
    );
}
