//! Live differential: images made now, with each feature, read by us and by the kernel.

use crate::kernel::{
    LITTLE, Scratch, against_debugfs, against_mount, against_the_kernel, aloud, kernel_helps, open,
};
use crate::tree::{self, Size};
use h2k_block::{Access, FileDisk, Limits, Meter, Sharing};
use h2k_ext4::Journal;
use h2k_fs::FsRead;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mount::mount;
use h2k_testkit::oracle;
use std::ops::ControlFlow;
use std::sync::Arc;

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

macro_rules! rows {
    ($($name:ident: $options:literal, $size:literal, $content:expr;)*) => {
        $(#[test]
        fn $name() {
            differential($options, $size, $content);
        })*
    };
}

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
        // A name copied from such a listing is found; it may be a link, whose target nobody can read.
        let mut meter = Meter::new(Limits::default());
        let name = ours
            .text
            .lines()
            .find_map(|l| l.split('\t').next().filter(|p| p.starts_with("secret/")));
        assert!(
            h2k_fs::lookup_path(&fs, name.unwrap().as_bytes(), false, &mut meter)
                .unwrap()
                .is_some()
        );
    }
}

/// Group descriptors are read when needed, so that a huge volume opens as fast as a small one.
#[test]
fn a_huge_volume_opens_and_lists_with_little_reading() {
    struct Counting(FileDisk, std::sync::atomic::AtomicU64);
    impl h2k_block::BlockRead for Counting {
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn fetch(&self, offset: u64, buf: &mut [u8]) -> h2k_block::Result<()> {
            self.1
                .fetch_add(buf.len() as u64, std::sync::atomic::Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -E lazy_itable_init=1,lazy_journal_init=1", "4T");
    let disk = FileDisk::open(&image, Access::Read, Sharing::Force).unwrap();
    let disk = Arc::new(Counting(disk, 0.into()));
    let fs = h2k_ext4::open(disk.clone(), &Limits::default()).unwrap();
    let mut count = 0;
    fs.list(fs.root(), &mut |entry| {
        count += 1;
        fs.stat(entry.node).unwrap();
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 1);
    let read = disk.1.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read < 128 << 10, "{read} bytes were read");
}

#[test]
fn any_number_of_threads_reads_the_same() {
    let scratch = Scratch::new();
    let source = scratch.image("tree");
    std::fs::create_dir(&source).unwrap();
    tree::fill(&source, Size { link: 600, ..LITTLE });
    let image = scratch.make(&format!("-t ext4 -b 1024 -d {}", source.display()), "48M");
    let fs = open(&image, Journal::Replay);
    let alone = listing::of_fs(&fs, Options::UNIX).unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| listing::of_fs(&fs, Options::UNIX).unwrap()))
            .collect();
        for one in all {
            assert_eq!(one.join().unwrap().text, alone.text);
        }
    });
}

#[test]
fn project_ids_and_file_system_blocks_are_understood() {
    let scratch = Scratch::new();
    let image = scratch.make("-t ext4 -O project,huge_file -I 256", "8M");
    let set = |request: &str| oracle::ok("debugfs", &["-w", "-R", request, image.to_str().unwrap()]);
    set("write /etc/hostname file");
    set("sif file projid 4711");
    // EXT4_HUGE_FILE_FL: i_blocks counts blocks of the filesystem.
    set("sif file flags 0xc0000");
    set("sif file blocks 3");
    let fs = open(&image, Journal::Replay);
    let node = fs.lookup(fs.root(), b"file").unwrap().unwrap();
    assert_eq!(fs.project(node).unwrap(), 4711);
    assert_eq!(fs.project(fs.root()).unwrap(), 0);
    let size = fs.usage().unwrap().block;
    assert_eq!(fs.stat(node).unwrap().allocated, 3 * size);
}

/// The kernel here knows no case folding, so nobody else can be asked: mke2fs makes the directory, debugfs marks it.
#[test]
fn case_is_ignored_where_the_directory_says_so() {
    let scratch = Scratch::new();
    let source = scratch.image("tree");
    std::fs::create_dir_all(source.join("folds")).unwrap();
    std::fs::create_dir_all(source.join("plain")).unwrap();
    for dir in ["folds", "plain"] {
        for name in ["ReadMe", "GRÖSSE", "exact", "EXACT2"] {
            std::fs::write(source.join(dir).join(name), name).unwrap();
        }
    }
    let image = scratch.make(&format!("-t ext4 -O casefold -d {}", source.display()), "8M");
    oracle::ok(
        "debugfs",
        &["-w", "-R", "sif /folds flags 0x40080000", image.to_str().unwrap()],
    );
    let fs = open(&image, Journal::Replay);
    let find = |dir: &[u8], name: &str| {
        let dir = fs.lookup(fs.root(), dir).unwrap().unwrap();
        fs.lookup(dir, name.as_bytes()).unwrap()
    };
    assert!(find(b"folds", "README").is_some());
    assert_eq!(find(b"folds", "größe"), find(b"folds", "GRÖSSE"));
    assert!(find(b"folds", "grosse").is_none());
    assert!(find(b"plain", "README").is_none() && find(b"plain", "ReadMe").is_some());
    assert!(fs.facts().warnings.is_empty(), "{:?}", fs.facts().warnings);
}

/// e2fsck knows how Linux orders names that fold; the index it makes is the proof that ours agree.
#[test]
fn folded_names_are_found_by_their_hash() {
    let scratch = Scratch::new();
    let source = scratch.image("tree");
    std::fs::create_dir_all(source.join("folds")).unwrap();
    for n in 0..900 {
        std::fs::write(source.join(format!("folds/Ångström-Straße-{n}-ΤΈΛΟΣ")), "").unwrap();
    }
    let image = scratch.make(
        &format!("-t ext4 -b 1024 -O casefold -d {}", source.display()),
        "8M",
    );
    let path = image.to_str().unwrap();
    oracle::ok("debugfs", &["-w", "-R", "sif /folds flags 0x40080000", path]);
    oracle::run("e2fsck", &["-fyD", path]);
    let index = oracle::ok("debugfs", &["-R", "htree_dump /folds", path]);
    assert!(index.contains("Entry #"), "an index was expected: {index}");
    let fs = open(&image, Journal::Replay);
    let dir = fs.lookup(fs.root(), b"folds").unwrap().unwrap();
    for n in 0..900 {
        let exact = format!("Ångström-Straße-{n}-ΤΈΛΟΣ");
        let found = fs.lookup(dir, exact.as_bytes()).unwrap();
        assert!(found.is_some(), "{exact}");
        for other in [
            format!("A\u{30a}NGSTRO\u{308}M-STRASSE-{n}-τε\u{301}λος"),
            format!("\u{212b}ngström-strasse-{n}-τέλοσ"),
            format!("ång\u{ad}ström-STRAẞE-{n}-Τέλος"),
        ] {
            assert_eq!(fs.lookup(dir, other.as_bytes()).unwrap(), found, "{other}");
        }
    }
    assert_eq!(
        fs.lookup(dir, "Angström-Straße-1-ΤΈΛΟΣ".as_bytes()).unwrap(),
        None
    );
    assert!(fs.facts().warnings.is_empty(), "{:?}", fs.facts().warnings);
}
