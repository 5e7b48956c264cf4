//! Known answers: the trees that independent tools recorded.

use h2k_block::{BlockRead, Limits};
use h2k_fs::FsRead;
use h2k_testkit::corpus::{Case, Corpus, corpus};
use h2k_testkit::listing::{self, Options};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The disks of `case`: its own, and those of its set.
fn disks(corpus: &Corpus, case: &Case, dir: &Path) -> Vec<Arc<dyn BlockRead>> {
    let together = |c: &&Case| c.path == case.path || (case.set != "-" && c.set == case.set);
    let all = corpus.cases.iter().filter(together);
    all.map(|c| corpus.disk(c, dir)).collect()
}

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/btrfs/") {
        let facts = &case.oracle["fs"];
        if !facts["listing_sha256"].is_string() {
            // The other disks of a filesystem that is looked at with its first one.
            assert!(case.set != "-", "{}: the manifest has no listing", case.path);
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let disks = disks(&corpus, case, dir.path());
        let fs = h2k_btrfs::open(disks, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        // Recorded from a mount with subvolid=5.
        let top = fs.rooted(fs.subvolume(5).unwrap());
        let ours = listing::of_fs(&top, Options::UNIX).unwrap();
        listing::agrees_with(&corpus, case, facts, &ours);
        let info = &facts["info"];
        let said = fs.facts();
        let ours: BTreeSet<&str> = said.features.iter().map(String::as_str).collect();
        let flags = info["flags"].as_array().unwrap().iter();
        // What the superblock's own state flags are is no feature.
        let mut theirs: BTreeSet<&str> = flags
            .filter_map(|f| f.as_str())
            .filter(|f| !["WRITTEN", "CHANGING_FSID_V2"].contains(f))
            .collect();
        let checksum = info["csum_type"].as_str().unwrap();
        theirs.extend(checksum.split(['(', ')']).nth(1));
        assert_eq!(ours, theirs, "{}", case.path);
        count += 1;
    }
    assert!(count >= 26, "only {count} trees were compared");
}
