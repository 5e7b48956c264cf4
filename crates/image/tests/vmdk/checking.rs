use super::build::{self, Grain, Hosted, SECTOR, put32};
use super::reading::samples;
use h2k_block::{DirHost, FileDisk, MemHost, Sharing};
use h2k_image::{Check, Format, OpenOptions, Severity, check};
use h2k_testkit::corpus;
use std::sync::Arc;

fn check_mem(host: &MemHost) -> Check {
    let options = OpenOptions {
        format: Some(Format::Vmdk),
        ..OpenOptions::default()
    };
    check(host.get("image").unwrap(), host, &options).unwrap()
}

fn check_bytes(bytes: Vec<u8>) -> Check {
    let host = MemHost::default();
    host.put("image", bytes);
    check_mem(&host)
}

#[test]
fn sound_images_are_clean_and_counted() {
    for (kind, sample) in samples() {
        let found = check_mem(&sample.host);
        assert_eq!(found.findings, [], "{kind}");
        assert!(found.is_clean());
        let (allocated, total) = (found.allocated.unwrap(), found.total.unwrap());
        assert!(allocated > 0 && allocated < total, "{kind}");
        assert_eq!(
            found.compressed.unwrap() > 0,
            kind.contains("stream") || kind.contains("compressed")
        );
    }
}

#[test]
fn every_image_of_the_corpus_is_clean() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vmdk/") {
        if case.oracle["disk"]["virtual_size"].as_u64().is_none() || case.path.contains("sesparse") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = corpus.unpack(case, dir.path());
        let host = DirHost::beside(&path, Sharing::Force);
        let file = FileDisk::open(&path, h2k_block::Access::Read, Sharing::Force).unwrap();
        let found = check(Arc::new(file), &host, &OpenOptions::default()).unwrap();
        assert_eq!(
            (found.errors, found.leaks),
            (0, 0),
            "{}: {:?}",
            case.path,
            found.findings
        );
        seen += 1;
    }
    assert!(seen >= 18);
}

fn sparse() -> (Vec<u8>, usize, usize) {
    let bytes = Hosted::small(40 * 4096).sparse(&build::grains(6, 40, 4096));
    let sector = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize * SECTOR;
    let (rgd, gd) = (sector(48), sector(56));
    (bytes, rgd, gd)
}

fn entry(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Offsets of the first two stored entries in the tables that `directory` points at.
fn two_stored(bytes: &[u8], directory: usize) -> (usize, usize) {
    let tables = (0..3).map(|t| entry(bytes, directory + t * 4) as usize * SECTOR);
    let entries = tables.flat_map(|table| (0..16).map(move |i| table + i * 4));
    let mut stored = entries.filter(|at| entry(bytes, *at) > 1);
    (stored.next().unwrap(), stored.next().unwrap())
}

fn says(found: &Check, severity: Severity, word: &str) {
    let there = found
        .findings
        .iter()
        .any(|f| f.severity == severity && f.what.contains(word));
    assert!(there, "no {severity:?} with {word:?} among {:?}", found.findings);
}

#[test]
fn a_grain_pointing_outside_is_an_error() {
    let (mut bytes, _, gd) = sparse();
    let (a, _) = two_stored(&bytes, gd);
    put32(&mut bytes, a, 0x00ff_ffff);
    let found = check_bytes(bytes);
    says(&found, Severity::Error, "0xffffff");
    says(&found, Severity::Error, "1 entries differ");
    // The grain itself is now nobody's.
    says(&found, Severity::Leak, "no grain table");
}

#[test]
fn two_entries_for_one_grain_are_an_error() {
    let (mut bytes, rgd, gd) = sparse();
    for directory in [rgd, gd] {
        let (a, b) = two_stored(&bytes, directory);
        let first = entry(&bytes, a);
        put32(&mut bytes, b, first);
    }
    says(&check_bytes(bytes), Severity::Error, "shares bytes");
}

#[test]
fn a_grain_in_the_metadata_is_an_error() {
    let (mut bytes, rgd, gd) = sparse();
    for directory in [rgd, gd] {
        let (a, _) = two_stored(&bytes, directory);
        put32(&mut bytes, a, 2);
    }
    says(&check_bytes(bytes), Severity::Error, "shares bytes");
}

#[test]
fn a_damaged_directory_is_an_error_even_where_the_other_one_serves() {
    let (mut bytes, _, gd) = sparse();
    put32(&mut bytes, gd, 0xffff_0000);
    let found = check_bytes(bytes);
    says(
        &found,
        Severity::Error,
        "one of the two grain directories is damaged",
    );
    says(&found, Severity::Warning, "redundant one is used");
}

#[test]
fn grains_nobody_points_at_are_leaks() {
    let (mut bytes, _, _) = sparse();
    let n = bytes.len();
    bytes.resize(n + 3 * 4096, 0);
    let found = check_bytes(bytes);
    assert_eq!((found.errors, found.leaks), (0, 3), "{:?}", found.findings);
    assert_eq!(found.image_end, Some(n as u64));
}

fn stream() -> Vec<u8> {
    let line = "RW 320 SPARSE \"image\"".to_owned();
    let hosted = Hosted {
        version: 3,
        redundant: false,
        descriptor: Some(build::descriptor("streamOptimized", 7, None, &[line])),
        ..Hosted::small(40 * 4096)
    };
    hosted.stream(&vec![Grain::Data(vec![7; 4096]); 40], true)
}

#[test]
fn a_stream_is_checked_marker_by_marker() {
    assert_eq!(check_bytes(stream()).findings, []);
    let first = 8 * SECTOR;
    // The LBA of a grain.
    let mut bytes = stream();
    bytes[first] = 8;
    let found = check_bytes(bytes);
    says(&found, Severity::Leak, "no grain table points at this grain");
    says(&found, Severity::Error, "1 entries point at no marker");
    // Its size.
    let mut bytes = stream();
    bytes[first + 11] = 0x70;
    says(&check_bytes(bytes), Severity::Error, "past the end");
    // The type of the first table's marker, behind 16 grains of a sector.
    let mut bytes = stream();
    bytes[(8 + 16) * SECTOR + 12] = 9;
    says(&check_bytes(bytes), Severity::Error, "type 9");
}

#[test]
fn what_cannot_be_opened_is_a_finding_when_it_is_damage() {
    let mut bytes = stream();
    bytes.truncate(bytes.len() - 512);
    let found = check_bytes(bytes);
    assert_eq!(found.errors, 1);
    says(&found, Severity::Error, "incomplete");
}
