//! ISO 9660 and UDF: from a disc to files.
//!
//! [`iso9660`] reads the plain tree, Joliet and Rock Ridge; [`udf`] reads UDF. A disc may have all of them, which share
//! its files: [`open`] takes Rock Ridge before UDF before Joliet before the plain tree.
//!
//! Non-goals: writing, audio tracks, discs as sectors of 2352 bytes.

pub mod iso9660;
pub mod udf;

pub use iso9660::Iso;
pub use udf::Udf;

use h2k_block::{BlockRead, Limits, Result};
use h2k_fs::FsRead;
use std::sync::Arc;

/// Whether `disk` looks like a disc of ISO 9660 or UDF.
///
/// # Errors
/// When the disk cannot be read.
pub fn probe(disk: &dyn BlockRead) -> Result<bool> {
    Ok(iso9660::probe(disk)? || udf::probe(disk)?)
}

/// Opens the best tree of `disk`: Rock Ridge, UDF, Joliet, plain.
///
/// # Errors
/// What the only kind of tree it has answers with; of a disc with both kinds, what ISO 9660 answers with.
pub fn open(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Box<dyn FsRead>> {
    let udf = udf::probe(&*disk)?;
    if !iso9660::probe(&*disk)? && udf {
        return Ok(Box::new(udf::open(disk, limits)?));
    }
    let iso = iso9660::open(disk.clone(), limits);
    let rock = iso.as_ref().is_ok_and(Iso::has_rock_ridge);
    if udf
        && !rock
        && let Ok(found) = udf::open(disk, limits)
    {
        return Ok(Box::new(found));
    }
    Ok(Box::new(iso?))
}
