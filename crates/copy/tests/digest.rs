use crate::model::Source;
use h2k_block::{BlockRead, Kind};
use h2k_copy::{Blind, DigestKind, Options};
use h2k_testkit::rng::Rng;
use std::sync::atomic::{AtomicBool, Ordering};

fn digest(source: &Source, kind: DigestKind, workers: usize) -> [u8; 32] {
    let options = Options {
        workers,
        digest: Some(kind),
        ..Options::default()
    };
    let report = h2k_copy::digest(source, &options, &AtomicBool::new(false), &Blind).unwrap();
    let digest = report.digest.unwrap();
    assert_eq!(digest.kind, kind);
    digest.bytes
}

/// The definition, word for word.
fn sparse(bytes: &[u8]) -> [u8; 32] {
    let mut records = Vec::new();
    for (i, block) in bytes.chunks(65536).enumerate() {
        if block.iter().any(|b| *b != 0) {
            records.extend_from_slice(&(i as u64 * 65536).to_le_bytes());
            records.extend_from_slice(blake3::hash(block).as_bytes());
        }
    }
    *blake3::hash(&records).as_bytes()
}

fn straightforward(bytes: &[u8], kind: DigestKind) -> [u8; 32] {
    match kind {
        DigestKind::Blake3 => *blake3::hash(bytes).as_bytes(),
        DigestKind::Sha256 => {
            let hex = h2k_testkit::hash::sha256(bytes);
            std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        }
        DigestKind::Sparse => sparse(bytes),
    }
}

const KINDS: [DigestKind; 3] = [DigestKind::Blake3, DigestKind::Sha256, DigestKind::Sparse];

#[test]
fn every_kind_equals_the_straightforward_one() {
    let mut rng = Rng::new(10);
    for round in 0..24 {
        let source = Source::random(&mut rng);
        for kind in KINDS {
            let expected = straightforward(&source.bytes, kind);
            for workers in [1, 2, 5] {
                assert_eq!(
                    digest(&source, kind, workers),
                    expected,
                    "{kind:?}, round {round}, {workers} workers, {} bytes",
                    source.len()
                );
            }
        }
    }
}

#[test]
fn sizes_around_every_border_of_the_tree() {
    let mib = 1_u64 << 20;
    let borders = [
        0,
        1024,
        65536,
        mib,
        2 * mib,
        3 * mib,
        4 * mib,
        16 * mib,
        17 * mib,
        35 * mib,
    ];
    for border in borders {
        for len in [border.saturating_sub(1), border, border + 1] {
            // Data at both ends, so that holes lie between subtrees.
            let end = len.min(5000);
            let middle = len.saturating_sub(2 * end);
            let runs = [
                (end, Kind::Data),
                (middle, Kind::Hole),
                (len - end - middle, Kind::Data),
            ];
            let runs = runs.into_iter().filter(|(len, _)| *len > 0).collect();
            let source = Source::new(runs, &mut Rng::new(len));
            for kind in KINDS {
                assert_eq!(
                    digest(&source, kind, 3),
                    straightforward(&source.bytes, kind),
                    "{kind:?} of {len} bytes"
                );
            }
        }
    }
}

#[test]
fn a_sparse_digest_does_not_read_holes_and_does_not_see_how_they_are_stored() {
    let mut source = Source::new(
        vec![
            (40 << 20, Kind::Hole),
            (100_000, Kind::Data),
            (40 << 20, Kind::Zero),
        ],
        &mut Rng::new(11),
    );
    let mapped = digest(&source, DigestKind::Sparse, 2);
    let read = source.read.load(Ordering::Relaxed);
    // 40 MiB is a border of blocks; the data's second block is completed from the zeros behind it.
    assert_eq!(read, 2 * 65536);
    source.runs = vec![(source.len(), Kind::Data)];
    assert_eq!(digest(&source, DigestKind::Sparse, 2), mapped);
}

#[test]
fn no_kind_named_means_blake3() {
    let source = Source::new(vec![(100_000, Kind::Data)], &mut Rng::new(12));
    let stop = AtomicBool::new(false);
    let report = h2k_copy::digest(&source, &Options::default(), &stop, &Blind).unwrap();
    let digest = report.digest.unwrap();
    assert_eq!(digest.kind, DigestKind::Blake3);
    assert_eq!(digest.bytes, *blake3::hash(&source.bytes).as_bytes());
}
