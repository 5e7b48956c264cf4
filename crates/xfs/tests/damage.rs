//! Damaged volumes end in typed errors, soon and in bounded memory.

use crate::door::knock;
use h2k_block::{Class, Limits, MemDisk};
use h2k_testkit::corpus::corpus;
use h2k_testkit::mutate::Patched;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// The smallest volumes of the corpus, one of each version, cut to what holds data.
fn seeds() -> Vec<Vec<u8>> {
    let Some(corpus) = corpus() else { return Vec::new() };
    [
        "fs/xfs/dissect-xfs.bin",
        "fs/xfs/syz/syz-xfs_0.",
        "fs/xfs/syz/syz-xfs_28.",
        "fs/xfs/dissect-xfs_symlink1",
    ]
    .iter()
    .filter_map(|prefix| {
        let case = corpus.below(prefix).next()?;
        let dir = tempfile::tempdir().unwrap();
        let disk = corpus.disk(case, dir.path());
        // Most of a fresh volume is a log full of zeros: the metadata lies in front.
        let len = disk.len().min(2 << 20) as usize;
        let mut bytes = vec![0; len];
        disk.read_at(0, &mut bytes).unwrap();
        Some(bytes)
    })
    .collect()
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seeds: Vec<_> = seeds()
        .into_iter()
        .map(|s| (Patched::live(&s), Arc::new(s)))
        .collect();
    let mut rng = Rng::new(0x5846_5342);
    for n in 0..100_000_usize {
        let Some((live, seed)) = seeds.get(n % seeds.len().max(1)) else {
            return;
        };
        knock(Arc::new(Patched::new(&mut rng, seed, live)));
    }
}

#[test]
fn a_checksum_that_does_not_agree_names_the_structure() {
    let seeds = seeds();
    let Some(seed) = seeds.last() else { return };
    let mut bytes = seed.clone();
    bytes[40] ^= 1;
    let e = h2k_xfs::open(Arc::new(MemDisk::new(bytes)), &Limits::default())
        .err()
        .unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "superblock")
    );
}
