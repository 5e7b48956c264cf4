//! Known answers: every ext image of the corpus.

use h2k_block::{Class, Error, Limits, Meter};
use h2k_ext4::Journal;
use h2k_fs::{FileKind, FsRead, walk};
use h2k_testkit::corpus::{Case, corpus};
use h2k_testkit::listing::{self, Options};
use std::ops::ControlFlow;

fn listed_without_journal(case: &Case) -> bool {
    case.oracle["fs"]["via"]
        .as_str()
        .is_some_and(|via| via.contains("noload"))
}

/// Where the oracle of the corpus is not the last word.
const OURS: [(&str, &str); 2] = [
    // An attribute whose value lies in another inode, in a filesystem without the `ea_inode` feature. Linux 6.18
    // refuses the whole file, Linux 6.1 and this reader only its attributes.
    (
        "f_ea_inode_no_feature",
        "d57bf43f4fc88135c5b254cada841bb25fb7dd615f8773dd9e7fe1cd22339db1",
    ),
    // A file with fs-verity whose Merkle tree is missing. The kernel refuses to read it; this reader does not verify
    // such trees and shows the content, as debugfs does.
    (
        "f_verity",
        "639e87f7f35a7606c6000b5992a7d713047b492b16e35bd58d2328896cb64e35",
    ),
];

#[test]
fn every_image_lists_as_the_kernel_listed_it() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut failed = Vec::new();
    let mut count = 0;
    for case in corpus.below("fs/ext/") {
        if case.oracle["fs"]["listing_sha256"].is_null() {
            continue;
        }
        count += 1;
        let disk = corpus.disk(case, dir.path());
        let journal = if listed_without_journal(case) {
            Journal::Ignore
        } else {
            Journal::Replay
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let fs = h2k_ext4::open_with(disk, &Limits::default(), journal).unwrap();
            let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
            match OURS.iter().find(|(name, _)| case.path.contains(name)) {
                Some((_, listing)) => assert_eq!(ours.sha256(), *listing),
                None => listing::agrees(&corpus, case, &ours),
            }
            agrees_on_facts(case, &fs);
        }));
        if let Err(e) = outcome {
            failed.push((case.path.clone(), e.downcast_ref::<String>().cloned()));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} differ: {failed:#?}",
        failed.len()
    );
    assert!(count > 100, "the corpus has {count} ext images");
}

fn agrees_on_facts(case: &Case, fs: &dyn FsRead) {
    let info = &case.oracle["fs"]["info"];
    let facts = fs.facts();
    if let Some(uuid) = info["uuid"].as_str() {
        assert_eq!(facts.uuid.as_deref().unwrap_or("<none>"), uuid);
    }
    if let Some(label) = info["label"].as_str() {
        let ours = facts
            .label
            .map_or("<none>".to_owned(), |l| String::from_utf8_lossy(&l).into_owned());
        assert_eq!(ours, label);
    }
    if let Some(features) = info["features"].as_str() {
        assert_eq!(facts.features.join(" "), features.replace("(none)", ""));
    }
    if let Some(size) = info["block_size"].as_str() {
        assert_eq!(fs.usage().unwrap().block.to_string(), size);
    }
}

/// Errors that damage may end with. Anything else is a fault of ours: a lie that got through to the disk below.
fn is_honest(class: Class) -> bool {
    matches!(class, Class::Corrupt | Class::Unsupported | Class::Limit)
}

#[test]
fn damaged_images_end_in_typed_errors_or_in_a_part_of_the_tree() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, mut refused, mut hurt) = (0, 0, 0);
    for case in corpus.below("corrupt/ext/") {
        let disk = corpus.disk(case, dir.path());
        for journal in [Journal::Replay, Journal::Ignore] {
            match h2k_ext4::open_with(disk.clone(), &Limits::default(), journal) {
                Ok(fs) => {
                    opened += 1;
                    let all = listing::of_fs(&fs, Options::UNIX).unwrap();
                    hurt += usize::from(!all.errors.is_empty());
                    everything_is_typed(&fs, &case.path);
                    println!(
                        "{} {journal:?}: {:?} {} bytes, {:?} {:?}",
                        case.path,
                        all.counts,
                        all.bytes,
                        all.errors,
                        fs.facts().warnings
                    );
                }
                Err(e) => {
                    refused += 1;
                    assert!(is_honest(e.class()), "{}: {e}", case.path);
                    println!("{} {journal:?}: {e}", case.path);
                }
            }
        }
    }
    println!("{opened} opened ({hurt} of them with damage in the tree), {refused} refused");
    assert!(opened > 200 && hurt > 40 && refused > 0);
}

/// Asks every node everything and looks at the classes of what fails.
fn everything_is_typed(fs: &dyn FsRead, path: &str) {
    let check = |e: &Error| assert!(is_honest(e.class()), "{path}: {e} is {:?}", e.class());
    let mut meter = Meter::new(Limits::default());
    let mut byte = [0];
    walk(
        fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            match visit.stat {
                Ok(stat) if stat.kind == FileKind::File => {
                    if let Err(e) = fs.read_at(visit.node, stat.len / 2, &mut byte) {
                        check(&e);
                    }
                }
                Ok(stat) if stat.kind == FileKind::Link => {
                    if let Err(e) = fs.target(visit.node) {
                        check(&e);
                    }
                }
                Ok(_) => {}
                Err(e) => check(&e),
            }
            if let Err(e) = fs.xattrs(visit.node, &mut |_, _| ControlFlow::Continue(())) {
                check(&e);
            }
            ControlFlow::Continue(())
        },
        &mut |_, e| check(&e),
    )
    .unwrap();
    if let Err(e) = fs.usage() {
        check(&e);
    }
}
