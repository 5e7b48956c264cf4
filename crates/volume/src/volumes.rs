use crate::disk::Disk;
use crate::identify::{Identity, Usage};
#[cfg(feature = "crypt")]
use crate::luks::{self, Keyed, Luks, Secret};
use crate::node::{self, Node};
#[cfg(feature = "crypt")]
use crate::scan::rescan;
use crate::table::{Partition, Role, Table};
use h2k_block::{BlockRead, BlockWrite, Class, Error, Result};
#[cfg(feature = "crypt")]
use h2k_block::{Limits, Meter};
#[cfg(feature = "crypt")]
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What kind of device a volume is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A whole disk.
    Whole,
    /// A partition, with what its table says of it.
    Partition(Partition),
    /// An LVM2 logical volume.
    LogicalVolume(LogicalVolume),
    /// An MD array.
    Raid(Raid),
    /// The plain text of a LUKS device that was opened.
    #[cfg(feature = "crypt")]
    Crypt(Crypt),
}

/// What is known of an opened LUKS device; the device below it has all of it.
#[cfg(feature = "crypt")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypt {
    /// As `blkid` prints it.
    pub uuid: String,
    /// As dm-crypt spells it: `aes-xts-plain64`.
    pub cipher: String,
}

/// What MD says of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raid {
    /// `raid1`, `raid10`, `linear` ….
    pub level: String,
    /// Version of its superblocks: `0.90`, `1.0`, `1.1`, `1.2`.
    pub version: &'static str,
    /// As `blkid` prints it.
    pub uuid: String,
    /// `host:name`; empty for version 0.90.
    pub name: String,
    /// How many members it has when complete.
    pub members: usize,
    /// How many of them are used.
    pub present: usize,
}

/// What LVM2 says of a logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalVolume {
    /// The volume group's name.
    pub group: String,
    /// The volume group's UUID, as LVM prints it.
    pub group_id: String,
    /// The volume's name.
    pub name: String,
    /// Its UUID, as LVM prints it.
    pub uuid: String,
    /// `linear`, `striped`, `raid1`, `snapshot` …: the type of its first segment.
    pub layout: String,
    /// LVM does not activate it unless told to: a snapshot kept for later, usually.
    pub skip_activation: bool,
}

/// A device that bytes can be read from.
#[derive(Clone)]
pub struct Volume {
    /// Its name as guestfish spells it: `/dev/sda`, `/dev/sda1`, `/dev/vg/lv`, `/dev/md127`.
    pub device: String,
    /// Other names that mean the same: `/dev/mapper/vg-lv`.
    pub aliases: Vec<String>,
    /// Its content.
    pub disk: Arc<dyn BlockRead>,
    /// What kind of device it is.
    pub kind: Kind,
    /// What it lies on, as places in [`Volumes::list`].
    pub below: Vec<usize>,
    /// The partition table on it.
    pub table: Option<Table>,
    /// What it holds, by its superblock.
    pub identity: Option<Identity>,
    /// What a LUKS device says of itself.
    #[cfg(feature = "crypt")]
    pub encryption: Option<Luks>,
    pub(crate) node: usize,
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("device", &self.device)
            .field("len", &self.disk.len())
            .field("kind", &self.kind)
            .field("below", &self.below)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Volume {
    /// Whether a filesystem may be found here: not a partitioned disk, not an extended partition, not a part of
    /// something larger, not encrypted, not a logical volume that LVM leaves alone.
    #[must_use]
    pub fn may_hold_files(&self) -> bool {
        match &self.kind {
            Kind::Partition(p) if p.role == Role::Extended => return false,
            Kind::LogicalVolume(lv) if lv.skip_activation => return false,
            _ => {}
        }
        match &self.identity {
            Some(identity) if matches!(identity.usage, Usage::Member | Usage::Encrypted) => false,
            // A bootable ISO image carries a partition table for those who put it on a stick.
            Some(identity) if matches!(identity.kind, "iso9660" | "udf") => true,
            _ => self.table.is_none(),
        }
    }

    /// Whether `name` is this volume's name or one of its aliases.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.device == name || self.aliases.iter().any(|a| a == name)
    }
}

/// Something that could not be had, or is odd.
#[derive(Debug)]
pub struct Problem {
    /// The device it is about.
    pub device: String,
    /// What is wrong. A structure that is odd but readable is of [`Class::Corrupt`] too: the volumes say what
    /// could be read all the same.
    pub error: Error,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.device, self.error)
    }
}

/// Everything found on a set of disks.
pub struct Volumes {
    /// Every device, each after those it lies on: disks, partitions, and what is assembled from them.
    pub list: Vec<Volume>,
    /// What was found damaged, incomplete or not supported, in the order in which it was met.
    pub problems: Vec<Problem>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) disks: Vec<Disk>,
    #[cfg(feature = "crypt")]
    pub(crate) limits: Limits,
    /// Keys of LUKS devices that were opened, by device.
    #[cfg(feature = "crypt")]
    pub(crate) opened: BTreeMap<String, Arc<Keyed>>,
}

impl fmt::Debug for Volumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volumes")
            .field("list", &self.list)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Volumes {
    /// The volume of that name (`/dev/sda1`, `/dev/vg/lv`, `/dev/mapper/vg-lv`).
    ///
    /// # Errors
    /// [`Class::NotFound`] with the names there are; if a device of that name is known but cannot be had, why.
    pub fn find(&self, name: &str) -> Result<&Volume> {
        if let Some(volume) = self.list.iter().find(|v| v.is_named(name)) {
            return Ok(volume);
        }
        let names: Vec<&str> = self.list.iter().map(|v| v.device.as_str()).collect();
        let advice = format!("there are: {}", names.join(" "));
        Err(match self.problems.iter().find(|p| p.device == name) {
            Some(problem) => Error::new(problem.error.class(), problem.error.to_string()).through(name),
            None => Error::new(
                Class::NotFound,
                format!("there is no device {name} on these disks"),
            ),
        }
        .advise(advice))
    }

    /// The content of the disks that were scanned, in order.
    pub fn disks(&self) -> impl Iterator<Item = &Arc<dyn BlockRead>> {
        self.disks.iter().map(|disk| &disk.bytes)
    }

    /// The volumes that may hold a filesystem, in order.
    pub fn candidates(&self) -> impl Iterator<Item = &Volume> {
        self.list.iter().filter(|v| v.may_hold_files())
    }

    /// Opens the LUKS device `device` and looks at everything again, since a volume group may lie inside. Answers with
    /// the name of the volume that shows its plain text. `limits` bound the memory and work the header may ask for:
    /// [`UNLOCK_LIMITS`](crate::UNLOCK_LIMITS) unless there is a reason.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the device is not LUKS or the secret opens no key slot; [`Class::Limit`] when a key slot
    /// asks for more than `limits`; [`Class::Unsupported`] for what is not opened whatever the secret.
    #[cfg(feature = "crypt")]
    pub fn unlock(&mut self, device: &str, secret: &Secret, limits: &Limits) -> Result<String> {
        let volume = self.find(device)?;
        let name = volume.device.clone();
        let through = |e: Error| e.through(name.clone());
        if volume.encryption.is_none() {
            return Err(through(Error::new(
                Class::Invalid,
                "this is not a LUKS device that can be read",
            )));
        }
        let header = luks::read(volume.disk.as_ref(), &mut Meter::new(*limits)).map_err(through)?;
        let keyed = luks::open(volume.disk.as_ref(), &header, secret, limits).map_err(through)?;
        let mut opened = self.opened.clone();
        opened.insert(name.clone(), Arc::new(keyed));
        *self = rescan(&self.disks, &self.limits, opened)?;
        let below = self.list.iter().position(|v| v.device == name);
        let shown = self
            .list
            .iter()
            .find(|v| matches!(v.kind, Kind::Crypt(_)) && below.is_some_and(|b| v.below == [b]));
        shown
            .map(|v| v.device.clone())
            .ok_or_else(|| Error::new(Class::Invalid, "the opened device is not there any more"))
    }

    /// The same volumes over other disks that can be written: the answer has one for each of [`list`](Self::list).
    /// `disks` are those that were scanned, in the same order, usually as overlays over them.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the disks are not as many or as large as those scanned.
    pub fn over(&self, disks: &[Arc<dyn BlockWrite>]) -> Result<Vec<Arc<dyn BlockWrite>>> {
        let same = disks.len() == self.disks.len()
            && disks
                .iter()
                .zip(&self.disks)
                .all(|(a, b)| a.len() == b.bytes.len());
        if !same {
            return Err(Error::new(
                Class::Invalid,
                "the disks to write are not those that were looked at",
            ));
        }
        let mut built: Vec<Arc<dyn BlockWrite>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let next = node::write(node, disks, &built)?;
            built.push(next);
        }
        let of = |volume: &Volume| built.get(volume.node).map(Arc::clone);
        self.list
            .iter()
            .map(|v| of(v).ok_or_else(|| Error::new(Class::Invalid, "a volume without a map")))
            .collect()
    }

    /// The same volumes with their content read from `over`, the answer of [`over`](Self::over): what was written
    /// there is seen.
    #[must_use]
    pub fn read_over(&self, over: &[Arc<dyn BlockWrite>]) -> Vec<Volume> {
        let pairs = self.list.iter().zip(over);
        let seen = pairs.map(|(volume, disk)| Volume {
            disk: disk.clone(),
            ..volume.clone()
        });
        seen.collect()
    }
}
