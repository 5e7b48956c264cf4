//! Drafted edits into overlays of the disks.

use super::{Proposals, RefusedReport, report::DiskEdits};
use crate::failure::About;
use crate::{OpenGuest, Result};
use h2k_block::{BlockRead, BlockWrite, Class, Edit, Error, FileDisk, HostFile, Limits, Overlay};
use h2k_fix::Draft;
use h2k_fs::Time;
use h2k_guest::open_writer;
use std::path::Path;
use std::sync::Arc;

/// What edits of one disk may take of memory before they go to a file. Fixes take a few MiB.
const HELD: u64 = 64 << 20;

/// The disks of a guest with overlays, and its volumes over them.
pub(super) struct Site {
    /// One for each disk, in order.
    pub(super) overlays: Vec<Arc<Overlay>>,
    /// One for each volume, in the order of the guest's.
    pub(super) volumes: Vec<Arc<dyn BlockWrite>>,
    devices: Vec<(String, Option<&'static str>)>,
    spill: Option<std::path::PathBuf>,
}

impl Site {
    /// Overlays without edits.
    pub(super) fn new(guest: &OpenGuest, spill: Option<&Path>) -> Result<Self> {
        let mut overlays = Vec::new();
        for disk in guest.volumes.disks() {
            overlays.push(Arc::new(overlay(disk, spill).map_err(|e| guest.about(e))?));
        }
        let mut writable: Vec<Arc<dyn BlockWrite>> = Vec::new();
        for over in &overlays {
            writable.push(Arc::<Overlay>::clone(over));
        }
        let devices = guest.guest.devices().iter();
        Ok(Self {
            volumes: guest.volumes.over(&writable).map_err(|e| guest.about(e))?,
            devices: devices.map(|d| (d.name.clone(), d.kind)).collect(),
            overlays,
            spill: spill.map(Path::to_owned),
        })
    }

    /// Writes everything that is proposed. A filesystem that cannot be written is left as it is, and told.
    pub(super) fn write(&self, proposals: &Proposals, limits: &Limits, now: Time) -> Vec<RefusedReport> {
        let mut refused = Vec::new();
        let mut taken: Vec<&str> = Vec::new();
        for (_, proposal) in proposals {
            for (device, draft) in proposal.drafted.changed() {
                let written = if taken.contains(&device) {
                    Err(
                        Error::unsupported("another system on these disks changes the same filesystem")
                            .advise("choose the system to fix: --root"),
                    )
                } else {
                    self.one(device, draft, limits, now)
                };
                match written {
                    Ok(()) => taken.push(device),
                    Err(e) => refused.push(RefusedReport::new(device, &e)),
                }
            }
        }
        refused
    }

    /// The volume called `source`, and what it holds.
    fn volume(&self, source: &str) -> h2k_block::Result<(&Arc<dyn BlockWrite>, &'static str)> {
        // A subvolume is written by the same filesystem as the rest: btrfsvol:/dev/sda2/root
        let subvolume = source.strip_prefix("btrfsvol:");
        let found = self
            .devices
            .iter()
            .zip(&self.volumes)
            .find(|((name, _), _)| match subvolume {
                Some(path) => path
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.starts_with('/')),
                None => name == source,
            });
        match found {
            Some(((_, Some(kind)), volume)) => Ok((volume, *kind)),
            _ => Err(Error::new(
                Class::NotFound,
                format!("there is no device {source} to write to"),
            )),
        }
    }

    fn one(&self, source: &str, draft: &Draft, limits: &Limits, now: Time) -> h2k_block::Result<()> {
        let (volume, kind) = self.volume(source)?;
        // A filesystem that fails half-way has written here and nowhere else.
        let below: Arc<dyn BlockRead> = volume.clone();
        let own = Arc::new(overlay(&below, self.spill.as_deref())?);
        let mut writer = open_writer(kind, own.clone(), limits, now)?;
        draft.replay(&mut *writer)?;
        drop(writer);
        own.edits(&mut |edit| match edit {
            Edit::Bytes(at, bytes) => volume.write_at(at, bytes),
            Edit::Zeros(range) => volume.store_zeros(range),
        })
    }

    /// What was edited of each disk.
    pub(super) fn edits(&self, guest: &OpenGuest) -> Result<Vec<DiskEdits>> {
        let mut all = Vec::new();
        for (path, over) in guest.disks.iter().zip(&self.overlays) {
            all.push(DiskEdits::of(path, over).about(path)?);
        }
        Ok(all)
    }
}

/// An overlay whose edits go to a file without a name when they become too many.
fn overlay(below: &Arc<dyn BlockRead>, spill: Option<&Path>) -> h2k_block::Result<Overlay> {
    let dir = spill.map_or_else(std::env::temp_dir, Path::to_owned);
    let file: Arc<dyn HostFile> = Arc::new(FileDisk::nameless(&dir)?);
    Ok(Overlay::spilling(below.clone(), HELD, file))
}
