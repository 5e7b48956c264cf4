//! What was found, changed and judged, as a report.

use super::{Judged, Proposals, worst};
use crate::{ManifestCheck, OpenGuest, ProblemReport, Result};
use h2k_block::{Edit, Error, Limits, Overlay};
use h2k_boot::{Boot, Bus, Firmware};
use h2k_fix::{Change, Finding, Outcome};
use h2k_guest::{Assembly, Look, SystemKind, Unread};
use h2k_inspect::{Diagnosis, Level, Section, SystemDiagnosis, Verdict};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// What becomes of a guest, and what was judged of that.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FixReport {
    /// The files its disks are in, in order.
    pub disks: Vec<String>,
    /// Of a described machine: what became of the manifest of its package.
    pub manifest: Option<ManifestCheck>,
    /// The worst outcome of all findings.
    pub outcome: Outcome,
    /// The controller the user wants the disks attached to.
    pub bus_wanted: Option<Bus>,
    /// Its systems.
    pub systems: Vec<SystemFixes>,
    /// Filesystems that could not be written, whose edits were left out.
    pub refused: Vec<RefusedReport>,
    /// Filesystems that were written, checked and walked from end to end.
    pub checks: Vec<CheckedReport>,
    /// What was written of each disk.
    pub edits: Vec<DiskEdits>,
    /// What could not be looked into.
    pub unread: Vec<Unread>,
    /// What was found damaged, incomplete or not supported of the volumes.
    pub problems: Vec<ProblemReport>,
    /// Whether something is encrypted and no key opened it.
    pub locked: bool,
    /// How long it took.
    pub times: FixTimes,
}

/// One system.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SystemFixes {
    /// Its root as guestfish spells it.
    pub root: String,
    /// `linux`, `windows` …
    pub kind: &'static str,
    /// What it calls itself.
    pub name: Option<String>,
    /// The worst outcome of its findings.
    pub outcome: Outcome,
    /// Every finding, in the order of the fixes.
    pub findings: Vec<Finding>,
    /// Every edit, in the order in which it was made.
    pub changes: Vec<Change>,
    /// The firmware it needs.
    pub firmware: Option<Firmware>,
    /// Of a Linux system: whether it takes the machine's clock for local time, with its fixes made.
    pub local_time: Option<bool>,
    /// What was judged of the result.
    pub validation: Validation,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// What was judged of a system with its fixes made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Validation {
    /// Whether it would have started as it was.
    pub before: Verdict,
    /// Whether it starts now.
    pub after: Verdict,
    /// The disk controllers it starts on now, the best first.
    pub buses: Vec<Bus>,
    /// Edits that fixes still ask for although they were made: none, or a fix is wrong.
    pub left_over: Vec<Change>,
    /// What still keeps it from starting, on some controller or on all.
    pub stops: Vec<h2k_inspect::Finding>,
    /// What decides whether it starts, and cannot be told.
    pub unknowns: Vec<h2k_inspect::Finding>,
}

/// A filesystem that could not be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RefusedReport {
    /// The device it lies on.
    pub device: String,
    /// The class of the error.
    pub class: &'static str,
    /// Why.
    pub message: String,
    /// What can be done about it.
    pub advice: Option<String>,
}

impl RefusedReport {
    pub(super) fn new(device: &str, e: &Error) -> Self {
        Self {
            device: device.to_owned(),
            class: e.class().word(),
            message: e.to_string(),
            advice: e.advice().map(str::to_owned),
        }
    }
}

/// What the check of a filesystem that was written, and a walk through it, found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckedReport {
    /// The device it lies on.
    pub device: String,
    /// Names that were visited.
    pub nodes: u64,
    /// Whether all of it was walked; a filesystem with more names than are looked at was not.
    pub whole: bool,
    /// Whether its structure was checked, as its own `fsck` would; not every kind of filesystem has such a check.
    pub checked: bool,
    /// What is damaged.
    pub findings: Vec<String>,
    /// What was damaged already before anything was written.
    pub before: Vec<String>,
}

/// What was written of a disk, in its overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskEdits {
    /// The file the disk is in.
    pub filename: String,
    /// Bytes that were written, in whole pages of 4096.
    pub bytes: u64,
    /// Where, as offset and length on the guest's disk: apart from these the disk is as it was.
    pub ranges: Vec<(u64, u64)>,
}

impl DiskEdits {
    pub(super) fn of(path: &Path, over: &Overlay) -> h2k_block::Result<Self> {
        let mut edits = Self {
            filename: path.display().to_string(),
            bytes: 0,
            ranges: Vec::new(),
        };
        over.edits(&mut |edit| {
            let (start, end) = match edit {
                Edit::Bytes(at, bytes) => {
                    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    (at, at.saturating_add(len))
                }
                Edit::Zeros(range) => (range.start, range.end),
            };
            let len = end.saturating_sub(start);
            edits.bytes = edits.bytes.saturating_add(len);
            match edits.ranges.last_mut() {
                Some((at, before)) if at.saturating_add(*before) == start => {
                    *before = before.saturating_add(len);
                }
                _ => edits.ranges.push((start, len)),
            }
            Ok(())
        })?;
        Ok(edits)
    }
}

/// How long the stages took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FixTimes {
    /// Opening images, tables, groups.
    pub open_ms: u64,
    /// Looking at the guest and drafting edits.
    pub look_ms: u64,
    /// Writing the edits into overlays.
    pub write_ms: u64,
    /// Judging the result.
    pub judge_ms: u64,
}

impl FixTimes {
    /// From moments counted from the beginning, at the end of each stage.
    pub(super) fn of(ends: &[Duration; 4]) -> Self {
        let ms = |from: Duration, to: Duration| {
            u64::try_from(to.saturating_sub(from).as_millis()).unwrap_or(u64::MAX)
        };
        let [opened, looked, written, judged] = *ends;
        Self {
            open_ms: ms(Duration::ZERO, opened),
            look_ms: ms(opened, looked),
            write_ms: ms(looked, written),
            judge_ms: ms(written, judged),
        }
    }
}

impl FixReport {
    pub(super) fn of(
        guest: &OpenGuest,
        assembly: &Assembly,
        boots: &[Section<Boot>],
        proposals: Proposals,
        refused: Vec<RefusedReport>,
        before: &Diagnosis,
        judged: Judged,
    ) -> Self {
        let mut again = judged.again.into_iter();
        let mut systems = Vec::new();
        for ((system, proposal), boot) in proposals.into_iter().zip(boots) {
            let root = system.source();
            let mut left_over = Vec::new();
            if let Some((_, second)) = again.next() {
                let of = second.drafted.changes().iter();
                left_over.extend(of.filter(|c| !refused.iter().any(|r| r.device == c.on)).cloned());
            }
            let after = judged.diagnosis.systems.iter().find(|s| s.root == root);
            let changes = proposal.drafted.changes().to_vec();
            let mut findings = proposal.findings;
            for refusal in &refused {
                let count = changes.iter().filter(|c| c.on == refusal.device).count();
                if count > 0 {
                    findings.push(unwritten(refusal, count));
                }
            }
            let mut unread = boot.unread.clone();
            unread.extend(proposal.unread.into_iter().filter(|u| !boot.unread.contains(u)));
            systems.push(SystemFixes {
                outcome: worst(findings.iter().map(|f| f.outcome)),
                kind: system.kind.word(),
                name: system.name.clone(),
                firmware: firmware(&boot.found),
                local_time: local_time(&judged.assembly, &root),
                validation: Validation::of(before.systems.iter().find(|s| s.root == root), after, left_over),
                unread,
                root,
                findings,
                changes,
            });
        }
        Self {
            disks: guest.disks.iter().map(|d| d.display().to_string()).collect(),
            manifest: guest.machine.as_ref().map(|open| open.manifest.clone()),
            outcome: worst(systems.iter().map(|s| s.outcome)),
            bus_wanted: None,
            systems,
            refused,
            checks: Vec::new(),
            edits: Vec::new(),
            unread: assembly.unread().collect(),
            problems: guest.problems(),
            locked: guest.guest.devices().iter().any(|d| d.locked),
            times: FixTimes::default(),
        }
    }

    /// What keeps the guest from being migrated whole, in sentences: nothing, when it would start.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(ManifestCheck::Differs { why, .. }) = &self.manifest {
            all.push(why.clone());
        }
        for unread in &self.unread {
            all.push(format!("{}: {}", unread.source, unread.message));
        }
        for check in &self.checks {
            all.extend(check.findings.iter().map(|f| format!("{}: {f}", check.device)));
        }
        if self.systems.is_empty() {
            // What is locked, damaged or missing may be where it is.
            all.extend(self.problems.iter().map(ProblemReport::line));
            all.push("there is no operating system on these disks".to_owned());
        }
        for system in &self.systems {
            let blocked = system.findings.iter().filter(|f| f.outcome == Outcome::Blocked);
            all.extend(blocked.map(|f| format!("{}: {}", f.fix, f.why)));
            let validation = &system.validation;
            all.extend(
                validation
                    .left_over
                    .iter()
                    .map(|c| format!("{} is changed again when {} is asked twice", c.path, c.fix)),
            );
            match validation.after {
                Verdict::WillNotBoot => {
                    all.extend(validation.stops.iter().map(|f| format!("{}: {}", f.check, f.why)));
                }
                Verdict::Unknown => {
                    let unread = system.unread.iter();
                    all.extend(unread.map(|u| format!("{}: {}", u.source, u.message)));
                    all.push(format!("{}: whether it boots cannot be told", system.root));
                }
                _ => {}
            }
        }
        all
    }

    /// The controller every system starts on, the best first; `None` where there is none.
    #[must_use]
    pub fn bus(&self) -> Option<Bus> {
        let fits = |bus: &Bus| self.systems.iter().all(|s| s.validation.buses.contains(bus));
        Bus::ALL
            .into_iter()
            .find(|bus| !self.systems.is_empty() && fits(bus))
    }
}

fn local_time(fixed: &Assembly, root: &str) -> Option<bool> {
    let (system, assembled) = fixed.systems.iter().find(|(system, _)| system.source() == root)?;
    let limits = Limits::default();
    let look = Look::new(&assembled.tree, &limits);
    (system.kind == SystemKind::Linux).then(|| h2k_fix::clock(&look).is_some_and(|said| said.value))
}

fn firmware(boot: &Boot) -> Option<Firmware> {
    boot.firmware.as_ref().map(|fact| fact.value)
}

fn unwritten(refusal: &RefusedReport, count: usize) -> Finding {
    let what = if count == 1 { "edit" } else { "edits" };
    let mut finding = Finding::blocked(format!(
        "{}: {}; {count} {what} there cannot be made",
        refusal.device, refusal.message
    ));
    "filesystem".clone_into(&mut finding.fix);
    finding.advice = refusal
        .advice
        .clone()
        .or_else(|| Some("--allow-partial goes on without these edits".to_owned()));
    finding
}

impl Validation {
    fn of(before: Option<&SystemDiagnosis>, after: Option<&SystemDiagnosis>, left_over: Vec<Change>) -> Self {
        let verdict = |d: Option<&SystemDiagnosis>| d.map_or(Verdict::Unknown, |d| d.verdict);
        let told = |level: Level| {
            let of = after.map(|d| (d.findings.iter(), &d.kernel));
            let of = of.map(|(all, kernel)| {
                all.filter(|f| f.level == level && (f.kernel.is_none() || f.kernel == *kernel))
            });
            of.map(|found| found.cloned().collect()).unwrap_or_default()
        };
        Self {
            before: verdict(before),
            after: verdict(after),
            buses: after.map(|d| d.buses.clone()).unwrap_or_default(),
            left_over,
            stops: told(Level::Stop),
            unknowns: told(Level::Unknown),
        }
    }
}

/// Nothing stands in the way, or the user says to go on all the same.
pub(crate) fn clear(report: &FixReport, allow_partial: bool) -> Result<()> {
    let obstacles = report.obstacles();
    if obstacles.is_empty() || allow_partial {
        return Ok(());
    }
    let first = obstacles.first().cloned().unwrap_or_default();
    let more = obstacles.len().saturating_sub(1);
    let rest = match more {
        0 => String::new(),
        _ => format!(" (and {more} more)"),
    };
    let error = Error::new(h2k_block::Class::Refused, format!("{first}{rest}")).advise(remedy(report));
    Err(crate::Failure::from(error).headed("the guest cannot be fixed whole, and nothing was written"))
}

/// What can be done about obstacles.
fn remedy(report: &FixReport) -> String {
    if let Some(ManifestCheck::Differs {
        advice: Some(advice), ..
    }) = &report.manifest
    {
        return advice.clone();
    }
    let first = match (
        report.locked,
        report.systems.is_empty(),
        report.problems.is_empty(),
    ) {
        (true, ..) => "open what is encrypted with --key; ",
        (_, true, false) => "name every disk of the machine, each with -a; ",
        _ => "",
    };
    format!("{first}plan shows all of it; --allow-partial goes on with what can be done")
}
