//! Damaged footers, headers and entries.

use super::build::{BAT, Builder, DIFFERENCING, DYNAMIC, FIXED, Footer, Parent, seal, utf16};
use crate::{door, fill};
use h2k_block::{BlockRead, Class, Error, HostFile, NoHost};
use h2k_image::{Format, Image, OpenOptions, open, probe};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

const BLOCK: u64 = 4096;

fn opened(file: &Sparse) -> h2k_block::Result<Image> {
    let options = OpenOptions {
        format: Some(Format::Vhd),
        alone: true,
        ..OpenOptions::default()
    };
    open(Arc::new(file.clone()), &NoHost, &options)
}

fn refused(file: &Sparse) -> Error {
    opened(file).err().expect("this image is not in order")
}

fn simple() -> Sparse {
    let mut built = Builder::new("x", Footer::new(DYNAMIC, 4 * BLOCK), BLOCK, &Parent::default());
    built.put(1, &[(0, vec![7; 4096])]);
    built.done()
}

#[test]
fn the_copy_at_the_head_stands_in_for_a_damaged_or_missing_footer() {
    let whole = simple();
    let len = whole.len();
    for damage in [0, 1, 2] {
        let file = whole.clone();
        match damage {
            0 => file.edit(len - 512..len - 511, |b| b[0] ^= 1),
            1 => file.edit(len - 400..len - 399, |b| b[0] ^= 1),
            _ => file.set_len(len - 512).unwrap(),
        }
        let image = opened(&file).unwrap();
        assert!(
            image.info.warnings[0].contains("copy at the head"),
            "{:?}",
            image.info.warnings
        );
        let mut byte = [0];
        image.disk.read_at(BLOCK, &mut byte).unwrap();
        assert_eq!(byte, [7]);
    }
    let file = whole.clone();
    file.edit(0..1, |b| b[0] ^= 1);
    assert!(opened(&file).unwrap().info.warnings.is_empty());
    file.edit(len - 512..len - 511, |b| b[0] ^= 1);
    let e = refused(&file);
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "footer")
    );
}

#[test]
fn two_equal_footers_with_the_same_wrong_checksum_are_believed_with_a_warning() {
    let file = simple();
    let len = file.len();
    for at in [0, len - 512] {
        file.edit(at + 64..at + 65, |b| b[0] ^= 1);
    }
    assert!(opened(&file).unwrap().info.warnings[0].contains("both copies"));
    file.edit(len - 512 + 68..len - 512 + 69, |b| b[0] ^= 1);
    assert_eq!(refused(&file).class(), Class::Corrupt);
}

#[test]
fn a_fixed_disk_without_its_footer_is_refused_and_probed_as_raw() {
    let mut bytes = vec![1; 4096];
    bytes.extend(Footer::new(FIXED, 4096).bytes());
    let file = Sparse::of("x", &bytes);
    assert_eq!(probe(&file).unwrap(), Format::Vhd);
    assert_eq!(opened(&file).unwrap().disk.len(), 4096);
    file.edit(4096..4097, |b| b[0] ^= 1);
    assert_eq!(probe(&file).unwrap(), Format::Raw);
    assert_eq!(refused(&file).class(), Class::Corrupt);
}

#[test]
fn a_fixed_disk_larger_than_its_file_is_corrupt() {
    let mut bytes = vec![1; 4096];
    bytes.extend(Footer::new(FIXED, 8192).bytes());
    assert_eq!(refused(&Sparse::of("x", &bytes)).class(), Class::Corrupt);
}

#[test]
fn unknown_types_and_versions_are_unsupported() {
    for (at, value) in [(63, 0), (63, 1), (63, 5), (63, 6), (13, 2)] {
        let file = simple();
        let len = file.len();
        file.edit(len - 512..len, |f| {
            f[at] = value;
            seal(f, 64);
        });
        assert_eq!(refused(&file).class(), Class::Unsupported, "{at} {value}");
    }
    let file = simple();
    file.edit(512..1536, |h| {
        h[25] = 2;
        seal(h, 36);
    });
    assert_eq!(refused(&file).class(), Class::Unsupported);
}

#[test]
fn impossible_headers_are_corrupt() {
    // Offset in the header, value: block size 0, 3000, 256; BAT outside; too few entries; no cookie.
    let cases: [(usize, &[u8]); 6] = [
        (32, &[0, 0, 0, 0]),
        (32, &[0, 0, 0x0b, 0xb8]),
        (32, &[0, 0, 1, 0]),
        (16, &[0x7f, 0, 0, 0, 0, 0, 0, 0]),
        (28, &[0, 0, 0, 3]),
        (0, b"x"),
    ];
    for (at, value) in cases {
        let file = simple();
        file.edit(512..1536, |h| {
            h[at..at + value.len()].copy_from_slice(value);
            seal(h, 36);
        });
        let e = refused(&file);
        assert_eq!(
            (e.class(), e.place().unwrap().offset),
            (Class::Corrupt, 512),
            "{e}"
        );
    }
    let file = simple();
    let len = file.len();
    file.edit(len - 512..len, |f| {
        f[16] = 0x7f;
        seal(f, 64);
    });
    assert_eq!(refused(&file).class(), Class::Corrupt);
}

#[test]
fn bad_entries_are_errors_where_they_are_read() {
    for entry in [0_u32, 0x7fff_ffff, 0xffff_fffe] {
        let file = simple();
        file.edit(BAT..BAT + 4, |b| b.copy_from_slice(&entry.to_be_bytes()));
        let disk = opened(&file).unwrap().disk;
        let mut two = [0; 2];
        disk.read_at(BLOCK, &mut two).unwrap();
        let e = disk.read_at(BLOCK - 1, &mut two).unwrap_err();
        assert_eq!((e.class(), e.place().unwrap().offset), (Class::Corrupt, BAT));
        assert!(disk.extent_at(0, BLOCK).is_err());
    }
}

#[test]
fn a_wrong_header_checksum_is_a_warning() {
    let file = simple();
    file.edit(512 + 36..512 + 37, |b| b[0] ^= 1);
    let image = opened(&file).unwrap();
    assert!(
        image.info.warnings[0].contains("checksum"),
        "{:?}",
        image.info.warnings
    );
}

#[test]
fn a_suspended_machine_is_mentioned() {
    let file = simple();
    let len = file.len();
    file.edit(len - 512..len, |f| {
        f[84] = 1;
        seal(f, 64);
    });
    assert!(opened(&file).unwrap().info.warnings[0].contains("suspended"));
}

#[test]
fn a_hundred_thousand_damaged_images_end_soon_and_without_a_panic() {
    let parent = Parent {
        id: [1; 16],
        time: 5,
        unicode: "base.vhd".to_owned(),
        locators: vec![
            (*b"W2ru", utf16(".\\base.vhd")),
            (*b"MacX", b"file:///x%20y".to_vec()),
        ],
    };
    let mut built = Builder::new("x", Footer::new(DIFFERENCING, 6 * BLOCK), BLOCK, &parent);
    built.put(1, &[(0, vec![7; 512]), (3, vec![8; 1024])]);
    built.put(4, &[(0, vec![9; 4096])]);
    let children = [built.done(), simple()];
    let mut rng = Rng::new(0x5eed);
    for round in 0..100_000 {
        let file = children[round % 2].clone();
        let len = file.len();
        for _ in 0..=rng.below(2) {
            let (range, field) = match rng.below(4) {
                0 => (len - 512..len, Some(64)),
                1 => (512..1536, Some(36)),
                2 => (BAT..BAT + 24, None),
                _ => (0..len, None),
            };
            file.edit(range, |bytes| {
                // Most of a footer and header is reserved; damage what is not.
                let near = bytes.len().min(90);
                damage(&mut rng, bytes, 0..near);
                if let Some(field) = field
                    && round % 8 != 0
                {
                    seal(bytes, field);
                }
            });
        }
        if let Ok(image) = opened(&file) {
            let n = image.disk.len().min(4096);
            let _ = image.disk.read_at(0, &mut vec![0; n as usize]);
        }
        door::knock_file(Arc::new(file), Format::Vhd);
    }
}

#[test]
fn a_footer_of_511_bytes_is_read() {
    let file = simple();
    file.set_len(file.len() - 1).unwrap();
    file.edit(0..512, |copy| copy.fill(0));
    let image = opened(&file).unwrap();
    let mut byte = [0];
    image.disk.read_at(BLOCK, &mut byte).unwrap();
    assert_eq!(byte, [7]);
    fill::same(&*image.disk, &*opened(&simple()).unwrap().disk);
}
