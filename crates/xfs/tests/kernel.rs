//! Differential: volumes filled by the kernel, compared with the kernel's own mount.

use h2k_block::{BlockRead, FileDisk, Kind, Limits, Sharing};
use h2k_fs::{FsRead, lookup_path};
use h2k_testkit::attributes;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::{Mount, mount};
use h2k_testkit::oracle::{ok, run};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

fn open(image: &Path) -> h2k_xfs::Xfs {
    let disk = FileDisk::open(image, h2k_block::Access::Read, Sharing::Force).unwrap();
    h2k_xfs::open(Arc::new(disk), &Limits::default()).unwrap()
}

/// Makes an image of `size` with `options` and mounts it. `None`, loudly, where the host cannot mount.
fn made(dir: &Path, size: &str, options: &[&str]) -> Option<(std::path::PathBuf, Mount)> {
    let image = dir.join("xfs.img");
    ok("truncate", &["-s", size, image.to_str().unwrap()]);
    let mut args = vec!["-q", "-f"];
    args.extend(options);
    args.push(image.to_str().unwrap());
    ok("mkfs.xfs", &args);
    match mount(&image, "xfs", "nouuid") {
        Ok(mounted) => Some((image, mounted)),
        Err(why) => {
            println!("skipped: this host cannot loop-mount XFS ({why})");
            None
        }
    }
}

/// A tree with every kind of node, content and directory form.
fn fill(at: &Path) {
    let script = r#"
set -e
cd "$0"
mkdir short block leaf node empty
for i in 1 2 3; do echo $i > short/f$i; done
for i in $(seq 40); do : > block/entry-$i; done
for i in $(seq 400); do : > leaf/a-longer-name-of-an-entry-$i; done
seq -f 'node/a-rather-long-name-for-a-directory-entry-that-fills-blocks-%g' 6000 | xargs touch
for i in $(seq 2 3 6000); do echo node/a-rather-long-name-for-a-directory-entry-that-fills-blocks-$i; done | xargs rm
head -c 100000 /dev/urandom > data
truncate -s 10M sparse; echo end >> sparse; echo middle | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none
fallocate -l 300000 unwritten; echo x | dd of=unwritten bs=1 seek=100000 conv=notrunc status=none
head -c 3000000 /dev/urandom > fragmented
for i in $(seq 0 2 700); do fallocate -p -o $((i*4096)) -l 4096 fragmented; done
ln -s short/f1 link; ln -s "$(printf 'x%.0s' $(seq 900))" longlink; ln data hard
mkfifo fifo; mknod char c 5 1; mknod block-device b 8 17; mknod wide c 300 70000
chmod 4755 data; chown 1000:2000 short/f1
touch -d '2038-06-01 12:00:00.123456789 UTC' late; touch -d '1930-01-01 00:00:00 UTC' early
touch "$(printf 'odd\nname \xff\xfe')"
setfattr -n user.small -v value short/f1
setfattr -n trusted.root -v r short/f1
setfattr -n security.selinux -v system_u:object_r:etc_t:s0 short/f1
for i in $(seq 60); do setfattr -n user.many$i -v "$(printf 'v%.0s' $(seq 50))" short/f2; done
setfattr -n user.large -v "$(head -c 20000 /dev/zero | tr '\0' L)" short/f3
for i in $(seq 400); do setfattr -n user.very-many-attributes-$i -v "$(printf 'w%.0s' $(seq 100))" data; done
setfacl -m u:1000:rw short/f2
"#;
    ok("bash", &["-c", script, at.to_str().unwrap()]);
}

#[test]
fn volumes_of_every_kind_read_as_the_kernel_reads_them() {
    let kinds: [&[&str]; 8] = [
        &[],
        &["-m", "crc=0"],
        &["-m", "crc=0", "-n", "ftype=0", "-i", "size=256"],
        &["-b", "size=1024", "-n", "size=8192"],
        &["-b", "size=1024", "-m", "bigtime=0"],
        &["-m", "rmapbt=1,reflink=1", "-i", "size=2048,sparse=1"],
        &["-i", "nrext64=1"],
        &["-s", "size=4096", "-d", "agcount=7"],
    ];
    let mut compared = 0;
    for kind in kinds {
        let dir = tempfile::tempdir().unwrap();
        // Kernels are built without version 4 these days; the corpus has volumes of that version.
        let Some((image, mounted)) = made(dir.path(), "2G", kind) else {
            continue;
        };
        compared += 1;
        fill(mounted.path());
        ok("sync", &["-f", mounted.path().to_str().unwrap()]);
        drop(mounted);
        let mounted = mount(&image, "xfs", "ro,nouuid").unwrap();
        let theirs = listing::of_host(mounted.path(), Options::UNIX);
        let fs = open(&image);
        let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
        assert_eq!(fs.facts().warnings, Vec::<String>::new(), "{kind:?}");
        if let Some(difference) = listing::differences(&theirs.text, &ours.text) {
            panic!("{kind:?}:\n{difference}");
        }
        for path in ["short/f1", "short/f2", "short/f3", "data", "empty"] {
            let mut theirs = attributes::of_host(&mounted.path().join(path));
            // The same list twice: as the kernel's own attribute, and as XFS stores it.
            theirs.retain(|name, _| !name.starts_with(b"trusted.SGI_ACL"));
            assert_eq!(attributes::of_fs(&fs, path), theirs, "{kind:?} {path}");
        }
        same_stat(&fs, mounted.path(), kind);
        same_usage(&fs, mounted.path(), kind);
        free_space_agrees(&fs, &image, kind);
    }
    println!(
        "{compared} of {} kinds of volumes were compared with the kernel",
        kinds.len()
    );
}

fn same_stat(fs: &h2k_xfs::Xfs, at: &Path, kind: &[&str]) {
    for path in [
        "late",
        "early",
        "wide",
        "char",
        "block-device",
        "hard",
        "sparse",
        "unwritten",
        "short/f1",
        "longlink",
    ] {
        let mut meter = h2k_block::Meter::new(Limits::default());
        let node = lookup_path(fs, path.as_bytes(), false, &mut meter)
            .unwrap()
            .unwrap();
        let s = fs.stat(node).unwrap();
        let (major, minor) = s.device.unwrap_or((0, 0));
        let ours = format!(
            "{} {} {} {} {major} {minor} {}.{:09} {}",
            s.inode,
            s.links,
            s.uid.unwrap(),
            s.gid.unwrap(),
            s.modified.seconds,
            s.modified.nanos,
            s.allocated / 512
        );
        let there = at.join(path);
        let theirs = ok(
            "stat",
            &["-c", "%i %h %u %g %Hr %Lr %.9Y %b", there.to_str().unwrap()],
        );
        assert_eq!(ours, theirs.trim(), "{kind:?} {path}");
    }
}

fn same_usage(fs: &h2k_xfs::Xfs, at: &Path, kind: &[&str]) {
    let usage = fs.usage().unwrap();
    let theirs = ok("stat", &["-f", "-c", "%S %b", at.to_str().unwrap()]);
    assert_eq!(
        format!("{} {}", usage.block, usage.total / usage.block),
        theirs.trim(),
        "{kind:?}"
    );
}

/// The free runs of every group, as `xfs_db` lists them, are holes; all else is data.
fn free_space_agrees(fs: &h2k_xfs::Xfs, image: &Path, kind: &[&str]) {
    let text = ok("xfs_db", &["-r", "-c", "freesp -d", image.to_str().unwrap()]);
    let info = ok(
        "xfs_db",
        &[
            "-r",
            "-c",
            "sb 0",
            "-c",
            "print agblocks blocksize dblocks",
            image.to_str().unwrap(),
        ],
    );
    let field = |name: &str| -> u64 {
        let line = info.lines().find(|l| l.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (ag_blocks, block, blocks) = (field("agblocks"), field("blocksize"), field("dblocks"));
    let mut theirs: Vec<(u64, u64)> = text
        .lines()
        .filter_map(|l| {
            let n: Vec<u64> = l.split_whitespace().map_while(|w| w.parse().ok()).collect();
            (n.len() == 3 && l.split_whitespace().count() == 3).then(|| (n[0] * ag_blocks + n[1], n[2]))
        })
        .collect();
    theirs.sort_unstable();
    assert!(!theirs.is_empty());
    let mut ours = Vec::new();
    let mut at = 0;
    while at < blocks * block {
        let e = fs.used_at(at, blocks * block).unwrap();
        if e.kind == Kind::Hole {
            ours.push((e.start / block, e.len / block));
        }
        at = e.end();
    }
    // xfs_db also counts the blocks of the free list, which our map calls used: they are the short runs we lack.
    let missing: Vec<_> = ours.iter().filter(|run| !theirs.contains(run)).collect();
    assert!(missing.is_empty(), "{kind:?}: not free for xfs_db: {missing:?}");
    let sum = |runs: &[(u64, u64)]| runs.iter().map(|(_, n)| n).sum::<u64>();
    assert!(
        sum(&theirs) - sum(&ours) <= 64,
        "{kind:?}: {} of {} free blocks found",
        sum(&ours),
        sum(&theirs)
    );
}

#[test]
fn a_log_that_was_not_written_back_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let Some((image, mounted)) = made(dir.path(), "400M", &[]) else {
        return;
    };
    std::fs::write(mounted.path().join("before"), b"kept").unwrap();
    ok("sync", &["-f", mounted.path().to_str().unwrap()]);
    let copy = dir.path().join("dirty.img");
    std::fs::write(mounted.path().join("after"), b"in the log").unwrap();
    run(
        "xfs_io",
        &["-c", "fsync", mounted.path().join("after").to_str().unwrap()],
    );
    ok(
        "cp",
        &["--sparse=always", image.to_str().unwrap(), copy.to_str().unwrap()],
    );
    drop(mounted);
    let warnings = open(&copy).facts().warnings;
    assert!(
        warnings.iter().any(|w| w.contains("log was not written back")),
        "{warnings:?}"
    );
    assert_eq!(open(&image).facts().warnings, Vec::<String>::new());
    // What an unclean volume calls free may be in the log: nothing is.
    let fs = open(&copy);
    assert_eq!(fs.used_at(0, 400 << 20).unwrap().kind, Kind::Data);
}

#[test]
fn a_huge_volume_opens_with_few_reads() {
    let dir = tempfile::tempdir().unwrap();
    let Some((image, mounted)) = made(dir.path(), "15T", &[]) else {
        return;
    };
    std::fs::write(mounted.path().join("file"), b"content").unwrap();
    drop(mounted);
    let disk = FileDisk::open(&image, h2k_block::Access::Read, Sharing::Force).unwrap();
    let counting = Arc::new(Counting(disk, std::sync::atomic::AtomicU64::new(0)));
    let fs = h2k_xfs::open(counting.clone(), &Limits::default()).unwrap();
    let mut names = Vec::new();
    fs.list(fs.root(), &mut |e| {
        names.push(e.name.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(names, [b"file".to_vec()]);
    let reads = counting.1.load(std::sync::atomic::Ordering::Relaxed);
    assert!(reads < 100, "{reads} reads to list a root directory");
}

struct Counting(FileDisk, std::sync::atomic::AtomicU64);

impl BlockRead for Counting {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn fetch(&self, offset: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.read_at(offset, buf)
    }
}
