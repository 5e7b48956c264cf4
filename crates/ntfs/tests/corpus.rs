//! Known answers: the trees that ntfs-3g and The Sleuth Kit recorded.

use h2k_block::{Class, Error, Limits, Meter};
use h2k_fs::{FileKind, FsRead, walk};
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};
use std::ops::ControlFlow;

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/ntfs/") {
        let dir = tempfile::tempdir().unwrap();
        let (disk, facts) = corpus.volume(case, dir.path());
        let opened = h2k_ntfs::open(disk, &Limits::default());
        if !facts["listing_sha256"].is_string() {
            // A boot sector without a volume: refused, as ntfs-3g does.
            assert!(facts["error"].is_string() && opened.is_err(), "{}", case.path);
            continue;
        }
        let fs = opened.unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = listing::of_fs(&fs, Options::NTFS).unwrap();
        // Links of Linux' own driver: ntfs-3g names their reparse tag instead of following it.
        let theirs = corpus
            .listing(case)
            .filter(|t| t.contains("unsupported%20reparse%20tag%200xa000000c"));
        match theirs {
            Some(theirs) => same_but_for_links(&theirs, &ours.text, &case.path),
            None => listing::agrees_with(&corpus, case, facts, &ours),
        }
        assert!(
            fs.usage().unwrap().free <= fs.usage().unwrap().total,
            "{}",
            case.path
        );
        count += 1;
    }
    assert!(count >= 25, "only {count} trees were compared");
}

/// Lines of links have to be there; their targets are ours alone.
fn same_but_for_links(theirs: &str, ours: &str, path: &str) {
    let mask = |text: &str| -> Vec<String> {
        let line = |l: &str| match l.split_once("\tl\t") {
            Some((name, _)) => name.to_owned(),
            None => l.to_owned(),
        };
        text.lines().map(line).collect()
    };
    assert_eq!(mask(theirs), mask(ours), "{path}");
    let target = ours.lines().find(|l| l.contains("\tl\t")).unwrap();
    assert!(target.contains("\t/tmp/"), "{path}: {target}");
}

/// Errors that damage may end with. Anything else is a fault of ours: a lie that got through to the disk below.
fn is_honest(e: &Error) -> bool {
    matches!(e.class(), Class::Corrupt | Class::Unsupported | Class::Limit)
}

/// Volumes that ntfsprogs-plus' checker is tested with, and what fuzzers found in others' readers.
#[test]
fn damaged_volumes_end_in_typed_errors_or_in_a_part_of_the_tree() {
    let Some(corpus) = corpus() else { return };
    let (mut opened, mut names) = (0, 0);
    for case in corpus.below("corrupt/ntfs/") {
        let dir = tempfile::tempdir().unwrap();
        let fs = match h2k_ntfs::open(corpus.disk(case, dir.path()), &Limits::default()) {
            Ok(fs) => fs,
            Err(e) => {
                assert!(is_honest(&e), "{}: {e}", case.path);
                println!("{}: {e}", case.path);
                continue;
            }
        };
        opened += 1;
        let mut buf = vec![0; 4096];
        let mut wrong = Vec::new();
        let check = |e: Error, wrong: &mut Vec<String>| {
            assert!(is_honest(&e), "{}: {e} is {:?}", case.path, e.class());
            wrong.push(e.to_string());
        };
        let mut seen = Vec::new();
        let walked = walk(
            &fs,
            fs.root(),
            &mut Meter::new(Limits::default()),
            &mut |visit| {
                match visit.stat {
                    Ok(stat) => seen.push((visit.node, stat)),
                    Err(e) => check(e, &mut wrong),
                }
                ControlFlow::Continue(())
            },
            &mut |_, e| assert!(is_honest(&e), "{}: {e} is {:?}", case.path, e.class()),
        );
        walked.unwrap();
        names += seen.len();
        for (node, stat) in seen {
            let asked = match stat.kind {
                FileKind::File => fs.read_at(node, stat.len / 2, &mut buf).map(drop),
                FileKind::Link => fs.target(node).map(drop),
                _ => Ok(()),
            };
            if let Err(e) = asked {
                check(e, &mut wrong);
            }
        }
        println!("{}: {wrong:?} {:?}", case.path, fs.facts().warnings);
    }
    assert!(opened >= 15 && names > 300, "{opened} opened, {names} names");
}
