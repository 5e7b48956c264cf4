//! The corpus, images that qemu-img makes, and sizes as qemu-img decides them.

use super::build::{Builder, DYNAMIC, FIXED, Footer, Parent, all};
use crate::fill;
use h2k_block::{Access, Class, DirHost, FileDisk, MemDisk, NoHost, Sharing};
use h2k_image::{Format, OpenOptions, open};
use h2k_testkit::{corpus, hash, oracle};
use std::sync::Arc;

#[test]
fn every_image_of_the_corpus_reads_as_its_oracles_say() {
    let Some(corpus) = corpus::corpus() else { return };
    let mut seen = 0;
    for case in corpus.below("images/vhd/") {
        let dir = fill::scratch();
        let path = corpus.unpack(case, dir.path());
        let orphan = case.path.contains("orphan");
        let image = if orphan {
            let e = fill::open_path(&path, Format::Vhd).err().unwrap();
            assert_eq!(e.class(), Class::NotFound, "{e}");
            let file = Arc::new(FileDisk::open(&path, Access::Read, Sharing::Careful).unwrap());
            let options = OpenOptions {
                alone: true,
                ..OpenOptions::default()
            };
            open(file, &DirHost::beside(&path, Sharing::Careful), &options).unwrap()
        } else {
            fill::open_path(&path, Format::Vhd).unwrap()
        };
        // qemu-img ignores the parent of a differencing image: there the merged content is the truth. A wrong
        // checksum, on which qemu-img gives up, is a warning here: libvhdi and an independent reader agree.
        let (size, sha256) = match (case.oracle.get("disk"), case.oracle.get("merged")) {
            (_, Some(merged)) => (&merged["size"], &merged["sha256"]),
            (Some(disk), None) => (&disk["virtual_size"], &disk["content_sha256"]),
            _ => panic!("{} has no facts", case.path),
        };
        assert_eq!(Some(image.disk.len()), size.as_u64(), "{}", case.path);
        if let Some(nz64k) = case.oracle["disk"]["content_nz64k"].as_str() {
            assert_eq!(hash::nz64k(&*image.disk).unwrap(), nz64k, "{}", case.path);
        }
        if image.disk.len() <= 1 << 30 {
            let found = hash::disk_sha256(&*image.disk).unwrap();
            assert_eq!(Some(found.as_str()), sha256.as_str(), "{}", case.path);
        }
        seen += 1;
    }
    assert!(seen >= 14);
}

#[test]
fn the_corrupt_image_of_the_corpus_ends_in_a_typed_error() {
    let Some(corpus) = corpus::corpus() else { return };
    let case = corpus.below("corrupt/vhd/").next().unwrap();
    let file = Arc::new(MemDisk::new(corpus.bytes(case)));
    let options = OpenOptions {
        format: Some(Format::Vhd),
        ..OpenOptions::default()
    };
    let e = open(file, &NoHost, &options).err().unwrap();
    assert_eq!(e.class(), Class::Corrupt, "{e}");
}

#[test]
fn images_made_by_qemu_img_read_like_their_source() {
    let dir = fill::scratch();
    let (raw, vhd) = (dir.path().join("s.raw"), dir.path().join("t.vhd"));
    for (len, options) in [
        (512, "force_size=on"),
        ((11 << 20) + 512, "subformat=dynamic,force_size=on"),
        ((11 << 20) + 512, "subformat=fixed,force_size=on"),
        (302 * 4 * 17 * 512, "subformat=dynamic"),
        (302 * 4 * 17 * 512, "subformat=fixed"),
        (40 << 30, "subformat=dynamic,force_size=on"),
    ] {
        let source = fill::noise(len, 2 << 20, len);
        source.save(&raw);
        fill::qemu_convert(&raw, &vhd, "vpc", options);
        let image = fill::open_path(&vhd, Format::Vhd).unwrap();
        fill::same(&source, &*image.disk);
        fill::borders(&*image.disk, &source, 2 << 20, 12);
    }
}

#[test]
fn sizes_are_decided_as_qemu_img_decides_them() {
    let dir = fill::scratch();
    let path = dir.path().join("x.vhd");
    let makers = [
        b"vpc ",
        b"vs  ",
        b"qemu",
        b"qem2",
        b"d2v ",
        b"tap\0",
        b"win ",
        b"vbox",
        b"h2k ",
        b"\0\0\0\0",
    ];
    // Older ones take the geometry of every creator they do not know; the rule here is that of version 10.
    let modern = oracle::qemu_version() >= 10;
    let old_ones_agree =
        |app: &[u8; 4]| matches!(app, b"vpc " | b"qemu" | b"qem2" | b"d2v " | b"tap\0" | b"win ");
    if !modern {
        println!("this qemu-img is older than 10: it is asked about six of the ten creators");
    }
    for app in makers {
        for chs in [(301, 4, 17), (10, 4, 17), (65535, 16, 255)] {
            for kind in [FIXED, DYNAMIC] {
                let mut footer = Footer::new(kind, 10 << 20);
                footer.app = *app;
                footer.chs = chs;
                let file = if kind == FIXED {
                    let mut bytes = vec![0; 10 << 20];
                    bytes.extend(footer.bytes());
                    h2k_testkit::sparse::Sparse::of("x", &bytes)
                } else {
                    Builder::new("x", footer, 2 << 20, &Parent::default()).done()
                };
                file.save(&path);
                let image = fill::open_path(&path, Format::Vhd).unwrap();
                let by_geometry = matches!(app, b"vpc " | b"qemu") && chs != (65535, 16, 255);
                let (c, h, s) = chs;
                let fits = kind == DYNAMIC || u64::from(c) * u64::from(h) * u64::from(s) * 512 <= 10 << 20;
                let wanted = if by_geometry && fits {
                    u64::from(c) * u64::from(h) * u64::from(s) * 512
                } else {
                    10 << 20
                };
                assert_eq!(image.disk.len(), wanted, "{app:?} {chs:?} {kind}");
                if modern || old_ones_agree(app) {
                    assert_eq!(wanted, fill::qemu_size(&path, "vpc"), "{app:?} {chs:?} {kind}");
                }
            }
        }
    }
}

#[test]
fn a_geometry_beyond_a_fixed_disks_own_bytes_gives_way_to_current_size() {
    // qemu-img would say 13926400 bytes here and read what is not there as zeros.
    let mut footer = Footer::new(FIXED, 10 << 20);
    footer.app = *b"qemu";
    footer.chs = (400, 4, 17);
    let mut bytes = vec![5; 10 << 20];
    bytes.extend(footer.bytes());
    let image = fill::reopen(Arc::new(MemDisk::new(bytes)), Format::Vhd);
    assert_eq!(image.disk.len(), 10 << 20);
}

#[test]
fn the_bitmap_of_a_dynamic_disk_hides_nothing() {
    // As qemu-img: an allocated block is shown whole. The oracle is asked with the very same file.
    let dir = fill::scratch();
    let mut built = Builder::new("x", Footer::new(DYNAMIC, 4 << 20), 2 << 20, &Parent::default());
    let at = built.put(1, &[(0, vec![7; 8192])]);
    let file = built.done();
    file.edit(at..at + 512, |bitmap| bitmap.fill(0));
    let (vhd, raw) = (dir.path().join("x.vhd"), dir.path().join("x.raw"));
    file.save(&vhd);
    let args = [
        "convert",
        "-f",
        "vpc",
        "-O",
        "raw",
        vhd.to_str().unwrap(),
        raw.to_str().unwrap(),
    ];
    oracle::ok("qemu-img", &args);
    let truth = MemDisk::new(std::fs::read(&raw).unwrap());
    let disk = fill::reopen(Arc::new(file), Format::Vhd).disk;
    fill::same(&*disk, &truth);
    let mut byte = [0];
    disk.read_at((2 << 20) + 100, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}

#[test]
fn unusual_block_sizes_are_read() {
    for block in [512, 4096, 512 << 10, 4 << 20] {
        let size = 3 * block + 512;
        let mut built = Builder::new("x", Footer::new(DYNAMIC, size), block, &Parent::default());
        built.put(2, &[(0, vec![2; block as usize])]);
        built.put(0, &[(0, vec![1; block as usize])]);
        built.put(3, &[(0, vec![3; block as usize])]);
        let file = built.done();
        assert_eq!(&all(&file)[..8], b"conectix");
        let mut truth = vec![1; block as usize];
        truth.extend(vec![0; block as usize]);
        truth.extend(vec![2; block as usize]);
        truth.extend(vec![3; 512]);
        let truth = MemDisk::new(truth);
        let disk = fill::reopen(Arc::new(file), Format::Vhd).disk;
        fill::same(&*disk, &truth);
        fill::borders(&*disk, &truth, block, 5);
    }
}
