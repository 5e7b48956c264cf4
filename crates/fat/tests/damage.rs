//! Damaged volumes end in typed errors, soon and in bounded memory.

use crate::door::knock;
use h2k_block::{Class, Limits, MemDisk};
use h2k_fat::Fat;
use h2k_fs::FsRead;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mutate::Patched;
use h2k_testkit::oracle::ok;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// A small volume of `bits` with a few files.
pub fn sample(bits: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("s.img");
    let script = r#"set -e; cd "$0"; truncate -s $1 s.img; mkfs.fat -F$2 -s1 -n LABEL s.img >/dev/null
seq 9000 > numbers; mkdir sub; echo hello > 'sub/a long name indeed'; export MTOOLS_SKIP_CHECK=1
mcopy -s -i s.img numbers sub ::; for i in 1 2 3 4 5 6 7 8 9; do mcopy -i s.img numbers "::sub/copy number $i"; done
mdel -i s.img "::sub/copy number 4"; mcopy -i s.img numbers ::'the last one'"#;
    let size = if bits == "32" {
        "34M"
    } else if bits == "16" {
        "4M"
    } else {
        "1M"
    };
    ok("bash", &["-c", script, dir.path().to_str().unwrap(), size, bits]);
    std::fs::read(&image).unwrap()
}

fn open(bytes: Vec<u8>) -> h2k_block::Result<Fat> {
    h2k_fat::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
}

fn tree(fs: &Fat) -> (String, Vec<String>) {
    let listing = listing::of_fs(fs, Options::PLAIN).unwrap();
    (listing.text, fs.facts().warnings)
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seeds: Vec<_> = ["12", "16", "32"]
        .map(sample)
        .into_iter()
        .map(|s| (Patched::live(&s), Arc::new(s)))
        .collect();
    let mut rng = Rng::new(0x4641_5433);
    for n in 0..100_000_usize {
        let (live, seed) = &seeds[n % seeds.len()];
        // File contents fill most sectors; the first ones hold what can be damaged.
        let head = &live[..live.len().min(120)];
        knock(Arc::new(Patched::new(&mut rng, seed, head)));
    }
}

#[test]
fn the_second_table_answers_for_a_damaged_first() {
    for bits in ["12", "16", "32"] {
        let good = sample(bits);
        let (want, none) = tree(&open(good.clone()).unwrap());
        assert_eq!(none, Vec::<String>::new());
        assert!(want.contains("sub/a%20long%20name%20indeed\tf\t-\t6\t"), "{want}");
        let at = usize::from(u16::from_le_bytes([good[14], good[15]])) * 512;
        // Its beginning was overwritten: seen at once.
        let mut bytes = good.clone();
        bytes[at..at + 512].fill(0x11);
        let (text, warnings) = tree(&open(bytes).unwrap());
        assert_eq!(text, want, "FAT{bits}");
        assert!(warnings[0].contains("the second was used"), "{warnings:?}");
        // Links somewhere inside: seen when a chain is followed.
        let mut bytes = good.clone();
        let from = at + [9, 20, 40][["12", "16", "32"].iter().position(|b| *b == bits).unwrap()];
        bytes[from..from + 12].fill(0);
        let fs = open(bytes).unwrap();
        let (text, warnings) = tree(&fs);
        assert_eq!(text, want, "FAT{bits}");
        assert!(
            warnings.iter().any(|w| w.contains("the second answered")),
            "{warnings:?}"
        );
    }
}

#[test]
fn the_backup_boot_sector_takes_over() {
    let good = sample("32");
    let (want, _) = tree(&open(good.clone()).unwrap());
    let mut bytes = good.clone();
    bytes[..90].fill(0);
    let (text, warnings) = tree(&open(bytes.clone()).unwrap());
    assert_eq!(text, want);
    assert!(warnings[0].contains("backup"), "{warnings:?}");
    bytes[6 * 512..7 * 512].fill(0);
    let e = open(bytes).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "boot sector")
    );
}

#[test]
fn what_is_odd_becomes_a_warning() {
    let mut bytes = sample("32");
    let fat = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    bytes[fat + 7] &= !0x0c;
    bytes[512] = b'X';
    let fs = open(bytes.clone()).unwrap();
    let warnings = fs.facts().warnings.join("; ");
    for word in ["not unmounted cleanly", "disk error", "FSInfo is not used"] {
        assert!(warnings.contains(word), "{warnings}");
    }
    let len = bytes.len() as u64;
    assert_eq!(
        fs.used_at(0, len).unwrap().len,
        len,
        "nothing of a dirty volume counts as free"
    );
    let mut bytes = sample("16");
    bytes[0x25] |= 1;
    assert!(open(bytes).unwrap().facts().warnings[0].contains("not unmounted cleanly"));
}

#[test]
fn a_circle_of_clusters_is_named() {
    let mut bytes = sample("16");
    let at = usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) * 512;
    let copy = usize::from(u16::from_le_bytes([bytes[22], bytes[23]])) * 512;
    let fs = open(bytes.clone()).unwrap();
    let node = fs.lookup(fs.root(), b"numbers").unwrap().unwrap().0 as usize;
    let first = usize::from(u16::from_le_bytes([bytes[node + 26], bytes[node + 27]]));
    for table in [at, at + copy] {
        let back = (first as u16).to_le_bytes();
        bytes[table + (first + 7) * 2..][..2].copy_from_slice(&back);
    }
    let fs = open(bytes).unwrap();
    let node = fs.lookup(fs.root(), b"numbers").unwrap().unwrap();
    let e = fs.read_at(node, 0, &mut [0; 10]).unwrap_err();
    assert!(e.to_string().contains("circle"), "{e}");
}

#[test]
fn damaged_volumes_of_the_corpus_end() {
    let Some(corpus) = corpus() else { return };
    for case in corpus.below("corrupt/fat/") {
        let dir = tempfile::tempdir().unwrap();
        let fs = h2k_fat::open(corpus.disk(case, dir.path()), &Limits::default()).unwrap();
        // Its circle is one of directories: each is shown once.
        let listing = listing::of_fs(&fs, Options::PLAIN).unwrap();
        assert!(
            listing.counts[&'d'] > 50 && listing.errors.is_empty(),
            "{}",
            listing.text
        );
    }
}
