//! Writing, one thing at a time: large directories, full volumes, what a crash left behind, what is refused.

use crate::hostile::{mutations, small_with};
use crate::kernel::{Scratch, kernel_helps, open};
use crate::write::{NOW, Subject, same_tree};
use crate::write_door;
use h2k_block::{BlockRead, Class, Error, Limits, MemDisk, Overlay};
use h2k_ext4::{Journal, open_writer};
use h2k_fs::{FsRead, FsWrite, MemFs};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use h2k_testkit::twins::{fill_a_little, judge};
use std::path::Path;
use std::sync::Arc;

/// A directory that needs two levels of index, grown, halved, and grown again.
fn many_names(options: &str, hash: Option<&str>, count: usize) {
    let scratch = Scratch::new();
    let image = scratch.make(&format!("-b 1024 -N 8000 {options}"), "24M");
    if let Some(hash) = hash {
        oracle::ok(
            "tune2fs",
            &["-E", &format!("hash_alg={hash}"), image.to_str().unwrap()],
        );
    }
    let mut subject = Subject::open(&image).unwrap();
    let mut model = MemFs::new();
    let root = subject.fs.root();
    subject.fs.rmdir(root, b"lost+found").unwrap();
    let dir = subject.fs.mkdir(root, b"many", 0o755).unwrap();
    let twin = model.mkdir(model.root(), b"many", 0o755).unwrap();
    let file = subject.fs.create(dir, b"one", 0o644).unwrap();
    let twin_file = model.create(twin, b"one", 0o644).unwrap();
    let name = |n: usize| format!("{n:x}-a-name-of-some-length-{}", "x".repeat(n % 90)).into_bytes();
    for n in 0..count {
        subject.fs.add_name(dir, &name(n), file).unwrap();
        model.add_name(twin, &name(n), twin_file).unwrap();
    }
    subject.judge(options);
    assert!(
        subject.fs.stat(dir).unwrap().len > 200 << 10,
        "one level would do"
    );
    for n in (0..count).step_by(2) {
        subject.fs.remove(dir, &name(n)).unwrap();
        model.remove(twin, &name(n)).unwrap();
    }
    subject.judge(options);
    for n in (0..count).step_by(3) {
        let (a, b) = (
            subject.fs.add_name(dir, &name(n), file),
            model.add_name(twin, &name(n), twin_file),
        );
        assert_eq!(a.is_ok(), b.is_ok());
    }
    subject.judge(options);
    let fs = open(&image, Journal::Replay);
    for n in 0..count {
        let there = fs.lookup(dir, &name(n)).unwrap();
        assert_eq!(there.is_some(), model.lookup(twin, &name(n)).unwrap().is_some());
    }
    assert!(fs.facts().warnings.is_empty(), "{:?}", fs.facts().warnings);
    let (ours, theirs) = (
        listing::of_fs(&model, Options::UNIX).unwrap(),
        listing::of_fs(&fs, Options::UNIX).unwrap(),
    );
    assert_eq!(listing::differences(&ours.text, &theirs.text), None);
    if kernel_helps() {
        let mounted = mount(&image, "ext4", "ro").unwrap();
        for n in 0..count {
            let path = mounted
                .path()
                .join("many")
                .join(String::from_utf8(name(n)).unwrap());
            assert_eq!(path.exists(), model.lookup(twin, &name(n)).unwrap().is_some());
        }
    }
}

#[test]
fn thousands_of_names_in_an_indexed_directory() {
    many_names("-t ext4", None, 5000);
}

#[test]
fn thousands_of_names_without_checksums_hashed_by_tea() {
    many_names("-t ext3", Some("tea"), 5000);
}

#[test]
fn thousands_of_names_with_the_legacy_hash() {
    many_names("-t ext4 -O large_dir,bigalloc -C 2048", Some("legacy"), 5000);
}

#[test]
fn thousands_of_names_in_a_linear_directory() {
    many_names("-t ext2 -O ^dir_index", None, 3000);
}

/// Fills a volume to the last block, takes everything away again, and finds as much room as before.
fn to_the_brim(options: &str) {
    let scratch = Scratch::new();
    let image = scratch.make(options, "6M");
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let before = subject.fs.usage().unwrap();
    let dir = subject.fs.mkdir(root, b"dir", 0o755).unwrap();
    let mut sizes = Vec::new();
    let mut size = 900_000;
    while size > 100 {
        let name = format!("f{}", sizes.len()).into_bytes();
        let file = match subject.fs.create(dir, &name, 0o644) {
            Ok(file) => file,
            Err(e) => {
                assert_eq!(e.class(), Class::NoSpace, "{e}");
                break;
            }
        };
        match subject.fs.replace(file, &vec![5; size]) {
            Ok(()) => {}
            Err(e) => {
                assert_eq!(e.class(), Class::NoSpace, "{e}");
                assert_eq!(subject.fs.stat(file).unwrap().len, 0, "half a file was left");
                size /= 2;
            }
        }
        sizes.push(name);
    }
    subject.judge(options);
    let full = subject.fs.usage().unwrap();
    assert!(
        full.free < 64 << 10 || full.nodes_free == Some(0),
        "{options}: {full:?}"
    );
    // Attributes and directories need blocks, too.
    let big = vec![1; 700];
    for name in &sizes {
        let file = subject.fs.lookup(dir, name).unwrap().unwrap();
        let _ = subject.fs.set_xattr(file, b"user.big", &big);
        let _ = subject.fs.mkdir(root, &[name.as_slice(), b"d"].concat(), 0o755);
    }
    subject.judge(options);
    for name in &sizes {
        subject.fs.remove(dir, name).unwrap();
        let _ = subject.fs.rmdir(root, &[name.as_slice(), b"d"].concat());
    }
    subject.fs.rmdir(root, b"dir").unwrap();
    subject.judge(options);
    let after = subject.fs.usage().unwrap();
    // The root directory may have grown.
    assert!(
        before.free - after.free <= 32 << 10,
        "{options}: {before:?} {after:?}"
    );
    assert_eq!(before.nodes_free, after.nodes_free);
}

#[test]
fn a_volume_is_filled_to_the_brim_and_emptied() {
    for options in [
        "-t ext2 -b 1024",
        "-t ext4 -b 1024",
        "-t ext4 -b 4096 -O inline_data",
        "-t ext4 -b 1024 -O bigalloc -C 4096",
    ] {
        to_the_brim(options);
    }
}

/// Unsynced changes, deleted files that are open, a file being cut off: copied while mounted.
fn crashed_image(scratch: &Scratch, options: &str) -> Option<std::path::PathBuf> {
    if !kernel_helps() {
        return None;
    }
    let image = scratch.make(options, "48M");
    let mounted = mount(&image, "ext4", "rw,commit=300").unwrap();
    let root = mounted.path();
    let mut held = Vec::new();
    for n in 0..20_u32 {
        let path = root.join(format!("f{n}"));
        std::fs::write(&path, vec![n as u8; 30_000]).unwrap();
        if n % 3 == 0 {
            held.push(std::fs::File::open(&path).unwrap());
        }
    }
    rustix::fs::sync();
    for n in (0..20).step_by(3) {
        std::fs::remove_file(root.join(format!("f{n}"))).unwrap();
    }
    std::fs::File::open(root).unwrap().sync_all().unwrap();
    let copy = scratch.image("crashed.img");
    std::fs::copy(&image, &copy).unwrap();
    drop(held);
    Some(copy)
}

#[test]
fn what_a_crash_left_behind_is_replayed_cleared_and_settled() {
    for options in ["-t ext4", "-t ext3 -b 1024", "-t ext4 -b 1024 -O orphan_file"] {
        let scratch = Scratch::new();
        let Some(image) = crashed_image(&scratch, options) else {
            return;
        };
        let stale = open(&image, Journal::Replay);
        assert!(
            stale
                .facts()
                .warnings
                .iter()
                .any(|w| w.contains("deleted files wait")),
            "{options}: {:?}",
            stale.facts().warnings
        );
        let mut subject = Subject::open(&image).unwrap();
        let root = subject.fs.root();
        let file = subject.fs.create(root, b"new", 0o600).unwrap();
        subject.fs.replace(file, &[3; 50_000]).unwrap();
        subject.judge(options);
        let fs = open(&image, Journal::Replay);
        let facts = fs.facts();
        assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
        assert!(
            !facts
                .features
                .iter()
                .any(|f| f == "needs_recovery" || f == "orphan_present")
        );
        same_tree(&subject.fs, &fs, options);
        let mounted = mount(&image, "ext4", "rw").unwrap();
        assert_eq!(
            std::fs::read(mounted.path().join("new")).unwrap(),
            vec![3; 50_000]
        );
        assert!(mounted.path().join("f1").exists() && !mounted.path().join("f3").exists());
    }
}

fn refused(image: &Path) -> Error {
    Subject::open(image).err().expect("it was opened for writing")
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    for (options, name) in [
        ("-t ext4 -O quota", "quota"),
        ("-t ext4 -O project -I 256", "project"),
    ] {
        let scratch = Scratch::new();
        let image = scratch.make(options, "16M");
        let e = refused(&image);
        assert_eq!(e.class(), Class::Unsupported);
        assert!(e.to_string().contains(name), "{e}");
    }
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4", "16M");
    let request = "ssv feature_ro_compat 0x400046b";
    oracle::ok("debugfs", &["-w", "-R", request, image.to_str().unwrap()]);
    let e = refused(&image);
    assert!(
        e.class() == Class::Unsupported && e.to_string().contains("FEATURE_R26"),
        "{e}"
    );
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4", "16M");
    Subject::open(&image).unwrap();
    oracle::ok("debugfs", &["-w", "-R", "ssv state 2", image.to_str().unwrap()]);
    let e = refused(&image);
    assert!(
        e.class() == Class::Corrupt && e.to_string().contains("errors"),
        "{e}"
    );
}

#[test]
fn free_space_that_cannot_be_trusted_is_not_used() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -b 1024 -O ^has_journal", "8M");
    let good = std::fs::read(&image).unwrap();
    let fs = open(&image, Journal::Replay);
    let _ = fs;
    let text = oracle::ok("dumpe2fs", &[&image]);
    let at = |what: &str| -> usize {
        let line = text.lines().find(|l| l.contains(what)).unwrap();
        let word = line.split(what).nth(1).unwrap();
        let digits: String = word
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse::<usize>().unwrap() * 1024
    };
    let file_in = |bytes: Vec<u8>| {
        let over = Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes))));
        let mut fs = open_writer(over, &Limits::default(), NOW)?;
        let root = fs.root();
        let file = fs.create(root, b"x", 0)?;
        fs.replace(file, b"content")
    };
    assert!(file_in(good.clone()).is_ok());
    for what in ["Block bitmap at ", "Inode bitmap at "] {
        let mut bad = good.clone();
        bad[at(what) + 40] ^= 0x10;
        let e = file_in(bad).unwrap_err();
        assert!(
            e.class() == Class::Corrupt && e.to_string().contains("checksum"),
            "{e}"
        );
    }
    // A descriptor whose checksum is wrong.
    let mut bad = good.clone();
    bad[2048 + 0x0c] ^= 1;
    let e = file_in(bad).unwrap_err();
    assert!(
        e.class() == Class::Corrupt && e.to_string().contains("descriptor"),
        "{e}"
    );
    // Without a journal, mounted when the machine stopped.
    let mut bad = good;
    bad[1024 + 0x3a] = 0;
    let n = bad.len();
    assert!(n > 0);
    let e = file_in(bad).unwrap_err();
    assert_eq!(e.class(), Class::Corrupt, "{e}");
}

#[test]
fn immutable_files_stay_as_they_are() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4", "16M");
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let file = subject.fs.create(root, b"fixed", 0o644).unwrap();
    subject.judge("immutable");
    oracle::ok(
        "debugfs",
        &["-w", "-R", "sif fixed flags 0x80010", image.to_str().unwrap()],
    );
    let mut subject = Subject::open(&image).unwrap();
    let e = subject.fs.replace(file, b"x").unwrap_err();
    assert_eq!(e.class(), Class::ReadOnly);
    assert_eq!(
        subject.fs.remove(root, b"fixed").unwrap_err().class(),
        Class::ReadOnly
    );
}

#[test]
fn the_same_edits_give_the_same_bytes_and_the_source_stays() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4", "16M");
    let source = Arc::new(MemDisk::new(std::fs::read(&image).unwrap()));
    let edited = || {
        let over = Arc::new(Overlay::new(source.clone()));
        let mut fs = open_writer(over.clone(), &Limits::default(), NOW).unwrap();
        let root = fs.root();
        let dir = fs.mkdir(root, b"d", 0o755).unwrap();
        for n in 0..50_u8 {
            let file = fs.create(dir, &[b'a', b'0' + n], 0o644).unwrap();
            fs.replace(file, &vec![n; 10_000]).unwrap();
            fs.set_xattr(file, b"security.selinux", b"system_u:object_r:etc_t:s0\0")
                .unwrap();
        }
        fs.settle().unwrap();
        let mut bytes = vec![0; over.len() as usize];
        over.read_at(0, &mut bytes).unwrap();
        bytes
    };
    assert!(edited() == edited());
    assert!(source.to_vec() == std::fs::read(&image).unwrap());
}

#[test]
fn an_operation_that_fails_changes_nothing() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -b 1024", "8M");
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let file = subject.fs.create(root, b"file", 0o644).unwrap();
    subject.fs.replace(file, &[1; 100_000]).unwrap();
    subject.judge("before");
    let before = std::fs::read(&image).unwrap();
    let too_much = vec![7; 9 << 20];
    for n in 0..3 {
        let e = match n {
            0 => subject.fs.replace(file, &too_much),
            1 => subject.fs.write_at(file, 50_000, &too_much),
            _ => subject.fs.rename(root, b"file", root, b"lost+found"),
        };
        assert!(e.is_err());
    }
    let mut content = vec![0; 100_001];
    assert_eq!(subject.fs.read_at(file, 0, &mut content).unwrap(), 100_000);
    assert!(content[..100_000] == [1; 100_000]);
    subject.judge("after");
    // Only blocks that nobody uses may differ.
    let after = std::fs::read(&image).unwrap();
    let fs = open(&image, Journal::Replay);
    for (n, (a, b)) in before.chunks(1024).zip(after.chunks(1024)).enumerate() {
        let used = fs.used_at(n as u64 * 1024, n as u64 * 1024 + 1024).unwrap();
        assert!(a == b || used.kind == h2k_block::Kind::Hole, "block {n} changed");
    }
}

macro_rules! damaged {
    ($($name:ident: $options:literal, $names:literal, $rounds:literal, $seed:literal;)*) => {
        $(#[test]
        fn $name() {
            let scratch = Scratch::new();
            let image = small_with(&scratch, $options, "512", $names);
            mutations(&image, $rounds, $seed, write_door::knock);
        })*
    };
}

damaged! {
    damaged_block_maps_are_written_to_or_refused: "-N 64 -t ext2 -b 1024", 30, 7_000, 11;
    damaged_extents_are_written_to_or_refused:
        "-N 64 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode -I 256", 30, 8_000, 12;
    damaged_inline_data_is_written_to_or_refused:
        "-N 64 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode,inline_data -I 256", 30, 5_000, 13;
    damaged_clusters_are_written_to_or_refused:
        "-N 64 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode,bigalloc -C 4096", 10, 3_000, 14;
    damaged_checksummed_structures_are_written_to_or_refused:
        "-t ext4 -b 1024 -O ^has_journal,^resize_inode", 30, 3_000, 15;
}

#[test]
fn damaged_indices_are_written_to_or_refused() {
    let scratch = Scratch::new();
    let options = "-N 128 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode";
    let image = small_with(&scratch, options, "512", 70);
    oracle::run("e2fsck", &["-fyD", image.to_str().unwrap()]);
    mutations(&image, 4_000, 16, write_door::knock);
}

/// Every other block: as many runs as blocks, in trees of three levels.
#[test]
fn a_file_in_a_thousand_pieces_grows_and_shrinks() {
    for options in [
        "-t ext4 -b 1024",
        "-t ext2 -b 1024",
        "-t ext4 -b 1024 -O bigalloc -C 2048",
    ] {
        let scratch = Scratch::new();
        let image = scratch.make(options, "16M");
        let mut subject = Subject::open(&image).unwrap();
        let mut model = MemFs::new();
        let (root, twin_root) = (subject.fs.root(), model.root());
        subject.fs.rmdir(root, b"lost+found").unwrap();
        let file = subject.fs.create(root, b"pieces", 0o644).unwrap();
        let twin = model.create(twin_root, b"pieces", 0o644).unwrap();
        for n in 0..1100_u64 {
            // Neighbours on the volume must not be neighbours in the file.
            let at = (n * 7 % 1100) * 4096 + 100;
            subject.fs.write_at(file, at, &[n as u8 | 1; 900]).unwrap();
            model.write_at(twin, at, &[n as u8 | 1; 900]).unwrap();
        }
        subject.judge(options);
        for len in [4_000_000, 2_222_222, 800_000, 60_000, 9_000_000, 5_000, 0] {
            subject.fs.truncate(file, len).unwrap();
            model.truncate(twin, len).unwrap();
            subject.judge(options);
            let theirs = listing::of_fs(&open(&image, Journal::Replay), Options::UNIX).unwrap();
            let ours = listing::of_fs(&model, Options::UNIX).unwrap();
            assert_eq!(
                listing::differences(&ours.text, &theirs.text),
                None,
                "{options}, {len}"
            );
        }
    }
}

#[test]
fn a_file_past_two_gibibytes_is_announced_in_the_superblock() {
    for options in [
        "-t ext2 -b 1024 -O ^large_file,^resize_inode",
        "-t ext4 -O ^large_file,^resize_inode",
        "-t ext3 -b 4096 -O ^large_file,^resize_inode",
    ] {
        let scratch = Scratch::new();
        let image = scratch.make(options, "16M");
        let mut subject = Subject::open(&image).unwrap();
        let root = subject.fs.root();
        let file = subject.fs.create(root, b"long", 0o644).unwrap();
        subject.judge(options);
        let has = || {
            open(&image, Journal::Replay)
                .facts()
                .features
                .iter()
                .any(|f| f == "large_file")
        };
        assert!(!has());
        let at = (3 << 30) + 77;
        subject.fs.write_at(file, at, b"far away").unwrap();
        subject.fs.write_at(file, 10, b"near").unwrap();
        subject.judge(options);
        assert!(has());
        let mut buf = [0; 16];
        let fs = open(&image, Journal::Replay);
        assert_eq!(fs.read_at(file, at - 1, &mut buf).unwrap(), 9);
        assert_eq!(&buf[..9], b"\0far away");
        subject.fs.remove(root, b"long").unwrap();
        subject.judge(options);
        // Where no map reaches.
        let file = subject.fs.create(root, b"longer", 0o644).unwrap();
        let e = subject.fs.write_at(file, 1 << 50, b"x").unwrap_err();
        assert_eq!(e.class(), Class::Limit);
        subject.judge(options);
    }
}

#[test]
fn subdirectories_are_not_counted_past_what_a_link_count_can_say() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -b 1024 -N 400", "8M");
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let dir = subject.fs.mkdir(root, b"many", 0o755).unwrap();
    for n in 0..60 {
        subject
            .fs
            .mkdir(dir, format!("a-name-of-some-length-{n}").as_bytes(), 0o755)
            .unwrap();
    }
    subject.judge("few");
    oracle::ok(
        "debugfs",
        &["-w", "-R", "sif many links_count 64999", image.to_str().unwrap()],
    );
    let mut subject = Subject::open(&image).unwrap();
    let mut links = || {
        let name = format!("more-{}", subject.fs.usage().unwrap().free);
        subject.fs.mkdir(dir, name.as_bytes(), 0o755).unwrap();
        subject.fs.stat(dir).unwrap().links
    };
    assert_eq!((links(), links(), links()), (65_000, 1, 1));
}

#[test]
fn a_shared_block_of_attributes_is_copied_before_it_is_changed() {
    if !kernel_helps() {
        return;
    }
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -b 1024", "16M");
    {
        let mounted = mount(&image, "ext4", "rw").unwrap();
        for n in 0..5 {
            let path = mounted.path().join(format!("f{n}"));
            std::fs::write(&path, "").unwrap();
            rustix::fs::setxattr(&path, "user.big", &[7; 500], rustix::fs::XattrFlags::empty()).unwrap();
        }
    }
    let blocks = || oracle::ok("debugfs", &["-R", "stat f1", image.to_str().unwrap()]);
    let acl = |text: &str| {
        text.split("File ACL: ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned()
    };
    let before = acl(&blocks());
    assert_eq!(
        before,
        acl(&oracle::ok(
            "debugfs",
            &["-R", "stat f2", image.to_str().unwrap()]
        )),
        "not shared"
    );
    let mut subject = Subject::open(&image).unwrap();
    let root = subject.fs.root();
    let node = |fs: &dyn FsRead, name: &str| fs.lookup(root, name.as_bytes()).unwrap().unwrap();
    let (one, two) = (node(&subject.fs, "f1"), node(&subject.fs, "f2"));
    subject.fs.set_xattr(one, b"user.big", &[8; 501]).unwrap();
    subject.fs.remove_xattr(two, b"user.big").unwrap();
    subject.fs.remove(root, b"f3").unwrap();
    subject.judge("shared");
    assert_ne!(acl(&blocks()), before);
    let mounted = mount(&image, "ext4", "ro").unwrap();
    let value = |n: u32| {
        let mut buf = vec![0; 600];
        let n = rustix::fs::getxattr(mounted.path().join(format!("f{n}")), "user.big", &mut buf)?;
        buf.truncate(n);
        Ok::<_, rustix::io::Errno>(buf)
    };
    assert_eq!(value(0).unwrap(), vec![7; 500]);
    assert_eq!(value(1).unwrap(), vec![8; 501]);
    assert!(value(2).is_err());
    assert_eq!(value(4).unwrap(), vec![7; 500]);
}

/// Every image of the corpus that e2fsck finds nothing wrong with is written to, or refused by a typed error; what was
/// written to is as clean as before.
#[test]
fn images_of_the_corpus_are_written_to_or_refused() {
    let Some(corpus) = h2k_testkit::corpus::corpus() else {
        return;
    };
    let scratch = Scratch::new();
    let (mut written, mut refused) = (0, 0);
    for case in corpus.below("fs/ext/") {
        let bytes = corpus.bytes(case);
        if case.format.ends_with(" in qcow2") || bytes.len() > 64 << 20 || !bytes.len().is_multiple_of(512) {
            continue;
        }
        let image = scratch.image("case.img");
        std::fs::write(&image, &bytes).unwrap();
        let check = || {
            oracle::run("e2fsck", &["-fn", image.to_str().unwrap()])
                .status
                .success()
        };
        if !check() {
            continue;
        }
        let over = Arc::new(Overlay::new(Arc::new(MemDisk::new(bytes.clone()))));
        let edit = || {
            let mut fs = open_writer(over.clone(), &Limits::default(), NOW)?;
            let done = fill_a_little(&mut fs, &|fs, file| {
                fs.set_xattr(file, b"security.selinux", b"system_u:object_r:etc_t:s0\0")
            });
            fs.settle()?;
            // Small images have no room for all of it; what has been written has to be right all the same.
            match done {
                Err(e) if e.class() == Class::NoSpace => Ok(()),
                done => done,
            }
        };
        match edit() {
            Ok(()) => {
                written += 1;
                judge(&over, &image, ("e2fsck", "-fn"), &case.path);
                let errors = |disk| h2k_ext4::check(disk, &Limits::default()).unwrap().errors;
                let before = errors(Arc::new(MemDisk::new(bytes.clone())));
                assert_eq!(errors(over), before, "{}", case.path);
            }
            Err(e) => {
                println!("{}: {e}", case.path);
                refused += 1;
                assert!(
                    matches!(e.class(), Class::Unsupported | Class::Corrupt | Class::NoSpace),
                    "{}: {e}",
                    case.path
                );
            }
        }
    }
    println!("{written} images written to, {refused} refused");
    assert!(
        written > 5,
        "{written} images of the corpus were written to, {refused} refused"
    );
}
