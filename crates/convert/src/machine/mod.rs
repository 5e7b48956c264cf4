//! A whole machine as a source: a description (OVF, OVA, VMX, libvirt domain) and the disks it names, or disk images alone.
//!
//! ```text
//! app.ova ──▶ Kind ──▶ descriptor ──▶ Machine ──▶ names ──▶ gate ──▶ chunks, gzip ──▶ h2k_image::open ──▶ disks
//!                          └──▶ manifest: every file is read once, before any of them is believed
//! ```
//!
//! Names in a description become files as names in images do: beneath the directory of the description, or a directory the
//! user allowed. Inside an OVA they are members of it and nothing else.

mod files;

use crate::failure::About;
use crate::named::Named;
use crate::{Failure, Opened, Result, Source};
pub use files::Spill;

use files::Files;
use h2k_block::{Access, Class, Error};
use h2k_guest::{Plug, Wire};
use h2k_machine::{Controller, Drive, DriveKind, Kind, Machine, ovf};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A machine to be taken over: what the user said of it.
#[derive(Clone, Debug)]
pub struct MachineSource {
    /// One description, or the disk images of one machine, in the guest's order.
    pub sources: Vec<Source>,
    /// Of an OVF package: which machine of it, in which configuration.
    pub package: ovf::Options,
    /// What becomes of an OVF package's manifest, where there is one.
    pub manifest: ManifestWish,
}

/// A machine whose disks are open.
pub struct OpenMachine {
    /// What its description says; of disk images, a name and their drives alone.
    pub machine: Machine,
    /// What the description is; `None` for disk images.
    pub kind: Option<Kind>,
    /// Its hard disks: of one kind of controller, in the order of their positions.
    pub disks: Vec<MachineDisk>,
    /// What became of the manifest.
    pub manifest: ManifestCheck,
}

/// An opened disk of a machine.
pub struct MachineDisk {
    /// Which of [`Machine::drives`] it is in.
    pub drive: usize,
    /// What it is called in messages: a path, for members of an archive one that goes through it.
    pub name: PathBuf,
    /// As if the user had named its image: the path is that of the host's file which holds the bytes (of an OVA, the
    /// archive), so that its permissions and its identity can be asked.
    pub source: Source,
    /// The disk and what is known of its image.
    pub opened: Opened,
}

impl std::fmt::Debug for OpenMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenMachine")
            .field("machine", &self.machine)
            .field("kind", &self.kind)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

/// What becomes of a manifest: checking it reads every file it names once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManifestWish {
    /// It is not looked at.
    #[default]
    Skip,
    /// Every file is compared with it, and what differs is told.
    Tell,
    /// Every file is compared with it, and nothing is opened where one differs.
    Demand,
}

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ManifestCheck {
    /// There is none.
    Absent,
    /// There is one, and nobody wanted it checked.
    Skipped,
    /// Every file it names has the digest it says.
    Agreed {
        /// How many files.
        files: usize,
        /// How many bytes were read.
        bytes: u64,
    },
    /// A file it names is not what it says.
    Differs {
        /// Which, and how.
        why: String,
        /// What can be done about it.
        advice: Option<String>,
    },
}

impl MachineSource {
    /// A machine described at, or on the one disk in, `source`.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            sources: vec![source],
            package: ovf::Options::default(),
            manifest: ManifestWish::Demand,
        }
    }

    /// Whether the one source is a description of a machine, by its content.
    ///
    /// # Errors
    /// As opening and reading the file.
    pub fn kind(&self) -> Result<Option<Kind>> {
        match self.sources.as_slice() {
            [only] if only.format.is_none() => {
                let file = only.file(Access::Read)?;
                Kind::of(&*file).about(&only.path)
            }
            _ => Ok(None),
        }
    }

    /// Opens the machine and its hard disks. `spill` makes an empty file without a name where a compressed disk is inflated
    /// into; it is kept as long as the disk.
    ///
    /// # Errors
    /// What the readers say of descriptions ([`h2k_machine`]) and the formats of images; [`Class::Corrupt`] for a file that is
    /// not what the manifest says; [`Class::Refused`] for names that lead where nobody allowed; [`Class::Unsupported`] for
    /// disks that are no files; [`Class::Cancelled`] when `stop` is set.
    pub fn open(&self, spill: Spill<'_>, stop: &AtomicBool) -> Result<OpenMachine> {
        let (Some(kind), [source]) = (self.kind()?, self.sources.as_slice()) else {
            return self.images();
        };
        let told = |e: Error| source.unopened(e);
        let files = Files::open(kind, source).map_err(told)?;
        let mut machine = files.machine(&self.package).map_err(told)?;
        let manifest = files.check(self.manifest, &mut machine, stop).map_err(told)?;
        let mut disks = Vec::new();
        for (index, drive) in machine.drives.iter().enumerate() {
            if drive.kind == DriveKind::Disk {
                disks.push(files.disk(index, drive, spill, stop).map_err(told)?);
            }
        }
        in_the_guests_order(&machine.drives, &mut disks);
        Ok(OpenMachine {
            machine,
            kind: Some(kind),
            disks,
            manifest,
        })
    }

    /// Disk images alone: a machine of which nothing is said.
    fn images(&self) -> Result<OpenMachine> {
        let Some(first) = self.sources.first() else {
            return Err(Failure::invalid("no source was named"));
        };
        let mut machine = Machine {
            name: first
                .path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            ..Machine::default()
        };
        let mut disks = Vec::new();
        for (drive, source) in self.sources.iter().enumerate() {
            let opened = source.open()?;
            let mut told = Drive::new(DriveKind::Disk, h2k_machine::Controller::Unsaid, None);
            told.capacity = Some(opened.disk().len());
            told.source = h2k_machine::Source::File(h2k_machine::File {
                name: source.path.to_string_lossy().into_owned(),
                format: Some(opened.info.format.name().to_owned()),
                ..h2k_machine::File::default()
            });
            machine.drives.push(told);
            disks.push(MachineDisk {
                drive,
                name: source.path.clone(),
                source: source.clone(),
                opened,
            });
        }
        Ok(OpenMachine {
            machine,
            kind: None,
            disks,
            manifest: ManifestCheck::Absent,
        })
    }
}

/// Kernels count the disks of a controller by their positions there, whatever order a description names them in.
fn in_the_guests_order(drives: &[Drive], disks: &mut [MachineDisk]) {
    let place = |disk: &MachineDisk| {
        let drive = drives.get(disk.drive)?;
        // Which kind of controller comes first is the firmware's and the drivers' affair: as the description has it.
        let first = drives
            .iter()
            .position(|d| d.kind == DriveKind::Disk && d.controller == drive.controller);
        Some((first, drive.slot.map(|slot| (slot.controller, slot.unit))))
    };
    disks.sort_by_key(place);
}

impl OpenMachine {
    /// Where its disks are plugged in, in their order, as far as the description tells.
    #[must_use]
    pub fn plugs(&self) -> Vec<Option<Plug>> {
        let plug = |disk: &MachineDisk| {
            let drive = self.machine.drives.get(disk.drive)?;
            let wire = match drive.controller {
                Controller::Ide => Wire::Ide,
                Controller::Sata => Wire::Sata,
                Controller::Nvme => Wire::Nvme,
                Controller::BusLogic
                | Controller::LsiLogic
                | Controller::Lsi53c895a
                | Controller::LsiSas
                | Controller::PvScsi
                | Controller::VirtioScsi
                | Controller::Scsi => Wire::Scsi,
                _ => return None,
            };
            let unit = drive.slot?.unit;
            Some(Plug { wire, unit })
        };
        self.disks.iter().map(plug).collect()
    }
}

/// An image that knows its name.
fn named(image: h2k_image::Image, name: PathBuf) -> Opened {
    Opened {
        disk: Arc::new(Named::new(image.disk, name)),
        info: image.info,
    }
}

/// A disk that is no file.
fn elsewhere(what: &str) -> Error {
    Error::new(
        Class::Unsupported,
        format!("a disk of the machine is no file: {what}"),
    )
    .advise(
        "copy that disk into an image first, and name all images of the machine instead of its description",
    )
}
