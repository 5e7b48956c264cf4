//! Looking into a guest: its devices, its filesystems, its files.
//!
//! [`GuestSource`] is what the user said; [`GuestSource::open`] opens the images, looks at the disks together, unlocks
//! what a key was given for, and answers with an [`OpenGuest`], whose [`tree`](OpenGuest::tree) has the files.

mod devices;
mod file;
mod filesystems;
mod inspect;
mod key;
mod name;

pub use devices::{
    DeviceReport, HoldsReport, LogicalVolumeReport, LuksReport, LuksSlotReport, PartitionReport,
    PartitionsReport, ProblemReport, RaidReport, TableReport,
};
pub use file::{FileEntry, kind_word};
pub use filesystems::{FilesystemsReport, LeftOutReport, StructureReport};
pub use key::Key;
pub use name::{hex, odd, text};

use crate::{Failure, MachineSource, ManifestWish, OpenMachine, Opened, Result, Source};
use h2k_block::{Class, Error, FileDisk, HostFile, Limits};
use h2k_guest::{Assembled, Guest, Plug, Wish};
use h2k_volume::{Disk, Volumes, scan};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A guest to be looked into: what the user said of it.
#[derive(Debug, Default)]
pub struct GuestSource {
    /// Its disks, in order: the first one is `/dev/sda`. Or one description of a machine (OVA, OVF, VMX, libvirt
    /// domain), whose disks are opened.
    pub disks: Vec<Source>,
    /// What becomes of a description's manifest.
    pub manifest: ManifestWish,
    /// Of an OVF package: which machine of it, in which configuration.
    pub package: h2k_machine::ovf::Options,
    /// The directory for disks that have to be unpacked and for edits that are too many for memory; the one for
    /// temporary files when not given.
    pub spill: Option<PathBuf>,
    /// Keys of encrypted devices.
    pub keys: Vec<Key>,
    /// What is mounted where, as `DEVICE[:POINT[:OPTIONS]]`; empty to find out.
    pub mounts: Vec<String>,
    /// The system to look into where there are several, by the device of its root.
    pub root: Option<String>,
}

/// A guest whose disks are open.
#[derive(Debug)]
pub struct OpenGuest {
    /// The files its disks are in, in order.
    pub disks: Vec<PathBuf>,
    /// Everything found on the disks.
    pub volumes: Volumes,
    /// Its devices, and the filesystems on them.
    pub guest: Guest,
    /// What its description says, where its disks were found by one.
    pub machine: Option<OpenMachine>,
    /// What the user said of the disks, and the images they are in.
    pub(crate) images: Vec<(Source, Opened)>,
    /// Where the disks are plugged in, as far as the description tells.
    pub(crate) plugs: Vec<Option<Plug>>,
    mounts: Vec<String>,
    root: Option<String>,
}

impl GuestSource {
    /// Opens the images and looks at the disks. Nothing is mounted yet.
    ///
    /// # Errors
    /// As [`Source::open`]; [`h2k_block::Class::Invalid`] for a key that opens nothing.
    pub fn open(self) -> Result<OpenGuest> {
        self.open_until(&AtomicBool::new(false))
    }

    /// As [`open`](Self::open), until `stop` is set: unpacking disks and checking manifests may take a while.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Class::Cancelled`] when `stop` was set.
    pub fn open_until(self, stop: &AtomicBool) -> Result<OpenGuest> {
        if self.disks.is_empty() {
            return Err(Failure::invalid("no disk was named").advise("name one: DISK:/PATH, or -a DISK"));
        }
        let dir = self.spill.unwrap_or_else(std::env::temp_dir);
        let spill = || -> h2k_block::Result<Arc<dyn HostFile>> { Ok(Arc::new(FileDisk::nameless(&dir)?)) };
        let mut machine = MachineSource {
            sources: self.disks,
            package: self.package,
            manifest: self.manifest,
        }
        .open(&spill, stop)?;
        let plugs = machine.plugs();
        let mut disks = Vec::new();
        let mut images = Vec::new();
        let mut names = Vec::new();
        for (i, disk) in std::mem::take(&mut machine.disks).into_iter().enumerate() {
            disks.push(Disk::new(i, disk.opened.disk()));
            images.push((disk.source, disk.opened));
            names.push(disk.name);
        }
        let limits = Limits::default();
        let mut volumes = scan(&disks, &limits).map_err(|e| about(e, &names))?;
        key::unlock(&mut volumes, self.keys).map_err(|e| about(e, &names))?;
        let guest = Guest::new(&volumes, &limits).plugged(&plugs);
        Ok(OpenGuest {
            disks: names,
            volumes,
            guest,
            plugs,
            machine: machine.kind.is_some().then_some(machine),
            images,
            mounts: self.mounts,
            root: self.root,
        })
    }
}

fn about(error: Error, disks: &[PathBuf]) -> Failure {
    let Some(first) = disks.first() else {
        return error.into();
    };
    let name = first.display();
    // The image is there and opened: what is wrong is wrong in it.
    let headline = match error.class() {
        Class::NotFound => Some(format!("not found in {name}")),
        Class::Corrupt => Some(format!("something in {name} is damaged")),
        Class::Exists => Some(error.sentence().to_owned()),
        Class::Limit => Some(format!("something in {name} asks for more than it may cost")),
        Class::Refused => Some(format!("{name} cannot be looked into as it is")),
        _ => None,
    };
    let failure = Failure::from(error).about(first);
    match headline {
        Some(headline) => failure.headed(headline),
        None => failure,
    }
}

impl OpenGuest {
    /// The files, as the user wants them mounted; where nothing was said, the only system put together, or the only
    /// filesystem.
    ///
    /// # Errors
    /// As [`Guest::root`], [`Guest::system_at`] and [`Guest::mount`].
    pub fn tree(&self) -> Result<Assembled> {
        self.assembled().map_err(|e| self.about(e))
    }

    /// Whether the user said what to look into.
    fn is_chosen(&self) -> bool {
        !self.mounts.is_empty() || self.root.is_some()
    }

    fn assembled(&self) -> h2k_block::Result<Assembled> {
        if !self.mounts.is_empty() {
            let wishes: h2k_block::Result<Vec<Wish>> =
                self.mounts.iter().map(|m| Wish::parse(m, &self.guest)).collect();
            return Ok(Assembled {
                tree: self.guest.mount(&wishes?)?,
                system: None,
                left_out: Vec::new(),
                unlisted: Vec::new(),
            });
        }
        match &self.root {
            Some(source) => self.guest.assemble(&self.guest.system_at(source)?),
            None => self.guest.root(),
        }
    }

    /// An error of this guest.
    #[must_use]
    pub fn about(&self, error: Error) -> Failure {
        about(error, &self.disks)
    }
}
