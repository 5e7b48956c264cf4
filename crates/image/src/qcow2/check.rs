use super::header::Header;
use super::refcount::{Counted, Stored};
use super::walk::Walk;
use crate::{Check, Format, Severity};
use h2k_block::{BlockRead, HostFile, Limits, Meter, Result};
use std::sync::Arc;

/// Checks reference counts, tables and flags of the image in `file`, as `qemu-img check` does: every reference
/// is counted and compared with what the image has written down. Encrypted images are checked too; clusters in an
/// external data file are not counted, nobody does.
///
/// # Errors
/// [`h2k_block::Class::Unsupported`] for images whose features are unknown; [`h2k_block::Class::Corrupt`] when
/// the header or the refcount table itself makes no sense; [`h2k_block::Class::Limit`] when the counts need more
/// memory (2 bytes for each cluster that is referred to) or time than `limits` allow.
pub fn check(file: Arc<dyn HostFile>, limits: &Limits) -> Result<Check> {
    let mut meter = Meter::new(*limits);
    let header = Header::read(&*file, &mut meter)?;
    judge(&*file, &header, meter).map(|(check, _)| check)
}

/// The check, and what it counted.
pub(super) fn judge(file: &dyn BlockRead, header: &Header, mut meter: Meter) -> Result<(Check, Counted)> {
    let mut check = Check::new(Format::Qcow2);
    check.total = Some(header.geometry.clusters(header.size));
    check.allocated = Some(0);
    check.compressed = Some(0);
    if header.corrupt() {
        check.note(Severity::Warning, "header", 72, || {
            "the image is marked corrupt by somebody who found damage in it".to_owned()
        });
    }
    if header.dirty() {
        check.note(Severity::Warning, "header", 72, || {
            "the image was not closed properly; its reference counts may be stale".to_owned()
        });
    }
    let stored = Stored::read(file, header, &mut meter)?;
    let mut walk = Walk::new(file, header, meter, check);
    walk.stored = Some(&stored);
    walk.content()?;
    walk.books(&stored)?;
    let Walk {
        mut check,
        counted,
        mut meter,
        file_clusters,
        ..
    } = walk;
    let end = compare(
        &stored,
        &counted,
        file_clusters,
        &mut meter,
        &mut |cluster, stored, counted| {
            let (severity, what) = if stored < counted {
                (Severity::Error, "is in use more often than that")
            } else {
                (Severity::Leak, "is leaked")
            };
            let at = cluster.saturating_mul(header.geometry.cluster());
            check.note(severity, "cluster", at, || {
                format!("has refcount {stored} and {counted} references: it {what}")
            });
            Ok(())
        },
    )?;
    check.image_end = Some(end.saturating_mul(header.geometry.cluster()));
    Ok((check, counted))
}

/// Shows every cluster of the file whose stored and counted references differ, and answers with the number of
/// clusters up to the last one that has either.
pub(super) fn compare(
    stored: &Stored<'_>,
    counted: &Counted,
    file_clusters: u64,
    meter: &mut Meter,
    differ: &mut dyn FnMut(u64, u64, u64) -> Result<()>,
) -> Result<u64> {
    let per_block = 1_u64.wrapping_shl(stored.block_bits());
    let blocks = u64::try_from(stored.blocks.len()).unwrap_or(u64::MAX).max(
        counted
            .last()
            .map_or(0, |last| last.wrapping_shr(stored.block_bits()).saturating_add(1)),
    );
    let mut end = 0;
    for block in 0..blocks {
        let first = block.saturating_mul(per_block);
        let last = first.saturating_add(per_block).min(file_clusters);
        if first >= last || (stored.block(first).is_none() && !counted.any(first, last)) {
            continue;
        }
        meter.steps(last.saturating_sub(first).div_ceil(64), "refcount block")?;
        for cluster in first..last {
            let (was, is) = (stored.get(cluster)?, counted.get(cluster));
            if was != 0 || is != 0 {
                end = cluster.saturating_add(1);
            }
            if was != is {
                differ(cluster, was, is)?;
            }
        }
    }
    Ok(end)
}
