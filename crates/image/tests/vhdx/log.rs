//! Dirty logs built entry by entry.

use super::build::{BAT, Builder, Change, HEADER_1, HEADER_2, LOG, LOG_GUID, MIB, PRESENT, log_entry, seal};
use crate::fill;
use h2k_block::{BlockRead, BlockWrite, Class, HostFile, MemDisk};
use h2k_image::{Format, Image, OpenOptions, open};
use std::sync::Arc;

/// Three blocks of 1 MiB, the first two stored; the header names the log.
fn dirty() -> Builder {
    let mut built = Builder::new("dirty.vhdx", 3 * MIB, MIB, 512);
    built.full(0, &vec![1; MIB as usize]);
    built.full(1, &vec![2; MIB as usize]);
    built.header(HEADER_2, 7, LOG_GUID, [0x11; 16]);
    built
}

/// The first sector of the BAT with entries changed.
fn bat_sector(built: &Builder, changes: &[(usize, u64)]) -> Vec<u8> {
    let mut sector = vec![0; 4096];
    built.file.read_at(BAT, &mut sector).unwrap();
    for (n, entry) in changes {
        sector[n * 8..n * 8 + 8].copy_from_slice(&entry.to_le_bytes());
    }
    sector
}

fn put(built: &Builder, at: u64, entry: &[u8]) {
    // The ring wraps at its end.
    let room = ((MIB - at) as usize).min(entry.len());
    built.file.write_at(LOG + at, &entry[..room]).unwrap();
    built.file.write_at(LOG, &entry[room..]).unwrap();
}

fn opened(built: Builder) -> h2k_block::Result<Image> {
    let options = OpenOptions {
        format: Some(Format::Vhdx),
        ..OpenOptions::default()
    };
    open(Arc::new(built.file), &h2k_block::NoHost, &options)
}

fn truth(bytes: [u8; 3]) -> MemDisk {
    MemDisk::new(bytes.iter().flat_map(|b| vec![*b; MIB as usize]).collect())
}

#[test]
fn an_update_of_the_bat_in_the_log_counts() {
    let built = dirty();
    // The log swaps blocks 0 and 1 (at 4 and 5 MiB).
    let swapped = bat_sector(&built, &[(0, (5 * MIB) | PRESENT), (1, (4 * MIB) | PRESENT)]);
    put(
        &built,
        0,
        &log_entry(9, 0, built.end, built.end, &[Change::Data(BAT, swapped)]),
    );
    let image = opened(built).unwrap();
    fill::same(&*image.disk, &truth([2, 1, 0]));
}

#[test]
fn later_entries_win_and_the_tail_says_where_replay_begins() {
    let built = dirty();
    let a = bat_sector(&built, &[(0, 0)]);
    let b = bat_sector(&built, &[(2, (4 * MIB) | PRESENT)]);
    let c = bat_sector(&built, &[(2, (5 * MIB) | PRESENT)]);
    let end = built.end;
    // Entry 20 empties block 0 and was flushed already: the tail of entry 22 lies after it. 20 alone would be a
    // sequence too, but an older one.
    let mut at = 0;
    for (sequence, tail, change) in [(20, 0, a), (21, 8192, b), (22, 8192, c)] {
        let entry = log_entry(sequence, tail, end, end, &[Change::Data(BAT, change)]);
        put(&built, at, &entry);
        at += entry.len() as u64;
    }
    let image = opened(built).unwrap();
    fill::same(&*image.disk, &truth([1, 2, 2]));
}

#[test]
fn a_torn_last_entry_is_left_out() {
    for cut in [0_usize, 20, 5000] {
        let built = dirty();
        let good = bat_sector(&built, &[(2, (4 * MIB) | PRESENT)]);
        let torn = bat_sector(&built, &[(0, 0), (1, 0), (2, 0)]);
        let first = log_entry(1, 0, built.end, built.end, &[Change::Data(BAT, good)]);
        let mut second = log_entry(2, 0, built.end, built.end, &[Change::Data(BAT, torn)]);
        second[cut] ^= 0x40;
        put(&built, 0, &first);
        put(&built, first.len() as u64, &second);
        let image = opened(built).unwrap();
        fill::same(&*image.disk, &truth([1, 2, 1]));
    }
}

#[test]
fn a_sequence_may_wrap_round_the_end_of_the_ring() {
    let built = dirty();
    let start = MIB - 4096;
    let b = bat_sector(&built, &[(2, (4 * MIB) | PRESENT)]);
    let c = bat_sector(&built, &[(1, 0), (2, (4 * MIB) | PRESENT)]);
    // Two sectors each: the first entry's data sector is at the beginning of the ring.
    put(
        &built,
        start,
        &log_entry(1, start, built.end, built.end, &[Change::Data(BAT, b)]),
    );
    put(
        &built,
        4096,
        &log_entry(2, start, built.end, built.end, &[Change::Data(BAT, c)]),
    );
    let image = opened(built).unwrap();
    fill::same(&*image.disk, &truth([1, 0, 1]));
}

#[test]
fn zero_descriptors_zero_ranges_and_data_after_them_stays() {
    let built = dirty();
    let end = built.end;
    let sector = vec![7; 4096];
    let changes = [
        Change::Data(4 * MIB + 8192, vec![9; 4096]),
        Change::Zero(4 * MIB + 4096, MIB / 2),
        Change::Data(4 * MIB + 12288, sector),
        Change::Zero(5 * MIB - 4096, 8192),
        Change::Zero(4 * MIB, 0),
    ];
    put(&built, 0, &log_entry(3, 0, end, end, &changes));
    let mut bytes = truth([1, 2, 0]).to_vec();
    bytes[4096..4096 + MIB as usize / 2].fill(0);
    bytes[12288..16384].fill(7);
    bytes[MIB as usize - 4096..MIB as usize + 4096].fill(0);
    let image = opened(built).unwrap();
    let truth = MemDisk::new(bytes);
    fill::same(&*image.disk, &truth);
    fill::borders(&*image.disk, &truth, 4096, 1000);
}

#[test]
fn more_descriptors_than_one_sector_holds() {
    let built = dirty();
    // 126 descriptors fit beside the header in its sector, 128 in each further one.
    let changes: Vec<Change> = (0..140)
        .map(|n| Change::Data(4 * MIB + n * 4096, vec![100 + n as u8; 4096]))
        .collect();
    put(&built, 0, &log_entry(3, 0, built.end, built.end, &changes));
    let mut bytes = truth([1, 2, 0]).to_vec();
    for n in 0..140 {
        bytes[n * 4096..(n + 1) * 4096].fill(100 + n as u8);
    }
    fill::same(&*opened(built).unwrap().disk, &MemDisk::new(bytes));
}

#[test]
fn replay_extends_a_file_that_was_not_extended_yet() {
    let built = dirty();
    let (old, new) = (built.end, built.end + MIB);
    let bat = bat_sector(&built, &[(2, old | PRESENT)]);
    let changes = [Change::Data(BAT, bat), Change::Data(old, vec![5; 4096])];
    put(&built, 0, &log_entry(1, 0, old, new, &changes));
    let image = opened(built).unwrap();
    let mut bytes = truth([1, 2, 0]).to_vec();
    bytes[2 * MIB as usize..2 * MIB as usize + 4096].fill(5);
    fill::same(&*image.disk, &MemDisk::new(bytes));
}

#[test]
fn entries_of_another_session_and_a_file_that_was_cut_are_refused() {
    let built = dirty();
    let bat = bat_sector(&built, &[(0, 0)]);
    let mut entry = log_entry(1, 0, built.end, built.end, &[Change::Data(BAT, bat.clone())]);
    entry[32] ^= 1;
    seal(&mut entry);
    put(&built, 0, &entry);
    let e = opened(built).err().unwrap();
    assert_eq!((e.class(), e.place().unwrap().structure), (Class::Corrupt, "log"));

    let built = dirty();
    put(
        &built,
        0,
        &log_entry(1, 0, built.end + MIB, built.end + MIB, &[Change::Data(BAT, bat)]),
    );
    let e = opened(built).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "log entry")
    );
    assert!(e.to_string().contains("cut off"), "{e}");
}

#[test]
fn a_log_full_of_long_false_entries_ends_soon() {
    let built = dirty();
    let mut entry = log_entry(1, 0, built.end, built.end, &[Change::Zero(0, 4096)]);
    entry[8..12].copy_from_slice(&(MIB as u32).to_le_bytes());
    for n in 0..256 {
        put(&built, n * 4096, &entry);
    }
    let e = opened(built).err().unwrap();
    assert!(matches!(e.class(), Class::Limit | Class::Corrupt), "{e}");
}

#[test]
fn a_log_that_is_not_inside_the_file_is_refused() {
    let built = dirty();
    built.header_with_log(HEADER_1, 9, LOG_GUID, [0x11; 16], 4095 * MIB);
    let e = opened(built).err().unwrap();
    assert_eq!(
        (e.class(), e.place().unwrap().structure),
        (Class::Corrupt, "header")
    );
}

#[test]
fn a_read_only_open_changes_nothing() {
    let built = dirty();
    let bat = bat_sector(&built, &[(0, 0)]);
    put(
        &built,
        0,
        &log_entry(1, 0, built.end, built.end, &[Change::Data(BAT, bat)]),
    );
    let file = Arc::new(built.file);
    let before = file.pages();
    let options = OpenOptions::default();
    let image = open(file.clone(), &h2k_block::NoHost, &options).unwrap();
    image.disk.read_at(0, &mut [0; 4096]).unwrap();
    assert_eq!((file.pages(), file.len()), (before, file.len()));
    assert_eq!(file.name().to_str(), Some("dirty.vhdx"));
}
