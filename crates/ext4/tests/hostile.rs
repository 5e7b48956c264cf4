//! Damage: one structure at a time with the error it has to end in, and a hundred thousand random ones.

use crate::door;
use crate::kernel::{Scratch, open};
use h2k_block::{BlockRead, BlockWrite, Class, Error, Limits, MemDisk};
use h2k_ext4::{Ext4, Journal};
use h2k_fs::{FileKind, FsRead, Node};
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mutate::damage;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// A small tree, made by mke2fs alone.
fn small(scratch: &Scratch, options: &str, size: &str) -> std::path::PathBuf {
    small_with(scratch, options, size, 120)
}

/// The same with `names` names in its large directory.
pub fn small_with(scratch: &Scratch, options: &str, size: &str, names: usize) -> std::path::PathBuf {
    let source = scratch.image("tree");
    std::fs::create_dir_all(source.join("dir/sub")).unwrap();
    std::fs::create_dir(source.join("many")).unwrap();
    for n in 0..names {
        std::fs::write(source.join(format!("many/a-name-of-some-length-{n:04}")), "").unwrap();
    }
    std::fs::write(source.join("dir/file"), vec![b'x'; 5000]).unwrap();
    std::fs::write(source.join("dir/tiny"), "tiny").unwrap();
    std::os::unix::fs::symlink("file", source.join("dir/link")).unwrap();
    std::os::unix::fs::symlink("f".repeat(200), source.join("dir/long")).unwrap();
    // Every other block missing: as many extents as blocks, or block maps with holes.
    let pieces = std::fs::File::create(source.join("dir/pieces")).unwrap();
    for n in 0..12_u64 {
        use std::os::unix::fs::FileExt;
        pieces.write_all_at(b"piece", n * 8192).unwrap();
    }
    for (name, value) in [("user.small", vec![1; 20]), ("user.large", vec![2; 600])] {
        let flags = rustix::fs::XattrFlags::empty();
        let _ = rustix::fs::setxattr(source.join("dir/file"), name, &value, flags);
    }
    scratch.make(&format!("-N 256 {options} -d {}", source.display()), size)
}

fn debugfs(image: &Path, request: &str) -> String {
    oracle::ok("debugfs", &["-w", "-R", request, image.to_str().unwrap()])
}

fn node(fs: &dyn FsRead, path: &str) -> Node {
    let mut meter = h2k_block::Meter::new(Limits::default());
    h2k_fs::lookup_path(fs, path.as_bytes(), false, &mut meter)
        .unwrap()
        .unwrap()
}

fn from_bytes(bytes: Vec<u8>) -> h2k_block::Result<Ext4> {
    h2k_ext4::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
}

fn read_all(fs: &dyn FsRead, node: Node) -> h2k_block::Result<Vec<u8>> {
    let mut meter = h2k_block::Meter::new(Limits::default());
    h2k_fs::read_file(fs, node, &mut meter)
}

#[track_caller]
fn is_about(e: &Error, structure: &str) {
    assert_eq!(e.class(), Class::Corrupt, "{e}");
    assert_eq!(e.place().map(|p| p.structure), Some(structure), "{e}");
}

/// Where things lie, asked from debugfs.
fn blocks_of(image: &Path, path: &str) -> Vec<usize> {
    let text = oracle::ok(
        "debugfs",
        &["-R", &format!("blocks {path}"), image.to_str().unwrap()],
    );
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

fn inode_place(image: &Path, path: &str) -> usize {
    let text = oracle::ok(
        "debugfs",
        &["-R", &format!("imap {path}"), image.to_str().unwrap()],
    );
    // "… located at block 40, offset 0x0300"
    let (_, tail) = text.split_once("located at block ").unwrap();
    let (block, offset) = tail.trim().split_once(", offset 0x").unwrap();
    block.parse::<usize>().unwrap() * 1024 + usize::from_str_radix(offset, 16).unwrap()
}

const SUMMED: &str = "-t ext4 -b 1024 -O metadata_csum,^has_journal,^resize_inode";

#[test]
fn every_checksum_is_verified_and_names_its_structure() {
    let scratch = Scratch::new();
    let image = small(&scratch, SUMMED, "1M");
    let bytes = std::fs::read(&image).unwrap();
    let broken = |at: usize| {
        let mut copy = bytes.clone();
        copy[at] ^= 0x10;
        from_bytes(copy)
    };
    // One group only, so there is no backup.
    is_about(&broken(1024 + 0x78).unwrap_err(), "superblock");
    let fs = from_bytes(bytes.clone()).unwrap();
    let file = node(&fs, "/dir/file");
    let fs = broken(inode_place(&image, "/dir/file") + 4).unwrap();
    is_about(&fs.stat(file).unwrap_err(), "inode");
    assert!(fs.stat(node(&fs, "/dir/tiny")).is_ok());

    let fs = from_bytes(bytes.clone()).unwrap();
    let pieces = node(&fs, "/dir/pieces");
    read_all(&fs, pieces).unwrap();
    let text = oracle::ok("debugfs", &["-R", "ex /dir/pieces", image.to_str().unwrap()]);
    let line = text.lines().find(|l| l.trim_start().starts_with("0/")).unwrap();
    let leaf: usize = line.split_whitespace().rev().nth(1).unwrap().parse().unwrap();
    let fs = broken(leaf * 1024 + 20).unwrap();
    is_about(&read_all(&fs, pieces).unwrap_err(), "extent node");

    let dir = blocks_of(&image, "/dir");
    let fs = broken(dir[0] * 1024 + 50).unwrap();
    let mut seen = 0;
    let e = fs.list(node(&fs, "/dir"), &mut |_| {
        seen += 1;
        ControlFlow::Continue(())
    });
    is_about(&e.unwrap_err(), "directory block");
    assert_eq!(seen, 0);
    // A directory of several blocks shows those that are whole, and fails at the end.
    let many = blocks_of(&image, "/many");
    assert!(many.len() > 3);
    let fs = broken(many[2] * 1024 + 50).unwrap();
    let e = fs.list(node(&fs, "/many"), &mut |_| {
        seen += 1;
        ControlFlow::Continue(())
    });
    is_about(&e.unwrap_err(), "directory block");
    assert!(seen > 60 && seen < 120, "{seen}");

    let stat = oracle::ok("debugfs", &["-R", "stat /dir/file", image.to_str().unwrap()]);
    let acl = stat.split("File ACL: ").nth(1).unwrap();
    let acl: usize = acl.split_whitespace().next().unwrap().parse().unwrap();
    let fs = broken(acl * 1024 + 1000).unwrap();
    let e = fs.xattrs(node(&fs, "/dir/file"), &mut |_, _| ControlFlow::Continue(()));
    is_about(&e.unwrap_err(), "extended attribute block");

    let stats = oracle::ok("dumpe2fs", &[&image]);
    let bitmap = stats.split("Block bitmap at ").nth(1).unwrap();
    let bitmap: usize = bitmap.split_whitespace().next().unwrap().parse().unwrap();
    let fs = broken(bitmap * 1024 + 3).unwrap();
    is_about(&fs.used_at(0x8000, 0x10_0000).unwrap_err(), "block bitmap");
    // Descriptors with a wrong checksum and possible numbers are believed, as the kernel does, but not silently.
    let fs = broken(2048 + 0x0c).unwrap();
    assert!(fs.stat(fs.root()).is_ok());
    assert!(
        fs.facts()
            .warnings
            .iter()
            .any(|w| w.contains("descriptor of group 0"))
    );
}

#[test]
fn a_damaged_index_does_not_hide_names() {
    let scratch = Scratch::new();
    let image = small(
        &scratch,
        "-t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode",
        "1M",
    );
    // mke2fs writes linear directories; e2fsck -D makes the index.
    oracle::run("e2fsck", &["-fyD", image.to_str().unwrap()]);
    let bytes = std::fs::read(&image).unwrap();
    let root = blocks_of(&image, "/many")[0] * 1024;
    assert_eq!(bytes[root + 0x1d], 8, "an index was expected");
    for (at, value) in [
        (0x1d, 7),
        (0x1e, 9),
        (0x22, 0),
        (0x22, 200),
        (0x24, 200),
        (0x2c, 99),
        (0x1c, 6),
    ] {
        let mut copy = bytes.clone();
        copy[root + at] = value;
        let fs = from_bytes(copy).unwrap();
        let many = node(&fs, "/many");
        for n in [0, 60, 119] {
            let name = format!("a-name-of-some-length-{n:04}");
            assert!(
                fs.lookup(many, name.as_bytes()).unwrap().is_some(),
                "{at:#x} {name}"
            );
        }
    }
}

#[test]
fn a_backup_superblock_takes_over() {
    for (options, size) in [
        ("-t ext4 -b 1024", "40M"),
        ("-t ext4 -b 4096", "300M"),
        ("-t ext2 -b 2048", "40M"),
        ("-t ext4 -b 1024 -O sparse_super2", "40M"),
        ("-t ext4 -b 1024 -O meta_bg,^resize_inode", "200M"),
        ("-t ext4 -b 1024 -O bigalloc -C 16384", "300M"),
        ("-t ext4 -b 1024 -O bigalloc -C 4096", "80M"),
        ("-t ext4 -b 4096 -O bigalloc -C 65536", "5G"),
        // Groups of sizes that nobody can know.
        ("-t ext4 -b 1024 -g 2040", "40M"),
        ("-t ext4 -b 2048 -g 1600", "40M"),
        ("-t ext4 -b 4096 -g 256", "40M"),
        ("-t ext4 -b 4096 -g 31352 -O sparse_super2", "300M"),
        ("-t ext4 -b 65536 -g 256 -O ^has_journal", "40M"),
        ("-t ext4 -b 65536 -O ^has_journal", "33G"),
    ] {
        let scratch = Scratch::new();
        let image = small(&scratch, options, size);
        let whole = listing::of_fs(&open(&image, Journal::Replay), Options::UNIX).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
        use std::os::unix::fs::FileExt;
        file.write_all_at(&[0xee; 1024], 1024).unwrap();
        let fs = open(&image, Journal::Replay);
        let warnings = fs.facts().warnings;
        assert!(
            warnings.iter().any(|w| w.contains("copy in group 1")),
            "{options}: {warnings:?}"
        );
        assert_eq!(
            listing::of_fs(&fs, Options::UNIX).unwrap().text,
            whole.text,
            "{options}"
        );
        // What is free is not known then.
        let end = fs.disk().len();
        assert_eq!(
            fs.used_at(0, end).unwrap(),
            h2k_block::Extent::new(0, end, h2k_block::Kind::Data)
        );
    }
}

/// With the primary's own numbers to go by, and the copy of `sparse_super2` in the last group.
#[test]
fn the_last_backup_superblock_takes_over() {
    use std::os::unix::fs::FileExt;
    for (options, size, group_1, group) in [
        ("-t ext4 -b 4096 -O sparse_super2", "500M", 32768 * 4096, 3),
        ("-t ext4 -b 1024 -g 2048 -O sparse_super2", "40M", 2049 * 1024, 19),
    ] {
        let scratch = Scratch::new();
        let image = small(&scratch, options, size);
        let whole = listing::of_fs(&open(&image, Journal::Replay), Options::UNIX).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
        // The checksum of the primary, all of the copy in group 1.
        file.write_all_at(&[0x55; 4], 1024 + 0x3fc).unwrap();
        file.write_all_at(&[0; 1024], group_1).unwrap();
        let fs = open(&image, Journal::Replay);
        let warnings = fs.facts().warnings;
        assert!(
            warnings
                .iter()
                .any(|w| w.contains(&format!("copy in group {group} "))),
            "{options}: {warnings:?}"
        );
        assert_eq!(listing::of_fs(&fs, Options::UNIX).unwrap().text, whole.text);
    }
}

#[test]
fn unknown_features_are_refused_by_name() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext4 -b 1024 -O ^metadata_csum,^has_journal", "1M");
    let bytes = std::fs::read(&image).unwrap();
    let with = |at: usize, bit: u32| {
        let mut copy = bytes.clone();
        let word = u32::from_le_bytes(copy[1024 + at..][..4].try_into().unwrap()) | bit;
        copy[1024 + at..][..4].copy_from_slice(&word.to_le_bytes());
        from_bytes(copy)
    };
    for (bit, name) in [
        (1, "compression"),
        (8, "journal_dev"),
        (0x1000, "dirdata"),
        (0x8_0000, "FEATURE_I19"),
        (0x8000_0000, "FEATURE_I31"),
    ] {
        let e = with(0x60, bit).unwrap_err();
        assert_eq!(e.class(), Class::Unsupported);
        assert!(e.to_string().contains(name), "{e}");
    }
    // Unknown compatible features are no reason not to read.
    for at in [0x5c, 0x64] {
        let fs = with(at, 0x4000_0000).unwrap();
        assert!(fs.facts().features.iter().any(|f| f.starts_with("FEATURE_")));
        assert!(listing::of_fs(&fs, Options::UNIX).unwrap().errors.is_empty());
    }
}

#[test]
fn an_external_journal_matters_only_when_it_holds_changes() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext4 -b 1024 -O ^metadata_csum,^has_journal", "1M");
    let mut bytes = std::fs::read(&image).unwrap();
    bytes[1024 + 0x5c] |= 4;
    bytes[1024 + 0xd0..][..16].fill(0xab);
    let fs = from_bytes(bytes.clone()).unwrap();
    assert!(read_all(&fs, node(&fs, "/dir/file")).is_ok());
    bytes[1024 + 0x60] |= 4;
    let e = from_bytes(bytes.clone()).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(
        e.to_string().contains("external journal (uuid abababab-abab"),
        "{e}"
    );
    assert!(e.advice().is_some());
    let disk = Arc::new(MemDisk::new(bytes));
    let fs = h2k_ext4::open_with(disk, &Limits::default(), Journal::Ignore).unwrap();
    assert!(fs.facts().warnings.iter().any(|w| w.contains("not replayed")));
}

#[test]
fn directories_that_contain_themselves_end() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext2 -b 1024", "1M");
    debugfs(&image, "ln /dir /dir/sub/again");
    debugfs(&image, "ln / /dir/sub/top");
    let fs = open(&image, Journal::Replay);
    let all = listing::of_fs(&fs, Options::UNIX).unwrap();
    assert!(all.text.contains("dir/sub/again\td"));
    assert!(all.text.contains("dir/sub/top\td"));
    assert!(all.text.lines().count() < 200);
    assert!(node(&fs, "/dir/sub/again/sub/top/dir/file") == node(&fs, "/dir/file"));
}

#[test]
fn sizes_that_lie_cost_nothing() {
    let scratch = Scratch::new();
    let image = small(
        &scratch,
        "-t ext4 -b 1024 -O ^metadata_csum,inline_data,large_dir -I 256",
        "2M",
    );
    // The largest size 32-bit block numbers allow is believed, and reads as holes; one byte more is corrupt.
    debugfs(&image, "sif /dir/file size 0x40000000000");
    debugfs(&image, "sif /dir/sub size 0x3ffffffffff");
    debugfs(&image, "sif /many size 0x3ffffffffff");
    debugfs(&image, "sif /dir/pieces size 0x40000000001");
    let fs = open(&image, Journal::Replay);
    let file = node(&fs, "/dir/file");
    assert_eq!(fs.stat(file).unwrap().len, 1 << 42);
    let mut buf = [1; 100];
    assert_eq!(fs.read_at(file, (1 << 42) - 50, &mut buf).unwrap(), 50);
    assert_eq!(buf[..50], [0; 50]);
    let mut count = 0;
    let listed = fs.list(node(&fs, "/many"), &mut |_| {
        count += 1;
        ControlFlow::Continue(())
    });
    assert!(listed.is_ok() && count == 120, "{listed:?}, {count}");
    assert_eq!(fs.lookup(node(&fs, "/many"), b"no").unwrap(), None);
    let mut meter = h2k_block::Meter::new(Limits::default());
    let e = h2k_fs::lookup_path(&fs, b"/dir/pieces", false, &mut meter).unwrap_err();
    is_about(&e, "inode");
}

#[test]
fn extent_nodes_that_point_at_themselves_end() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext4 -b 1024 -O ^metadata_csum,^has_journal", "1M");
    let mut bytes = std::fs::read(&image).unwrap();
    let at = inode_place(&image, "/dir/pieces") + 0x28;
    assert_eq!(bytes[at + 6], 1, "a tree with one level was expected");
    let leaf = u32::from_le_bytes(bytes[at + 16..][..4].try_into().unwrap()) as usize;
    // The leaf becomes an index whose only child is itself.
    bytes[leaf * 1024 + 6] = 1;
    bytes[leaf * 1024 + 16..][..4].copy_from_slice(&(leaf as u32).to_le_bytes());
    for depth in [1, 2, 5] {
        bytes[at + 6] = depth;
        let fs = from_bytes(bytes.clone()).unwrap();
        is_about(
            &read_all(&fs, node(&fs, "/dir/pieces")).unwrap_err(),
            "extent node",
        );
    }
}

#[test]
fn indirect_blocks_that_point_at_themselves_end() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext2 -b 1024", "1M");
    let mut bytes = std::fs::read(&image).unwrap();
    let at = inode_place(&image, "/dir/pieces") + 0x28;
    let indirect = u32::from_le_bytes(bytes[at + 48..][..4].try_into().unwrap());
    assert!(indirect > 0);
    // Single, double and triple indirect through one block full of its own number.
    for slot in [12, 13, 14] {
        bytes[at + slot * 4..][..4].copy_from_slice(&indirect.to_le_bytes());
    }
    let block = indirect as usize * 1024;
    for word in bytes[block..block + 1024].chunks_mut(4) {
        word.copy_from_slice(&indirect.to_le_bytes());
    }
    let size = at - 0x28 + 4;
    bytes[size..size + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let fs = from_bytes(bytes).unwrap();
    let file = node(&fs, "/dir/pieces");
    let mut buf = vec![0; 5000];
    for offset in [0, 12 << 10, 300 << 10, 70 << 20, 0x7fff_0000] {
        assert!(fs.read_at(file, offset, &mut buf).is_ok());
    }
}

/// Damages one block at a time, knocks, and mends it again.
pub fn mutations(image: &Path, rounds: u64, seed: u64, knock: fn(Arc<dyn BlockRead>)) {
    let bytes = std::fs::read(image).unwrap();
    let full: Vec<usize> = (0..bytes.len() / 1024)
        .filter(|n| !h2k_block::is_zero(&bytes[n * 1024..][..1024]))
        .collect();
    let disk = Arc::new(MemDisk::new(bytes.clone()));
    let mut rng = Rng::new(seed);
    for _ in 0..rounds {
        // Every fourth time the superblock or the descriptors behind it.
        let n = match rng.below(8) {
            0 => 1,
            1 => 2,
            _ => full[rng.below(full.len() as u64) as usize],
        };
        let range = n * 1024..(n + 1) * 1024;
        let mut block = bytes[range.clone()].to_vec();
        damage(&mut rng, &mut block, 0..1024);
        disk.write_at(range.start as u64, &block).unwrap();
        knock(disk.clone());
        disk.write_at(range.start as u64, &bytes[range]).unwrap();
    }
}

#[test]
fn mutated_block_maps_end_in_answers_or_errors() {
    let scratch = Scratch::new();
    mutations(
        &small_with(&scratch, "-N 64 -t ext2 -b 1024", "256", 30),
        30_000,
        1,
        door::knock_disk,
    );
}

#[test]
fn mutated_extents_and_inline_data_end_in_answers_or_errors() {
    let scratch = Scratch::new();
    let image = small_with(
        &scratch,
        "-N 64 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode,inline_data,ea_inode -I 256",
        "256",
        30,
    );
    mutations(&image, 35_000, 2, door::knock_disk);
}

#[test]
fn mutated_checksummed_structures_end_in_answers_or_errors() {
    let scratch = Scratch::new();
    let image = small(&scratch, "-t ext4 -b 1024 -O ^has_journal,^resize_inode", "512");
    mutations(&image, 15_000, 3, door::knock_disk);
}

#[test]
fn mutated_indices_end_in_answers_or_errors() {
    let scratch = Scratch::new();
    let image = small_with(
        &scratch,
        "-N 128 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode",
        "256",
        70,
    );
    oracle::run("e2fsck", &["-fyD", image.to_str().unwrap()]);
    mutations(&image, 15_000, 4, door::knock_disk);
}

#[test]
fn mutated_journals_end_in_answers_or_errors() {
    let scratch = Scratch::new();
    let image = small_with(&scratch, "-N 64 -t ext3 -b 1024 -J size=1", "4M", 10);
    // Three transactions by debugfs: blocks written, and revoked.
    let script = scratch.image("script");
    std::fs::write(
        &script,
        "jo\njw -b 300,301,302 /etc/passwd\njw -r 301\njw -b 303 /etc/passwd\njc\n",
    )
    .unwrap();
    oracle::ok(
        "debugfs",
        &["-w", "-f", script.to_str().unwrap(), image.to_str().unwrap()],
    );
    let fs = open(&image, Journal::Replay);
    assert!(
        fs.facts().warnings.iter().any(|w| w.contains("replayed")),
        "{:?}",
        fs.facts().warnings
    );
    mutations(&image, 10_000, 5, door::knock_disk);
}

#[test]
fn a_truncated_image_never_panics() {
    let scratch = Scratch::new();
    let bytes = std::fs::read(small(&scratch, "-t ext4 -b 1024 -O ^has_journal", "512")).unwrap();
    for n in 0..512 {
        door::knock(bytes[..n * 1024 + n].to_vec());
    }
}

#[test]
fn kinds_in_directories_are_those_of_the_inodes() {
    let scratch = Scratch::new();
    let fs = open(&small(&scratch, "-t ext4", "8M"), Journal::Replay);
    let mut kinds = Vec::new();
    fs.list(node(&fs, "/dir"), &mut |entry| {
        assert_eq!(entry.kind, fs.stat(entry.node).ok().map(|s| s.kind));
        kinds.push(entry.kind.unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(kinds.contains(&FileKind::Link) && kinds.contains(&FileKind::Dir));
}
