//! A draft against the filesystem it is replayed on: they have to read the same, after any edits.

use crate::lab::Lab;
use h2k_block::{Limits, Meter, Result};
use h2k_fix::Draft;
use h2k_fs::{Attributes, FileKind, FsRead, FsWrite, MemFs, Node, Time, read_file};
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a node reads as: its kind, mode, content or target, its attributes, and what is in it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    kind: FileKind,
    mode: Option<u16>,
    owner: (Option<u32>, Option<u32>),
    bytes: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    below: BTreeMap<Vec<u8>, Seen>,
}

fn seen(fs: &dyn FsRead, node: Node) -> Result<Seen> {
    let stat = fs.stat(node)?;
    let mut names = Vec::new();
    let bytes = match stat.kind {
        FileKind::File => read_file(fs, node, &mut Meter::new(Limits::default()))?,
        FileKind::Link => fs.target(node)?,
        FileKind::Dir => {
            fs.list(node, &mut |entry| {
                names.push((entry.name.to_vec(), entry.node));
                ControlFlow::Continue(())
            })?;
            Vec::new()
        }
        _ => Vec::new(),
    };
    let mut below = BTreeMap::new();
    for (name, node) in names {
        assert_eq!(fs.lookup(fs.root(), b"no such name")?, None);
        assert!(below.insert(name, seen(fs, node)?).is_none(), "a name twice");
    }
    let mut xattrs = BTreeMap::new();
    fs.xattrs(node, &mut |name, value| {
        xattrs.insert(name.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(Seen {
        kind: stat.kind,
        mode: stat.mode,
        owner: (stat.uid, stat.gid),
        bytes,
        xattrs,
        below,
    })
}

fn name(rng: &mut Rng) -> Vec<u8> {
    vec![b'a' + u8::try_from(rng.below(6)).unwrap()]
}

/// Any directory, file or other node of the tree.
fn any(fs: &dyn FsRead, rng: &mut Rng, kind: FileKind) -> Option<Node> {
    let mut found = Vec::new();
    let mut todo = vec![fs.root()];
    while let Some(node) = todo.pop() {
        let is = fs.stat(node).unwrap().kind;
        if is == kind {
            found.push(node);
        }
        if is == FileKind::Dir {
            fs.list(node, &mut |entry| {
                todo.push(entry.node);
                ControlFlow::Continue(())
            })
            .unwrap();
        }
    }
    (!found.is_empty()).then(|| found[usize::try_from(rng.below(found.len() as u64)).unwrap()])
}

fn edit(draft: &Draft, rng: &mut Rng) {
    let dir = any(draft, rng, FileKind::Dir).unwrap();
    let file = any(draft, rng, FileKind::File);
    let (one, two) = (name(rng), name(rng));
    let text: Vec<u8> = (0..rng.below(40)).map(|i| u8::try_from(i).unwrap()).collect();
    // What is refused is refused by both: it leaves no step behind.
    let _refused = match rng.below(9) {
        0 => draft.create(dir, &one, 0o640).map(|_| ()),
        1 => draft.mkdir(dir, &one, 0o750).map(|_| ()),
        2 => draft.symlink(dir, &one, b"../x").map(|_| ()),
        3 => draft.remove(dir, &one),
        4 => draft.rename(dir, &one, any(draft, rng, FileKind::Dir).unwrap(), &two),
        5 => file.map_or(Ok(()), |file| draft.replace(file, &text)),
        6 => file.map_or(Ok(()), |file| draft.append(file, &text)),
        7 => file.map_or(Ok(()), |file| draft.set_xattr(file, b"user.x", &text)),
        _ => {
            let attributes = Attributes {
                mode: Some(0o600),
                uid: Some(7),
                ..Attributes::default()
            };
            file.map_or(Ok(()), |file| draft.set_attributes(file, &attributes))
        }
    };
}

#[test]
fn any_edits_read_the_same_before_and_after_they_are_written() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let mut fs = MemFs::default();
        let dir = fs.mkdir(fs.root(), b"a", 0o755).unwrap();
        for (at, file) in [(fs.root(), b"b"), (dir, b"c")] {
            let node = fs.create(at, file, 0o644).unwrap();
            fs.replace(node, b"what was there").unwrap();
        }
        let draft = Draft::new(Arc::new(fs.clone()), Time::default());
        for _ in 0..rng.below(60) {
            edit(&draft, &mut rng);
        }
        let drafted = seen(&draft, draft.root()).unwrap();
        draft.replay(&mut fs).unwrap();
        assert_eq!(drafted, seen(&fs, fs.root()).unwrap(), "seed {seed}");
    }
}

#[test]
fn nothing_is_changed_by_looking() {
    let fs: Arc<dyn FsRead> = Arc::new(MemFs::default());
    let draft = Draft::new(fs, Time::default());
    assert_eq!(draft.lookup(draft.root(), b"etc").unwrap(), None);
    assert!(!draft.changed());
    draft.create(draft.root(), b"x", 0o644).unwrap();
    assert!(draft.changed());
}

#[test]
fn new_files_keep_their_owners_and_modes_apart() {
    let mut lab = Lab::new(&[("/etc/shadow", "root:*\n"), ("/etc/blkid.tab", "x")]);
    lab.owned("/etc/shadow", 0o640, 0, 42);
    lab.device("/dev/sda2", "swap", "22222222-2222-3333-4444-555555555555");
    let done = lab.fix("linux.device-caches");
    assert_eq!(done.owner("/etc/shadow"), (0o640, 0, 42));
    assert_eq!(done.target("/etc/shadow"), None);
}

#[test]
fn a_file_that_moves_keeps_what_is_written_to_it_also_where_moving_gives_it_another_node() {
    use h2k_block::{BlockRead, MemDisk, Overlay};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("esp");
    std::fs::write(&path, vec![0; 4 << 20]).unwrap();
    h2k_testkit::oracle::ok("mkfs.vfat", std::slice::from_ref(&path));
    let disk: Arc<dyn BlockRead> = Arc::new(MemDisk::new(std::fs::read(&path).unwrap()));
    let over = Arc::new(Overlay::new(disk));
    let open = || h2k_guest::open_writer("vfat", over.clone(), &Limits::default(), Time::default()).unwrap();
    let mut writer = open();
    let root = writer.root();
    let (a, _) = (
        writer.create(root, b"a", 0o644).unwrap(),
        writer.mkdir(root, b"d", 0o755).unwrap(),
    );
    writer.replace(a, b"old").unwrap();
    writer.settle().unwrap();
    drop(writer);

    let below: Box<dyn FsRead> = open();
    let below: Arc<dyn FsRead> = below.into();
    let draft = Draft::new(below, Time::default());
    let root = draft.root();
    let (a, d) = (
        draft.lookup(root, b"A").unwrap().unwrap(),
        draft.lookup(root, b"d").unwrap().unwrap(),
    );
    draft.rename(root, b"a", d, b"b.conf").unwrap();
    draft.append(a, b" and new").unwrap();
    draft.replay(&mut *open()).unwrap();

    let after = open();
    let d = after.lookup(after.root(), b"d").unwrap().unwrap();
    let b = after.lookup(d, b"b.conf").unwrap().unwrap();
    let text = read_file(&*after, b, &mut Meter::new(Limits::default())).unwrap();
    assert_eq!(text, b"old and new");
    assert_eq!(after.lookup(after.root(), b"a").unwrap(), None);
}
