//! apk: one letter a field in `/lib/apk/db/installed`, or below `/usr` since version 3.
//!
//! Source: the Alpine wiki's page "Apk spec" (the index and the installed database share their fields), and databases
//! of real guests.

use crate::bytes::text;
use crate::package::filled;
use crate::{Database, Format, Package};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, whole};
use std::sync::Arc;

const PLACES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// Reads apk's database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    for path in PLACES {
        let Some(file) = files.open(path.as_bytes())? else {
            continue;
        };
        let mut meter = Meter::new(*limits);
        let mut database = Database::empty(Format::Apk, path);
        let read = whole(&*file, &mut meter, "apk database")
            .and_then(|bytes| parse(&bytes, path, &mut meter, &mut database));
        database.error = read.err();
        return Ok(Some(database));
    }
    Ok(None)
}

/// Reads the packages in `bytes` into `database`. `from` is the path they were read from.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the meter is empty.
pub fn parse(bytes: &[u8], from: &str, meter: &mut Meter, database: &mut Database) -> Result<()> {
    let from: Arc<str> = from.into();
    let mut package = Package::default();
    let mut seen = false;
    for line in bytes.split(|b| *b == b'\n').chain([b"".as_slice()]) {
        meter.step("line of the apk database")?;
        if line.is_empty() {
            let mut done = std::mem::take(&mut package);
            if !done.name.is_empty() {
                done.from = from.clone();
                database.packages.push(done);
            } else if std::mem::take(&mut seen) {
                let n = database.packages.len();
                database.warn(format!("{from}: the entry after {n} packages has no name"));
            }
            seen = false;
            continue;
        }
        seen = true;
        let Some((letter, b':')) = line.first().zip(line.get(1).copied()) else {
            continue;
        };
        let value = text(line.get(2..).unwrap_or_default());
        match letter {
            b'P' => package.name = value,
            b'V' => package.set_version(&value),
            b'A' => package.arch = filled(&value),
            b'I' => package.size = value.trim().parse().ok(),
            b'T' => package.summary = filled(&value),
            b'U' => package.url = filled(&value),
            b'L' => package.license = filled(&value),
            b'o' => package.source = filled(&value),
            b'm' => package.maintainer = filled(&value),
            b't' => package.built = value.trim().parse().ok(),
            _ => {}
        }
    }
    Ok(())
}
