//! Differencing images with data of their own.

use super::build::{Builder, DIFFERENCING, DYNAMIC, Footer, Parent, utf16};
use crate::fill::{self, Files};
use h2k_block::{Class, Kind, MemDisk};
use h2k_image::{OpenOptions, open};
use h2k_testkit::sparse::Sparse;

const BLOCK: u64 = 65536;
const SIZE: u64 = 5 * BLOCK + 1024;

fn base() -> Sparse {
    let mut built = Builder::new("base.vhd", Footer::new(DYNAMIC, SIZE), BLOCK, &Parent::default());
    for n in [0, 1, 2, 4, 5] {
        built.put(n, &[(0, vec![0xb0 + n as u8; BLOCK as usize])]);
    }
    built.done()
}

fn parent(locators: Vec<([u8; 4], Vec<u8>)>, unicode: &str) -> Parent {
    Parent {
        id: [0x77; 16],
        time: 0,
        unicode: unicode.to_owned(),
        locators,
    }
}

fn child(name: &str, id: u8, parent: &Parent) -> Builder {
    let mut footer = Footer::new(DIFFERENCING, SIZE);
    footer.id = [id; 16];
    Builder::new(name, footer, BLOCK, parent)
}

#[test]
fn set_bits_are_the_childs_and_clear_ones_the_parents() {
    let relative = parent(vec![(*b"W2ru", utf16(".\\base.vhd"))], "");
    let mut built = child("top.vhd", 1, &relative);
    built.put(1, &[(0, vec![1; 512]), (7, vec![2; 1536]), (127, vec![3; 512])]);
    built.put(3, &[(64, vec![4; 512])]);
    built.put(5, &[(1, vec![5; 512])]);
    let files = Files::with(vec![base(), built.done()]);
    let image = files.open("top.vhd").unwrap();
    let mut truth = vec![0; SIZE as usize];
    for n in [0, 1, 2, 4] {
        truth[n * BLOCK as usize..(n + 1) * BLOCK as usize].fill(0xb0 + n as u8);
    }
    truth[5 * BLOCK as usize..].fill(0xb5);
    let mut put = |block: usize, sector: usize, len: usize, byte: u8| {
        let at = block * BLOCK as usize + sector * 512;
        truth[at..at + len].fill(byte);
    };
    put(1, 0, 512, 1);
    put(1, 7, 1536, 2);
    put(1, 127, 512, 3);
    put(3, 64, 512, 4);
    put(5, 1, 512, 5);
    let truth = MemDisk::new(truth);
    fill::same(&*image.disk, &truth);
    fill::borders(&*image.disk, &truth, BLOCK, 9);
    fill::borders(&*image.disk, &truth, 512, 300);
    // A sector set to zero in the child hides the parent.
    assert_eq!(image.disk.extent_at(0, SIZE).unwrap().depth, 1);
    assert_eq!(image.disk.extent_at(BLOCK, SIZE).unwrap().depth, 0);
    assert_eq!(image.info.subformat.as_deref(), Some("differencing"));
}

#[test]
fn zeros_written_to_a_child_hide_the_parent() {
    let relative = parent(vec![(*b"W2ru", utf16("base.vhd"))], "");
    let mut built = child("top.vhd", 1, &relative);
    built.put(0, &[(0, vec![0; BLOCK as usize])]);
    let files = Files::with(vec![base(), built.done()]);
    let disk = files.open("top.vhd").unwrap().disk;
    let mut bytes = vec![1; BLOCK as usize];
    disk.read_at(0, &mut bytes).unwrap();
    assert!(h2k_block::is_zero(&bytes));
    assert_ne!(disk.extent_at(0, SIZE).unwrap().kind, Kind::Hole);
}

#[test]
fn every_kind_of_locator_finds_the_parent() {
    for (locators, unicode) in [
        (vec![(*b"W2ru", utf16(".\\base.vhd"))], ""),
        (vec![(*b"W2ku", utf16("C:\\VMs\\base.vhd"))], ""),
        (vec![(*b"Wi2r", b".\\base.vhd".to_vec())], ""),
        (vec![(*b"Wi2k", b"C:\\x\\base.vhd\0\0".to_vec())], ""),
        (
            vec![(*b"MacX", b"file://localhost/Volumes/My%20Disk/base.vhd".to_vec())],
            "",
        ),
        (vec![], "base.vhd"),
        (vec![(*b"W2ru", utf16("..\\gone\\other.vhd"))], "D:\\base.vhd"),
    ] {
        let top = child("top.vhd", 1, &parent(locators.clone(), unicode)).done();
        let files = Files::with(vec![base(), top]);
        assert!(files.open("top.vhd").is_ok(), "{locators:?} {unicode}");
    }
}

#[test]
fn another_parent_is_refused_and_another_time_is_a_warning() {
    let mut wrong = parent(vec![(*b"W2ru", utf16("base.vhd"))], "");
    wrong.id = [0x78; 16];
    let files = Files::with(vec![base(), child("top.vhd", 1, &wrong).done()]);
    let e = files.open("top.vhd").err().unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(e.to_string().contains("78787878-7878-"), "{e}");

    for (time, warnings) in [(0, 0), (1234, 0), (1235, 1)] {
        let mut timed = parent(vec![(*b"W2ru", utf16("base.vhd"))], "");
        timed.time = time;
        let files = Files::with(vec![base(), child("top.vhd", 1, &timed).done()]);
        assert_eq!(files.open("top.vhd").unwrap().info.warnings.len(), warnings);
    }
}

#[test]
fn a_chain_of_children_shows_the_nearest_sector() {
    let mut files = vec![base()];
    let mut below = ("base.vhd".to_owned(), 0x77);
    for depth in 1..=12_u8 {
        let mut of = parent(vec![(*b"W2ru", utf16(&below.0))], "");
        of.id = [below.1; 16];
        let name = format!("{depth}.vhd");
        let mut built = child(&name, depth, &of);
        built.put(0, &[(u64::from(depth), vec![depth; 512])]);
        files.push(built.done());
        below = (name, depth);
    }
    let files = Files::with(files);
    let disk = files.open("12.vhd").unwrap().disk;
    let mut bytes = vec![0; 14 * 512];
    disk.read_at(0, &mut bytes).unwrap();
    for (sector, bytes) in bytes.chunks(512).enumerate() {
        let expected = if (1..=12).contains(&sector) {
            sector as u8
        } else {
            0xb0
        };
        assert!(bytes.iter().all(|b| *b == expected), "sector {sector}");
    }
}

#[test]
fn a_locator_outside_the_file_is_skipped_with_a_warning() {
    let top = child("top.vhd", 1, &parent(vec![(*b"W2ru", utf16("x"))], "base.vhd")).done();
    top.edit(512..1536, |h| {
        h[576 + 16] = 0x7f;
        super::build::seal(h, 36);
    });
    let files = Files::with(vec![base(), top]);
    let image = files.open("top.vhd").unwrap();
    assert!(
        image.info.warnings.iter().any(|w| w.contains("W2ru")),
        "{:?}",
        image.info.warnings
    );
}

#[test]
fn alone_the_child_shows_only_itself() {
    let mut built = child("top.vhd", 1, &parent(vec![], "base.vhd"));
    built.put(0, &[(1, vec![9; 512])]);
    let files = Files::with(vec![built.done()]);
    let options = OpenOptions {
        alone: true,
        ..OpenOptions::default()
    };
    let disk = open(files.file("top.vhd"), &files, &options).unwrap().disk;
    assert_eq!(disk.extent_at(0, SIZE).unwrap().kind, Kind::Hole);
    assert_eq!(disk.extent_at(512, SIZE).unwrap().len, 512);
}
