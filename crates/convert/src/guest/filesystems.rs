//! The filesystems of a guest as a report.

use super::{OpenGuest, ProblemReport, odd, text};
use h2k_guest::{Assembled, Device};
use serde::Serialize;
use std::sync::Arc;

/// Every filesystem of a guest, opened or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemsReport {
    /// In the order of the devices.
    pub filesystems: Vec<FilesystemReport>,
    /// What could not be read, by device.
    pub problems: Vec<ProblemReport>,
}

/// One filesystem, subvolume, swap space or locked device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemReport {
    /// What `--mount` takes: `/dev/sda2`, `btrfsvol:/dev/sda2/root`.
    pub source: String,
    /// The device it lies on.
    pub device: String,
    /// `ext4`, `ntfs`, `swap` … as `blkid` spells it.
    #[serde(rename = "type")]
    pub type_: String,
    /// Label.
    pub label: Option<String>,
    /// UUID or serial number.
    pub uuid: Option<String>,
    /// Bytes of the whole filesystem, as `statfs` counts them; of what was not opened, the device's size.
    pub size: u64,
    /// Bytes in use; `null` where the filesystem was not opened.
    pub used: Option<u64>,
    /// Bytes nobody uses.
    pub free: Option<u64>,
    /// Files and directories that can exist, and that do, where the filesystem has a limit.
    pub nodes: Option<u64>,
    /// As above, still free.
    pub nodes_free: Option<u64>,
    /// Where the guest mounts it, as far as its fstab says.
    pub mount_points: Vec<String>,
    /// What is odd but was read all the same.
    pub warnings: Vec<String>,
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
        for device in self.guest.devices() {
            let shown = device.holds_files || device.locked || device.kind == Some("swap");
            if device.kind.is_none() || !shown {
                continue;
            }
            let first = report.filesystems.len();
            self.on(device, &mut report);
            for fs in report.filesystems.iter_mut().skip(first) {
                let mounts = trees.iter().flat_map(|t| t.tree.mounts());
                let mut points: Vec<String> = mounts
                    .filter(|m| m.source == fs.source)
                    .map(|m| text(&m.point))
                    .collect();
                points.dedup();
                fs.mount_points = points;
            }
        }
        report
    }

    /// The trees of every system, or the one the user put together.
    fn trees(&self, problems: &mut Vec<ProblemReport>) -> Vec<Assembled> {
        if !self.mounts.is_empty() || self.root.is_some() {
            return match self.assembled() {
                Ok(tree) => vec![tree],
                Err(e) => {
                    problems.push(problem("", &e));
                    Vec::new()
                }
            };
        }
        let systems = self.guest.systems();
        let mut trees = Vec::new();
        for system in &systems.found {
            match self.guest.assemble(system) {
                Ok(tree) => trees.push(tree),
                Err(e) => problems.push(problem(&system.device, &e)),
            }
        }
        trees
    }

    fn on(&self, device: &Device, report: &mut FilesystemsReport) {
        let bare = FilesystemReport {
            source: device.name.clone(),
            device: device.name.clone(),
            type_: device.kind.unwrap_or("unknown").to_owned(),
            label: device.label.as_deref().map(text),
            uuid: device.uuid.clone(),
            size: device.size,
            ..FilesystemReport::default()
        };
        if !device.holds_files {
            report.filesystems.push(bare);
            return;
        }
        let opened = match self.guest.open(device) {
            Ok(opened) => opened,
            Err(e) => {
                report.problems.push(problem(&device.name, &e));
                report.filesystems.push(bare);
                return;
            }
        };
        let fs = Arc::clone(&opened.fs);
        let facts = fs.facts();
        let mut filled = FilesystemReport {
            type_: if facts.kind.is_empty() {
                bare.type_.clone()
            } else {
                facts.kind.to_owned()
            },
            warnings: facts.warnings,
            ..bare
        };
        match fs.usage() {
            Ok(usage) => {
                filled.size = usage.total;
                filled.used = Some(usage.total.saturating_sub(usage.free));
                filled.free = Some(usage.free);
                filled.nodes = usage.nodes;
                filled.nodes_free = usage.nodes_free;
            }
            Err(e) => report.problems.push(problem(&device.name, &e)),
        }
        let subvolumes = self.guest.subvolumes(device).unwrap_or_else(|e| {
            report.problems.push(problem(&device.name, &e));
            Vec::new()
        });
        report.filesystems.push(filled.clone());
        for subvolume in subvolumes.iter().filter(|s| !s.path.is_empty()) {
            report.filesystems.push(FilesystemReport {
                source: format!("btrfsvol:{}/{}", device.name, text(&subvolume.path)),
                warnings: Vec::new(),
                ..filled.clone()
            });
        }
    }
}

fn problem(device: &str, e: &h2k_block::Error) -> ProblemReport {
    ProblemReport {
        device: device.to_owned(),
        class: e.class().word(),
        message: e.to_string(),
    }
}
