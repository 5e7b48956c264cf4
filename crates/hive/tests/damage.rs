//! Damaged hives and logs end in typed errors, soon and in bounded memory.

use crate::door::{knock, knock_text};
use crate::fixture;
use h2k_testkit::corpus::corpus;
use h2k_testkit::mutate::damage;
use h2k_testkit::rng::Rng;

/// Small hives of the repository and, where there is one, of the corpus, each with its logs.
fn seeds() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    // Most of what is in these files is padding.
    let short = |mut bytes: Vec<u8>| {
        let bins = u32::from_le_bytes(bytes[40..44].try_into().unwrap()) as usize;
        bytes.truncate(4096 + bins);
        bytes
    };
    let mut seeds: Vec<_> = ["dirty-new", "dirty-old", "by-hand-1.4"]
        .map(fixture::set)
        .to_vec();
    let Some(corpus) = corpus() else { return seeds };
    let bytes = |path: &str| {
        let case = corpus.below(path).next().unwrap_or_else(|| panic!("{path}"));
        corpus.bytes(case)
    };
    for path in [
        "hives/python-registry/UNICODE_TESTS",
        "hives/hivex/rlenvalue",
        "hives/yarp/BigDataHive.",
        "hives/plaso/regf/100_sub",
        "hives/yarp/TwoOwnersHive",
        "hives/ez/SECURITYNoRoot",
    ] {
        seeds.push((short(bytes(path)), Vec::new()));
    }
    let dir = "hives/yarp/NewDirtyHive1/";
    let logs = ["NewDirtyHive.LOG1", "NewDirtyHive.LOG2"].map(|log| bytes(&format!("{dir}{log}")));
    seeds.push((short(bytes(&format!("{dir}NewDirtyHive.zst"))), logs.to_vec()));
    seeds
}

#[test]
fn a_hundred_thousand_mutations_end_in_answers() {
    let seeds = seeds();
    let mut rng = Rng::new(0x7265_6766);
    for n in 0..100_000_usize {
        let (mut hive, mut logs) = seeds[n % seeds.len()].clone();
        let all = hive.len();
        match (rng.below(8), logs.len()) {
            (0, _) => damage(&mut rng, &mut hive, 0..512),
            (1..4, count @ 1..) => {
                let log = &mut logs[rng.below(count as u64) as usize];
                // Entries have a checksum: their heads and the base block are where damage goes further.
                damage(&mut rng, log, 0..600);
            }
            _ => damage(&mut rng, &mut hive, 4096..all),
        }
        let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        knock(hive, &logs);
    }
}

#[test]
fn damaged_registry_text_is_read_or_refused() {
    let text = "Windows Registry Editor Version 5.00\r\n\r\n[\\a\\b]\r\n\"n\"=\"text\"\r\n@=dword:00000001\r\n\
        \"h\"=hex(7):61,00,\\\r\n  00,00,00,00\r\n\"g\"=-\r\n[-\\a\\c]\r\n\"x\"=hex(b):00\r\n";
    let wide: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut rng = Rng::new(0x2e72_6567);
    for n in 0..30_000 {
        let mut bytes = if n % 3 == 0 {
            wide.clone()
        } else {
            text.as_bytes().to_vec()
        };
        let len = bytes.len();
        // The first line has to stay readable most of the time, or nothing else is seen.
        damage(&mut rng, &mut bytes, if n % 16 == 0 { 0..len } else { 76..len });
        knock_text(&bytes);
    }
}
