//! The structural check beside e2fsck: images of the corpus, and single damages of small filesystems.

use crate::door;
use crate::hostile::{mutations, small_with};
use crate::kernel::Scratch;
use h2k_block::{BlockRead, Class, Finding, Kind, Limits, MemDisk, Severity, extents};
use h2k_testkit::corpus::corpus;
pub use h2k_testkit::findings::words;
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::ffi::OsStr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What a check found, for messages.
/// What e2fsck says, and whether it is content: exit code 0, and nothing that it would have put right. (Questions
/// about the superblock and descriptors, which `-n` answers, do not change its exit code.)
pub fn e2fsck(image: &Path) -> (bool, String) {
    // Some damage keeps it busy for ever.
    let args = ["20", "e2fsck", "-fn"].map(OsStr::new);
    let out = oracle::run("timeout", &[&args[..], &[image.as_os_str()]].concat());
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let asked = text.lines().any(|line| {
        let line = line.trim_end();
        (line.ends_with("? no") && !line.ends_with("Optimize? no")) || line.ends_with("IGNORED.")
    });
    (
        out.status.success() && !asked && !text.contains("trying backup blocks"),
        text,
    )
}

/// Where the check and e2fsck differ, and why.
const DIFFER: &[(&str, &str)] = &[
    ("/f_orphan.", ORPHANS),
    ("/f_orphan_extents_inode.", ORPHANS),
    ("/f_orphquot.", ORPHANS),
    ("/f_quota.", "how much each user owns is not counted"),
    (
        "/f_ea_inode_no_feature.",
        "Linux does not open inodes that use a feature that is not there",
    ),
    ("/f_jnl_32bit.", COUNTERS),
    ("/f_jnl_64bit.", COUNTERS),
    ("/j_recover_csum3_64bit.", COUNTERS),
    ("/view-4k_block_journal.", COUNTERS),
    ("/f_clear_orphan_file.", ORPHANS),
    (
        "/f_journal.",
        "a journal in another inode than 8 is moved by e2fsck, silently",
    ),
    ("/j_corrupt_commit_csum.", TORN),
    ("/j_corrupt_descr_csum.", TORN),
    ("/j_corrupt_journal_block.", TORN),
    ("/j_corrupt_revoke_csum.", TORN),
    ("/j_corrupt_revoke_rcount.", TORN),
    (
        "/f_ea_inode_fast_symlink.",
        "e2fsck 1.47.0 takes a short link for blocks when its attributes lie in inodes of their own",
    ),
];
const COUNTERS: &str = "free space in the superblock after a crash is a warning: a mount counts anew";
const TORN: &str = "a journal that is damaged stays an error, e2fsck empties it";
const ORPHANS: &str = "deleted files whose space waits to be freed are a warning: a mount frees it";

fn copy(disk: &dyn BlockRead, image: &Path) {
    let file = std::fs::File::create(image).unwrap();
    file.set_len(disk.len()).unwrap();
    let mut buf = vec![0; 1 << 16];
    for extent in extents(disk, 0..disk.len()) {
        let extent = extent.unwrap();
        let mut at = extent.start;
        while extent.kind == Kind::Data && at < extent.end() {
            let n = buf.len().min((extent.end() - at) as usize);
            disk.read_at(at, &mut buf[..n]).unwrap();
            if buf[..n].iter().any(|b| *b != 0) {
                file.write_all_at(&buf[..n], at).unwrap();
            }
            at += n as u64;
        }
    }
}

#[test]
fn images_of_the_corpus_are_judged_as_e2fsck_judges_them() {
    let Some(corpus) = corpus() else { return };
    let scratch = Scratch::new();
    let dir = tempfile::tempdir().unwrap();
    let image = scratch.image("copy.img");
    let mut differ = Vec::new();
    let (mut count, mut clean) = (0, 0);
    for case in corpus.below("fs/ext/").chain(corpus.below("corrupt/ext/")) {
        let disk = corpus.disk(case, dir.path());
        let ours = match h2k_ext4::check(disk.clone(), &Limits::default()) {
            Ok(found) => Some(found),
            Err(e) => {
                assert!(
                    matches!(e.class(), Class::Unsupported | Class::Limit),
                    "{}: {e}",
                    case.path
                );
                None
            }
        };
        copy(&*disk, &image);
        let (mut content, mut text) = e2fsck(&image);
        if text.contains("skipping journal recovery") {
            // We replay it, `-n` does not.
            let journal = ["-y", "-E", "journal_only"].map(OsStr::new);
            oracle::run("e2fsck", &[&journal[..], &[image.as_os_str()]].concat());
            (content, text) = e2fsck(&image);
        }
        count += 1;
        clean += usize::from(content);
        let agreed = ours
            .as_ref()
            .map_or(!content, |found| found.is_clean() == content);
        let known = DIFFER.iter().any(|(name, _)| case.path.contains(name));
        if agreed == known {
            let ours = ours.as_ref().map(words);
            println!("== {}: {content}\n{text}\n{ours:#?}", case.path);
            differ.push(case.path.clone());
        }
    }
    assert!(differ.is_empty(), "{} of {count}: {differ:#?}", differ.len());
    assert!(clean > 90 && count - clean > 100, "{clean} of {count} are clean");
}

/// Filesystems whose damage is compared: without metadata checksums, damage is found by what it says.
const SHAPES: &[&str] = &[
    "-t ext2 -b 1024 -I 128",
    "-t ext2 -b 1024 -O ^filetype,^resize_inode,^dir_index",
    "-t ext3 -b 1024 -J size=1",
    "-t ext4 -b 1024 -O ^metadata_csum,^has_journal",
    "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^has_journal -g 512",
    "-t ext4 -b 1024 -O ^metadata_csum,inline_data,^has_journal -I 256",
    "-t ext4 -b 1024 -O ^metadata_csum,bigalloc,^has_journal,^resize_inode -C 4096",
    "-t ext4 -b 1024 -O ^metadata_csum,meta_bg,^resize_inode,^flex_bg,^has_journal -g 512",
    "-t ext4 -b 1024 -O ^metadata_csum,sparse_super2,ea_inode,^has_journal -g 512",
    "-t ext4 -b 1024 -O metadata_csum,^has_journal",
    "-t ext4 -b 4096 -O metadata_csum,orphan_file -J size=4",
];

/// Pieces of 64 bytes that hold anything.
fn live(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len() / 64)
        .filter(|n| bytes[n * 64..][..64].iter().any(|b| *b != 0 && *b != b'x'))
        .map(|n| n * 64)
        .collect()
}

/// What e2fsck does not look at, or not always: the slots of the resize inode and of the list of bad blocks, names that
/// are there twice in two blocks, a longer name that begins as that of inline data, a list of orphans in a filesystem
/// without a journal.
fn ours_alone(found: &Finding) -> bool {
    found.severity == Severity::Warning
        || found.what.starts_with("inode 7:")
        || found.what.starts_with("inode 1:")
        || found.what.ends_with("names are there twice")
        || found.what.ends_with("without the attribute system.data")
        || found.structure == "orphan list"
}

/// What the check does not look at: moments, which only a clock can judge.
fn theirs_alone(text: &str) -> bool {
    text.contains("is in the future")
}

/// One field of one piece, changed.
fn mutate(rng: &mut Rng, live: &[usize]) -> (usize, usize, u64, u64) {
    let width = [1, 2, 4][rng.below(3) as usize];
    let piece = live[rng.below(live.len() as u64) as usize];
    let at = piece + rng.below(64 / width as u64) as usize * width;
    (at, width, rng.below(8), rng.word())
}

fn apply(bytes: &mut [u8], (at, width, how, word): (usize, usize, u64, u64)) {
    let mut old = [0; 8];
    old[..width].copy_from_slice(&bytes[at..at + width]);
    let old = u64::from_le_bytes(old);
    let new = match how {
        0 | 1 => old ^ (1 << (word % (width as u64 * 8))),
        2 => old.wrapping_add(1),
        3 => old.wrapping_sub(1),
        4 => 0,
        5 => u64::MAX,
        6 => word % 64,
        _ => word,
    };
    bytes[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
}

#[test]
fn one_field_that_lies_is_judged_as_e2fsck_judges_it() {
    let rounds: u64 = std::env::var("H2K_CHECK_ROUNDS").map_or(20, |n| n.parse().unwrap());
    let first: u64 = std::env::var("H2K_CHECK_SEED").map_or(1, |n| n.parse().unwrap());
    let only = std::env::var("H2K_CHECK_SHAPE").ok();
    let (mut differ, mut dirty, mut total) = (Vec::new(), 0, 0);
    for (nth, shape) in SHAPES.iter().enumerate() {
        if only.as_ref().is_some_and(|only| !shape.contains(only.as_str())) {
            continue;
        }
        let scratch = Scratch::new();
        let size = if shape.contains("has_journal") || shape.contains("ext2") {
            "2M"
        } else {
            "10M"
        };
        let image = small_with(&scratch, shape, size, 60);
        let base = std::fs::read(&image).unwrap();
        let (content, text) = e2fsck(&image);
        assert!(content, "{shape}: {text}");
        let ours = h2k_ext4::check(Arc::new(MemDisk::new(base.clone())), &Limits::default()).unwrap();
        assert!(ours.findings.is_empty(), "{shape}: {:#?}", words(&ours));
        let live = live(&base);
        let mut rng = Rng::new(first * 1000 + nth as u64);
        for _ in 0..rounds {
            let one = mutate(&mut rng, &live);
            let mut bytes = base.clone();
            apply(&mut bytes, one);
            if bytes == base {
                continue;
            }
            let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
            file.write_all_at(&bytes[one.0..one.0 + one.1], one.0 as u64)
                .unwrap();
            let (content, text) = e2fsck(&image);
            file.write_all_at(&base[one.0..one.0 + one.1], one.0 as u64)
                .unwrap();
            let ours = h2k_ext4::check(Arc::new(MemDisk::new(bytes.clone())), &Limits::default());
            total += 1;
            dirty += usize::from(!content);
            let agreed = match &ours {
                Ok(found) if content => found.findings.iter().all(ours_alone),
                Ok(found) => !found.is_clean() || theirs_alone(&text),
                Err(e) => e.class() == Class::Unsupported && !content,
            };
            if !agreed {
                let ours = ours.map(|found| words(&found)).map_err(|e| e.to_string());
                let (old, new) = (&base[one.0..one.0 + one.1], &bytes[one.0..one.0 + one.1]);
                println!(
                    "== {shape}: {:#x} (block {}+{:#x}) {old:02x?} -> {new:02x?}: content {content}\n{text}\n{ours:#?}",
                    one.0,
                    one.0 / 1024,
                    one.0 % 1024
                );
                differ.push(format!("{shape} {:#x}", one.0));
            }
        }
    }
    println!(
        "{total} damages, {dirty} of them dirty for e2fsck, {} judged differently",
        differ.len()
    );
    assert!(differ.is_empty(), "{} of {total}: {differ:#?}", differ.len());
}

#[test]
fn damage_of_every_structure_ends_in_findings() {
    let shapes = [
        ("-N 64 -t ext2 -b 1024", "256", 30_000),
        (
            "-N 64 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode,inline_data,ea_inode -I 256",
            "256",
            25_000,
        ),
        (
            "-N 128 -t ext4 -b 1024 -O ^metadata_csum,^has_journal,^resize_inode",
            "256",
            20_000,
        ),
        (
            "-N 128 -t ext4 -b 1024 -O bigalloc,^metadata_csum,^has_journal,^resize_inode -C 4096",
            "512",
            15_000,
        ),
        ("-N 128 -t ext4 -b 1024 -O ^has_journal", "512", 10_000),
    ];
    for (seed, (options, size, rounds)) in (1..).zip(shapes) {
        let scratch = Scratch::new();
        let image = small_with(&scratch, options, size, 40);
        oracle::run("e2fsck", &["-fyD", image.to_str().unwrap()]);
        mutations(&image, rounds, seed, door::check_disk);
    }
}

#[test]
fn a_volume_larger_than_the_limits_is_a_limit_by_name() {
    let scratch = Scratch::new();
    // 16 TiB, as good as empty: what is in use decides what the check costs.
    let image = scratch.make(
        "-t ext4 -O ^has_journal -E lazy_itable_init=1,packed_meta_blocks=1,nodiscard -N 100000",
        "16T",
    );
    let disk = crate::kernel::file(&image);
    let few = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let e = h2k_ext4::check(disk.clone(), &few).unwrap_err();
    assert_eq!(e.class(), Class::Limit, "{e}");
    assert!(e.to_string().contains("map of the filesystem itself"), "{e}");
    let steps = Limits {
        steps: 1000,
        ..Limits::default()
    };
    assert_eq!(
        h2k_ext4::check(disk.clone(), &steps).unwrap_err().class(),
        Class::Limit
    );
    let found = h2k_ext4::check(disk, &Limits::default()).unwrap();
    assert!(found.findings.is_empty(), "{:#?}", words(&found));
}
