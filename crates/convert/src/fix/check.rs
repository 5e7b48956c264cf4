//! Whether a filesystem that was written is whole: everything in it is walked, over the overlay.

use super::report::CheckedReport;
use h2k_block::{Class, Limits, Meter};
use h2k_fs::{FileKind, FsRead, Node};
use h2k_guest::Guest;
use std::ops::ControlFlow;

/// More complaints than anybody reads.
const MOST: usize = 100;

/// What a walk may cost: a hundred million names and runs of files.
const STEPS: u64 = 100_000_000;

/// Walks the filesystem on `device`: every name, every node, every map of a file, with the checksums that reading them
/// verifies, and that the space each file occupies is space the filesystem says is used.
pub(super) fn walk(guest: &Guest, device: &str) -> CheckedReport {
    let mut report = CheckedReport {
        device: device.to_owned(),
        nodes: 0,
        whole: true,
        findings: Vec::new(),
    };
    let opened = guest.device(device).and_then(|device| guest.open(device));
    let fs = match opened {
        Ok(opened) => opened.fs,
        Err(e) => {
            report.findings.push(e.to_string());
            return report;
        }
    };
    let mut meter = Meter::new(Limits {
        steps: STEPS,
        ..Limits::default()
    });
    let mut maps = Meter::new(Limits {
        steps: STEPS,
        ..Limits::default()
    });
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
