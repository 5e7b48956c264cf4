//! Live differential: images made now, with each feature, read by us and by the kernel.

use crate::tree::{self, Size};
use h2k_block::{Access, FileDisk, Kind, Limits, Meter, Sharing};
use h2k_ext4::{Ext4, Journal};
use h2k_fs::{FileKind, FsRead, Node, Stat, resolve, walk};
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
fn aloud(what: &str) {
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

pub fn open(image: &Path, journal: Journal) -> Ext4 {
    let disk = FileDisk::open(image, Access::Read, Sharing::Force).unwrap();
    h2k_ext4::open_with(Arc::new(disk), &Limits::default(), journal).unwrap()
}

/// Makes a filesystem, fills it through the kernel, and compares everything; without the kernel, fills it with
/// mke2fs and compares with what debugfs dumps.
fn differential(options: &str, size: &str, content: Size) {
    let scratch = Scratch::new();
    if kernel_helps() {
        let image = scratch.make(options, size);
        {
            let mounted = mount(&image, "ext4", "rw").unwrap();
            tree::fill(mounted.path(), content);
        }
        against_the_kernel(&image, "ro");
    } else {
        let source = scratch.image("tree");
        std::fs::create_dir(&source).unwrap();
        tree::fill(&source, content);
        let image = scratch.make(&format!("{options} -d {}", source.display()), size);
        against_debugfs(&image, &scratch.image("dump"));
    }
}

/// For what this kernel does not write: filled by mke2fs, read by the kernel if it mounts such a thing at all, else
/// by debugfs.
fn prefilled(options: &str, size: &str) {
    let scratch = Scratch::new();
    let source = scratch.image("tree");
    std::fs::create_dir(&source).unwrap();
    // mke2fs 1.47.0 does not copy links longer than a few hundred bytes.
    tree::fill(&source, Size { link: 600, ..LITTLE });
    let image = scratch.make(&format!("{options} -d {}", source.display()), size);
    if kernel_helps() {
        match mount(&image, "ext4", "ro") {
            Ok(mounted) => {
                let fs = open(&image, Journal::Replay);
                against_mount(&fs, mounted.path(), &image);
                return;
            }
            Err(why) => aloud(&format!(
                "{options}: the kernel refuses it ({why}), debugfs is asked instead"
            )),
        }
    }
    against_debugfs(&image, &scratch.image("dump"));
}

#[test]
fn ext4_with_projects_and_quotas() {
    prefilled("-t ext4 -O project,quota", "64M");
}

#[test]
fn ext4_with_blocks_of_64k() {
    prefilled("-t ext4 -b 65536", "512M");
}

#[test]
fn ext4_with_blocks_of_16k() {
    prefilled("-t ext4 -b 16384", "256M");
}

fn against_debugfs(image: &Path, dump: &Path) {
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
fn against_the_kernel(image: &Path, options: &str) {
    let journal = if options.contains("noload") {
        Journal::Ignore
    } else {
        Journal::Replay
    };
    let fs = open(image, journal);
    let mounted = mount(image, "ext4", options).unwrap();
    against_mount(&fs, mounted.path(), image);
    if options == "ro" {
        free_space_agrees(&fs, image);
    }
}

fn against_mount(fs: &Ext4, root: &Path, image: &Path) {
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

fn stats_agree(ours: &Stat, path: &Path) {
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

fn xattrs_agree(fs: &Ext4, node: Node, path: &Path) {
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
            *value = wide_acl(value);
        }
    }
    assert_eq!(ours, theirs, "{}", path.display());
}

/// The kernel's form of an ACL (version 2, every entry with an id) from the stored one (version 1).
fn wide_acl(stored: &[u8]) -> Vec<u8> {
    assert_eq!(&stored[..4], &[1, 0, 0, 0]);
    let mut out = vec![2, 0, 0, 0];
    let mut rest = &stored[4..];
    while !rest.is_empty() {
        out.extend(&rest[..4]);
        if matches!(rest[0], 2 | 8) {
            out.extend(&rest[4..8]);
            rest = &rest[8..];
        } else {
            out.extend(&[255; 4]);
            rest = &rest[4..];
        }
    }
    out
}

/// Every name is found again by looking it up, and its neighbour that does not exist is not.
fn found_by_name(fs: &Ext4, node: Node, path: &[u8]) {
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
fn pieces_agree(fs: &Ext4, node: Node, path: &Path) {
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

macro_rules! rows {
    ($($name:ident: $options:literal, $size:literal, $content:expr;)*) => {
        $(#[test]
        fn $name() {
            differential($options, $size, $content);
        })*
    };
}

const LITTLE: Size = Size {
    names: 300,
    pieces: 100,
    xattr: 700,
    link: 4094,
};

rows! {
    ext2_with_blocks_of_1k: "-t ext2 -b 1024", "32M", Size::USUAL;
    ext2_with_blocks_of_4k_and_small_inodes: "-t ext2 -b 4096 -I 128", "48M", LITTLE;
    ext2_with_linear_directories: "-t ext2 -b 1024 -O ^dir_index", "32M", LITTLE;
    ext2_without_file_types: "-t ext2 -b 2048 -O ^filetype,^sparse_super,^resize_inode", "32M", LITTLE;
    ext3: "-t ext3 -b 1024", "48M", Size::USUAL;
    ext4_as_mke2fs_makes_it: "-t ext4", "64M", Size::USUAL;
    ext4_with_blocks_of_1k: "-t ext4 -b 1024", "48M", Size::USUAL;
    ext4_with_blocks_of_2k: "-t ext4 -b 2048", "48M", LITTLE;
    ext4_with_block_maps: "-t ext4 -b 4096 -O ^extent,^64bit", "64M", LITTLE;
    ext4_without_64bit: "-t ext4 -O ^64bit", "64M", LITTLE;
    ext4_without_checksums: "-t ext4 -O ^metadata_csum,^uninit_bg", "64M", LITTLE;
    ext4_with_group_checksums: "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg", "64M", LITTLE;
    ext4_without_flex_groups: "-t ext4 -b 1024 -O ^flex_bg", "64M", LITTLE;
    ext4_with_meta_groups: "-t ext4 -b 1024 -O meta_bg,^resize_inode", "300M", LITTLE;
    ext4_with_meta_groups_and_small_descriptors: "-t ext4 -b 1024 -O meta_bg,^resize_inode,^64bit", "300M", LITTLE;
    ext4_with_clusters: "-t ext4 -O bigalloc -C 16384", "128M", LITTLE;
    ext4_with_clusters_and_blocks_of_1k: "-t ext4 -b 1024 -O bigalloc -C 8192", "96M", LITTLE;
    ext4_with_inline_data: "-t ext4 -O inline_data -I 256", "64M", Size::USUAL;
    ext4_with_inline_data_in_large_inodes: "-t ext4 -b 2048 -O inline_data -I 1024", "64M", LITTLE;
    ext4_with_attributes_in_inodes: "-t ext4 -O ea_inode", "64M", Size { xattr: 60_000, ..LITTLE };
    ext4_with_attributes_in_inodes_and_no_checksums: "-t ext4 -b 1024 -O ea_inode,^metadata_csum", "64M", Size { xattr: 9_000, ..LITTLE };
    ext4_with_two_superblock_copies: "-t ext4 -b 1024 -O sparse_super2", "64M", LITTLE;
    ext4_with_an_orphan_file_and_fast_commit: "-t ext4 -O orphan_file,fast_commit,stable_inodes", "64M", LITTLE;
    ext4_with_a_checksum_seed: "-t ext4 -O metadata_csum_seed", "64M", LITTLE;
    ext4_with_inodes_of_128: "-t ext4 -I 128", "64M", LITTLE;
    ext4_with_inodes_of_512: "-t ext4 -I 512", "64M", LITTLE;
    ext4_without_journal: "-t ext4 -O ^has_journal", "64M", LITTLE;
    ext4_with_multiple_mount_protection: "-t ext4 -O mmp", "64M", LITTLE;
    ext4_with_odd_group_sizes: "-t ext4 -b 1024 -g 2048 -N 5000", "48M", LITTLE;
}

/// Large directories need more than one level of index.
#[test]
fn a_directory_with_fifty_thousand_names() {
    if !kernel_helps() {
        return;
    }
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -b 1024 -O large_dir -N 60000", "128M");
    {
        let mounted = mount(&image, "ext4", "rw").unwrap();
        for n in 0..50_000 {
            let dir = mounted.path();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                dir.join(format!("entry-{n:x}-with-a-name-of-some-length")),
                rustix::fs::FileType::RegularFile,
                rustix::fs::Mode::from_raw_mode(0o644),
                0,
            )
            .unwrap();
        }
    }
    let fs = open(&image, Journal::Replay);
    let mut count = 0;
    fs.list(fs.root(), &mut |entry| {
        count += 1;
        assert_eq!(fs.lookup(fs.root(), entry.name).unwrap(), Some(entry.node));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 50_001);
    assert_eq!(
        fs.lookup(fs.root(), b"entry-c350-with-a-name-of-some-length")
            .unwrap(),
        None
    );
    assert!(fs.facts().warnings.is_empty(), "{:?}", fs.facts().warnings);
}

/// Works on a mounted filesystem, and answers with the image as a crash at the end would leave it.
fn crashed(scratch: &Scratch, mkfs: &str, options: &str, work: &dyn Fn(&Path)) -> Option<PathBuf> {
    if !kernel_helps() {
        return None;
    }
    let image = scratch.make(mkfs, "64M");
    let mounted = mount(&image, "ext4", &format!("rw,{options}")).unwrap();
    work(mounted.path());
    let copy = scratch.image("crashed.img");
    std::fs::copy(&image, &copy).unwrap();
    Some(copy)
}

/// Our replay shows what the kernel's own recovery shows, and without replay something would be missing.
fn recovers_as_the_kernel_does(mkfs: &str, options: &str, work: &dyn Fn(&Path)) -> Vec<String> {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, mkfs, options, work) else {
        return Vec::new();
    };
    let twin = scratch.image("twin.img");
    std::fs::copy(&image, &twin).unwrap();
    let before = std::fs::read(&image).unwrap();
    let fs = open(&image, Journal::Replay);
    let warnings = fs.facts().warnings;
    assert!(fs.facts().features.iter().any(|f| f == "needs_recovery"));
    assert!(warnings.iter().any(|w| w.contains("replayed")), "{warnings:?}");
    assert!(warnings.iter().all(|w| !w.contains("damaged")), "{warnings:?}");
    {
        // Mounting recovers the twin on disk.
        let mounted = mount(&twin, "ext4", "rw,noatime").unwrap();
        against_mount_after_recovery(&fs, mounted.path());
    }
    let stale = open(&image, Journal::Ignore);
    let (ours, stale) = (
        listing::of_fs(&fs, Options::UNIX).unwrap(),
        listing::of_fs(&stale, Options::UNIX).unwrap(),
    );
    assert_ne!(ours.text, stale.text, "there was nothing to replay");
    assert!(
        before == std::fs::read(&image).unwrap(),
        "the source was written to"
    );
    warnings
}

/// As [`against_mount`] without free space and links of deleted files, which recovery itself goes on to change.
fn against_mount_after_recovery(fs: &Ext4, root: &Path) {
    let theirs = listing::of_host(root, Options::UNIX);
    let ours = listing::of_fs(fs, Options::UNIX).unwrap();
    assert_eq!(
        listing::differences(&theirs.text, &ours.text),
        None,
        "{:#?}",
        ours.errors
    );
    let mut meter = Meter::new(Limits::default());
    let fast_commits = fs.facts().features.iter().any(|f| f == "fast_commit");
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            let path = root.join(std::ffi::OsStr::from_bytes(visit.path));
            let stat = visit.stat.unwrap();
            // Replaying fast commits enters names, and the kernel stamps those directories with the time it does so.
            if !(fast_commits && stat.kind == FileKind::Dir) {
                stats_agree(&stat, &path);
            }
            xattrs_agree(fs, visit.node, &path);
            found_by_name(fs, visit.node, visit.path);
            ControlFlow::Continue(())
        },
        &mut |path, e| panic!("{}: {e}", String::from_utf8_lossy(path)),
    )
    .unwrap();
}

fn sync_file(path: &Path) {
    std::fs::File::open(path).unwrap().sync_all().unwrap();
}

/// Names, contents, a directory whose blocks become file content (revoked), and a last commit.
fn busy(root: &Path) {
    let dir = root.join("soon gone");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..600 {
        std::fs::write(
            dir.join(format!("name-{n}-of-a-directory-that-will-be-removed")),
            "",
        )
        .unwrap();
    }
    sync_file(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
    sync_file(root);
    for n in 0..40 {
        // Blocks that begin like blocks of the journal itself.
        let mut bytes = vec![n; 30_000];
        for block in bytes.chunks_mut(1024) {
            block[..4].copy_from_slice(&0xc03b_3998_u32.to_be_bytes());
        }
        std::fs::write(root.join(format!("content-{n}")), bytes).unwrap();
    }
    for n in 0..40 {
        sync_file(&root.join(format!("content-{n}")));
    }
    std::fs::rename(root.join("content-1"), root.join("renamed")).unwrap();
    std::fs::remove_file(root.join("content-2")).unwrap();
    sync_file(root);
    sync_file(&root.join("content-3"));
}

macro_rules! crashes {
    ($($name:ident: $mkfs:literal, $options:literal;)*) => {
        $(#[test]
        fn $name() {
            recovers_as_the_kernel_does($mkfs, $options, &busy);
        })*
    };
}

crashes! {
    a_crash_of_ext3: "-t ext3 -b 1024", "commit=300";
    a_crash_of_ext4: "-t ext4", "commit=300";
    a_crash_of_ext4_with_journalled_data: "-t ext4 -b 1024", "commit=300,data=journal";
    a_crash_of_ext3_with_journalled_data: "-t ext3 -b 4096", "commit=300,data=journal";
    a_crash_of_ext4_without_64bit: "-t ext4 -b 1024 -O ^64bit", "commit=300,data=journal";
    a_crash_with_version_1_checksums: "-t ext4 -b 1024 -O ^metadata_csum", "commit=300,journal_checksum";
    a_crash_with_asynchronous_commits: "-t ext4 -b 1024 -O ^metadata_csum", "commit=300,data=writeback,journal_async_commit";
    a_crash_with_a_small_journal_that_wrapped: "-t ext4 -b 1024 -J size=1", "commit=300,data=journal";
    a_crash_with_inline_data: "-t ext4 -O inline_data", "commit=300";
}

/// Small changes that fast commits can express, each made durable by itself.
fn fast(root: &Path) {
    use rustix::fs::{FallocateFlags, fallocate};
    use std::os::unix::fs::{FileExt, PermissionsExt};
    let file = |name: &str| root.join(name);
    for n in 0..5 {
        std::fs::write(file(&format!("old-{n}")), vec![n; 50_000]).unwrap();
    }
    std::fs::create_dir(file("dir")).unwrap();
    let root_dir = std::fs::File::open(root).unwrap();
    rustix::fs::syncfs(&root_dir).unwrap();
    for n in 0..8_u8 {
        let path = file(&format!("dir/new-{n}"));
        std::fs::write(&path, vec![0x40 + n; 1000 * usize::from(n)]).unwrap();
        sync_file(&path);
    }
    let open = |name: &str| std::fs::OpenOptions::new().write(true).open(file(name)).unwrap();
    let grown = open("old-0");
    grown.write_all_at(&[9; 70_000], 40_000).unwrap();
    grown.sync_all().unwrap();
    let holed = open("old-1");
    fallocate(
        &holed,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        8192,
        16_384,
    )
    .unwrap();
    holed.sync_all().unwrap();
    let cut = open("old-2");
    cut.set_len(10_000).unwrap();
    cut.sync_all().unwrap();
    let planned = open("old-3");
    fallocate(&planned, FallocateFlags::empty(), 50_000, 100_000).unwrap();
    planned.sync_all().unwrap();
    std::fs::hard_link(file("old-3"), file("dir/second")).unwrap();
    planned.sync_all().unwrap();
    std::fs::remove_file(file("dir/new-3")).unwrap();
    std::fs::set_permissions(file("old-4"), std::fs::Permissions::from_mode(0o600)).unwrap();
    sync_file(&file("old-4"));
    std::fs::rename(file("dir/new-4"), file("dir/moved")).unwrap();
    sync_file(&file("dir/moved"));
}

#[test]
fn a_crash_after_fast_commits() {
    let warnings = recovers_as_the_kernel_does("-t ext4 -O fast_commit", "commit=300", &fast);
    if kernel_helps() {
        assert!(
            warnings
                .iter()
                .any(|w| w.contains("fast commits") && !w.contains(" 0 fast commits")),
            "the kernel made no fast commits: {warnings:?}"
        );
    }
}

#[test]
fn a_mounted_filesystem_says_so_through_multiple_mount_protection() {
    let scratch = Scratch::new();
    let Some(image) = crashed(&scratch, "-t ext4 -O mmp", "commit=300", &|root| {
        std::fs::write(root.join("file"), "x").unwrap();
        sync_file(&root.join("file"));
    }) else {
        return;
    };
    let warnings = open(&image, Journal::Replay).facts().warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("multiple mount protection says that")),
        "{warnings:?}"
    );
    assert!(warnings.iter().all(|w| !w.contains("checksum")), "{warnings:?}");
}

/// Without the key the kernel shows coded names, and so do we; contents are refused by name.
#[test]
fn encrypted_directories_look_as_they_do_without_the_key() {
    if !kernel_helps() {
        return;
    }
    for options in ["-t ext4 -O encrypt", "-t ext4 -b 1024 -O encrypt,^dir_index"] {
        let scratch = Scratch::new();
        let image = scratch.make(options, "64M");
        {
            let mounted = match mount(&image, "ext4", "rw,test_dummy_encryption=v2") {
                Ok(mounted) => mounted,
                Err(why) => {
                    aloud(&format!("encryption was not tested: {why}"));
                    return;
                }
            };
            let dir = mounted.path().join("secret");
            std::fs::create_dir(&dir).unwrap();
            for n in 0..300 {
                let name = "n".repeat(1 + n % 250) + &n.to_string();
                std::fs::write(dir.join(&name), &name).unwrap();
            }
            std::os::unix::fs::symlink("hidden", dir.join("link")).unwrap();
        }
        let fs = open(&image, Journal::Replay);
        let mounted = mount(&image, "ext4", "ro").unwrap();
        let hidden = |text: &str| -> String {
            // The target of an encrypted link is refused; the kernel shows it coded.
            text.lines()
                .filter(|l| !l.contains("\tl\t"))
                .map(|l| format!("{l}\n"))
                .collect()
        };
        let theirs = listing::of_host(mounted.path(), Options::UNIX);
        let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
        assert_eq!(
            listing::differences(&hidden(&theirs.text), &hidden(&ours.text)),
            None
        );
        assert_eq!(ours.errors.len(), 301);
        assert!(
            ours.errors.iter().all(|e| e.contains("encrypted")),
            "{:?}",
            ours.errors
        );
        // A name copied from such a listing is found.
        let mut meter = Meter::new(Limits::default());
        let name = ours
            .text
            .lines()
            .find_map(|l| l.split('\t').next().filter(|p| p.starts_with("secret/")));
        assert!(
            resolve(&fs, name.unwrap().as_bytes(), &mut meter)
                .unwrap()
                .is_some()
        );
    }
}
