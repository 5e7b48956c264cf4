//! Journals in the repository, with what journalctl said of them: `fixtures/journal/systemd`.

use crate::common::{open_bytes, ours, same};
use h2k_journal::{Journal, Query};
use std::path::{Path, PathBuf};

pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journal/systemd")
}

pub fn bytes(name: &str) -> Vec<u8> {
    h2k_testkit::corpus::unzstd(&std::fs::read(home().join(format!("{name}.zst"))).unwrap())
}

#[test]
fn the_journals_of_the_repository_read_as_journalctl_read_them() {
    for name in ["plain", "compact", "older"] {
        let file = open_bytes(bytes(&format!("{name}.journal")));
        assert_eq!(file.verify().unwrap().problems, Vec::<String>::new(), "{name}");
        let journal = Journal::new(vec![file]);
        same(
            &ours(&journal, &Query::all()),
            &bytes(&format!("{name}.export")),
            name,
        );
        assert_eq!(journal.boots().len(), 2, "{name}");
    }
}
