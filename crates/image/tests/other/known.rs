//! The corpus, images that qemu-img makes, and built images that qemu-img reads.

use super::build;
use crate::fill::{self, Files};
use h2k_block::{Class, HostFile, Kind, MemDisk};
use h2k_image::{Format, OpenOptions, Target, open, probe};
use h2k_testkit::sparse::Sparse;
use h2k_testkit::{corpus, hash, oracle};
use std::path::Path;
use std::sync::Arc;

fn format_of(path: &str) -> Format {
    let formats = [
        (".bochs", Format::Bochs),
        (".hds", Format::Parallels),
        (".dmg", Format::Dmg),
        (".cloop", Format::Cloop),
        (".E01", Format::Ewf),
        (".qcow", Format::Qcow1),
    ];
    let name = path.strip_suffix(".zst").unwrap_or(path);
    formats
        .into_iter()
        .find(|(end, _)| name.ends_with(end))
        .unwrap()
        .1
}

#[test]
fn every_image_of_the_corpus_reads_as_its_oracles_say() {
    let Some(corpus) = corpus::corpus() else { return };
    let qcow1 = corpus.below("images/qcow2/").filter(|c| c.path.contains("qcow1"));
    let mut seen = 0;
    for case in corpus.below("images/other/").chain(qcow1) {
        let dir = fill::scratch();
        let image = fill::open_path(&corpus.unpack(case, dir.path()), format_of(&case.path)).unwrap();
        let facts = &case.oracle["disk"];
        let either = |a: &str, b: &str| facts.get(a).or(facts.get(b)).cloned().unwrap();
        assert_eq!(
            Some(image.disk.len()),
            either("virtual_size", "size").as_u64(),
            "{}",
            case.path
        );
        let nz64k = hash::nz64k(&*image.disk).unwrap();
        assert_eq!(
            Some(nz64k.as_str()),
            either("content_nz64k", "nz64k").as_str(),
            "{}",
            case.path
        );
        if image.disk.len() <= 1 << 30 {
            let found = hash::disk_sha256(&*image.disk).unwrap();
            assert_eq!(
                Some(found.as_str()),
                either("content_sha256", "sha256").as_str(),
                "{}",
                case.path
            );
        }
        seen += 1;
    }
    assert!(seen >= 8);
}

#[test]
fn corrupt_images_of_the_corpus_end_in_typed_errors_or_in_what_is_there() {
    let Some(corpus) = corpus::corpus() else { return };
    for case in corpus.below("corrupt/other/") {
        let file = Arc::new(MemDisk::new(corpus.bytes(case)));
        match probe(&*file).unwrap() {
            // Random bytes are a raw disk: nothing says otherwise.
            Format::Raw => assert!(case.path.contains("invalid")),
            format => {
                let options = OpenOptions {
                    format: Some(format),
                    ..OpenOptions::default()
                };
                if let Ok(image) = open(file, &h2k_block::NoHost, &options) {
                    let e = hash::nz64k(&*image.disk).err();
                    assert!(e.is_none_or(|e| e.class() == Class::Corrupt), "{}", case.path);
                }
            }
        }
    }
}

fn qemu_raw(image: &Path, format: &str, dir: &Path) -> MemDisk {
    let raw = dir.join("oracle.raw");
    let args = [
        "convert",
        "-f",
        format,
        "-O",
        "raw",
        image.to_str().unwrap(),
        raw.to_str().unwrap(),
    ];
    oracle::ok("qemu-img", &args);
    MemDisk::new(std::fs::read(raw).unwrap())
}

#[test]
fn parallels_and_qcow_images_made_by_qemu_img_read_like_their_source() {
    let dir = fill::scratch();
    let (raw, image) = (dir.path().join("s.raw"), dir.path().join("t"));
    for (format, name, options, border) in [
        (Format::Parallels, "parallels", "", 1 << 20),
        (Format::Parallels, "parallels", "cluster_size=65536", 65536),
        (Format::Qcow1, "qcow", "", 4096),
    ] {
        let source = fill::noise((33 << 20) + 512, border, border);
        source.save(&raw);
        fill::qemu_convert(&raw, &image, name, options);
        let opened = fill::open_path(&image, format).unwrap();
        fill::same(&source, &*opened.disk);
        fill::borders(&*opened.disk, &source, border, 12);
    }
}

#[test]
fn a_qcow_over_a_parent_shows_the_parent_and_needs_its_format_said() {
    let dir = fill::scratch();
    let (base, top) = (dir.path().join("base.raw"), dir.path().join("top.qcow"));
    std::fs::write(&base, vec![5; 40960]).unwrap();
    let args = [
        "create",
        "-q",
        "-f",
        "qcow",
        "-F",
        "raw",
        "-b",
        "base.raw",
        top.to_str().unwrap(),
    ];
    oracle::ok("qemu-img", &args);
    let e = fill::open_path(&top, Format::Qcow1).err().unwrap();
    assert_eq!(e.class(), Class::Refused);
    let host = h2k_block::DirHost::beside(&top, h2k_block::Sharing::Careful);
    let file = h2k_block::FileDisk::open(&top, h2k_block::Access::Read, h2k_block::Sharing::Careful).unwrap();
    let options = OpenOptions {
        parent_format: Some(Format::Raw),
        ..OpenOptions::default()
    };
    let image = open(Arc::new(file), &host, &options).unwrap();
    fill::same(&*image.disk, &MemDisk::new(vec![5; 40960]));
    assert_eq!(image.disk.extent_at(0, 40960).unwrap().depth, 1);
}

#[test]
fn built_images_read_as_qemu_img_reads_them() {
    let dir = fill::scratch();
    let cases = [
        ("bochs", Format::Bochs, build::bochs(2), 4096),
        ("bochs", Format::Bochs, build::bochs(1), 4096),
        ("parallels", Format::Parallels, build::parallels(true), 8192),
        ("parallels", Format::Parallels, build::parallels(false), 8192),
        ("cloop", Format::Cloop, build::cloop(), 4096),
        ("qcow", Format::Qcow1, build::qcow(true), 4096),
        ("qcow", Format::Qcow1, build::qcow(false), 4096),
        ("dmg", Format::Dmg, build::dmg(false), 8192),
    ];
    for (name, format, bytes, border) in cases {
        // qemu-img takes the format from the name here.
        let path = dir.path().join(format!("image.{name}"));
        std::fs::write(&path, &bytes).unwrap();
        let truth = qemu_raw(&path, name, dir.path());
        let image = fill::open_path(&path, format).unwrap();
        fill::same(&truth, &*image.disk);
        fill::borders(&*image.disk, &truth, border, 50);
        fill::borders(&*image.disk, &truth, 512, 50);
        assert!(hash::nz64k(&truth).unwrap() != hash::nz64k(&MemDisk::new(Vec::new())).unwrap());
    }
}

#[test]
fn evidence_in_segments_is_one_disk() {
    let (files, truth) = build::ewf();
    let files = Files::with(files);
    let image = files.open("x.E01").unwrap();
    assert_eq!((image.info.format, image.info.files.len()), (Format::Ewf, 3));
    let truth = MemDisk::new(truth);
    fill::same(&*image.disk, &truth);
    fill::borders(&*image.disk, &truth, build::EWF_CHUNK, 20);

    // A missing or misnumbered segment, and a later segment opened by itself.
    let (mut files, _) = build::ewf();
    files.pop();
    let e = Files::with(files).open("x.E01").err().unwrap();
    assert_eq!(e.class(), Class::NotFound);
    let (files, _) = build::ewf();
    files[1].edit(9..10, |n| n[0] = 3);
    let e = Files::with(files).open("x.E01").err().unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    let (files, _) = build::ewf();
    let e = Files::with(files).open("x.E02").err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
}

#[test]
fn a_wrong_checksum_in_evidence_is_corrupt() {
    let (files, _) = build::ewf();
    let files = Files::with(files);
    // Chunk 0 is stored plain, right after the headers of the "sectors" section.
    let at = build::ewf_first_chunk(&files.file("x.E01"));
    files.file("x.E01").edit(at + 5..at + 6, |b| b[0] ^= 1);
    let disk = files.open("x.E01").unwrap().disk;
    let e = disk.read_at(0, &mut [0; 512]).unwrap_err();
    assert_eq!(e.class(), Class::Corrupt, "{e}");
}

#[test]
fn relatives_that_are_not_read_are_refused_by_name() {
    let sparse = |bytes: &[u8]| {
        let mut all = bytes.to_vec();
        all.resize(4096, 0);
        Sparse::of("x", &all)
    };
    let mut aes = build::qcow_header();
    aes[39] = 1;
    let mut undoable = build::bochs(2);
    undoable[48..57].copy_from_slice(b"Undoable\0");
    let lzfse = build::dmg_with(0x8000_0007);
    for (bytes, word) in [
        (sparse(b"EVF2\r\n\x81\0"), "Ex01"),
        (sparse(b"LVF\x09\x0d\x0a\xff\0"), "L01"),
        (sparse(&aes), "AES"),
        (Sparse::of("x", &undoable), "Undoable"),
        (Sparse::of("x", &lzfse), "LZFSE"),
        (Sparse::of("x", &build::dmg_with(0x8000_0004)), "ADC"),
        (Sparse::of("x", &build::dmg_with(0x8000_0006)), "bzip2"),
    ] {
        let file: Arc<dyn HostFile> = Arc::new(bytes);
        assert_ne!(probe(&*file).unwrap(), Format::Raw);
        let e = open(file, &h2k_block::NoHost, &OpenOptions::default())
            .err()
            .unwrap();
        assert_eq!(e.class(), Class::Unsupported);
        assert!(e.to_string().contains(word), "{e}");
    }
}

#[test]
fn what_is_only_read_is_not_made() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
        let mut none = |_: &str| Err(h2k_block::Error::unsupported("one file"));
        let made = h2k_image::create(
            Arc::new(Sparse::new("x")),
            &mut none,
            &Target::of(format),
            1 << 20,
        );
        if !format.is_made() {
            let e = made.err().unwrap();
            assert_eq!(e.class(), Class::Unsupported);
            assert!(e.to_string().contains(format.name()), "{e}");
        }
    }
}

#[test]
fn dmg_chunks_may_come_in_any_order_and_between_them_is_zero() {
    let disk = fill::reopen(Arc::new(MemDisk::new(build::dmg(true))), Format::Dmg).disk;
    let plain = fill::reopen(Arc::new(MemDisk::new(build::dmg(false))), Format::Dmg).disk;
    let (mut a, mut b) = (vec![1; 48 * 512], vec![2; 48 * 512]);
    disk.read_at(0, &mut a).unwrap();
    plain.read_at(0, &mut b).unwrap();
    assert!(a == b);
    let kinds: Vec<Kind> = h2k_block::extents(&*disk, 0..disk.len())
        .map(|e| e.unwrap().kind)
        .collect();
    assert!(kinds.contains(&Kind::Hole) && kinds.contains(&Kind::Zero) && kinds.contains(&Kind::Data));
}
