//! Where the journal of a guest lies.

use crate::file::File;
use crate::merge::Journal;
use h2k_block::{Error, Limits, Meter, Result};
use h2k_fs::{Files, join};
use std::sync::Arc;

const HOMES: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What lies in a guest's journal directories.
#[derive(Default)]
pub struct Found<'a> {
    /// The files that could be opened.
    pub journal: Journal<'a>,
    /// Those that could not: path and reason.
    pub unreadable: Vec<(String, Error)>,
}

/// Whether a file of this name belongs to a journal: `*.journal`, and `*.journal~` for one that was not closed and
/// put aside.
#[must_use]
pub fn is_journal_name(name: &[u8]) -> bool {
    name.strip_suffix(b"~").unwrap_or(name).ends_with(b".journal")
}

/// Opens every journal file below `/var/log/journal` and `/run/log/journal` of `files`, of all machines and namespaces.
///
/// # Errors
/// When the directories cannot be read.
pub fn find<'a>(files: &'a dyn Files, limits: &Limits) -> Result<Found<'a>> {
    let mut meter = Meter::new(*limits);
    let mut paths = Vec::new();
    for home in HOMES.map(str::as_bytes) {
        for name in files.names(home, &mut meter)?.unwrap_or_default() {
            let path = join(home, &name);
            if is_journal_name(&name) {
                paths.push(path);
                continue;
            }
            let below = files.names(&path, &mut meter)?.unwrap_or_default();
            let wanted = below.iter().filter(|name| is_journal_name(name));
            paths.extend(wanted.map(|name| join(&path, name)));
        }
    }
    let mut unreadable = Vec::new();
    let mut opened = Vec::new();
    for path in paths {
        let name = String::from_utf8_lossy(&path).into_owned();
        let file = files.open(&path).and_then(|disk| {
            disk.map(|disk| File::open(Arc::from(disk), name.as_str(), limits))
                .transpose()
        });
        match file {
            Ok(file) => opened.extend(file),
            Err(e) => unreadable.push((name, e)),
        }
    }
    Ok(Found {
        journal: Journal::new(opened),
        unreadable,
    })
}
