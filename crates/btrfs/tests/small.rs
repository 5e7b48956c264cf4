//! The fixture: a small filesystem that the kernel wrote (`fixtures/volumes/make/btrfs.sh`), and what it read of it.

use h2k_block::{Extent, Kind, Limits, MemDisk, Meter};
use h2k_btrfs::Btrfs;
use h2k_fs::{FileKind, FsRead, Node, lookup_path, read_file};
use h2k_testkit::corpus::unzstd;
use h2k_testkit::hash::sha256;
use h2k_testkit::rng::Rng;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/volumes/btrfs")
}

/// The bytes of the fixture.
pub fn small() -> Vec<u8> {
    unzstd(&std::fs::read(home().join("sda.zst")).unwrap())
}

fn open() -> Btrfs {
    h2k_btrfs::open(vec![Arc::new(MemDisk::new(small()))], &Limits::default()).unwrap()
}

fn find(fs: &Btrfs, path: &str) -> Node {
    let mut meter = Meter::new(Limits::default());
    lookup_path(fs, path.as_bytes(), false, &mut meter)
        .unwrap()
        .unwrap()
}

/// What the kernel read: SHA-256, inode, mode, size, path from the top level.
fn known() -> Vec<(String, u64, u16, u64, String)> {
    let text = std::fs::read_to_string(home().join("files")).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(5, ' ').map(str::to_owned);
            let mut next = || words.next().unwrap();
            let (hash, inode, mode, size, path) = (next(), next(), next(), next(), next());
            let mode = u16::from_str_radix(&mode, 8).unwrap();
            (hash, inode.parse().unwrap(), mode, size.parse().unwrap(), path)
        })
        .collect()
}

#[test]
fn every_file_reads_as_the_kernel_read_it() {
    let fs = open();
    let top = fs.rooted(fs.subvolume(5).unwrap());
    let known = known();
    assert!(known.len() >= 20);
    for (hash, inode, mode, size, path) in known {
        let node = find(&top, &path);
        let stat = top.stat(node).unwrap();
        assert_eq!(
            (stat.inode, stat.mode, stat.len),
            (inode, Some(mode), size),
            "{path}"
        );
        let bytes = read_file(&top, node, &mut Meter::new(Limits::default())).unwrap();
        assert_eq!(sha256(&bytes), hash, "{path}");
    }
    let facts = fs.facts();
    assert_eq!(
        facts.uuid.as_deref(),
        Some("6d6f6f6e-0000-4000-8000-62747266733a")
    );
    assert_eq!(facts.label.as_deref(), Some(&b"small"[..]));
    assert_eq!(facts.warnings, Vec::<String>::new());
    // The default subvolume is the root.
    assert_eq!(fs.root(), fs.subvolume_at(b"root").unwrap().unwrap());
    assert_eq!(fs.target(find(&fs, "etc/link")).unwrap(), b"../plain");
    assert_eq!(find(&fs, "etc/hard"), find(&fs, "plain"));
    assert_eq!(fs.stat(find(&fs, "char")).unwrap().device, Some((5, 1)));
    assert_eq!(fs.stat(find(&fs, "fifo")).unwrap().kind, FileKind::Fifo);
}

#[test]
fn reads_across_every_border_are_parts_of_the_whole() {
    let fs = open();
    let mut rng = Rng::new(7);
    for path in [
        "zlib",
        "lzo",
        "zstd",
        "zlib-inline",
        "plain",
        "sparse",
        "reserved",
        "clone",
    ] {
        let node = find(&fs, path);
        let whole = read_file(&fs, node, &mut Meter::new(Limits::default())).unwrap();
        let len = whole.len() as u64;
        // Sectors, compressed extents, the end; and anywhere.
        let borders = [0, 4096, 8192, 65536, 131_072, 262_144, len]
            .into_iter()
            .filter(|b| *b <= len);
        let mut starts: Vec<(u64, usize)> = Vec::new();
        for b in borders {
            for start in b.saturating_sub(3)..=(b + 2) {
                starts.extend([1, 2, 5, 4095, 4096, 4097, 70_000].map(|n| (start, n)));
            }
        }
        starts.extend((0..200).map(|_| (rng.below(len + 10), rng.below(20_000) as usize)));
        for (start, n) in starts {
            let mut buf = vec![0xee; n];
            let got = fs.read_at(node, start, &mut buf).unwrap();
            let from = (start as usize).min(whole.len());
            let want = &whole[from..(from + n).min(whole.len())];
            assert!(got == want.len() && &buf[..got] == want, "{path} {start}+{n}");
            assert!(buf[got..].iter().all(|b| *b == 0xee));
        }
        assert_eq!(fs.read_at(node, u64::MAX, &mut [0; 8]).unwrap(), 0);
    }
}

#[test]
fn extents_lie_where_they_say() {
    let bytes = small();
    let fs = open();
    let mut kinds = Vec::new();
    for path in ["zlib", "lzo-inline", "plain", "sparse", "reserved", "clone"] {
        let node = find(&fs, path);
        let whole = read_file(&fs, node, &mut Meter::new(Limits::default())).unwrap();
        let (mut at, len) = (0, whole.len() as u64);
        while at < len {
            let found = fs.file_extent_at(node, at, len).unwrap();
            let Extent {
                start,
                kind,
                compressed,
                ..
            } = found.run;
            assert!(
                start == at && found.run.len > 0 && found.run.end() <= len,
                "{path}"
            );
            let content = &whole[at as usize..found.run.end() as usize];
            match (kind, found.at) {
                (Kind::Data, Some(place)) => {
                    assert!(!compressed);
                    assert_eq!(&bytes[place as usize..][..content.len()], content, "{path} {at}");
                    let used = fs.used_at(place, place + 1).unwrap();
                    assert_eq!(used.kind, Kind::Data);
                }
                (Kind::Data, None) => {}
                (_, place) => assert!(place.is_none() && content.iter().all(|b| *b == 0)),
            }
            kinds.push((path, kind, found.at.is_some(), compressed));
            at = found.run.end();
        }
        assert!(fs.file_extent_at(node, 0, len + 1).is_err());
        assert!(fs.file_extent_at(node, len, len).is_err());
    }
    for expected in [
        ("zlib", Kind::Data, false, true),
        ("lzo-inline", Kind::Data, false, true),
        ("plain", Kind::Data, true, false),
        ("sparse", Kind::Hole, false, false),
        ("reserved", Kind::Zero, false, false),
        ("reserved", Kind::Data, true, false),
        ("clone", Kind::Hole, false, false),
        ("clone", Kind::Data, false, true),
    ] {
        assert!(kinds.contains(&expected), "{expected:?} is not among {kinds:?}");
    }
}

#[test]
fn a_link_is_no_directory_and_a_directory_no_file() {
    let fs = open();
    let (dir, file, link) = (find(&fs, "etc"), find(&fs, "plain"), find(&fs, "etc/link"));
    let none = &mut |_: h2k_fs::Entry<'_>| ControlFlow::Continue(());
    assert!(fs.read_at(dir, 0, &mut [0]).is_err());
    assert!(fs.list(file, none).is_err() && fs.lookup(link, b"x").is_err());
    assert!(fs.target(file).is_err());
    // Nodes that nobody handed out.
    for node in [0, 1, 1 << 44 | 256, 300 << 44, u64::MAX] {
        assert!(fs.stat(Node(node)).is_err(), "{node:#x}");
    }
}
