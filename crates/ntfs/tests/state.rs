//! How a volume was left, told by volumes of mkntfs with single fields changed, and by ntfs-3g's own check.

use h2k_block::{BlockRead, Class, FileDisk, Kind, Limits, MemDisk, Sharing};
use h2k_fs::{FsRead, Node};
use h2k_ntfs::Ntfs;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::oracle::{ok, run};
use std::path::PathBuf;
use std::sync::Arc;

const SIZE: u64 = 20 << 20;

/// A volume in a scratch folder and its bytes.
struct Volume {
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Volume {
    /// A fresh volume with `files` in its root.
    fn with(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("ntfs.img");
        ok("truncate", &["-s", &SIZE.to_string(), image.to_str().unwrap()]);
        ok(
            "mkntfs",
            &["-q", "-F", "-Q", "-L", "Volume", image.to_str().unwrap()],
        );
        for (name, content) in files {
            let from = dir.path().join("content");
            std::fs::write(&from, content).unwrap();
            ok("ntfscp", &[image.to_str().unwrap(), from.to_str().unwrap(), name]);
        }
        let bytes = std::fs::read(&image).unwrap();
        Self { dir, bytes }
    }

    fn open(&self) -> h2k_block::Result<Ntfs> {
        h2k_ntfs::open(Arc::new(MemDisk::new(self.bytes.clone())), &Limits::default())
    }

    fn warnings(&self) -> Vec<String> {
        self.open().unwrap().facts().warnings
    }

    /// What ntfs-3g would say to mounting it for writing: 0, 14 for hibernation, 15 for an open journal.
    fn judge(&self) -> i32 {
        let image: PathBuf = self.dir.path().join("judged.img");
        std::fs::write(&image, &self.bytes).unwrap();
        let out = run("ntfs-3g.probe", &["--readwrite", image.to_str().unwrap()]);
        out.status.code().unwrap()
    }

    fn node(&self, name: &str) -> Node {
        let fs = self.open().unwrap();
        fs.lookup(fs.root(), name.as_bytes()).unwrap().unwrap()
    }

    /// Where record `number` of `$MFT` lies; mkntfs lays the first ones out in one run.
    fn record(&self, number: u64) -> usize {
        let mft = u64::from_le_bytes(self.bytes[48..56].try_into().unwrap());
        (mft * 4096 + number * 1024) as usize
    }

    /// Where the first attribute of `kind` begins in record `number`.
    fn attribute(&self, number: u64, kind: u32) -> usize {
        let record = self.record(number);
        let word = |at: usize| u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap());
        let mut at = record
            + usize::from(u16::from_le_bytes(
                self.bytes[record + 20..][..2].try_into().unwrap(),
            ));
        while word(at) != kind {
            assert_ne!(word(at), u32::MAX, "record {number} has no attribute {kind:#x}");
            at += word(at + 4) as usize;
        }
        at
    }

    /// Where the value of a resident attribute begins.
    fn value(&self, number: u64, kind: u32) -> usize {
        let at = self.attribute(number, kind);
        at + usize::from(u16::from_le_bytes(self.bytes[at + 20..][..2].try_into().unwrap()))
    }

    /// Where the content of a file begins on the volume.
    fn content(&self, name: &str) -> usize {
        let fs = self.open().unwrap();
        let node = self.node(name);
        let len = fs.stat(node).unwrap().len;
        fs.file_extent_at(node, 0, len).unwrap().at.unwrap() as usize
    }
}

#[track_caller]
fn is_unclean(volume: &Volume, word: &str) {
    let fs = volume.open().unwrap();
    let warnings = fs.facts().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(word), "{warnings:?}");
    // What is free then is not known.
    assert_eq!(fs.used_at(0, SIZE).unwrap().len, SIZE);
}

#[test]
fn a_volume_that_was_left_in_order_says_nothing() {
    let volume = Volume::with(&[("hiberfil.sys", &[0; 8192]), ("pagefile.sys", b"hibr")]);
    assert_eq!(volume.warnings(), Vec::<String>::new());
    assert_eq!(volume.judge(), 0);
    let fs = volume.open().unwrap();
    let mut at = 0;
    let mut holes = 0;
    while at < SIZE {
        let run = fs.used_at(at, SIZE).unwrap();
        holes += u64::from(run.kind == Kind::Hole);
        at = run.end();
    }
    assert!(holes > 0);
}

#[test]
fn the_dirty_flag_is_a_warning() {
    let mut volume = Volume::with(&[]);
    let information = volume.value(3, 0x70);
    volume.bytes[information + 10] |= 1;
    is_unclean(&volume, "marked dirty");
    // Other flags are no reason to worry: resize $LogFile, upgrade on mount.
    volume.bytes[information + 10] = 6;
    assert_eq!(volume.warnings(), Vec::<String>::new());
}

#[test]
fn hibernation_and_fast_start_up_are_warnings() {
    for magic in [b"hibr", b"HIBR"] {
        let mut content = vec![0; 8192];
        content[..4].copy_from_slice(magic);
        let volume = Volume::with(&[("hiberfil.sys", &content)]);
        is_unclean(&volume, "hibernated");
        if magic == b"hibr" {
            assert_eq!(volume.judge(), 14);
        }
    }
    // Resumed: "wake". And a file too short to hold an image of memory.
    for content in [&[b'w', b'a', b'k', b'e'].repeat(2048)[..], b"hibr"] {
        let volume = Volume::with(&[("hiberfil.sys", content)]);
        assert_eq!(volume.warnings(), Vec::<String>::new());
    }
}

/// A restart page of `$LogFile`, as Windows writes two of them.
fn restart_page(lsn: u64, client_in_use: u16, flags: u16) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[..4].copy_from_slice(b"RSTR");
    let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    // Update sequence array: nine words, the number and a word for each sector.
    put(4, &[0x1e, 0, 9, 0]);
    put(0x1e, &[1, 0]);
    for sector in 1..=8 {
        put(sector * 512 - 2, &[1, 0]);
    }
    put(16, &4096_u32.to_le_bytes());
    put(20, &4096_u32.to_le_bytes());
    put(24, &0x30_u16.to_le_bytes());
    put(26, &[1, 0, 1, 0]);
    put(0x30, &lsn.to_le_bytes());
    // One client; none is free while one is in use.
    put(0x38, &1_u16.to_le_bytes());
    put(0x3a, &if client_in_use == 0 { u16::MAX } else { 0 }.to_le_bytes());
    put(0x3c, &client_in_use.to_le_bytes());
    put(0x3e, &flags.to_le_bytes());
    // Sequence number bits, length of this area, offset of the clients, size of the file.
    put(0x40, &45_u32.to_le_bytes());
    put(0x44, &0xe0_u16.to_le_bytes());
    put(0x46, &0x40_u16.to_le_bytes());
    put(0x48, &(2_u64 << 20).to_le_bytes());
    put(0x54, &0x30_u16.to_le_bytes());
    put(0x56, &0x40_u16.to_le_bytes());
    put(0x70 + 0x10, &[0xff; 4]);
    put(0x70 + 0x1c, &8_u32.to_le_bytes());
    put(0x70 + 0x20, &[b'N', 0, b'T', 0, b'F', 0, b'S', 0]);
    page
}

#[test]
fn an_open_journal_is_a_warning() {
    let none = u16::MAX;
    for (first, second, open) in [
        // A client, and no mark of a clean shutdown: in the page with the higher number, wherever that is.
        ((200, 0, 0), (100, none, 2), true),
        ((100, none, 2), (200, 0, 0), true),
        ((200, none, 0), (100, 0, 0), false),
        ((200, 0, 2), (100, 0, 0), false),
        ((100, 0, 0), (200, none, 2), false),
    ] {
        let mut volume = Volume::with(&[]);
        let journal = volume.content("$LogFile");
        let page = |(lsn, client, flags)| restart_page(lsn, client, flags);
        volume.bytes[journal..journal + 4096].copy_from_slice(&page(first));
        volume.bytes[journal + 4096..journal + 8192].copy_from_slice(&page(second));
        if open {
            is_unclean(&volume, "$LogFile");
        } else {
            assert_eq!(volume.warnings(), Vec::<String>::new(), "{first:?} {second:?}");
        }
    }
}

#[test]
fn encrypted_files_are_refused_one_by_one() {
    let mut volume = Volume::with(&[("secret", &[7; 9000]), ("plain", &[8; 9000])]);
    let secret = volume.node("secret");
    let (data, about) = (volume.attribute(secret.0, 0x80), volume.value(secret.0, 0x10));
    volume.bytes[data + 13] |= 0x40;
    volume.bytes[about + 33] |= 0x40;
    let fs = volume.open().unwrap();
    let mut buf = [0; 9000];
    let e = fs.read_at(secret, 0, &mut buf).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("encrypted (EFS)"), "{e}");
    assert_eq!(fs.stat(secret).unwrap().len, 9000);
    assert_eq!(fs.read_at(volume.node("plain"), 0, &mut buf).unwrap(), 9000);
    assert_eq!(buf, [8; 9000]);
    let all = listing::of_fs(&fs, Options::NTFS).unwrap();
    assert_eq!(all.errors.len(), 1, "{:?}", all.errors);
    assert!(all.text.contains("secret"));
}

#[test]
fn the_mirror_stands_in_for_each_of_the_first_four_records() {
    let volume = Volume::with(&[("file", &[9; 5000])]);
    let tree = listing::of_fs(&volume.open().unwrap(), Options::NTFS)
        .unwrap()
        .text;
    for number in [0, 2, 3] {
        let mut damaged = Volume::with(&[]);
        damaged.bytes = volume.bytes.clone();
        let at = damaged.record(number);
        damaged.bytes[at..at + 1024].fill(0xee);
        let fs = damaged.open().unwrap();
        let facts = fs.facts();
        assert_eq!(facts.warnings.len(), 1, "{number}: {:?}", facts.warnings);
        assert!(
            facts.warnings[0].contains("$MFTMirr was used"),
            "{:?}",
            facts.warnings
        );
        assert_eq!(facts.label.as_deref(), Some(&b"Volume"[..]), "{number}");
        assert_eq!(listing::of_fs(&fs, Options::NTFS).unwrap().text, tree, "{number}");
    }
}

#[test]
fn names_are_compared_by_the_table_of_the_volume() {
    let mut volume = Volume::with(&[("xyz", b"content"), ("Größe", b"content")]);
    let found = |volume: &Volume, name: &str| {
        let fs = volume.open().unwrap();
        fs.lookup(fs.root(), name.as_bytes()).unwrap().is_some()
    };
    assert!(found(&volume, "XyZ") && found(&volume, "GRÖßE"));
    // The sharp s has no upper-case form of one unit.
    assert!(!found(&volume, "GRÖSSE"));
    // On this volume, X is not the upper case of x.
    let table = volume.content("$UpCase");
    assert_eq!(volume.bytes[table + 2 * 0x78..][..2], [0x58, 0]);
    volume.bytes[table + 2 * 0x78] = 0x78;
    assert!(found(&volume, "xyz") && found(&volume, "xYZ") && !found(&volume, "Xyz"));
}

#[test]
fn a_huge_volume_opens_with_few_reads() {
    struct Counting(FileDisk, std::sync::atomic::AtomicU64);
    impl BlockRead for Counting {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn fetch(&self, offset: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
            let len = buf.len() as u64;
            self.1.fetch_add(len, std::sync::atomic::Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("ntfs.img");
    ok("truncate", &["-s", "8T", image.to_str().unwrap()]);
    ok(
        "mkntfs",
        &["-q", "-F", "-Q", "-c", "65536", image.to_str().unwrap()],
    );
    let disk = FileDisk::open(&image, h2k_block::Access::Read, Sharing::Force).unwrap();
    let disk = Arc::new(Counting(disk, 0.into()));
    let fs = h2k_ntfs::open(disk.clone(), &Limits::default()).unwrap();
    fs.list(fs.root(), &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    let read = disk.1.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < 512 << 10, "{read} bytes were read");
}

#[test]
fn a_map_of_free_space_that_claims_exabytes_ends_in_an_error_and_in_short_runs() {
    let mut volume = Volume::with(&[]);
    let data = volume.attribute(6, 0x80);
    let mut put = |at: usize, bytes: &[u8]| volume.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    // 2^50 clusters, and a map of 2^47 bytes that is one sparse run of 2^35 clusters.
    put(40, &(1_u64 << 53).to_le_bytes());
    put(data + 24, &((1_u64 << 35) - 1).to_le_bytes());
    put(data + 40, &(1_u64 << 47).to_le_bytes());
    put(data + 48, &(1_u64 << 47).to_le_bytes());
    let runs = usize::from(volume.bytes[data + 32]);
    volume.bytes[data + runs..][..8].copy_from_slice(&[6, 0, 0, 0, 0, 8, 0, 0]);
    let limits = Limits {
        steps: 100_000,
        ..Limits::default()
    };
    let fs = h2k_ntfs::open(Arc::new(MemDisk::new(volume.bytes)), &limits).unwrap();
    assert_eq!(fs.usage().unwrap_err().class(), Class::Limit);
    let run = fs.used_at(0, 1 << 60).unwrap();
    assert_eq!((run.start, run.len, run.kind), (0, 1 << 30, Kind::Hole));
}
