//! Damaged volumes end in typed errors, soon and in bounded memory.

use crate::door::knock;
use h2k_block::{Class, Limits, MemDisk};
use h2k_fs::FsRead;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use h2k_testkit::mutate::Patched;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

fn seed(prefix: &str) -> Option<Vec<u8>> {
    let corpus = corpus()?;
    let case = corpus.below(prefix).next()?;
    let dir = tempfile::tempdir().unwrap();
    let disk = corpus.disk(case, dir.path());
    let mut bytes = vec![0; disk.len() as usize];
    disk.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let names = [
        "fs/ntfs/colinfinck",
        "fs/ntfs/syz/syz-ntfs3_0",
        "fs/ntfs/velociraptor",
        "fs/ntfs/syz/syz-ntfs_6",
    ];
    let seeds: Vec<_> = names
        .iter()
        .filter_map(|n| seed(n))
        .map(|s| (Patched::live(&s), Arc::new(s)))
        .collect();
    let mut rng = Rng::new(0x4e54_4653);
    for n in 0..100_000_usize {
        let Some((live, seed)) = seeds.get(n % seeds.len().max(1)) else {
            return;
        };
        knock(Arc::new(Patched::new(&mut rng, seed, live)));
    }
}

#[test]
fn the_mirror_and_the_last_sector_take_over() {
    let Some(good) = seed("fs/ntfs/fact-ntfs") else {
        return;
    };
    let list = |bytes: Vec<u8>| {
        let fs = h2k_ntfs::open(Arc::new(MemDisk::new(bytes)), &Limits::default()).unwrap();
        (
            listing::of_fs(&fs, Options::NTFS).unwrap().text,
            fs.facts().warnings,
        )
    };
    let (tree, none) = list(good.clone());
    assert_eq!(none, Vec::<String>::new());
    let mut bytes = good.clone();
    bytes[3..11].fill(0);
    let (same, warnings) = list(bytes);
    assert_eq!(same, tree);
    assert!(warnings[0].contains("copy at the end"), "{warnings:?}");
    let mft = u64::from_le_bytes(good[48..56].try_into().unwrap()) as usize * 4096;
    let mut bytes = good.clone();
    bytes[mft] = b'B';
    let (_, warnings) = list(bytes);
    assert!(warnings[0].contains("$MFTMirr was used"), "{warnings:?}");
    let mut bytes = good;
    bytes[3..11].fill(0);
    let last = bytes.len() - 512;
    bytes[last..].fill(0);
    let e = h2k_ntfs::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
        .err()
        .unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "boot sector")
    );
}

#[test]
fn a_torn_record_is_named() {
    let Some(mut bytes) = seed("fs/ntfs/fact-ntfs") else {
        return;
    };
    let mft = u64::from_le_bytes(bytes[48..56].try_into().unwrap()) as usize * 4096;
    // The last two bytes of the second sector of record 5, the root.
    bytes[mft + 5 * 1024 + 1022] ^= 0xff;
    let e = h2k_ntfs::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
        .err()
        .unwrap();
    assert!(e.to_string().contains("torn write"), "{e}");
}
