//! The filesystems of a guest as a report.

use super::{OpenGuest, ProblemReport, odd, text};
use crate::FindingReport;
use crate::fix::CHECK_STEPS;
use h2k_block::{Findings, Limits};
use h2k_guest::{Assembled, Device, FilesystemFacts};
use serde::Serialize;

/// Every filesystem of a guest, opened or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemsReport {
    /// In the order of the devices.
    pub filesystems: Vec<FilesystemFacts>,
    /// What could not be read, by device.
    pub problems: Vec<ProblemReport>,
    /// What the checks of their structure found, where they were asked for.
    pub checks: Option<Vec<StructureReport>>,
}

/// What the check of one filesystem's structure found, or why it could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StructureReport {
    /// The device it lies on.
    pub device: String,
    /// What it is, as `blkid` spells it.
    #[serde(rename = "type")]
    pub type_: Option<&'static str>,
    /// Whether there is neither an error nor a leak; `None` where it could not be checked.
    pub clean: Option<bool>,
    /// How many errors there are: what its own driver may stumble over, or lose data by.
    pub errors: u64,
    /// How many leaks there are: space that is taken and belongs to nothing.
    pub leaks: u64,
    /// How many things are odd and put right by a mount.
    pub warnings: u64,
    /// What was found, the first thousand of it.
    pub findings: Vec<FindingReport>,
    /// Why it could not be checked.
    pub unchecked: Option<String>,
}

impl StructureReport {
    fn of(device: &Device, limits: &Limits) -> Self {
        let checked = device.check(limits);
        let (found, unchecked) = match checked {
            Ok(found) => (Some(found), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let clean = found.as_ref().map(Findings::is_clean);
        let found = found.unwrap_or_default();
        Self {
            device: device.name.clone(),
            type_: device.kind,
            clean,
            errors: found.errors,
            leaks: found.leaks,
            warnings: found.warnings,
            findings: found.findings.iter().map(FindingReport::from).collect(),
            unchecked,
        }
    }
}

/// What a guest's fstab names and is not mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeftOutReport {
    /// As the fstab has it.
    pub source: String,
    /// Where it would be mounted.
    pub mount_point: String,
    /// The mount point in hexadecimal, where it is not text.
    pub mount_point_bytes: Option<String>,
    /// Why it is not.
    pub message: String,
}

impl LeftOutReport {
    /// What is missing from a tree although it should be there.
    #[must_use]
    pub fn of(assembled: &Assembled) -> Vec<Self> {
        let missing = assembled.left_out.iter().filter(|l| !l.expected);
        missing
            .map(|l| Self {
                source: text(&l.spec),
                mount_point: text(&l.point),
                mount_point_bytes: odd(&l.point),
                message: l.why.to_string(),
            })
            .collect()
    }
}

impl OpenGuest {
    /// Opens every filesystem and asks how full it is. What cannot be opened is told as a problem.
    #[must_use]
    pub fn filesystems(&self) -> FilesystemsReport {
        let mut report = FilesystemsReport {
            filesystems: Vec::new(),
            problems: self.problems(),
            checks: None,
        };
        let trees = self.trees(&mut report.problems);
        let (found, problems) = self.guest.contents(trees.iter().map(|t| &t.tree));
        report
            .problems
            .extend(problems.iter().map(|(device, e)| problem(device, e)));
        report.filesystems = found;
        report
    }

    /// Checks the structure of every filesystem, as its own `fsck` would. Nothing is changed.
    #[must_use]
    pub fn check_filesystems(&self) -> Vec<StructureReport> {
        let limits = Limits {
            steps: CHECK_STEPS,
            ..Limits::default()
        };
        let all = self.guest.filesystems();
        all.map(|device| StructureReport::of(device, &limits)).collect()
    }

    /// The trees of every system, or the one the user put together.
    fn trees(&self, problems: &mut Vec<ProblemReport>) -> Vec<Assembled> {
        if self.is_chosen() {
            return match self.assembled() {
                Ok(tree) => vec![tree],
                Err(e) => {
                    problems.push(problem("", &e));
                    Vec::new()
                }
            };
        }
        let all = self.guest.assemble_all();
        problems.extend(all.failed.iter().map(|(system, e)| problem(&system.device, e)));
        all.systems.into_iter().map(|(_, tree)| tree).collect()
    }
}

fn problem(device: &str, e: &h2k_block::Error) -> ProblemReport {
    ProblemReport {
        device: device.to_owned(),
        class: e.class().word(),
        message: e.to_string(),
    }
}
