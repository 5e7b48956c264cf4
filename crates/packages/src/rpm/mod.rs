//! rpm: a store of headers, in one of three forms, and what a header says.
//!
//! ```text
//! rpmdb.sqlite   SQLite 3: table Packages(hnum, blob)      Fedora 33, RHEL 9 and later
//! Packages.db    ndb: slots that point at blobs            SUSE
//! Packages       Berkeley DB hash: number → header         RHEL 8, Fedora 32 and before
//! ```
//!
//! The form is told by the file's first bytes, not by its name. A write-ahead log of SQLite that was not checkpointed
//! is part of the database and is read with it.
//!
//! Sources: the SQLite file format document (sqlite.org/fileformat2.html); rpm's manual on its header and tag formats;
//! the page layouts that the permissively licensed readers of Berkeley DB and ndb document; checksums of ndb by
//! experiment.

mod berkeley;
mod header;
mod ndb;
mod sqlite;
mod wal;

pub use header::{Header, TagType, package};

use crate::{Database, Format, Package};
use h2k_block::{BlockRead, Class, Error, Limits, Meter, Result};
use h2k_fs::Files;
use std::sync::Arc;

/// Where rpm keeps its database: of old, since Fedora 36 and SUSE, and on ostree systems.
const HOMES: [&str; 3] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"];
/// In the order in which rpm's own configurations replaced each other, newest first.
const NAMES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// Shows one stored header: its number in the store, and its bytes.
pub(crate) type EachHeader<'a> = dyn FnMut(u32, &[u8]) -> Result<()> + 'a;

/// Tells which form of rpm database `disk` holds, by its first bytes.
///
/// # Errors
/// When they cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<Option<Format>> {
    let mut head = [0; 32];
    if disk.len() < 32 {
        return Ok(None);
    }
    disk.read_at(0, &mut head)?;
    Ok(if sqlite::is(&head) {
        Some(Format::RpmSqlite)
    } else if ndb::is(&head) {
        Some(Format::RpmNdb)
    } else if berkeley::order(&head).is_some() {
        Some(Format::RpmBerkeley)
    } else {
        None
    })
}

/// Reads rpm's database, if there is one. Where several lie side by side (a conversion leaves the old one behind), the
/// newest form is read and the others are named in the warnings.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    let mut found: Option<Database> = None;
    for home in HOMES {
        for name in NAMES {
            let path = format!("{home}/{name}");
            let Some(disk) = files.open(path.as_bytes())? else {
                continue;
            };
            if disk.is_empty() {
                continue;
            }
            if let Some(first) = &mut found {
                first.warn(format!("{path} is there too and was not read"));
                continue;
            }
            let wal = files.open(format!("{path}-wal").as_bytes())?;
            let mut database = read(&*disk, wal.as_deref(), &path, limits);
            if files
                .open(format!("{path}-journal").as_bytes())?
                .is_some_and(|journal| !journal.is_empty())
            {
                database.warn(format!(
                    "{path}-journal: an interrupted transaction was not rolled back"
                ));
            }
            found = Some(database);
        }
        // The other directories are links to this one, or what a migration left.
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}

/// Reads the database in `disk`. `wal` is the write-ahead log beside it, if there is one; `path` is where it lies in
/// the guest.
#[must_use]
pub fn read(disk: &dyn BlockRead, wal: Option<&dyn BlockRead>, path: &str, limits: &Limits) -> Database {
    let from: Arc<str> = path.into();
    let mut packages = Vec::new();
    let mut odd = Vec::new();
    // What is kept of all packages together.
    let mut kept = Meter::new(*limits);
    let mut each = |number: u32, blob: &[u8]| -> Result<()> {
        kept.step("rpm header")?;
        let header = Header::parse(blob).and_then(|header| {
            package(&header).ok_or_else(|| Error::corrupt("rpm header", 0, "has no name or no version"))
        });
        match header {
            Ok(mut package) => {
                kept.bytes(weight(&package), "list of packages")?;
                package.from = from.clone();
                packages.push(package);
            }
            Err(e) => odd.push(format!("package {number} in {from}: {e}")),
        }
        Ok(())
    };
    let mut warnings = Vec::new();
    let mut warn = |what: String| warnings.push(what);
    let (format, outcome) = match probe(disk) {
        Ok(Some(Format::RpmSqlite)) => (
            Format::RpmSqlite,
            sqlite::headers(disk, wal, limits, &mut each, &mut warn),
        ),
        Ok(Some(Format::RpmNdb)) => (Format::RpmNdb, ndb::headers(disk, limits, &mut each, &mut warn)),
        Ok(Some(_)) => (
            Format::RpmBerkeley,
            berkeley::headers(disk, limits, &mut each, &mut warn),
        ),
        Ok(None) => (
            Format::Rpm,
            Err(Error::new(
                Class::Unsupported,
                "this is neither an SQLite, an ndb nor a Berkeley DB hash database",
            )),
        ),
        Err(e) => (Format::Rpm, Err(e)),
    };
    let mut database = Database::empty(format, path);
    database.packages = packages;
    database.error = outcome.err();
    for what in warnings {
        database.warn(format!("{path}: {what}"));
    }
    for what in odd {
        database.warn(what);
    }
    database
}

/// Bytes of text in a package.
fn weight(package: &Package) -> u64 {
    let optional = [
        &package.release,
        &package.arch,
        &package.source,
        &package.vendor,
        &package.maintainer,
        &package.summary,
        &package.description,
        &package.license,
        &package.url,
        &package.group,
    ];
    let text = optional.into_iter().flatten().map(String::len);
    let all = text.chain([package.name.len(), package.version.len(), size_of::<Package>()]);
    all.fold(0, |sum: u64, n| sum.saturating_add(crate::bytes::wide(n)))
}
