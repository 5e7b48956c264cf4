//! The door hostile journals come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::{BlockRead, Limits};
use h2k_journal::{File, Journal, Query};
use std::sync::Arc;

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 50_000,
    depth: 16,
};

/// Opens `disk` as a journal and asks everything of it. Errors are the expected answer. Says how many entries there
/// were.
pub fn knock(disk: Arc<dyn BlockRead>) -> usize {
    let Ok(file) = File::open(disk, "x", &LIMITS) else {
        return 0;
    };
    let _ = file.verify();
    let journal = Journal::new(vec![file]);
    let mut entries = journal.entries(&Query::all());
    let mut count = 0;
    for entry in entries.by_ref().take(100) {
        let _ = (entry.export(), entry.priority());
        count += 1;
    }
    assert!(entries.warnings().len() <= 101);
    for boot in journal.boots().into_iter().take(3) {
        let _ = (journal.failures(boot.id), journal.startup(boot.id));
    }
    let _ = journal.errors(None).take(10).count();
    let _ = journal
        .entries(&Query::all().with("LONG", "x").with("UNIT", "net.service"))
        .count();
    count
}
