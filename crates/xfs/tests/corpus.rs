//! Known answers: the trees that independent tools recorded.

use h2k_block::Limits;
use h2k_fs::FsRead;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};

#[test]
fn every_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/xfs/") {
        let dir = tempfile::tempdir().unwrap();
        let (disk, facts) = corpus.volume(case, dir.path());
        let fs = h2k_xfs::open(disk, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = listing::of_fs(&fs, Options::UNIX).unwrap();
        if facts["listing_sha256"].is_string() {
            listing::agrees_with(&corpus, case, facts, &ours);
            count += 1;
        } else {
            println!("{}: the manifest has no listing; {:?}", case.path, ours.counts);
        }
        let info = facts["info"].as_str().unwrap_or_default();
        let uuid = info.split("uuid = ").nth(1).and_then(|rest| rest.get(..36));
        assert_eq!(fs.facts().uuid.as_deref(), uuid, "{}", case.path);
    }
    assert!(count >= 15, "only {count} trees were compared");
}
