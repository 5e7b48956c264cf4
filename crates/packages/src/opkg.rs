//! opkg: stanzas as dpkg writes them, in one file (OpenWrt, Yocto).

use crate::{Database, Format, dpkg};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, whole};

const PLACES: [&str; 3] = [
    "/usr/lib/opkg/status",
    "/var/lib/opkg/status",
    "/opt/lib/opkg/status",
];

/// Reads opkg's database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    for path in PLACES {
        let Some(file) = files.open(path.as_bytes())? else {
            continue;
        };
        let mut meter = Meter::new(*limits);
        let mut database = Database::empty(Format::Opkg, path);
        let read = whole(&*file, &mut meter, "opkg status")
            .and_then(|bytes| dpkg::parse(&bytes, path, &mut meter, &mut database));
        database.error = read.err();
        // The field is called the same; opkg counts bytes in it and sets it aside for when they were unpacked.
        for package in &mut database.packages {
            package.size = None;
        }
        return Ok(Some(database));
    }
    Ok(None)
}
