//! Damaged images of every format that is only read.

use super::build;
use crate::door;
use h2k_block::{Class, NoHost};
use h2k_image::{Format, OpenOptions, open};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn storm(format: Format, image: &[u8], places: &[std::ops::Range<usize>], seal: fn(&mut [u8])) {
    let mut rng = Rng::new(0x5eed);
    for round in 0..100_000 {
        let mut bytes = image.to_vec();
        let place = places[rng.below(places.len() as u64) as usize].clone();
        damage(&mut rng, &mut bytes, place);
        if round % 8 != 0 {
            seal(&mut bytes);
        }
        door::knock(bytes, format);
    }
}

#[test]
fn damaged_bochs_images_end_soon() {
    storm(
        Format::Bochs,
        &build::bochs(2),
        &[64..96, 512..576, 576..580],
        |_| {},
    );
}

#[test]
fn damaged_parallels_images_end_soon() {
    storm(
        Format::Parallels,
        &build::parallels(true),
        &[0..64, 64..88],
        |_| {},
    );
}

#[test]
fn damaged_cloop_images_end_soon() {
    let image = build::cloop();
    let len = image.len();
    storm(Format::Cloop, &image, &[120..184, 184..len], |_| {});
}

#[test]
fn damaged_dmg_images_end_soon() {
    let image = build::dmg(true);
    let len = image.len();
    storm(
        Format::Dmg,
        &image,
        &[len - 512..len - 400, len - 300..len, 0..len],
        |_| {},
    );
}

#[test]
fn damaged_qcow_images_end_soon() {
    storm(
        Format::Qcow1,
        &build::qcow(true),
        &[0..56, 4096..4128, 16384..16500],
        |_| {},
    );
}

#[test]
fn damaged_evidence_ends_soon() {
    let (files, _) = build::ewf();
    let first = files[2].dense().to_vec();
    // The last segment, made the first and only one: it has "done" at its end and needs a volume.
    let mut image = b"EVF\x09\x0d\x0a\xff\0\x01\x01\0\0\0".to_vec();
    image.extend(&files[0].dense().to_vec()[13..13 + 76 + 94]);
    let moved = image.len() - 13;
    image.extend(&first[13..]);
    // Sections and chunks moved with what stands before them.
    let mut at = 13 + 76 + 94;
    while at + 76 <= image.len() {
        let next = u64::from_le_bytes(image[at + 16..at + 24].try_into().unwrap()) + moved as u64;
        image[at + 16..at + 24].copy_from_slice(&next.to_le_bytes());
        if image[at..].starts_with(b"table\0") {
            image[at + 76 + 8..at + 76 + 16].copy_from_slice(&(moved as u64).to_le_bytes());
        }
        if next as usize <= at {
            break;
        }
        at = next as usize;
    }
    // Two chunks: make the disk that long.
    image[13 + 76 + 16] = 9;
    build::ewf_seal(&mut image);
    let options = OpenOptions {
        format: Some(Format::Ewf),
        ..OpenOptions::default()
    };
    let opened = open(Arc::new(Sparse::of("x.E01", &image)), &NoHost, &options).unwrap();
    opened.disk.read_at(0, &mut [0; 4608]).unwrap();
    let len = image.len();
    storm(
        Format::Ewf,
        &image,
        &[0..13, 13..120, 183..259, len - 260..len],
        build::ewf_seal,
    );
}

#[test]
fn overlapping_dmg_chunks_are_corrupt() {
    let mut image = build::dmg_with(0x8000_0005);
    // The list of tables twice over: the same chunk again.
    let text = String::from_utf8_lossy(&image).into_owned();
    let from = text.find("<dict><key>Data").unwrap();
    let to = text.find("</array>").unwrap();
    let table = image[from..to].to_vec();
    image.splice(to..to, table.clone());
    let koly = image.len() - 512;
    let old = u64::from_be_bytes(image[koly + 224..koly + 232].try_into().unwrap());
    image[koly + 224..koly + 232].copy_from_slice(&(old + table.len() as u64).to_be_bytes());
    let options = OpenOptions {
        format: Some(Format::Dmg),
        ..OpenOptions::default()
    };
    let e = open(Arc::new(Sparse::of("x", &image)), &NoHost, &options)
        .err()
        .unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(e.to_string().contains("two chunks"), "{e}");
}
