//! Damaged databases end in answers, soon and in bounded memory.

use crate::common::fixture;
use crate::door::{knock, knock_rpm, knock_text};
use h2k_block::{Class, Limits, MemDisk};
use h2k_packages::rpm;
use h2k_testkit::mutate::{Patched, damage, storm};
use h2k_testkit::rng::Rng;
use std::sync::Arc;

/// Where the structure of a store lies: mutating a header's text proves nothing about the store.
fn structure(name: &str, bytes: &[u8]) -> Vec<usize> {
    let page = match name {
        "rpm/Packages-big" => 512,
        "rpm/Packages.db" => 16,
        _ => 4096,
    };
    let starts = Patched::live(bytes);
    let mut first: Vec<_> = starts.iter().copied().filter(|at| at % page == 0).collect();
    first.extend(starts.iter().copied().filter(|at| at % 4096 == 3584));
    first
}

#[test]
fn a_hundred_thousand_mutations_of_every_store_end_in_answers() {
    let names = [
        "rpm/Packages.db",
        "rpm/rpmdb.sqlite",
        "rpm/Packages-big",
        "rpm/Packages-little",
    ];
    let seeds = names.map(|name| {
        let bytes = fixture(name);
        (structure(name, &bytes), Arc::new(bytes))
    });
    storm(&seeds, &mut Rng::new(0x7270_6d64), |disk| {
        knock_rpm(&disk, None) == 4
    });
}

#[test]
fn a_hundred_thousand_mutations_of_text_and_headers_end_in_answers() {
    let header = {
        let bytes = fixture("rpm/Packages.db");
        // The first blob behind the slots; 16 bytes of its own head.
        bytes[4096 + 16..4096 + 16 + 1024].to_vec()
    };
    let seeds = [
        fixture("apk/installed"),
        crate::dpkg::STATES.as_bytes().to_vec(),
        crate::directories::DESC.as_bytes().to_vec(),
        header,
        b"1:2.0~rc1-3\n1:2.0_rc1-r3".to_vec(),
    ];
    let mut rng = Rng::new(0x6470_6b67);
    for n in 0..100_000_usize {
        let mut bytes = seeds[n % seeds.len()].clone();
        let len = bytes.len();
        damage(&mut rng, &mut bytes, 0..len);
        knock_text(&bytes);
    }
}

#[test]
fn every_beginning_of_a_store_ends_in_an_answer() {
    for name in ["rpm/Packages.db", "rpm/rpmdb.sqlite", "rpm/Packages-big"] {
        let bytes = fixture(name);
        for len in (0..300).chain((300..bytes.len()).step_by(1999)) {
            knock(&bytes[..len]);
        }
    }
}

#[test]
fn a_blob_that_does_not_agree_with_its_checksum_does_not_hide_the_others() {
    let mut bytes = fixture("rpm/Packages.db");
    let at = bytes.windows(5).position(|w| w == b"gamma").unwrap();
    bytes[at] ^= 0x20;
    let database = rpm::read(&MemDisk::new(bytes), None, "/p", &Limits::default());
    assert!(database.error.is_none());
    assert_eq!((database.packages.len(), database.warnings.len()), (3, 1));
    assert!(
        database.warnings[0].contains("checksum"),
        "{:?}",
        database.warnings
    );
}

#[test]
fn a_chain_of_pages_that_goes_in_circles_ends() {
    let mut bytes = fixture("rpm/Packages-little");
    // Every overflow page continues with itself.
    for (number, page) in bytes.chunks_mut(4096).enumerate() {
        if page[25] == 7 {
            page[16..20].copy_from_slice(&(number as u32).to_le_bytes());
        }
    }
    let database = rpm::read(&MemDisk::new(bytes), None, "/p", &Limits::default());
    assert!(database.error.is_none());
    assert!(!database.warnings.is_empty());
    let mut bytes = fixture("rpm/rpmdb.sqlite");
    // The root of the table points at itself.
    for page in bytes.chunks_mut(4096).skip(1) {
        if page[0] == 5 {
            page[8..12].copy_from_slice(&2_u32.to_be_bytes());
        }
    }
    let _ = rpm::read(&MemDisk::new(bytes), None, "/p", &Limits::default());
}

#[test]
fn what_is_no_database_and_what_is_too_large_is_said() {
    let read = |bytes, limits: &Limits| rpm::read(&MemDisk::new(bytes), None, "/p", limits).error;
    for bytes in [Vec::new(), vec![0; 10], vec![0; 8192]] {
        assert_eq!(
            read(bytes, &Limits::default()).unwrap().class(),
            Class::Unsupported
        );
    }
    let poor = Limits {
        bytes: 200,
        ..Limits::default()
    };
    for name in ["rpm/Packages.db", "rpm/rpmdb.sqlite", "rpm/Packages-big"] {
        let database = rpm::read(&MemDisk::new(fixture(name)), None, "/p", &poor);
        assert!(database.packages.is_empty(), "{name}");
        assert!(
            database.error.is_some() || !database.warnings.is_empty(),
            "{name}"
        );
    }
}
