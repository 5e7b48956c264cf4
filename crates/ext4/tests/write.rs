//! Writing: random operations on a filesystem and on the model, judged by e2fsck, by our reader and by the kernel.

use crate::kernel::{LITTLE, Scratch, aloud, kernel_helps};
use crate::tree;
use h2k_block::{Class, Limits, MemDisk, Meter, Overlay};
use h2k_ext4::{Ext4Writer, open_writer};
use h2k_fs::{Attributes, FileKind, FsRead, FsWrite, MemFs, Node, Time, walk};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const NOW: Time = Time {
    seconds: 1_790_000_000,
    nanos: 123_456_789,
};

/// One filesystem that is written, and the image its edits are brought to for others to judge.
pub struct Subject {
    pub image: PathBuf,
    pub over: Arc<Overlay>,
    pub fs: Ext4Writer,
}

impl Subject {
    pub fn open(image: &Path) -> h2k_block::Result<Self> {
        let disk = Arc::new(MemDisk::new(std::fs::read(image).unwrap()));
        let over = Arc::new(Overlay::new(disk));
        let fs = open_writer(over.clone(), &Limits::default(), NOW)?;
        Ok(Self {
            image: image.to_owned(),
            over,
            fs,
        })
    }

    /// Settles, brings the edits onto the image, and asks e2fsck.
    pub fn judge(&mut self, when: &str) {
        self.fs.settle().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&self.image).unwrap();
        self.over
            .each(&mut |at, bytes| {
                file.write_all_at(bytes, at).unwrap();
                Ok(())
            })
            .unwrap();
        drop(file);
        let out = oracle::run("e2fsck", &["-fn", self.image.to_str().unwrap()]);
        if !out.status.success() {
            let kept = std::env::temp_dir().join("h2k-ext4-bad.img");
            let _ = std::fs::copy(&self.image, &kept);
            panic!(
                "{when}: e2fsck -fn: {}{}",
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            );
        }
    }
}

/// What listings do not show: owner, links, times, attributes.
fn details(fs: &dyn FsRead) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut meter = Meter::new(Limits::default());
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let s = visit.stat.unwrap();
            let mut xattrs = BTreeMap::new();
            fs.xattrs(visit.node, &mut |name, value| {
                xattrs.insert(name.to_vec(), value.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
            let text = format!(
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
            );
            all.insert(visit.path.to_vec(), text);
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
    all
}

pub fn same_tree(model: &dyn FsRead, ours: &dyn FsRead, when: &str) {
    let a = listing::of_fs(model, Options::UNIX).unwrap();
    let b = listing::of_fs(ours, Options::UNIX).unwrap();
    assert_eq!(
        listing::differences(&a.text, &b.text),
        None,
        "{when}: {:#?}",
        b.errors
    );
    let (a, b) = (details(model), details(ours));
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
struct Twins {
    model: MemFs,
    nodes: BTreeMap<Node, Node>,
    names: Vec<(Node, Vec<u8>)>,
    dirs: Vec<Node>,
    rng: Rng,
    count: u64,
    /// Operations that could not be done for lack of space.
    full: u64,
    /// Operations that both sides did.
    done: u64,
}

impl Twins {
    fn new(fs: &dyn FsRead, seed: u64) -> Self {
        let (model, nodes) = model_of(fs);
        let mut twins = Self {
            model,
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
        let len = match self.rng.below(4) {
            0 => self.rng.below(220) as usize,
            _ => self.rng.below(20) as usize,
        };
        format!("n{:x}{}", self.count, "-".repeat(len)).into_bytes()
    }

    fn content(&mut self) -> Vec<u8> {
        let len = match self.rng.below(12) {
            0 => 0,
            1..=4 => self.rng.below(200),
            5..=8 => self.rng.below(20_000),
            9..=10 => self.rng.below(120_000),
            _ => self.rng.below(700_000),
        };
        let mut bytes = vec![0; len as usize];
        self.rng.fill(&mut bytes);
        bytes
    }

    fn offset(&mut self) -> u64 {
        match self.rng.below(6) {
            0 => self.rng.below(40 << 20),
            1 => self.rng.below(1 << 20) & !4095,
            _ => self.rng.below(60_000),
        }
    }

    /// One operation on both sides; both have to answer alike.
    fn step(&mut self, fs: &mut Ext4Writer) {
        let now = Time {
            seconds: NOW.seconds + self.count as i64,
            nanos: 7,
        };
        fs.set_clock(now);
        self.model.set_clock(now);
        let op = self.rng.below(100);
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
                    uid: Some(self.rng.below(1 << 20) as u32),
                    gid: Some(self.rng.below(1 << 20) as u32),
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
        fs: &mut Ext4Writer,
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
        fs: &mut Ext4Writer,
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

/// Random operations on a filesystem made with `options`, filled by the kernel first.
fn random(options: &str, size: &str, seed: u64, steps: u64) {
    let scratch = Scratch::new();
    let image = scratch.make(options, size);
    if kernel_helps()
        && let Ok(mounted) = mount(&image, "ext4", "rw")
    {
        tree::fill(mounted.path(), tree::Size { names: 60, ..LITTLE });
        // Too much for the model, which keeps holes as zeros.
        for big in ["content/sparse", "content/unwritten-large"] {
            let _ = std::fs::remove_file(mounted.path().join(big));
        }
    }
    let mut subject = Subject::open(&image).unwrap();
    let mut twins = Twins::new(&subject.fs, seed);
    for batch in 0..3 {
        for _ in 0..steps {
            twins.step(&mut subject.fs);
        }
        let when = format!("{options}, batch {batch}");
        same_tree(&twins.model, &subject.fs, &when);
        assert!(
            twins.done > twins.full && twins.done > steps / 2,
            "{when}: {} done, {} refused for space",
            twins.done,
            twins.full
        );
        subject.judge(&when);
        // What was written is what is read again.
        let fs = crate::kernel::open(&image, h2k_ext4::Journal::Replay);
        assert!(
            fs.facts().warnings.is_empty(),
            "{when}: {:?}",
            fs.facts().warnings
        );
        same_tree(&twins.model, &fs, &when);
    }
    if kernel_helps() {
        match mount(&image, "ext4", "rw") {
            Ok(mounted) => {
                let theirs = listing::of_host(mounted.path(), Options::UNIX);
                let ours = listing::of_fs(&twins.model, Options::UNIX).unwrap();
                assert_eq!(
                    listing::differences(&theirs.text, &ours.text),
                    None,
                    "{options}: {:#?}",
                    theirs.errors
                );
                // And the kernel writes on where we stopped.
                std::fs::create_dir(mounted.path().join("by the kernel")).unwrap();
                for n in 0..40 {
                    let path = mounted.path().join(format!("by the kernel/{n}"));
                    std::fs::write(path, vec![n; 3000 * usize::from(n)]).unwrap_or_default();
                }
            }
            Err(why) => aloud(&format!("{options}: not mounted here ({why})")),
        }
        oracle::ok("e2fsck", &["-fn", image.to_str().unwrap()]);
    }
}

macro_rules! rows {
    ($($name:ident: $options:literal, $size:literal;)*) => {
        $(#[test]
        fn $name() {
            let seed: u64 = stringify!($name).bytes().map(u64::from).sum();
            random($options, $size, seed, 150);
        })*
    };
}

rows! {
    ext4_as_mke2fs_makes_it: "-t ext4", "64M";
    ext4_with_blocks_of_1k: "-t ext4 -b 1024", "32M";
    ext4_with_blocks_of_2k: "-t ext4 -b 2048", "32M";
    ext3_with_blocks_of_4k: "-t ext3 -b 4096", "48M";
    ext3_with_blocks_of_1k: "-t ext3 -b 1024", "32M";
    ext2_with_blocks_of_1k: "-t ext2 -b 1024", "32M";
    ext2_with_blocks_of_4k: "-t ext2 -b 4096 -I 128", "32M";
    ext2_without_file_types: "-t ext2 -b 2048 -O ^filetype,^sparse_super,^resize_inode", "32M";
    ext2_with_linear_directories: "-t ext2 -b 1024 -O ^dir_index", "32M";
    ext4_with_block_maps: "-t ext4 -b 1024 -O ^extent,^64bit", "32M";
    ext4_without_64bit: "-t ext4 -O ^64bit", "48M";
    ext4_without_checksums: "-t ext4 -O ^metadata_csum,^uninit_bg", "48M";
    ext4_with_group_checksums: "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", "64M";
    ext4_with_group_checksums_without_64bit: "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^64bit", "64M";
    ext4_without_flex_groups: "-t ext4 -b 1024 -O ^flex_bg", "64M";
    ext4_with_meta_groups: "-t ext4 -b 1024 -O meta_bg,^resize_inode", "64M";
    ext4_with_clusters: "-t ext4 -O bigalloc -C 16384", "96M";
    ext4_with_clusters_and_blocks_of_1k: "-t ext4 -b 1024 -O bigalloc -C 8192", "64M";
    ext4_with_inline_data: "-t ext4 -O inline_data -I 256", "48M";
    ext4_with_inline_data_in_large_inodes: "-t ext4 -b 2048 -O inline_data -I 1024", "48M";
    ext4_with_inline_data_and_clusters: "-t ext4 -b 1024 -O inline_data,bigalloc -C 4096", "64M";
    ext4_with_attributes_in_inodes: "-t ext4 -b 1024 -O ea_inode", "48M";
    ext4_with_two_superblock_copies: "-t ext4 -b 1024 -O sparse_super2", "48M";
    ext4_with_an_orphan_file: "-t ext4 -O orphan_file,fast_commit,stable_inodes", "48M";
    ext4_with_a_checksum_seed: "-t ext4 -O metadata_csum_seed", "48M";
    ext4_with_inodes_of_128: "-t ext4 -I 128", "48M";
    ext4_with_inodes_of_512: "-t ext4 -I 512", "48M";
    ext4_without_journal: "-t ext4 -O ^has_journal", "48M";
    ext4_with_large_directories: "-t ext4 -b 1024 -O large_dir", "48M";
    ext4_with_linear_directories: "-t ext4 -b 1024 -O ^dir_index", "48M";
    ext4_with_multiple_mount_protection: "-t ext4 -O mmp", "48M";
    ext4_with_odd_group_sizes: "-t ext4 -b 1024 -g 2048 -N 5000", "48M";
    ext4_with_lazy_tables: "-t ext4 -b 1024 -E lazy_itable_init=1,lazy_journal_init=1 -G 4", "96M";
    ext4_with_blocks_of_64k: "-t ext4 -b 65536", "256M";
}
