//! Independent readers: the kernel through loop mounts, debugfs where it does not help.

use crate::tree::Size;
use h2k_block::{Access, BlockRead, FileDisk, Kind, Limits, Meter, Sharing};
use h2k_ext4::{Ext4, Journal};
use h2k_fs::{FsRead, Node, Stat, resolve, walk};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tree for filesystems that are about something else.
pub const LITTLE: Size = Size {
    names: 300,
    pieces: 100,
    xattr: 700,
    link: 4094,
    sparse: 5 << 20,
};

/// A scratch folder; images are sparse.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        // In memory where the host has such a place: loop mounts on a disk wait for it.
        let memory = Path::new("/dev/shm");
        Self(
            if memory.is_dir() {
                tempfile::tempdir_in(memory)
            } else {
                tempfile::tempdir()
            }
            .unwrap(),
        )
    }

    pub fn image(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An empty filesystem.
    pub fn make(&self, options: &str, size: &str) -> PathBuf {
        let image = self.image("fs.img");
        let file = std::fs::File::create(&image).unwrap();
        drop(file);
        let mut args: Vec<&str> = vec!["-q", "-F"];
        args.extend(options.split_whitespace());
        let text = image.to_str().unwrap().to_owned();
        args.push(&text);
        args.push(size);
        oracle::ok("mke2fs", &args);
        image
    }
}

/// Says something past the capture of the test harness, which would hide it when tests pass.
pub fn aloud(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n*** {what} ***\n");
}

/// Whether loop mounts work here. Said once and loudly when they do not: a run without them proves much less.
pub fn kernel_helps() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| {
        let scratch = Scratch::new();
        let image = scratch.make("-t ext2", "4M");
        match mount(&image, "ext4", "ro") {
            Ok(_) => true,
            Err(why) => {
                aloud(&format!(
                    "NO LOOP MOUNTS HERE ({why}): the kernel is not asked, only debugfs is"
                ));
                false
            }
        }
    })
}

pub fn file(image: &Path) -> Arc<dyn BlockRead> {
    Arc::new(FileDisk::open(image, Access::Read, Sharing::Force).unwrap())
}

pub fn open(image: &Path, journal: Journal) -> Ext4 {
    h2k_ext4::open_with(file(image), &Limits::default(), journal).unwrap()
}

pub fn against_debugfs(image: &Path, dump: &Path) {
    std::fs::create_dir(dump).unwrap();
    let fs = open(image, Journal::Ignore);
    let request = format!("rdump / {}", dump.display());
    oracle::ok("debugfs", &["-R", &request, image.to_str().unwrap()]);
    let theirs = listing::of_host(dump, Options::PLAIN);
    let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
    // debugfs makes no devices, pipes and sockets.
    let plain = |text: &str| -> String {
        text.lines()
            .filter(|l| !["\tc\t", "\tb\t", "\tp\t", "\ts\t"].iter().any(|k| l.contains(k)))
            .map(|l| format!("{l}\n"))
            .collect()
    };
    assert_eq!(
        listing::differences(&plain(&theirs.text), &plain(&ours.text)),
        None
    );
}

/// Compares names, contents, attributes, extents and free space with a read-only mount.
pub fn against_the_kernel(image: &Path, options: &str) {
    let journal = if options.contains("noload") {
        Journal::Ignore
    } else {
        Journal::Replay
    };
    let fs = open(image, journal);
    let mounted = mount(image, "ext4", options).unwrap();
    against_mount(&fs, mounted.path(), image);
    free_space_agrees(&fs, image);
}

pub fn against_mount(fs: &Ext4, root: &Path, image: &Path) {
    let mut meter = Meter::new(Limits::default());
    let samples: Vec<(Node, PathBuf)> = [
        "content/sparse",
        "content/pieces",
        "content/unwritten",
        "content/unwritten-large",
        "content/len-1048579",
        "content/grown",
    ]
    .into_iter()
    .filter(|name| root.join(name).exists())
    .map(|name| {
        let node = resolve(fs, name.as_bytes(), &mut meter).unwrap().unwrap();
        (node, root.join(name))
    })
    .collect();
    // First of all: what was read lies in the page cache, and SEEK_DATA takes that for data.
    for (node, path) in &samples {
        extents_agree(fs, *node, path);
    }
    let theirs = listing::of_host(root, Options::UNIX);
    let ours = listing::of_fs(fs, Options::UNIX).unwrap();
    assert_eq!(
        listing::differences(&theirs.text, &ours.text),
        None,
        "{}: {:#?}",
        image.display(),
        ours.errors
    );
    assert_eq!(ours.errors.len(), theirs.errors.len(), "{:#?}", ours.errors);
    let mut count = 0;
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let path = root.join(std::ffi::OsStr::from_bytes(visit.path));
            let stat = visit.stat.unwrap();
            stats_agree(&stat, &path);
            xattrs_agree(fs, visit.node, &path);
            found_by_name(fs, visit.node, visit.path);
            count += 1;
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
    assert!(count > 1);
    for (node, path) in &samples {
        pieces_agree(fs, *node, path);
    }
    let (usage, host) = (fs.usage().unwrap(), rustix::fs::statvfs(root).unwrap());
    assert_eq!(usage.block, host.f_bsize);
    assert_eq!(usage.total / usage.block, host.f_blocks, "statvfs blocks");
    assert_eq!(usage.free / usage.block, host.f_bfree, "statvfs free blocks");
    assert_eq!(usage.nodes, Some(host.f_files));
    assert_eq!(usage.nodes_free, Some(host.f_ffree));
}

pub fn stats_agree(ours: &Stat, path: &Path) {
    let host = path.symlink_metadata().unwrap();
    let time = |t: h2k_fs::Time| (t.seconds, i64::from(t.nanos));
    let what = path.display();
    assert_eq!(ours.inode, host.ino(), "{what}");
    assert_eq!(ours.len, host.len(), "{what}");
    // For inline data the kernel counts a block that is not there.
    let counted = host.blocks() * 512;
    assert!(
        ours.allocated == counted || ours.allocated + ours.len.next_multiple_of(512) == counted,
        "{what}: {} bytes allocated, the kernel says {counted}",
        ours.allocated
    );
    assert_eq!(u32::from(ours.mode.unwrap()), host.mode() & 0o7777, "{what}");
    assert_eq!(
        (ours.uid, ours.gid),
        (Some(host.uid()), Some(host.gid())),
        "{what}"
    );
    assert_eq!(u64::from(ours.links), host.nlink(), "{what}");
    assert_eq!(time(ours.modified), (host.mtime(), host.mtime_nsec()), "{what}");
    assert_eq!(time(ours.accessed), (host.atime(), host.atime_nsec()), "{what}");
    assert_eq!(time(ours.changed), (host.ctime(), host.ctime_nsec()), "{what}");
    if let (Some(created), Ok(host)) = (ours.created, host.created()) {
        let since = host.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(
            time(created),
            (since.as_secs() as i64, i64::from(since.subsec_nanos())),
            "{what}"
        );
    }
}

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn xattrs_agree(fs: &Ext4, node: Node, path: &Path) {
    let mut ours = Xattrs::new();
    fs.xattrs(node, &mut |name, value| {
        ours.insert(name.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut names = vec![0; 65_536];
    let n = rustix::fs::llistxattr(path, &mut names).unwrap();
    let mut theirs = Xattrs::new();
    for name in names[..n].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0; 65_536];
        let n = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        value.truncate(n);
        theirs.insert(name.to_vec(), value);
    }
    for (name, value) in &mut ours {
        if name.starts_with(b"system.posix_acl_") {
            *value = h2k_fs::linux_acl(value).into_owned();
        }
    }
    assert_eq!(ours, theirs, "{}", path.display());
}

/// Every name is found again by looking it up, and its neighbour that does not exist is not.
pub fn found_by_name(fs: &Ext4, node: Node, path: &[u8]) {
    let (dir, name) = match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    };
    if name.is_empty() {
        return;
    }
    let mut meter = Meter::new(Limits::default());
    let dir = h2k_fs::lookup_path(fs, dir, false, &mut meter).unwrap().unwrap();
    assert_eq!(
        fs.lookup(dir, name).unwrap(),
        Some(node),
        "{}",
        String::from_utf8_lossy(path)
    );
    let other = [name, b"~"].concat();
    assert_eq!(fs.lookup(dir, &other).unwrap(), None);
}

/// Positional reads at borders and at random places.
pub fn pieces_agree(fs: &Ext4, node: Node, path: &Path) {
    use std::os::unix::fs::FileExt;
    let host = std::fs::File::open(path).unwrap();
    let len = host.metadata().unwrap().len();
    let mut rng = Rng::new(7);
    let mut places: Vec<(u64, usize)> = Vec::new();
    for border in [
        0,
        1024,
        4096,
        12 << 10,
        12 << 12,
        (12 << 12) + (1 << 22),
        268 << 10,
        1 << 20,
        66 << 20,
        5 << 30,
        len,
    ] {
        for start in [border.saturating_sub(1), border, border + 1] {
            for n in [1, 2, 1023, 1025, 4096, 9000] {
                places.push((start, n));
                places.push((border.saturating_sub(n as u64), n));
            }
        }
    }
    for _ in 0..60 {
        places.push((rng.below(len + 5000), 1 + rng.below(30_000) as usize));
    }
    let (mut a, mut b) = (vec![0; 30_001], vec![0; 30_001]);
    for (at, n) in places {
        b.fill(0xaa);
        let ours = fs.read_at(node, at, &mut b[..n]).unwrap();
        let mut theirs = 0;
        while theirs < n {
            match host.read_at(&mut a[theirs..n], at + theirs as u64).unwrap() {
                0 => break,
                more => theirs += more,
            }
        }
        assert_eq!(ours, theirs, "{} at {at}+{n}", path.display());
        assert!(a[..ours] == b[..ours], "{} differs at {at}+{n}", path.display());
    }
}

/// Data and holes lie where the kernel seeks them; stored bytes lie on the volume where the extent says.
fn extents_agree(fs: &Ext4, node: Node, path: &Path) {
    use rustix::fs::{SeekFrom, seek};
    let host = std::fs::File::open(path).unwrap();
    let len = host.metadata().unwrap().len();
    let mut at = 0;
    while at < len {
        let extent = fs.file_extent_at(node, at, len).unwrap();
        assert_eq!(extent.run.start, at);
        let data = seek(&host, SeekFrom::Data(at)).unwrap_or(len);
        if extent.run.kind == Kind::Data {
            assert_eq!(data, at, "{}: {extent:?}", path.display());
            let n = extent.run.len.min(4096) as usize;
            let (mut a, mut b) = (vec![0; n], vec![0; n]);
            fs.read_at(node, at, &mut a).unwrap();
            if let Some(place) = extent.at {
                fs.disk().read_at(place, &mut b).unwrap();
                assert_eq!(a, b);
            }
        } else {
            assert!(
                data >= extent.run.end(),
                "{}: {extent:?}, data at {data}",
                path.display()
            );
        }
        at = extent.run.end();
    }
}

/// What is free by our reckoning is what dumpe2fs prints as free.
fn free_space_agrees(fs: &Ext4, image: &Path) {
    let text = oracle::ok("dumpe2fs", &[image]);
    let (mut size, mut cluster) = (0, 0);
    let mut theirs: Vec<(u64, u64)> = Vec::new();
    for line in text.lines() {
        if let Some(n) = line.strip_prefix("Block size:") {
            size = n.trim().parse().unwrap();
            cluster = size;
        }
        if let Some(n) = line.strip_prefix("Cluster size:") {
            cluster = n.trim().parse().unwrap();
        }
        let Some(list) = line.strip_prefix("  Free blocks: ") else {
            continue;
        };
        for range in list.split(", ").filter(|r| !r.is_empty()) {
            let (a, b) = range.split_once('-').unwrap_or((range, range));
            let (a, b): (u64, u64) = (a.parse().unwrap(), b.parse().unwrap());
            // With clusters, a range ends with the first block of its last cluster.
            let b = b + cluster / size;
            match theirs.last_mut() {
                Some(last) if last.1 == a => last.1 = b,
                _ => theirs.push((a, b)),
            }
        }
    }
    let mut ours: Vec<(u64, u64)> = Vec::new();
    let (mut at, end) = (0, fs.disk().len());
    while at < end {
        let extent = fs.used_at(at, end).unwrap();
        if extent.kind == Kind::Hole {
            let (a, b) = (extent.start / size, extent.end() / size);
            match ours.last_mut() {
                Some(last) if last.1 == a => last.1 = b,
                _ => ours.push((a, b)),
            }
        }
        at = extent.end();
    }
    assert_eq!(ours, theirs, "free blocks");
}
