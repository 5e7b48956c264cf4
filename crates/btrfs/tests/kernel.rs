//! Differential: volumes filled by the kernel, compared with the kernel's own mount.

use crate::made::{TREE, Volume, bash, disk, sync};
use h2k_block::{BlockRead, Limits, Meter};
use h2k_btrfs::Btrfs;
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::attributes;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::oracle::ok;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a volume is made with: number of devices, mkfs.btrfs's options, mount options.
type Made = (usize, &'static [&'static str], &'static str);

/// Every profile over as many devices as it wants.
const PROFILES: [Made; 10] = [
    (1, &["-d", "single", "-m", "single"], ""),
    (1, &["-d", "dup", "-m", "dup"], ""),
    (2, &["-d", "single", "-m", "raid1"], ""),
    (3, &["-d", "raid0", "-m", "raid0"], ""),
    (2, &["-d", "raid1", "-m", "raid1"], ""),
    (3, &["-d", "raid1c3", "-m", "raid1c3"], ""),
    (4, &["-d", "raid1c4", "-m", "raid1c4"], ""),
    (4, &["-d", "raid10", "-m", "raid10"], ""),
    (3, &["-d", "raid5", "-m", "raid5"], ""),
    (4, &["-d", "raid6", "-m", "raid6"], ""),
];

/// Every feature that changes what is read.
const FEATURES: [Made; 12] = [
    (1, &["-M", "-n", "4096"], ""),
    (1, &["-n", "65536"], ""),
    (
        1,
        &[
            "-O",
            "^no-holes,^extref,^skinny-metadata",
            "-R",
            "^free-space-tree",
        ],
        "",
    ),
    (1, &["-R", "quota"], ""),
    (1, &["--csum", "xxhash"], ""),
    (1, &["--csum", "sha256"], ""),
    (1, &["--csum", "blake2"], ""),
    (1, &[], "compress-force=zlib"),
    (1, &[], "compress-force=lzo"),
    (1, &[], "compress-force=zstd"),
    (1, &[], "nodatasum"),
    (1, &[], "nodatacow,max_inline=0"),
];

#[test]
fn every_profile_reads_as_the_kernel_reads_it() {
    compare(&PROFILES);
}

#[test]
fn every_feature_reads_as_the_kernel_reads_it() {
    compare(&FEATURES);
}

fn compare(kinds: &[Made]) {
    let mut compared = 0;
    for kind in kinds {
        let (devices, mkfs, options) = *kind;
        let mut volume = Volume::make(devices, "256M", mkfs);
        let Some(mounted) = volume.mount(options) else {
            continue;
        };
        // Without extended references one directory holds fewer links to one file.
        let few = mkfs.iter().any(|o| o.contains("^extref"));
        let tree = if few {
            TREE.replace("seq 75", "seq 12")
        } else {
            TREE.to_owned()
        };
        bash(&tree, mounted.path());
        drop(mounted);
        let mounted = volume.mount("ro").unwrap();
        let theirs = listing::of_host(mounted.path(), Options::UNIX);
        let fs = volume.open();
        let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("{kind:?}:\n{difference}\n{:?}", ours.errors);
        }
        assert_eq!(fs.facts().warnings, Vec::<String>::new(), "{kind:?}");
        for path in ["short/f1", "short/f2", "short/f3", "random", "empty"] {
            let theirs = attributes::of_host(&mounted.path().join(path));
            assert_eq!(attributes::of_fs(&fs, path), theirs, "{kind:?} {path}");
        }
        same_stat(&fs, mounted.path(), kind);
        same_usage(&fs, mounted.path(), kind);
        compared += 1;
    }
    println!(
        "{compared} of {} kinds of volumes were compared with the kernel",
        kinds.len()
    );
}

fn same_stat(fs: &Btrfs, at: &Path, kind: &Made) {
    let paths = "late early wide char block-device sparse reserved one inline nothing numbers clone many hard short/f1 longlink";
    for path in paths.split(' ') {
        let mut meter = Meter::new(Limits::default());
        let node = lookup_path(fs, path.as_bytes(), false, &mut meter)
            .unwrap()
            .unwrap();
        let s = fs.stat(node).unwrap();
        let (major, minor) = s.device.unwrap_or((0, 0));
        let time = |t: h2k_fs::Time| format!("{}.{:09}", t.seconds, t.nanos);
        let ours = format!(
            "{} {} {} {} {} {major} {minor} {} {} {} {} {}",
            s.inode,
            s.len,
            s.links,
            s.uid.unwrap(),
            s.gid.unwrap(),
            time(s.modified),
            time(s.changed),
            time(s.accessed),
            time(s.created.unwrap()),
            s.allocated / 512
        );
        let there = at.join(path);
        let format = "%i %s %h %u %g %Hr %Lr %.9Y %.9Z %.9X %.9W %b";
        let theirs = ok("stat", &["-c", format, there.to_str().unwrap()]);
        assert_eq!(ours, theirs.trim(), "{kind:?} {path}");
    }
}

fn same_usage(fs: &Btrfs, at: &Path, kind: &Made) {
    let usage = fs.usage().unwrap();
    let theirs = ok("stat", &["-f", "-c", "%S %b %f", at.to_str().unwrap()]);
    let theirs: Vec<u64> = theirs.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let (total, free) = (usage.total / usage.block, usage.free / usage.block);
    assert_eq!([usage.block, total], theirs[..2], "{kind:?}");
    // A mounted filesystem keeps a reserve that is on no disk.
    assert!(
        (theirs[2]..=theirs[2] + 8192).contains(&free),
        "{kind:?}: {free} {theirs:?}"
    );
}

#[test]
fn a_directory_of_ten_thousand_names_lists_and_finds_each() {
    let mut volume = Volume::make(1, "300M", &[]);
    let Some(mounted) = volume.mount("") else { return };
    bash("mkdir d; seq -f 'd/name-%g' 10000 | xargs touch", mounted.path());
    sync(mounted.path());
    drop(mounted);
    let fs = volume.open();
    let dir = fs.lookup(fs.root(), b"d").unwrap().unwrap();
    let mut names = Vec::new();
    fs.list(dir, &mut |e| {
        names.push((e.name.to_vec(), e.node));
        ControlFlow::Continue(())
    })
    .unwrap();
    // In the order in which they were made.
    let wanted: Vec<Vec<u8>> = (1..=10_000).map(|i| format!("name-{i}").into_bytes()).collect();
    assert!(names.iter().map(|(name, _)| name).eq(&wanted));
    for (name, node) in &names {
        assert_eq!(fs.lookup(dir, name).unwrap(), Some(*node));
    }
    assert_eq!(fs.lookup(dir, b"name-10001").unwrap(), None);
    let mut first = 0;
    fs.list(dir, &mut |_| {
        first += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(first, 1);
}

#[test]
fn names_that_share_a_hash_are_told_apart() {
    // The hash is CRC-32C with the seed ~1, not inverted: among 400,000 names some are bound to share one.
    let mut seen = BTreeMap::new();
    let names = (0..400_000_u64).map(|n| format!("name-{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let pairs: Vec<(String, String)> = names
        .filter_map(|name| {
            let hash = crc32c::crc32c_append(1, name.as_bytes());
            seen.insert(hash, name.clone()).map(|other| (other, name))
        })
        .take(8)
        .collect();
    assert!(pairs.len() >= 2);
    let mut volume = Volume::make(1, "128M", &[]);
    let Some(mounted) = volume.mount("") else { return };
    for (a, b) in &pairs {
        std::fs::write(mounted.path().join(a), a).unwrap();
        std::fs::write(mounted.path().join(b), b).unwrap();
    }
    drop(mounted);
    let fs = volume.open();
    for name in pairs.iter().flat_map(|(a, b)| [a, b]) {
        let node = fs.lookup(fs.root(), name.as_bytes()).unwrap().unwrap();
        let mut buf = [0; 64];
        let n = fs.read_at(node, 0, &mut buf).unwrap();
        assert_eq!(&buf[..n], name.as_bytes());
    }
}

#[test]
fn a_huge_volume_opens_with_few_reads() {
    let mut volume = Volume::make(1, "15T", &["-K"]);
    let Some(mounted) = volume.mount("") else { return };
    std::fs::write(mounted.path().join("file"), b"content").unwrap();
    drop(mounted);
    let counting = Arc::new(Counting(disk(&volume.images[0]), AtomicU64::new(0)));
    let fs = h2k_btrfs::open(vec![counting.clone()], &Limits::default()).unwrap();
    let mut names = Vec::new();
    fs.list(fs.root(), &mut |e| {
        names.push(e.name.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(names, [b"file".to_vec()]);
    let reads = counting.1.load(Ordering::Relaxed);
    assert!(reads < 30, "{reads} reads to list a root directory");
}

struct Counting(Arc<dyn BlockRead>, AtomicU64);

impl BlockRead for Counting {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read_at(offset, buf)
    }
}
