//! The check of VHD, VHDX and VDI: what is wrong is found and named, what is in order is clean.

use crate::fill;
use crate::vhd::build as vhd;
use crate::vhdx::build as vhdx;
use h2k_block::{BlockRead, BlockWrite, HostFile, Limits, NoHost};
use h2k_image::{Check, Format, OpenOptions, Target, check};
use h2k_testkit::corpus;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn audit(file: &Sparse, format: Format) -> Check {
    let options = OpenOptions {
        format: Some(format),
        limits: Limits::default(),
        ..OpenOptions::default()
    };
    check(Arc::new(file.clone()), &NoHost, &options).unwrap()
}

fn said(check: &Check) -> String {
    check
        .findings
        .iter()
        .map(|f| f.what.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn images_of_the_corpus_and_our_own_are_clean() {
    if let Some(corpus) = corpus::corpus() {
        for (folder, format) in [("vhd", Format::Vhd), ("vhdx", Format::Vhdx), ("vdi", Format::Vdi)] {
            for case in corpus.below(&format!("images/{folder}/")) {
                let found = audit(&Sparse::of("x", &corpus.bytes(case)), format);
                assert_eq!(found.errors, 0, "{}: {}", case.path, said(&found));
            }
        }
    }
    for format in [Format::Vhd, Format::Vhdx, Format::Vdi] {
        let file = Arc::new(Sparse::new("x"));
        fill::make(
            &fill::noise(40 << 20, 1 << 20, 3),
            file.clone(),
            &Target::of(format),
            fill::ONE,
        )
        .unwrap();
        let found = audit(&file, format);
        assert!(found.is_clean() && found.warnings == 0, "{}", said(&found));
        assert_eq!(found.image_end, Some(file.len()), "{format:?}");
        assert!(found.allocated.unwrap() > 0 && found.allocated <= found.total);
    }
}

#[test]
fn blocks_used_twice_are_errors_that_name_both() {
    let mut built = vhdx::Builder::new("x", 4 << 20, 1 << 20, 512);
    let at = built.full(0, &vec![1; 1 << 20]);
    built.entry(3, at | vhdx::PRESENT);
    built.entry(2, vhdx::BAT | vhdx::PRESENT);
    let found = audit(&built.file, Format::Vhdx);
    assert_eq!(found.errors, 2);
    let text = said(&found);
    assert!(
        text.contains("block 0 and block 3") && text.contains("BAT region"),
        "{text}"
    );

    let mut built = vhd::Builder::new(
        "x",
        vhd::Footer::new(vhd::DYNAMIC, 3 * 4096),
        4096,
        &vhd::Parent::default(),
    );
    let at = built.put(0, &[(0, vec![1; 4096])]);
    built.entry(2, (at / 512) as u32 + 1);
    let found = audit(&built.done(), Format::Vhd);
    assert!(said(&found).contains("block 0 and block 2"), "{}", said(&found));

    let file = Arc::new(Sparse::new("x"));
    fill::make(
        &fill::noise(4 << 20, 1 << 20, 3),
        file.clone(),
        &Target::of(Format::Vdi),
        fill::ONE,
    )
    .unwrap();
    file.edit(512..520, |map| map.copy_within(0..4, 4));
    let found = audit(&file, Format::Vdi);
    assert!(said(&found).contains("block 0 and block 1"), "{}", said(&found));
}

#[test]
fn every_bad_entry_is_counted_and_not_only_the_first() {
    let mut built = vhdx::Builder::new("x", 8 << 20, 1 << 20, 512);
    built.full(0, &vec![1; 1 << 20]);
    for (block, entry) in [(1, 5), (3, (9000 << 20) | vhdx::PRESENT), (7, 4)] {
        built.entry(block, entry);
    }
    let found = audit(&built.file, Format::Vhdx);
    assert_eq!(
        (found.errors, found.allocated, found.total),
        (3, Some(1), Some(8))
    );
}

#[test]
fn damaged_copies_and_dirty_logs_are_warnings() {
    for at in [vhdx::HEADER_1, vhdx::HEADER_2, vhdx::REGIONS_1, vhdx::REGIONS_2] {
        let built = vhdx::Builder::new("x", 4 << 20, 1 << 20, 512);
        built.file.edit(at + 20..at + 21, |b| b[0] ^= 1);
        let found = audit(&built.file, Format::Vhdx);
        assert_eq!(
            (found.errors, found.warnings),
            (0, 1),
            "{at:#x}: {}",
            said(&found)
        );
    }
    let built = vhdx::Builder::new("x", 4 << 20, 1 << 20, 512);
    built.header(vhdx::HEADER_2, 9, vhdx::LOG_GUID, [1; 16]);
    let entry = vhdx::log_entry(1, 0, built.end, built.end, &[vhdx::Change::Zero(vhdx::BAT, 4096)]);
    built.file.write_at(vhdx::LOG, &entry).unwrap();
    let found = audit(&built.file, Format::Vhdx);
    assert_eq!((found.errors, found.warnings), (0, 1), "{}", said(&found));

    let built = vhd::Builder::new(
        "x",
        vhd::Footer::new(vhd::DYNAMIC, 3 * 4096),
        4096,
        &vhd::Parent::default(),
    );
    let file = built.done();
    file.edit(5..6, |b| b[0] ^= 1);
    let found = audit(&file, Format::Vhd);
    assert_eq!((found.errors, found.warnings), (0, 1), "{}", said(&found));
}

#[test]
fn a_missing_sector_bitmap_is_an_error() {
    let pairs = vec![("relative_path", "base.vhdx".to_owned())];
    let mut built = vhdx::Builder::with_parent("x", 4 << 20, 1 << 20, 512, Some(pairs));
    let at = built.full(1, &vec![1; 1 << 20]);
    built.entry(1, at | vhdx::PARTIAL);
    let found = audit(&built.file, Format::Vhdx);
    assert!(said(&found).contains("sector bitmap"), "{}", said(&found));
}

#[test]
fn what_cannot_be_opened_is_one_error() {
    for format in [Format::Vhd, Format::Vhdx, Format::Vdi] {
        let found = audit(&Sparse::of("x", &[1; 8192]), format);
        assert_eq!(found.errors, 1);
    }
}

#[test]
fn a_huge_sparse_image_is_checked_without_reading_its_bat() {
    let source = Sparse::new("s");
    source.set_len(60 << 40).unwrap();
    source.write_at(50 << 40, b"x").unwrap();
    let target = Target::Vhdx(h2k_image::vhdx::Options {
        block_size: Some(1 << 20),
        ..h2k_image::vhdx::Options::default()
    });
    let file = Arc::new(Sparse::new("x"));
    fill::make(&source, file.clone(), &target, fill::ONE).unwrap();
    let found = audit(&file, Format::Vhdx);
    assert!(found.is_clean());
    assert_eq!((found.allocated, found.total), (Some(1), Some(60 << 20)));
    assert_eq!(source.len(), 60 << 40);
}
