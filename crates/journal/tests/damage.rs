//! Damaged journals end in answers, and give what is left.

use crate::common::{FORMS, many, open, open_bytes, write};
use crate::door::knock;
use crate::fixture::bytes;
use h2k_block::{Class, Limits, MemDisk};
use h2k_journal::{File, Journal, Query};
use h2k_testkit::mutate::{Patched, storm};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;
use std::sync::Arc;

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seeds = ["small-plain", "small-compact"].map(|name| {
        let bytes = bytes(&format!("{name}.journal"));
        // Behind the hash tables: a mutated slot of a table hits nothing most of the time.
        let live: Vec<usize> = Patched::live(&bytes);
        (live, Arc::new(bytes))
    });
    storm(&seeds, &mut Rng::new(0x6a6f_7572), |disk| {
        knock(Arc::new(disk)) == 4
    });
}

#[test]
fn a_file_that_is_cut_short_gives_what_is_left_and_says_so() {
    let all = bytes("plain.journal");
    let tail = le64(&all, 136) as usize;
    let arena = le64(&all, 88) as usize;
    let full = Journal::new(vec![open_bytes(all.clone())])
        .entries(&Query::all())
        .count();
    let mut last = usize::MAX;
    for part in [1, 2, 3, 5, 9] {
        let cut = arena + (tail - arena) / part;
        let file = open_bytes(all[..cut].to_vec());
        assert!(
            file.warnings().iter().any(|w| w.contains("cut short")),
            "{:?}",
            file.warnings()
        );
        assert!(file.verify().unwrap().wrong > 0);
        let journal = Journal::new(vec![file]);
        let mut entries = journal.entries(&Query::all());
        let count = entries.by_ref().count();
        assert!(count <= full && count <= last, "{count} of {full}");
        assert!(count == full || !entries.warnings().is_empty());
        last = count;
    }
    assert!(last < full);
}

#[test]
fn a_file_that_was_open_says_so_and_reads_on() {
    let mut all = bytes("compact.journal");
    all[16] = 1;
    let file = open_bytes(all);
    assert!(
        file.warnings()[0].contains("open for writing"),
        "{:?}",
        file.warnings()
    );
    assert!(Journal::new(vec![file]).entries(&Query::all()).count() > 10);
}

#[test]
fn unknown_features_are_refused_by_name_and_optional_ones_are_not() {
    let mut all = bytes("compact.journal");
    all[8] |= 0x80;
    assert!(
        Journal::new(vec![open_bytes(all.clone())])
            .entries(&Query::all())
            .count()
            > 10
    );
    all[13] = 1;
    let e = File::open(Arc::new(MemDisk::new(all)), "x", &Limits::default())
        .err()
        .unwrap();
    assert_eq!((e.class(), e.place().unwrap().offset), (Class::Unsupported, 12));
}

#[test]
fn without_its_hash_table_a_file_is_searched_entry_by_entry() {
    let all = bytes("plain.journal");
    let query = Query::all().severe(3);
    let through = Journal::new(vec![open_bytes(all.clone())])
        .entries(&query)
        .count();
    let mut broken = all;
    // The table's length: none.
    broken[112..120].fill(0);
    let journal = Journal::new(vec![open_bytes(broken)]);
    let mut entries = journal.entries(&query);
    assert_eq!(entries.by_ref().count(), through);
    assert!(
        through > 5 && entries.warnings()[0].contains("no slots"),
        "{:?}",
        entries.warnings()
    );
}

#[test]
fn one_flipped_bit_is_found_as_journalctl_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.journal");
    write(&path, &many(8, 1, 60, 1_700_000_000_000_000), FORMS[0]);
    let clean = std::fs::read(&path).unwrap();
    assert_eq!(open(&path).verify().unwrap().wrong, 0);
    let message = clean.windows(17).position(|w| w == b"MESSAGE=message 5").unwrap();
    let data = message - 64;
    // Its text, its hash, its length; the number of entries in the header.
    for at in [message + 10, data + 16, data + 8, 152] {
        let mut bytes = clean.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        let said = oracle::run(
            "journalctl",
            &["--verify".to_owned(), format!("--file={}", path.display())],
        );
        assert!(
            !said.status.success(),
            "journalctl finds nothing wrong with byte {at:#x}"
        );
        assert!(open_bytes(bytes).verify().unwrap().wrong > 0, "byte {at:#x}");
    }
}
