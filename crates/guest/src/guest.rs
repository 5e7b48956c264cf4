//! The devices of a guest.

use crate::device::Device;
use crate::open::{Opened, Subvolume};
use crate::plug::Plug;
use crate::spec::Crypttab;
use h2k_block::{Class, Error, Limits, Meter, Result};
use h2k_fs::FsRead;
use h2k_volume::{Volume, Volumes};
use std::sync::Arc;

/// What is known of a guest by its disks alone.
#[derive(Debug)]
pub struct Guest {
    devices: Vec<Device>,
    limits: Limits,
    /// By the names of disks.
    plugs: Vec<(String, Plug)>,
}

impl Guest {
    /// The guest whose disks were scanned. Nothing is opened yet.
    #[must_use]
    pub fn new(volumes: &Volumes, limits: &Limits) -> Self {
        Self::of_volumes(&volumes.list, limits)
    }

    /// The guest with these volumes, each after those it lies on.
    #[must_use]
    pub fn of_volumes(all: &[Volume], limits: &Limits) -> Self {
        Self::of(all.iter().map(|v| Device::of(v, all)).collect(), limits)
    }

    /// The guest with these devices.
    #[must_use]
    pub fn of(devices: Vec<Device>, limits: &Limits) -> Self {
        Self {
            devices,
            limits: *limits,
            plugs: Vec::new(),
        }
    }

    /// The guest whose disks are plugged in so, in their order, where that is known.
    #[must_use]
    pub fn plugged(mut self, plugs: &[Option<Plug>]) -> Self {
        let known = plugs.iter().enumerate();
        let known =
            known.filter_map(|(i, plug)| Some((format!("/dev/{}", h2k_volume::disk_name(i)), (*plug)?)));
        self.plugs = known.collect();
        self
    }

    /// Where its disks are plugged in, as far as that is known.
    pub(crate) fn plugs(&self) -> impl Iterator<Item = (&str, Plug)> {
        self.plugs.iter().map(|(disk, plug)| (disk.as_str(), *plug))
    }

    /// Every device, each after those it lies on.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// What one call may cost.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// A fresh account for one call.
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.limits)
    }

    /// The devices that hold files or may do so, in order.
    pub fn filesystems(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|d| d.holds_files && d.kind.is_some())
    }

    /// The device of that name.
    ///
    /// # Errors
    /// [`Class::NotFound`] with the names there are.
    pub fn device(&self, name: &str) -> Result<&Device> {
        // guestfish says /dev/sda, guests say /dev/vda: both mean the first disk.
        let found = self.devices.iter().find(|d| d.is_named(name));
        let found = found.or_else(|| {
            let name = crate::spec::as_sd(name)?;
            self.devices.iter().find(|d| d.is_named(&name))
        });
        found.ok_or_else(|| {
            let names: Vec<&str> = self.devices.iter().map(|d| d.name.as_str()).collect();
            Error::new(
                Class::NotFound,
                format!("there is no device {name} in this guest"),
            )
            .advise(format!("there are: {}", names.join(" ")))
        })
    }

    /// The device that `spec` means: `UUID=…`, `/dev/vda1`, `/dev/disk/by-id/…`, `/dev/mapper/NAME`, whose names
    /// `crypttab` has.
    ///
    /// # Errors
    /// [`Class::NotFound`] when it is not on these disks.
    pub fn resolve(&self, spec: &[u8], crypttab: &Crypttab) -> Result<&Device> {
        crate::spec::resolve(self, spec, crypttab)
    }

    /// Opens the filesystem on a device, or hands out the one that was opened before.
    ///
    /// # Errors
    /// [`Class::Refused`] when it is encrypted; [`Class::Unsupported`] when it holds nothing that is read; else
    /// what the filesystem says.
    pub fn open(&self, device: &Device) -> Result<Opened> {
        let same = |d: &&Device| {
            d.name != device.name && d.kind == device.kind && d.uuid.is_some() && d.uuid == device.uuid
        };
        // Only btrfs lies on several devices, which then have one UUID.
        let peers: Vec<&Device> = if device.kind == Some("btrfs") {
            self.devices.iter().filter(same).collect()
        } else {
            Vec::new()
        };
        device.open(&peers, &self.limits)
    }

    /// The subvolumes of what lies on a device; none where the filesystem knows no such thing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn subvolumes(&self, device: &Device) -> Result<Vec<Subvolume>> {
        match self.open(device)?.subvolumes {
            Some(subvolumes) => subvolumes.list().map_err(|e| e.through(device.name.clone())),
            None => Ok(Vec::new()),
        }
    }

    /// Opens what `mount -o subvol=` would show; `None` stands for what is shown without options.
    ///
    /// # Errors
    /// [`Class::NotFound`] with the subvolumes there are; else as [`open`](Self::open).
    pub fn open_subvolume(&self, device: &Device, path: Option<&[u8]>) -> Result<Arc<dyn FsRead>> {
        let opened = self.open(device)?;
        let Some(path) = path else {
            return Ok(opened.fs);
        };
        let wanted = trimmed(path);
        let all = self.subvolumes(device)?;
        match (all.iter().find(|s| s.path == wanted), &opened.subvolumes) {
            (Some(found), Some(subvolumes)) => subvolumes
                .open(found.id)
                .map_err(|e| e.through(device.name.clone())),
            _ => Err(no_subvolume(device, wanted, &all)),
        }
    }

    /// As [`open_subvolume`](Self::open_subvolume), by number.
    pub(crate) fn subvolume_path(&self, device: &Device, id: u64) -> Result<Vec<u8>> {
        let all = self.subvolumes(device)?;
        let found = all.iter().find(|s| s.id == id);
        found
            .map(|s| s.path.clone())
            .ok_or_else(|| no_subvolume(device, id.to_string().as_bytes(), &all))
    }
}

/// A subvolume's path without slashes at its ends.
pub(crate) fn trimmed(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|b| *b != b'/').unwrap_or(path.len());
    let end = path
        .iter()
        .rposition(|b| *b != b'/')
        .map_or(start, |i| i.saturating_add(1));
    path.get(start..end).unwrap_or_default()
}

fn no_subvolume(device: &Device, wanted: &[u8], all: &[Subvolume]) -> Error {
    let wanted = String::from_utf8_lossy(wanted);
    let error = Error::new(
        Class::NotFound,
        format!("{} has no subvolume {wanted}", device.name),
    );
    if all.is_empty() {
        return error.advise("leave subvol= out: this filesystem has none");
    }
    let names: Vec<_> = all.iter().map(|s| String::from_utf8_lossy(&s.path)).collect();
    error.advise(format!("there are: {}", names.join(" ").trim()))
}
