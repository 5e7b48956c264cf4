//! Damaged discs end in typed errors, soon and in bounded memory.

use crate::door::knock;
use crate::makers::{FILL, genisoimage, tree};
use h2k_block::{Class, Limits, MemDisk};
use h2k_fs::FsRead;
use h2k_iso::iso9660::{self, Options, View};
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing;
use h2k_testkit::mutate::Patched;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// A disc with all three trees, of which only the first part matters.
fn sample(options: &str) -> Vec<u8> {
    let dir = tree(&FILL.replace("seq 100", "seq 8"));
    std::fs::read(genisoimage(dir.path(), options)).unwrap()
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seeds = ["-J -R -z", "-J -R -D -l", "-l"].map(|options| {
        let seed = sample(options);
        // Descriptors, path tables and directories come before the files.
        let live: Vec<usize> = Patched::live(&seed)
            .into_iter()
            .filter(|at| *at < 160 << 10)
            .collect();
        (live, Arc::new(seed))
    });
    let mut rng = Rng::new(0x4953_4f39);
    for n in 0..100_000_usize {
        let (live, seed) = &seeds[n % seeds.len()];
        knock(Arc::new(Patched::new(&mut rng, seed, live)));
    }
}

#[test]
fn damaged_discs_of_the_corpus_end_in_answers() {
    let Some(corpus) = corpus() else { return };
    let mut said = std::collections::BTreeMap::new();
    for case in corpus.below("corrupt/iso9660/") {
        let dir = tempfile::tempdir().unwrap();
        let disk = corpus.disk(case, dir.path());
        let name = case
            .path
            .rsplit('/')
            .next()
            .unwrap()
            .trim_end_matches(".iso.zst")
            .to_owned();
        for view in [View::Best, View::Joliet, View::Plain] {
            let options = Options {
                view,
                ..Options::default()
            };
            let words = match iso9660::open_with(disk.clone(), &Limits::default(), options) {
                Ok(fs) => {
                    let listing = listing::of_fs(&fs, listing::Options::PLAIN).unwrap();
                    format!(
                        "{:?} {:?} {:?}",
                        listing.counts,
                        listing.errors,
                        fs.facts().warnings
                    )
                }
                Err(e) => e.to_string(),
            };
            *said.entry(name.clone()).or_insert_with(String::new) += &words;
        }
    }
    for (name, words) in [
        ("bang-cut-data-from-end", "cut off"),
        ("bang-prepend-random-data", "no primary volume descriptor"),
        ("libarchive-iso_rockridge_ce_loop", "continuation areas"),
        ("libarchive-iso_rockridge_zf_overflow", "interleaved"),
        ("util-linux-isosize-sample", "no primary volume descriptor"),
    ] {
        assert!(said[name].contains(words), "{name}: {}", said[name]);
    }
}

#[test]
fn what_is_not_read_is_named() {
    let good = sample("-l");
    let open = |bytes: Vec<u8>| iso9660::open(Arc::new(MemDisk::new(bytes)), &Limits::default());
    // An interleaved file: unit and gap of its record.
    let at = good
        .windows(14)
        .position(|w| w == b"SIZE_2049.;1\0\0" || w.starts_with(b"SIZE_2049.;1"))
        .unwrap();
    let mut bytes = good.clone();
    bytes[at - 7] = 2;
    let fs = open(bytes).unwrap();
    let node = fs.lookup(fs.root(), b"size_2049").unwrap().unwrap();
    let e = fs.read_at(node, 0, &mut [0]).unwrap_err();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("interleaved"), "{e}");
    // High Sierra has its identifier eight bytes further on.
    let mut bytes = good.clone();
    bytes[32768..32768 + 14].copy_from_slice(b"\0\0\0\0\0\0\0\0\x01CDROM");
    let e = open(bytes).err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    let mut bytes = good;
    bytes[32768 + 1] = b'X';
    let e = open(bytes).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "volume descriptor")
    );
}
