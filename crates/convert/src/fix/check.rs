//! Whether a filesystem that was written is whole: its structure is checked and everything in it is walked, over the
//! overlay.

use super::report::CheckedReport;
use h2k_block::{Class, Finding, Findings, Limits, Meter, Severity};
use h2k_fs::{FileKind, FsRead, Node};
use h2k_guest::Guest;
use std::ops::ControlFlow;

/// More complaints than anybody reads.
const MOST: usize = 100;

/// What one look at a whole filesystem may cost: a hundred million names and runs of files.
pub(crate) const STEPS: u64 = 100_000_000;

/// What one look at a whole filesystem may cost.
fn limits() -> Limits {
    Limits {
        steps: STEPS,
        ..Limits::default()
    }
}

/// Judges the filesystem on `device`: its structure, where its kind has a check of its own, and a walk to its end.
/// What `before`, the guest as it was, had already is told apart.
pub(super) fn judge(guest: &Guest, before: &Guest, device: &str) -> CheckedReport {
    let mut report = walk(guest, device);
    let Some(found) = structure(guest, device) else {
        return report;
    };
    report.checked = true;
    let wrong = |found: &Findings| -> Vec<Finding> {
        let errors = found.findings.iter().filter(|f| f.severity == Severity::Error);
        errors.cloned().collect()
    };
    let after = wrong(&found);
    if after.is_empty() {
        return report;
    }
    let known = structure(before, device).map_or_else(Vec::new, |found| wrong(&found));
    for finding in after {
        let sentence = format!("{} at {:#x}: {}", finding.structure, finding.offset, finding.what);
        let place = |f: &Finding| (f.structure, f.offset);
        let list = if known.iter().any(|f| place(f) == place(&finding)) {
            &mut report.before
        } else {
            &mut report.findings
        };
        if list.len() < MOST {
            list.push(sentence);
        }
    }
    report
}

/// What the check of the filesystem's own kind found; `None` where there is none, or it could not be done.
fn structure(guest: &Guest, device: &str) -> Option<Findings> {
    guest.device(device).and_then(|d| d.check(&limits())).ok()
}

/// Walks the filesystem on `device`: every name, every node, every map of a file, with the checksums that reading them
/// verifies, and that the space each file occupies is space the filesystem says is used.
fn walk(guest: &Guest, device: &str) -> CheckedReport {
    let mut report = CheckedReport {
        device: device.to_owned(),
        nodes: 0,
        whole: true,
        checked: false,
        findings: Vec::new(),
        before: Vec::new(),
    };
    let opened = guest.device(device).and_then(|device| guest.open(device));
    let fs = match opened {
        Ok(opened) => opened.fs,
        Err(e) => {
            report.findings.push(e.to_string());
            return report;
        }
    };
    let (mut meter, mut maps) = (Meter::new(limits()), Meter::new(limits()));
    let mut damaged = Vec::new();
    let walked = h2k_fs::walk(
        &*fs,
        fs.root(),
        &mut meter,
        &mut |visit| {
            report.nodes = report.nodes.saturating_add(1);
            let path = String::from_utf8_lossy(visit.path).into_owned();
            let sound = match visit.stat {
                Ok(stat) if stat.kind == FileKind::File => map(&*fs, visit.node, stat.len, &mut maps),
                Ok(stat) if stat.kind == FileKind::Link => fs.target(visit.node).map(|_| ()),
                Ok(_) => Ok(()),
                Err(e) => Err(e),
            };
            if let Err(e) = sound {
                report.findings.push(format!("/{path}: {e}"));
            }
            match report.findings.len() < MOST {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        },
        &mut |path, e| damaged.push(format!("/{}: {e}", String::from_utf8_lossy(path))),
    );
    damaged.truncate(MOST);
    report.findings.append(&mut damaged);
    match walked {
        Ok(()) => {}
        // Larger than what is walked: not a complaint, and not a clean bill either.
        Err(e) if e.class() == Class::Limit => report.whole = false,
        Err(e) => report.findings.push(e.to_string()),
    }
    report
}

/// Follows the map of a file from its beginning to its end.
fn map(fs: &dyn FsRead, file: Node, len: u64, meter: &mut Meter) -> h2k_block::Result<()> {
    let mut at = 0_u64;
    while at < len {
        meter.step("run of a file")?;
        let extent = fs.file_extent_at(file, at, len)?;
        if let Some(place) = extent.at {
            let end = place.saturating_add(extent.run.len);
            let used = fs.used_at(place, end)?;
            if used.kind == h2k_block::Kind::Hole {
                return Err(h2k_block::Error::corrupt(
                    "volume",
                    place,
                    "a file lies where the filesystem says that nothing does",
                ));
            }
        }
        at = at.saturating_add(extent.run.len.max(1));
    }
    Ok(())
}
