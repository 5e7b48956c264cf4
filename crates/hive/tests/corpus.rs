//! Known answers: what independent readers recorded about the hives of the corpus.

use crate::dump::dump;
use h2k_block::{Class, Limits};
use h2k_hive::{Hive, State};
use h2k_testkit::corpus::{Case, Corpus, corpus};
use h2k_testkit::hash::sha256;

/// The recorded dump itself, to say where two differ.
fn recorded(case: &Case) -> Option<String> {
    let stem = case.path.strip_suffix(".zst").unwrap();
    let shared = h2k_testkit::corpus::shared()?;
    let path = shared
        .join("corpus/listings")
        .join(format!("{stem}.hivedump.zst"));
    let packed = std::fs::read(path).ok()?;
    Some(String::from_utf8(h2k_testkit::corpus::unzstd(&packed)).unwrap())
}

fn first_differences(ours: &str, theirs: &str) -> String {
    let mut out = String::new();
    for (a, b) in ours.lines().zip(theirs.lines()).filter(|(a, b)| a != b).take(5) {
        out.push_str(&format!("  ours   {a}\n  theirs {b}\n"));
    }
    out
}

#[test]
fn every_hive_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    let mut wrong = Vec::new();
    for case in corpus.below("hives/") {
        let facts = &case.oracle["hive"];
        if !facts["dump_sha256"].is_string() {
            println!("{}: {}", case.path, facts);
            continue;
        }
        let hive = Hive::open(corpus.bytes(case), &[], &Limits::default());
        let hive = hive.unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = dump(&hive);
        let version = format!("{}.{}", hive.facts().version.0, hive.facts().version.1);
        assert_eq!(version, facts["version"], "{}", case.path);
        count += 1;
        if sha256(ours.text.as_bytes()) != facts["dump_sha256"] {
            let theirs = recorded(case).unwrap_or_default();
            wrong.push(format!(
                "{}: {} keys, {} values, {} + {} errors; recorded {facts}\n{}",
                case.path,
                ours.keys,
                ours.values,
                ours.key_errors,
                ours.value_errors,
                first_differences(&ours.text, &theirs)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 60, "only {count} hives were compared");
}

/// The files of a set: the hive, its logs, and what Windows made of them.
fn set(corpus: &Corpus, prefix: &str) -> (Vec<u8>, Vec<Vec<u8>>, Option<Vec<u8>>) {
    let (mut hive, mut logs, mut recovered) = (Vec::new(), Vec::new(), None);
    for case in corpus.below(prefix) {
        let name = case.path.rsplit('/').next().unwrap().to_lowercase();
        if name.contains(".log") {
            logs.push(corpus.bytes(case));
        } else if name.starts_with("recovered") {
            recovered = Some(corpus.bytes(case));
        } else {
            hive = corpus.bytes(case);
        }
    }
    (hive, logs, recovered)
}

fn open(hive: &[u8], logs: &[Vec<u8>]) -> Hive {
    let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
    Hive::open(hive.to_vec(), &logs, &Limits::default()).unwrap()
}

#[test]
fn logs_of_both_formats_give_what_windows_made_of_them() {
    let Some(corpus) = corpus() else { return };
    for (prefix, entries) in [
        ("hives/yarp/NewDirtyHive1/", 4),
        ("hives/yarp/NewDirtyHive2/", 3),
        ("hives/yarp/OldDirtyHive/", 1),
    ] {
        let (hive, mut logs, recovered) = set(&corpus, prefix);
        assert_eq!(open(&hive, &[]).facts().state, State::Dirty, "{prefix}");
        let ours = open(&hive, &logs);
        assert_eq!(ours.facts().state, State::Recovered(entries), "{prefix}");
        assert_eq!(ours.facts().sequence.0, ours.facts().sequence.1);
        if let Some(recovered) = recovered {
            assert_eq!(dump(&ours).text, dump(&open(&recovered, &[])).text, "{prefix}");
        }
        // Whichever is named first.
        logs.reverse();
        assert_eq!(open(&hive, &logs).bytes(), ours.bytes(), "{prefix}");
    }
    // What nobody recorded has to fit together at least: pages of 24 and 23 entries from two logs each.
    for (prefix, entries, keys, values) in [
        ("hives/regipy/SYSTEM_B-dirty/", 24, 35_595, 78_901),
        ("hives/regipy/transactions-dirty/", 23, 3_105, 4_695),
    ] {
        let (hive, logs, _) = set(&corpus, prefix);
        let ours = open(&hive, &logs);
        assert_eq!(ours.facts().state, State::Recovered(entries), "{prefix}");
        let checked = ours.check().unwrap();
        assert!(checked.clean(), "{prefix}: {:?}", checked.findings);
        assert_eq!((checked.keys, checked.values), (keys, values), "{prefix}");
    }
}

#[test]
fn a_log_that_is_damaged_is_not_used_and_nothing_behind_the_gap_either() {
    let Some(corpus) = corpus() else { return };
    let (hive, mut logs, _) = set(&corpus, "hives/yarp/NewDirtyHive1/");
    let first = logs.iter().position(|log| log[4] == 2).unwrap();
    // A bit of the first entry's page.
    logs[first][1000] ^= 1;
    assert_eq!(open(&hive, &logs).facts().state, State::Dirty);
    logs[first][1000] ^= 1;
    // The second entry of the other log: the first still counts.
    logs[1 - first][8192 + 512 + 100] ^= 1;
    assert_eq!(open(&hive, &logs).facts().state, State::Recovered(2));
    // A hive that is clean is read as it is.
    let mut clean = hive.clone();
    clean[8] = clean[4];
    let sum = clean[..508]
        .chunks(4)
        .fold(0, |s, c| s ^ u32::from_le_bytes(c.try_into().unwrap()));
    clean[508..512].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(open(&clean, &logs).facts().state, State::Clean);
    assert_eq!(open(&clean, &logs).bytes(), clean);
}

/// What the check says of the hives of the corpus: nothing, but for those that are here for what is wrong with them.
#[test]
fn the_check_finds_what_is_wrong_and_nothing_else() {
    let Some(corpus) = corpus() else { return };
    let known = [
        ("regipy/NTUSER_modified", 0, 1),
        ("yarp/DuplicateSubkeysHive", 1, 0),
        ("yarp/HealedHive", 1, 5),
        ("yarp/NewDirtyHive1/N", 0, 4),
        ("yarp/NewDirtyHive1/R", 0, 8),
        ("yarp/NewDirtyHive2/N", 0, 4),
    ];
    let mut count = 0;
    for case in corpus.below("hives/") {
        if !case.oracle["hive"]["dump_sha256"].is_string() {
            continue;
        }
        let hive = Hive::open(corpus.bytes(case), &[], &Limits::default()).unwrap();
        let checked = hive.check().unwrap();
        let dirty = u64::from(hive.facts().state == State::Dirty);
        let (errors, leaks) = known
            .iter()
            .find(|(name, ..)| case.path.contains(name))
            .map_or((0, 0), |(_, errors, leaks)| (*errors, *leaks));
        assert_eq!(
            (checked.errors, checked.leaks),
            (errors + dirty, leaks),
            "{}: {:?}",
            case.path,
            checked.findings
        );
        assert_eq!(case.oracle["hive"]["keys"], checked.keys, "{}", case.path);
        count += 1;
    }
    assert!(count >= 60, "{count}");
}

#[test]
fn damaged_hives_end_in_typed_errors_or_give_what_is_left() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("corrupt/hives/") {
        count += 1;
        let logs: Vec<Vec<u8>> = corpus
            .below("corrupt/hives/")
            .filter(|c| case.set != "-" && c.set == case.set && c.path.contains(".LOG"))
            .map(|c| corpus.bytes(c))
            .collect();
        let refs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        match Hive::open(corpus.bytes(case), &refs, &Limits::default()) {
            Err(e) => {
                println!("{}: {e}", case.path);
                assert!(
                    matches!(e.class(), Class::Corrupt | Class::Unsupported | Class::Invalid),
                    "{e}"
                );
                assert!(e.place().is_some(), "{e}");
            }
            Ok(hive) => {
                let checked = hive.check().unwrap();
                let facts = hive.facts();
                let noticed = checked.errors + checked.warnings > 0 || !facts.warnings.is_empty();
                assert!(noticed, "{}: nothing was said", case.path);
                if hive.root().is_ok() {
                    let ours = dump(&hive);
                    println!(
                        "{}: {} keys, {} values, {} broken",
                        case.path, ours.keys, ours.values, ours.key_errors
                    );
                    let least = &case.oracle["hive"]["python_registry"]["keys"];
                    let least = least
                        .as_u64()
                        .or(case.oracle["hive"]["keys"].as_u64())
                        .unwrap_or(0);
                    // A name that runs past its cell is refused, not made shorter: that key is among the broken.
                    assert!(
                        ours.keys + ours.key_errors >= least,
                        "{}: {} of {least}",
                        case.path,
                        ours.keys
                    );
                    if case.path.contains("BadBaseBlockHive") {
                        let theirs = corpus.below("hives/yarp/OldDirtyHive/Recovered").next().unwrap();
                        assert_eq!(ours.text, dump(&open(&corpus.bytes(theirs), &[])).text);
                    }
                }
            }
        }
    }
    assert!(count >= 26, "{count}");
}
