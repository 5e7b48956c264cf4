//! The filesystems of a guest as a report.

use super::{OpenGuest, ProblemReport, odd, text};
use h2k_guest::{Assembled, FilesystemFacts};
use serde::Serialize;

/// Every filesystem of a guest, opened or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemsReport {
    /// In the order of the devices.
    pub filesystems: Vec<FilesystemFacts>,
    /// What could not be read, by device.
    pub problems: Vec<ProblemReport>,
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
        };
        let trees = self.trees(&mut report.problems);
        let (found, problems) = self.guest.contents(trees.iter().map(|t| &t.tree));
        report
            .problems
            .extend(problems.iter().map(|(device, e)| problem(device, e)));
        report.filesystems = found;
        report
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
