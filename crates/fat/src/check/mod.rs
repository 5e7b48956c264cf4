//! The structural check: everything the filesystem says twice, compared; everything it says once, judged. What
//! `fsck.vfat -n` does, by the same documents as the rest of the room and by what that program answers.
//!
//! 1. Boot sector, its copy, FSInfo, the copies of the table, and whether it was unmounted cleanly (`ground`).
//! 2. Every directory: entries, names, and the clusters each of them claims (`dirs`, `names`, `chain`).
//! 3. What the table says is used and nobody claims, and what FSInfo counts (`chain`).
//!
//! Nothing is ever written.

mod chain;
mod dirs;
mod ground;
mod names;

use crate::boot::{self, Geometry};
use crate::clusters::Clusters;
use crate::table::{Table, Width};
use h2k_block::{BlockRead, Error, Findings, Limits, Meter, Result, Severity};
use std::sync::Arc;

/// Checks the structure of the FAT12, FAT16 or FAT32 volume on `disk`: what is wrong with it is in the answer.
/// Findings lie at byte offsets of the volume. Contents of files are not judged.
///
/// Errors are what loses data or makes drivers disagree; leaks are clusters that are marked as used and belong to
/// nothing; warnings are what drivers pass over: copies that lag behind, pieces of long names without their entry.
///
/// Memory grows with the table: a bit for each cluster it has an entry for, paid for by `limits`.
///
/// # Errors
/// When the check could not be done: [`h2k_block::Class::Unsupported`] for exFAT and for versions of FAT32 that are not
/// known; [`h2k_block::Class::Limit`] when it costs more than `limits` allow; what reading the volume fails with.
pub fn check(disk: Arc<dyn BlockRead>, limits: &Limits) -> Result<Findings> {
    if crate::exfat::probe(&*disk)? {
        return Err(Error::unsupported(
            "exFAT is read, and its structure is not checked",
        ));
    }
    let mut out = Findings::default();
    let mut used_backup = None;
    let geometry = match boot::read(&*disk, &mut |why| used_backup = Some(why)) {
        Ok(found) => found,
        Err(e) => {
            out.damage("boot sector", e)?;
            return Ok(out);
        }
    };
    if let Some(why) = used_backup {
        out.note(Severity::Error, "boot sector", 0, || why);
    }
    let table = |n: u64| {
        let at = geometry.fat_at.saturating_add(n.saturating_mul(geometry.fat_len));
        Table::new(disk.clone(), at, geometry.fat_len, geometry.width)
    };
    let clusters = |table| {
        Clusters::new(
            disk.clone(),
            vec![table],
            geometry.heap,
            geometry.cluster_bits,
            geometry.clusters,
            *limits,
        )
    };
    let mut check = Check {
        clusters: clusters(table(geometry.active.unwrap_or(0))),
        disk: disk.clone(),
        out,
        meter: Meter::new(*limits),
        claimed: Vec::new(),
        geometry: geometry.clone(),
    };
    check.run()?;
    Ok(check.out)
}

struct Check {
    disk: Arc<dyn BlockRead>,
    geometry: Geometry,
    /// With the table that counts.
    clusters: Clusters,
    out: Findings,
    meter: Meter,
    /// A bit for each cluster that something claims.
    claimed: Vec<u8>,
}

impl Check {
    fn run(&mut self) -> Result<()> {
        self.ground()?;
        let bits = u64::from(self.geometry.clusters).saturating_add(2);
        self.claimed = self.meter.buffer(bits.div_ceil(8), "bits of claimed clusters")?;
        self.directories()?;
        self.totals()
    }

    fn error(&mut self, structure: &'static str, offset: u64, what: impl FnOnce() -> String) {
        self.out.note(Severity::Error, structure, offset, what);
    }

    fn odd(&mut self, structure: &'static str, offset: u64, what: impl FnOnce() -> String) {
        self.out.note(Severity::Warning, structure, offset, what);
    }

    fn fat32(&self) -> bool {
        self.geometry.width == Width::Fat32
    }

    /// The table that counts.
    fn table(&self) -> Result<&Table> {
        let first = self.clusters.tables.first();
        first.ok_or_else(|| Error::corrupt("FAT", self.geometry.fat_at, "there is no table"))
    }
}
