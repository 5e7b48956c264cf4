//! Damaged and odd headers, tables and entries.

use super::build::{
    BAT, Builder, Change, HEADER_1, HEADER_2, LOG, LOG_GUID, METADATA, MIB, PARTIAL, PRESENT, REGIONS_1,
    REGIONS_2, guid, log_entry, seal,
};
use crate::door;
use h2k_block::{BlockRead, BlockWrite, Class, Error, HostFile, Kind};
use h2k_image::{Format, Image, OpenOptions, open};
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;
use h2k_testkit::sparse::Sparse;
use std::sync::Arc;

fn opened(file: &Sparse) -> h2k_block::Result<Image> {
    let options = OpenOptions {
        format: Some(Format::Vhdx),
        ..OpenOptions::default()
    };
    open(Arc::new(file.clone()), &h2k_block::NoHost, &options)
}

fn refused(file: &Sparse) -> Error {
    opened(file).err().expect("this image is not in order")
}

fn simple() -> Builder {
    let mut built = Builder::new("image.vhdx", 4 * MIB, MIB, 512);
    built.full(2, &vec![7; MIB as usize]);
    built
}

#[test]
fn one_damaged_header_or_region_table_is_a_warning_and_two_are_an_error() {
    for pair in [[HEADER_1, HEADER_2], [REGIONS_1, REGIONS_2]] {
        for one in pair {
            let built = simple();
            built.file.edit(one + 100..one + 101, |b| b[0] ^= 1);
            let image = opened(&built.file).unwrap();
            let mut byte = [0];
            image.disk.read_at(2 * MIB, &mut byte).unwrap();
            assert_eq!(byte, [7]);
            // The second region table is only looked at when the first one fails.
            assert_eq!(image.info.warnings.len(), usize::from(one != REGIONS_2));
        }
        let built = simple();
        for one in pair {
            built.file.edit(one + 100..one + 101, |b| b[0] ^= 1);
        }
        assert_eq!(refused(&built.file).class(), Class::Corrupt);
    }
}

#[test]
fn the_header_with_the_higher_sequence_number_counts() {
    let built = simple();
    built.header(HEADER_1, u64::MAX, [0; 16], [0xaa; 16]);
    let image = opened(&built.file).unwrap();
    let guid = image
        .info
        .facts
        .iter()
        .find(|f| f.key == "data-write-guid")
        .unwrap();
    assert_eq!(guid.value, "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa".into());
}

#[test]
fn unknown_required_things_are_refused_by_name_and_optional_ones_are_not() {
    let other = guid(0x1234_5678, 0x9abc, 0xdef0, [1; 8]);
    for (required, ok) in [(0, true), (1, false)] {
        let built = simple();
        built.regions(REGIONS_1, &[(other, 0, 0, required)]);
        assert_eq!(opened(&built.file).is_ok(), ok);
        if !ok {
            let e = refused(&built.file);
            assert_eq!(e.class(), Class::Unsupported);
            assert!(
                e.to_string().contains("12345678-9abc-def0-0101-010101010101"),
                "{e}"
            );
        }
    }
    for (flags, ok) in [(0, true), (1, true), (4, false), (5, false)] {
        let built = simple();
        built.metadata(&[(other, flags, vec![1, 2, 3])]);
        assert_eq!(opened(&built.file).is_ok(), ok, "{flags}");
        if !ok {
            assert_eq!(refused(&built.file).class(), Class::Unsupported);
        }
    }
}

#[test]
fn a_version_or_log_version_from_the_future_is_unsupported() {
    for (field, log) in [(66, [0; 16]), (64, LOG_GUID)] {
        let built = simple();
        built.header(HEADER_2, 9, log, [0; 16]);
        built.file.edit(HEADER_2..HEADER_2 + 4096, |h| {
            h[field] = 2;
            seal(h);
        });
        assert_eq!(refused(&built.file).class(), Class::Unsupported);
    }
}

#[test]
fn impossible_metadata_is_corrupt_and_names_its_item() {
    // (offset of the item in the region, field, value)
    let item = |n: u64| METADATA + 65536 + n;
    for (at, value) in [
        (item(0), (512_u32 << 10).to_le_bytes().to_vec()),
        (item(0), (3_u32 << 20).to_le_bytes().to_vec()),
        (item(0), (512_u32 << 20).to_le_bytes().to_vec()),
        (item(8), (4 * MIB + 1).to_le_bytes().to_vec()),
        (item(8), (65_u64 << 40).to_le_bytes().to_vec()),
        (item(32), 1024_u32.to_le_bytes().to_vec()),
        (item(36), 0_u32.to_le_bytes().to_vec()),
    ] {
        let built = simple();
        built.file.write_at(at, &value).unwrap();
        let e = refused(&built.file);
        assert_eq!(e.class(), Class::Corrupt, "{e}");
        assert_eq!(e.place().unwrap().offset, at);
    }
}

#[test]
fn a_disk_larger_than_its_bat_is_corrupt() {
    let built = simple();
    // 1 MiB of BAT holds 131072 entries of 1 MiB blocks: 128 GiB at most.
    built
        .file
        .write_at(METADATA + 65536 + 8, &(200_u64 << 30).to_le_bytes())
        .unwrap();
    let e = refused(&built.file);
    assert_eq!((e.class(), e.place().unwrap().structure), (Class::Corrupt, "BAT"));
}

#[test]
fn bad_entries_are_errors_where_they_are_read_and_not_before() {
    for entry in [
        PRESENT,
        (4000 * MIB) | PRESENT,
        4 | (4 * MIB),
        5,
        PARTIAL | (4 * MIB),
    ] {
        let built = simple();
        built.entry(1, entry);
        let disk = opened(&built.file).unwrap().disk;
        let mut byte = [0];
        disk.read_at(2 * MIB, &mut byte).unwrap();
        assert_eq!(byte, [7]);
        let e = disk.read_at(2 * MIB - 1, &mut byte).unwrap_err();
        assert_eq!((e.class(), e.place().unwrap().offset), (Class::Corrupt, BAT + 8));
        // The map reaches the bad entry and says the same.
        let first = disk.extent_at(0, 4 * MIB).unwrap();
        assert_eq!((first.kind, first.end()), (Kind::Hole, MIB));
        assert!(disk.extent_at(MIB, 4 * MIB).is_err());
    }
}

#[test]
fn a_file_cut_inside_a_block_is_corrupt_there() {
    let built = simple();
    built.file.set_len(built.end - MIB / 2).unwrap();
    let disk = opened(&built.file).unwrap().disk;
    let mut byte = [0];
    disk.read_at(2 * MIB, &mut byte).unwrap();
    assert_eq!(
        disk.read_at(3 * MIB - 1, &mut byte).unwrap_err().class(),
        Class::Corrupt
    );
}

/// A differencing image, alone, with every state, a bitmap, and a log of three entries.
fn everything() -> Sparse {
    let pairs = vec![
        (
            "parent_linkage",
            "{11111111-1111-1111-1111-111111111111}".to_owned(),
        ),
        ("relative_path", ".\\base.vhdx".to_owned()),
    ];
    let mut built = Builder::with_parent("image.vhdx", 8 * MIB, MIB, 512, Some(pairs));
    built.full(0, &vec![1; MIB as usize]);
    built.partial(1, &[(0, vec![2; 512]), (9, vec![3; 5120])]);
    built.entry(2, 2);
    built.entry(3, 3);
    let mut bat = vec![0; 4096];
    built.file.read_at(BAT, &mut bat).unwrap();
    let mut at = 0;
    for sequence in 4..7 {
        let changes = [Change::Data(BAT, bat.clone()), Change::Zero(4 * MIB, 8192)];
        let entry = log_entry(sequence, 0, built.end, built.end, &changes);
        built.file.write_at(LOG + at, &entry).unwrap();
        at += entry.len() as u64;
    }
    built.header(HEADER_2, 7, LOG_GUID, [0x11; 16]);
    built.file
}

#[test]
fn a_hundred_thousand_damaged_images_end_soon_and_without_a_panic() {
    let image = everything();
    // Where damage is worth something, and what has to be sealed again for it to be looked at.
    let places: [(u64, u64, bool); 8] = [
        (HEADER_2, 80, true),
        (REGIONS_1, 80, true),
        (METADATA, 256, false),
        (METADATA + 65536, 400, false),
        (BAT, 80, false),
        (LOG, 128, false),
        (LOG + 8192, 128, false),
        (BAT + 8192 * 8, 8, false),
    ];
    let mut rng = Rng::new(0x5eed);
    for round in 0..100_000 {
        let file = image.clone();
        for _ in 0..=rng.below(2) {
            let (at, len, sealed) = places[rng.below(places.len() as u64) as usize];
            let whole = match at {
                HEADER_2 => 4096,
                REGIONS_1 => 65536,
                _ => len,
            };
            let entry = at == LOG || at == LOG + 8192;
            let whole = if entry { 8192 } else { whole };
            file.edit(at..at + whole, |bytes| {
                damage(&mut rng, bytes, 0..len as usize);
                if (sealed || entry) && round % 8 != 0 {
                    seal(bytes);
                }
            });
        }
        door::knock_file(Arc::new(file), Format::Vhdx);
    }
}
