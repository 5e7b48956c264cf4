//! Differencing images: whose bytes show where, which parent is believed, names that Windows wrote.

use super::build::{Builder, MIB, PARTIAL, UNDEFINED, UNMAPPED, ZERO, guid};
use crate::fill::{self, Files};
use h2k_block::{BlockRead, Class, Kind, MemDisk};
use h2k_image::{Format, OpenOptions, open};

/// The linkage of parents built here: `Builder::new` writes 0x11 sixteen times.
const LINKAGE: &str = "{11111111-1111-1111-1111-111111111111}";

fn child(name: &str, size: u64, block: u64, sector: u64, pairs: &[(&'static str, &str)]) -> Builder {
    let pairs = pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    Builder::with_parent(name, size, block, sector, Some(pairs))
}

fn linked(name: &str, parent: &str, size: u64, block: u64, sector: u64) -> Builder {
    let relative = format!(".\\{parent}");
    child(
        name,
        size,
        block,
        sector,
        &[("parent_linkage", LINKAGE), ("relative_path", &relative)],
    )
}

fn filled(byte: u8, len: u64) -> Vec<u8> {
    vec![byte; len as usize]
}

#[test]
fn each_state_over_a_parent_shows_the_right_bytes() {
    for sector in [512, 4096] {
        let size = 7 * MIB;
        let mut base = Builder::new("base.vhdx", size, MIB, sector);
        for n in 0..7 {
            base.full(n, &filled(0xb0 + n as u8, MIB));
        }
        let mut top = linked("top.vhdx", "base.vhdx", size, MIB, sector);
        top.full(1, &filled(0x71, MIB));
        top.entry(2, ZERO);
        top.entry(3, UNMAPPED);
        top.entry(4, UNDEFINED);
        // Sectors 0, 7 to 9 and the last one are the child's; a bit run that crosses a byte is in it.
        let last = MIB / sector - 1;
        top.partial(
            5,
            &[
                (0, filled(1, sector)),
                (7, filled(2, 3 * sector)),
                (last, filled(3, sector)),
            ],
        );
        let mut truth = vec![0; size as usize];
        let mut put = |at: u64, len: u64, byte: u8| {
            truth[at as usize..(at + len) as usize].fill(byte);
        };
        put(0, MIB, 0xb0);
        put(MIB, MIB, 0x71);
        put(5 * MIB, 2 * MIB, 0xb5);
        put(6 * MIB, MIB, 0xb6);
        put(5 * MIB, sector, 1);
        put(5 * MIB + 7 * sector, 3 * sector, 2);
        put(6 * MIB - sector, sector, 3);

        let files = Files::with(vec![base.file, top.file]);
        let image = files.open("top.vhdx").unwrap();
        let truth = MemDisk::new(truth);
        fill::same(&*image.disk, &truth);
        fill::borders(&*image.disk, &truth, MIB, 9);
        fill::borders(&*image.disk, &truth, sector, 12);

        let at = |offset| image.disk.extent_at(offset, size).unwrap();
        assert_eq!((at(0).kind, at(0).depth), (Kind::Data, 1));
        assert_eq!((at(MIB).kind, at(MIB).depth), (Kind::Data, 0));
        assert_eq!((at(2 * MIB).kind, at(2 * MIB).len), (Kind::Zero, 3 * MIB));
        assert_eq!((at(5 * MIB).depth, at(5 * MIB).len), (0, sector));
        assert_eq!(
            (at(5 * MIB + sector).depth, at(5 * MIB + sector).len),
            (1, 6 * sector)
        );
        assert_eq!(image.info.subformat.as_deref(), Some("differencing"));
        assert!(image.info.parent.is_some());
    }
}

#[test]
fn a_partial_block_in_a_later_chunk_finds_its_own_bitmap() {
    // With 4 MiB blocks and 512 byte sectors a chunk is 1024 blocks (4 GiB): block 1025 is in the second one.
    let (block, size) = (4 * MIB, 1030 * 4 * MIB);
    let mut base = Builder::new("base.vhdx", size, block, 512);
    base.full(1, &filled(0xaa, block));
    base.full(1025, &filled(0xbb, block));
    let mut top = linked("top.vhdx", "base.vhdx", size, block, 512);
    top.partial(1, &[(10, filled(1, 512))]);
    top.partial(1025, &[(20, filled(2, 1024))]);
    let files = Files::with(vec![base.file, top.file]);
    let disk = files.open("top.vhdx").unwrap().disk;
    let mut read = [0; 4];
    let mut ends = |block_no: u64, sector: u64| {
        disk.read_at(block_no * block + sector * 512 - 2, &mut read)
            .unwrap();
        read
    };
    assert_eq!(ends(1, 10), [0xaa, 0xaa, 1, 1]);
    assert_eq!(ends(1, 11), [1, 1, 0xaa, 0xaa]);
    assert_eq!(ends(1025, 20), [0xbb, 0xbb, 2, 2]);
    assert_eq!(ends(1025, 22), [2, 2, 0xbb, 0xbb]);
}

#[test]
fn a_deep_chain_shows_the_nearest_bytes() {
    let size = 12 * MIB;
    let mut base = Builder::new("0.vhdx", size, MIB, 512);
    for n in 0..12 {
        base.full(n, &filled(200, MIB));
    }
    let mut files = vec![base.file];
    for depth in 1..=10_u8 {
        let mut top = linked(
            &format!("{depth}.vhdx"),
            &format!("{}.vhdx", depth - 1),
            size,
            MIB,
            512,
        );
        top.partial(depth.into(), &[(5, filled(depth, 512))]);
        files.push(top.file);
    }
    let files = Files::with(files);
    let image = files.open("10.vhdx").unwrap();
    let mut truth = filled(200, size);
    for depth in 1..=10_u8 {
        let at = usize::from(depth) * MIB as usize + 5 * 512;
        truth[at..at + 512].fill(depth);
    }
    fill::same(&*image.disk, &MemDisk::new(truth));
    assert_eq!(image.disk.extent_at(0, size).unwrap().depth, 10);
}

#[test]
fn a_parent_smaller_than_its_child_reads_as_zero_beyond_its_end() {
    let mut base = Builder::new("base.vhdx", 3 * MIB / 2, MIB, 512);
    base.full(0, &filled(1, MIB));
    base.full(1, &filled(2, MIB));
    let top = linked("top.vhdx", "base.vhdx", 4 * MIB, MIB, 512);
    let files = Files::with(vec![base.file, top.file]);
    let disk = files.open("top.vhdx").unwrap().disk;
    let mut truth = filled(1, MIB);
    truth.extend(filled(2, MIB / 2));
    truth.resize(4 * MIB as usize, 0);
    fill::same(&*disk, &MemDisk::new(truth));
    assert_eq!(disk.extent_at(3 * MIB / 2, 4 * MIB).unwrap().kind, Kind::Zero);
}

#[test]
fn a_parent_that_is_not_the_one_recorded_is_refused() {
    let base = Builder::new("base.vhdx", MIB, MIB, 512);
    base.header(super::build::HEADER_2, 7, [0; 16], [0x12; 16]);
    let top = linked("top.vhdx", "base.vhdx", MIB, MIB, 512);
    let files = Files::with(vec![base.file, top.file]);
    let e = files.open("top.vhdx").err().unwrap();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(
        e.to_string().contains("12121212-1212-1212-1212-121212121212"),
        "{e}"
    );
}

#[test]
fn the_second_linkage_counts_too() {
    let base = Builder::new("base.vhdx", MIB, MIB, 512);
    let pairs = [
        ("parent_linkage", "{00000000-0000-0000-0000-000000000001}"),
        ("parent_linkage2", LINKAGE),
        ("relative_path", ".\\base.vhdx"),
    ];
    let top = child("top.vhdx", MIB, MIB, 512, &pairs);
    let files = Files::with(vec![base.file, top.file]);
    assert!(files.open("top.vhdx").is_ok());
}

#[test]
fn absolute_windows_names_are_looked_for_beside_the_image() {
    for (key, value) in [
        ("absolute_win32_path", "\\\\?\\C:\\VMs\\base.vhdx"),
        (
            "volume_path",
            "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\VMs\\base.vhdx",
        ),
        ("relative_path", "..\\elsewhere\\base.vhdx"),
    ] {
        let base = Builder::new("base.vhdx", MIB, MIB, 512);
        let top = child(
            "top.vhdx",
            MIB,
            MIB,
            512,
            &[("parent_linkage", LINKAGE), (key, value)],
        );
        let files = Files::with(vec![base.file, top.file]);
        assert!(files.open("top.vhdx").is_ok(), "{value}");
    }
}

#[test]
fn a_missing_parent_and_a_loop_say_so() {
    let top = linked("top.vhdx", "base.vhdx", MIB, MIB, 512);
    let e = Files::with(vec![top.file]).open("top.vhdx").err().unwrap();
    assert_eq!(e.class(), Class::NotFound);
    assert!(e.advice().is_some());
    // Files in memory have no identity but their name, so the names have to be equal for the loop to be seen.
    let a = linked("a.vhdx", "b.vhdx", MIB, MIB, 512);
    let b = linked("b.vhdx", "a.vhdx", MIB, MIB, 512);
    let e = Files::with(vec![a.file, b.file]).open("a.vhdx").err().unwrap();
    assert!(matches!(e.class(), Class::Corrupt | Class::Limit), "{e}");
}

#[test]
fn an_orphan_can_be_read_alone() {
    let mut top = linked("top.vhdx", "base.vhdx", 2 * MIB, MIB, 512);
    top.full(1, &filled(9, MIB));
    let files = Files::with(vec![top.file]);
    let options = OpenOptions {
        alone: true,
        format: Some(Format::Vhdx),
        ..OpenOptions::default()
    };
    let image = open(files.file("top.vhdx"), &files, &options).unwrap();
    assert_eq!(image.disk.extent_at(0, 2 * MIB).unwrap().kind, Kind::Hole);
    assert_eq!(image.disk.extent_at(MIB, 2 * MIB).unwrap().kind, Kind::Data);
}

#[test]
fn partial_blocks_need_a_parent_and_a_bitmap() {
    let mut plain = Builder::new("plain.vhdx", MIB, MIB, 512);
    let at = plain.full(0, &filled(1, MIB));
    plain.entry(0, at | PARTIAL);
    let files = Files::with(vec![plain.file]);
    let e = files
        .open("plain.vhdx")
        .unwrap()
        .disk
        .read_at(0, &mut [0; 512])
        .unwrap_err();
    assert_eq!((e.class(), e.place().unwrap().structure), (Class::Corrupt, "BAT"));

    let base = Builder::new("base.vhdx", MIB, MIB, 512);
    let mut top = linked("top.vhdx", "base.vhdx", MIB, MIB, 512);
    let at = top.full(0, &filled(1, MIB));
    top.entry(0, at | PARTIAL);
    let files = Files::with(vec![base.file, top.file]);
    let e = files
        .open("top.vhdx")
        .unwrap()
        .disk
        .read_at(0, &mut [0; 512])
        .unwrap_err();
    assert!(e.to_string().contains("sector bitmap"), "{e}");
}

#[test]
fn a_locator_of_another_type_is_refused_by_its_guid() {
    let top = linked("top.vhdx", "base.vhdx", MIB, MIB, 512);
    // The parent locator is the sixth item; its type is its first field.
    let mut entry = [0; 4];
    top.file
        .read_at(super::build::METADATA + 32 + 5 * 32 + 16, &mut entry)
        .unwrap();
    let at = super::build::METADATA + u64::from(u32::from_le_bytes(entry));
    let other = guid(0xdead_beef, 1, 2, [3; 8]);
    top.file.edit(at..at + 16, |b| b.copy_from_slice(&other));
    let e = Files::with(vec![top.file]).open("top.vhdx").err().unwrap();
    assert_eq!(e.class(), Class::Unsupported);
    assert!(e.to_string().contains("deadbeef-0001-0002"), "{e}");
}
