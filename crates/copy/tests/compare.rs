use crate::model::Source;
use h2k_block::{BlockRead, Class, Kind, MemDisk};
use h2k_copy::{Blind, Options};
use h2k_testkit::rng::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64};

fn compare(a: &dyn BlockRead, b: &dyn BlockRead, workers: usize) -> Option<u64> {
    let options = Options {
        workers,
        ..Options::default()
    };
    let found = h2k_copy::compare(a, b, &options, &AtomicBool::new(false), &Blind).unwrap();
    found.map(|difference| difference.offset)
}

#[test]
fn the_lowest_difference_is_found_whatever_the_number_of_workers() {
    let mut rng = Rng::new(20);
    for _ in 0..20 {
        let a = Source::random(&mut rng);
        let mut bytes = a.bytes.clone();
        assert_eq!(compare(&a, &MemDisk::new(bytes.clone()), 3), None);
        if bytes.is_empty() {
            continue;
        }
        let mut lowest = u64::MAX;
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(bytes.len() as u64);
            bytes[at as usize] ^= 1 + rng.below(255) as u8;
        }
        for (at, byte) in bytes.iter().enumerate() {
            if *byte != a.bytes[at] {
                lowest = at as u64;
                break;
            }
        }
        let b = MemDisk::new(bytes);
        let expected = (lowest != u64::MAX).then_some(lowest);
        for workers in [1, 2, 3, 8] {
            assert_eq!(compare(&a, &b, workers), expected);
            assert_eq!(compare(&b, &a, workers), expected);
        }
    }
}

#[test]
fn a_longer_tail_counts_if_it_is_not_zero() {
    let short = MemDisk::new(vec![1; 5000]);
    let mut bytes = vec![1; 5000];
    bytes.resize(3_000_000, 0);
    let long = MemDisk::new(bytes.clone());
    assert_eq!(compare(&short, &long, 2), None);
    assert_eq!(compare(&long, &short, 2), None);
    bytes[2_999_999] = 9;
    let tail = MemDisk::new(bytes);
    assert_eq!(compare(&short, &tail, 2), Some(2_999_999));
    assert_eq!(compare(&tail, &short, 2), Some(2_999_999));
    assert_eq!(compare(&MemDisk::new(vec![]), &MemDisk::new(vec![]), 2), None);
}

#[test]
fn two_holes_are_equal_unread() {
    let mut a = Source::new(vec![(9 << 20, Kind::Hole), (10, Kind::Data)], &mut Rng::new(21));
    a.reads = Some(AtomicU64::new(1));
    let mut b = Source::new(vec![(9 << 20, Kind::Zero)], &mut Rng::new(22));
    b.reads = Some(AtomicU64::new(0));
    a.bytes[9 << 20..].fill(0);
    assert_eq!(compare(&a, &b, 2), None);
}

#[test]
fn what_cannot_be_read_is_an_error_only_before_the_first_difference() {
    let mut good = Source::new(vec![(4 << 20, Kind::Data)], &mut Rng::new(23));
    let mut bad = Source::new(vec![(4 << 20, Kind::Data)], &mut Rng::new(23));
    bad.reads = Some(AtomicU64::new(2));
    let stop = AtomicBool::new(false);
    let options = Options {
        workers: 1,
        ..Options::default()
    };
    let e = h2k_copy::compare(&good, &bad, &options, &stop, &Blind).unwrap_err();
    assert_eq!(e.class(), Class::Corrupt);
    assert!(
        e.to_string()
            .contains("comparing bytes 0x200000..0x300000 of the disks"),
        "{e}"
    );
    good.bytes[5] ^= 1;
    bad.reads = Some(AtomicU64::new(2));
    assert_eq!(compare(&good, &bad, 1), Some(5));
}
