//! raw: known answers, split disks, preallocation, files that hold old bytes.

use crate::fill::{self, Feed, Files};
use h2k_block::{
    Access, BlockRead, BlockWrite, Class, DirHost, FileDisk, HostFile, Kind, MemDisk, Sharing, extents,
};
use h2k_image::raw::{Options, Preallocation};
use h2k_image::{Format, OpenOptions, Target, open};
use h2k_testkit::faulty::{Asked, Recorder};
use h2k_testkit::sparse::Sparse;
use h2k_testkit::{corpus, hash};
use std::sync::Arc;

fn target(preallocation: Preallocation) -> Target {
    Target::Raw(Options { preallocation })
}

#[test]
fn every_image_of_the_corpus_reads_as_its_oracles_say() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/raw/") {
        // Alone, each file is a disk of its own …
        let alone = fill::reopen(Arc::new(MemDisk::new(corpus.bytes(case))), Format::Raw).disk;
        let facts = &case.oracle["content"];
        assert_eq!(Some(alone.len()), facts["size"].as_u64());
        assert_eq!(
            Some(hash::disk_sha256(&*alone).unwrap().as_str()),
            facts["sha256"].as_str()
        );
        assert_eq!(
            Some(hash::nz64k(&*alone).unwrap().as_str()),
            facts["nz64k"].as_str()
        );
        // … and the first of a set, with the others beside it, is all of them.
        if let Some(joined) = case.oracle.get("joined") {
            let dir = fill::scratch();
            let image = fill::open_path(&corpus.unpack(case, dir.path()), Format::Raw).unwrap();
            assert_eq!(Some(image.disk.len()), joined["size"].as_u64());
            assert_eq!(
                Some(hash::disk_sha256(&*image.disk).unwrap().as_str()),
                joined["sha256"].as_str()
            );
            assert_eq!(
                (image.info.files.len(), image.info.subformat.as_deref()),
                (2, Some("split"))
            );
            seen += 1;
        }
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn numbered_parts_are_joined_up_to_the_first_gap() {
    for first in [0, 1] {
        let part = |n: u8, len: usize| Sparse::of(format!("d.{:03}", n + first), &vec![n + 1; len]);
        let files = Files::with(vec![part(0, 5000), part(1, 5000), part(2, 70), part(4, 9)]);
        let image = files.open(&format!("d.{first:03}")).unwrap();
        let truth = [vec![1; 5000], vec![2; 5000], vec![3; 70]].concat();
        let truth = MemDisk::new(truth);
        fill::same(&*image.disk, &truth);
        fill::borders(&*image.disk, &truth, 5000, 5);
        // Any other part is itself.
        assert_eq!(files.open(&format!("d.{:03}", first + 2)).unwrap().disk.len(), 70);
    }
}

#[test]
fn holes_of_the_host_file_are_holes_and_bytes_can_be_cloned() {
    let dir = fill::scratch();
    let path = dir.path().join("x.raw");
    let source = fill::noise(10 << 20, 1 << 20, 1);
    source.save(&path);
    let image = fill::open_path(&path, Format::Raw).unwrap();
    fill::same(&source, &*image.disk);
    let holes = extents(&*image.disk, 0..10 << 20).filter(|e| e.as_ref().unwrap().kind == Kind::Hole);
    assert!(holes.count() > 3);
    let span = image.disk.raw_at(4096, 8192).unwrap().unwrap();
    assert_eq!((span.offset, span.len), (4096, 4096));
}

#[test]
fn every_preallocation_holds_the_same_bytes_and_its_room() {
    let dir = fill::scratch();
    let source = fill::noise((9 << 20) + 5, 1 << 20, 2);
    for (mode, whole) in [
        (Preallocation::Off, false),
        (Preallocation::Falloc, true),
        (Preallocation::Full, true),
    ] {
        let path = dir.path().join(format!("{mode:?}"));
        let file = Arc::new(FileDisk::open(&path, Access::Create, Sharing::Careful).unwrap());
        fill::make(&source, file.clone(), &target(mode), fill::ONE).unwrap();
        assert_eq!(file.allocated().unwrap() >= file.len(), whole, "{mode:?}");
        fill::same(&source, &*fill::reopen(file, Format::Raw).disk);
    }
}

#[test]
fn old_bytes_of_a_target_that_is_not_empty_are_replaced_by_zeros() {
    let source = fill::noise((3 << 20) + 5, 1 << 20, 2);
    for mode in [Preallocation::Off, Preallocation::Falloc, Preallocation::Full] {
        let file = Arc::new(Sparse::of("x", &vec![0xee; 4 << 20]));
        fill::make(&source, file.clone(), &target(mode), Feed { grains: 9, ahead: 3 }).unwrap();
        fill::same(&source, &*fill::reopen(file, Format::Raw).disk);
    }
}

#[test]
fn pieces_that_touch_are_one_write() {
    let file = Arc::new(Recorder::new(Vec::new()));
    let mut bytes = vec![1; 16 * 4096];
    bytes[5 * 4096..6 * 4096].fill(0);
    let feed = Feed { grains: 16, ahead: 1 };
    fill::make(
        &MemDisk::new(bytes),
        file.clone(),
        &target(Preallocation::Off),
        feed,
    )
    .unwrap();
    let writes: Vec<(u64, usize)> = file
        .asked()
        .iter()
        .filter_map(|a| match a {
            Asked::Write(at, bytes) => Some((*at, bytes.len())),
            _ => None,
        })
        .collect();
    assert_eq!(writes, [(0, 5 * 4096), (6 * 4096, 10 * 4096)]);
    assert_eq!(file.asked().last(), Some(&Asked::Flush));
}

#[test]
fn sizes_from_nothing_to_16_tib() {
    for len in [0, 1, 511, 512, 4097, 16 << 40] {
        let source = Sparse::new("s");
        source.set_len(len).unwrap();
        if len > 3 {
            source.write_at(len - 3, b"end").unwrap();
        }
        let file = Arc::new(Sparse::new("t"));
        fill::make(&source, file.clone(), &target(Preallocation::Off), fill::ONE).unwrap();
        assert!(file.len() == len && file.pages() == source.pages());
    }
}

#[test]
fn a_raw_parent_is_one_file_whatever_it_is_called() {
    let dir = fill::scratch();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("base.001"), vec![1; 65536]).unwrap();
    std::fs::write(at("base.002"), vec![2; 65536]).unwrap();
    let top = at("top.qcow2");
    let args = [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        "base.001",
        top.to_str().unwrap(),
    ];
    h2k_testkit::oracle::ok("qemu-img", &args);
    let file = Arc::new(FileDisk::open(&top, Access::Read, Sharing::Careful).unwrap());
    let image = open(
        file,
        &DirHost::beside(&top, Sharing::Careful),
        &OpenOptions::default(),
    )
    .unwrap();
    assert_eq!(image.disk.len(), 65536);
    assert_eq!(image.info.parent.unwrap().files.len(), 1);
}

#[test]
fn a_source_that_shrinks_is_an_error_that_names_it() {
    let dir = fill::scratch();
    let path = dir.path().join("x.raw");
    std::fs::write(&path, vec![1; 8192]).unwrap();
    let disk = fill::open_path(&path, Format::Raw).unwrap().disk;
    std::fs::write(&path, vec![1; 100]).unwrap();
    let e = disk.read_at(4096, &mut [0; 512]).unwrap_err();
    assert_eq!(e.class(), Class::Io);
    assert!(e.to_string().contains("x.raw"), "{e}");
}
