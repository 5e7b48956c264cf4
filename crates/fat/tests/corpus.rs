//! Known answers: the trees that independent tools recorded.

use h2k_block::Limits;
use h2k_fs::FsRead;
use h2k_testkit::corpus::corpus;
use h2k_testkit::listing::{self, Options};

#[test]
fn every_fat_tree_of_the_corpus_reads_as_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut count = 0;
    for case in corpus.below("fs/fat/") {
        let dir = tempfile::tempdir().unwrap();
        let disk = corpus.disk(case, dir.path());
        if !case.oracle["fs"]["listing_sha256"].is_string() {
            println!("{}: the manifest has no listing", case.path);
            continue;
        }
        let fs = h2k_fat::open(disk, &Limits::default()).unwrap_or_else(|e| panic!("{}: {e}", case.path));
        let ours = listing::of_fs(&fs, Options::PLAIN).unwrap();
        listing::agrees(&corpus, case, &ours);
        assert!(
            fs.usage().unwrap().free <= fs.usage().unwrap().total,
            "{}",
            case.path
        );
        println!("{} {:?}", case.path, fs.facts());
        count += 1;
    }
    assert!(count >= 50, "only {count} trees were compared");
}
