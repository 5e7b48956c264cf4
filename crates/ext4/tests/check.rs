//! The structural check beside e2fsck: images of the corpus, and single damages of small filesystems.

use h2k_block::{Class, Findings, Limits};
use h2k_testkit::corpus::corpus;

fn words(found: &Findings) -> Vec<String> {
    found
        .findings
        .iter()
        .take(12)
        .map(|f| format!("{} {} @{:#x}: {}", f.severity.word(), f.structure, f.offset, f.what))
        .collect()
}

#[test]
fn images_of_the_corpus_are_judged_as_e2fsck_judges_them() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut differ = Vec::new();
    let mut count = 0;
    for case in corpus.below("fs/ext/").chain(corpus.below("corrupt/ext/")) {
        let disk = corpus.disk(case, dir.path());
        let oracle = &case.oracle;
        let theirs = oracle["e2fsck_fn_rc"].as_i64().or(oracle["fs"]["e2fsck_fn_rc"].as_i64());
        let ours = h2k_ext4::check(disk, &Limits::default());
        count += 1;
        let clean = match &ours {
            Ok(found) => Some(found.is_clean()),
            Err(e) => {
                assert!(matches!(e.class(), Class::Unsupported | Class::Limit), "{}: {e}", case.path);
                None
            }
        };
        if clean != theirs.map(|rc| rc == 0) {
            differ.push(format!("{} theirs {theirs:?} ours {clean:?}", case.path));
            println!("== {} theirs {theirs:?}", case.path);
            match &ours {
                Ok(found) => println!("{:#?}", words(found)),
                Err(e) => println!("{e}"),
            }
        }
    }
    assert!(differ.is_empty(), "{} of {count}: {differ:#?}", differ.len());
}
