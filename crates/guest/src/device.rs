//! A device of the guest with everything it can be called by.

use crate::checker;
use crate::open::{self, Opened};
use h2k_block::{BlockRead, Class, Error, Findings, Limits, Result};
use h2k_fs::FsRead;
use h2k_volume::{Kind, Luks, Partition, Usage, Volume};
use std::sync::{Arc, OnceLock};

/// A device of a guest: a disk, a partition, a logical volume, an array, an opened LUKS device.
pub struct Device {
    /// Its name as guestfish spells it: `/dev/sda1`, `/dev/vg/lv`.
    pub name: String,
    /// Other names that mean the same: `/dev/mapper/vg-lv`.
    pub aliases: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// What it holds, as `blkid` spells it; `None` where nothing was recognised.
    pub kind: Option<&'static str>,
    /// Whether it may hold files: not swap, not a member of an array, not a partitioned disk.
    pub holds_files: bool,
    /// Whether it is encrypted and no key was given.
    pub locked: bool,
    /// Whether it is a copy of another device as it once was: an LVM snapshot.
    pub snapshot: bool,
    /// Label of what it holds.
    pub label: Option<Vec<u8>>,
    /// UUID of what it holds, as `blkid` prints it.
    pub uuid: Option<String>,
    /// What the partition table says of it, where it is a partition.
    pub partition: Option<Partition>,
    /// UUID of the partition.
    pub part_uuid: Option<String>,
    /// Name of the partition.
    pub part_label: Option<String>,
    /// UUIDs of the logical volume: its group's and its own, 32 characters each without hyphens.
    pub lvm_uuid: Option<String>,
    /// Whether it is a whole disk.
    pub whole_disk: bool,
    /// The device it is the plain text of.
    pub plain_of: Option<String>,
    /// What kind of device it is, with what its table, its group or its array says of it; `None` where no scan found
    /// it.
    pub form: Option<Kind>,
    /// What a LUKS device says of itself.
    pub encryption: Option<Luks>,
    /// The devices it lies on.
    pub below: Vec<String>,
    disk: Option<Arc<dyn BlockRead>>,
    /// What was opened on it, once it was.
    opened: OnceLock<Opened>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// A device that holds `fs`: for filesystems that come from elsewhere than a scan.
    #[must_use]
    pub fn holding(name: impl Into<String>, opened: Opened) -> Self {
        let facts = opened.fs.facts();
        Self {
            kind: Some(facts.kind),
            holds_files: true,
            label: facts.label,
            uuid: facts.uuid,
            opened: OnceLock::from(opened),
            ..Self::empty(name.into())
        }
    }

    /// As [`holding`](Self::holding), for a filesystem without subvolumes.
    #[must_use]
    pub fn with_fs(name: impl Into<String>, fs: impl FsRead + 'static) -> Self {
        let opened = Opened {
            fs: Arc::new(fs),
            subvolumes: None,
        };
        Self::holding(name, opened)
    }

    /// A device that holds no files, of a kind `blkid` has a word for.
    #[must_use]
    pub fn without_files(name: impl Into<String>, kind: &'static str) -> Self {
        Self {
            kind: Some(kind),
            ..Self::empty(name.into())
        }
    }

    fn empty(name: String) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            size: 0,
            kind: None,
            holds_files: false,
            locked: false,
            snapshot: false,
            label: None,
            uuid: None,
            partition: None,
            part_uuid: None,
            part_label: None,
            lvm_uuid: None,
            whole_disk: false,
            plain_of: None,
            form: None,
            encryption: None,
            below: Vec::new(),
            disk: None,
            opened: OnceLock::new(),
        }
    }

    /// What a scan found; `all` is the list it is in.
    pub(crate) fn of(volume: &Volume, all: &[Volume]) -> Self {
        let identity = volume.identity.as_ref();
        let below = volume.below.iter().filter_map(|i| all.get(*i));
        let mut device = Self {
            form: Some(volume.kind.clone()),
            encryption: volume.encryption.clone(),
            below: below.map(|v| v.device.clone()).collect(),
            aliases: volume.aliases.clone(),
            size: volume.disk.len(),
            kind: identity.map(|i| i.kind),
            holds_files: volume.may_hold_files() && identity.is_none_or(|i| i.usage == Usage::Filesystem),
            label: identity.and_then(|i| i.label.clone()),
            uuid: identity.and_then(|i| i.uuid.clone()),
            disk: Some(Arc::clone(&volume.disk)),
            ..Self::empty(volume.device.clone())
        };
        match &volume.kind {
            Kind::Whole => device.whole_disk = true,
            Kind::Partition(p) => {
                device.partition = Some(p.clone());
                device.part_uuid.clone_from(&p.uuid);
                device.part_label = Some(p.name.clone()).filter(|name| !name.is_empty());
            }
            Kind::LogicalVolume(lv) => {
                device.snapshot = lv.layout.contains("snapshot");
                let plain = |id: &str| id.replace('-', "");
                device.lvm_uuid = Some(format!("{}{}", plain(&lv.group_id), plain(&lv.uuid)));
            }
            Kind::Crypt(_) => {
                let below = volume.below.first().and_then(|i| all.get(*i));
                device.plain_of = below.map(|v| v.device.clone());
            }
            _ => {}
        }
        let encrypted = identity.is_some_and(|i| i.usage == Usage::Encrypted);
        let place = all.iter().position(|v| v.device == volume.device);
        device.locked = encrypted
            && !all
                .iter()
                .any(|v| matches!(v.kind, Kind::Crypt(_)) && place.is_some_and(|p| v.below == [p]));
        device
    }

    /// Its bytes; `None` for a device that was not scanned.
    #[must_use]
    pub fn content(&self) -> Option<&Arc<dyn BlockRead>> {
        self.disk.as_ref()
    }

    /// Whether `name` is its name or one of its aliases.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|a| a == name)
    }

    /// Opens what it holds; `peers` are the devices that hold parts of the same filesystem.
    pub(crate) fn open(&self, peers: &[&Self], limits: &Limits) -> Result<Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.clone());
        }
        let opened = self
            .open_now(peers, limits)
            .map_err(|e| e.through(self.name.clone()))?;
        // Whoever was first: both read the same.
        Ok(self.opened.get_or_init(|| opened).clone())
    }

    fn open_now(&self, peers: &[&Self], limits: &Limits) -> Result<Opened> {
        let kind = self.files()?;
        let disks: Vec<Arc<dyn BlockRead>> = std::iter::once(self)
            .chain(peers.iter().copied())
            .filter_map(|d| d.disk.as_ref().map(Arc::clone))
            .collect();
        open::open(kind, &disks, limits)
    }

    /// What kind of filesystem it holds.
    fn files(&self) -> Result<&'static str> {
        if self.locked {
            return Err(
                Error::new(Class::Refused, "it is encrypted, and no key was given").advise(format!(
                    "give its passphrase: --key {}:file:PATH (or :env:VARIABLE, :fd:NUMBER)",
                    self.name
                )),
            );
        }
        let Some(kind) = self.kind else {
            return Err(Error::unsupported("it holds no filesystem that is known"));
        };
        if !self.holds_files {
            return Err(Error::unsupported(format!("it holds {kind}, and no files")));
        }
        Ok(kind)
    }

    /// Checks the structure of the filesystem it holds, as the filesystem's own `fsck` would, and changes nothing. What
    /// is wrong is in the answer; an error means that the check could not be done.
    ///
    /// # Errors
    /// [`Class::Refused`] when it is encrypted; [`Class::Unsupported`], with the kind's name, when it holds nothing
    /// that is checked ([`crate::can_check`]); else as the filesystem's own `check`.
    pub fn check(&self, limits: &Limits) -> Result<Findings> {
        let checked = self.files().and_then(|kind| match &self.disk {
            Some(disk) => checker::check(kind, disk.clone(), limits),
            None => Err(Error::unsupported("it is not there")),
        });
        checked.map_err(|e| e.through(self.name.clone()))
    }
}
