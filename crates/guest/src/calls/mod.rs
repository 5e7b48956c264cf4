//! What other libraries have as calls on devices and filesystems, by the same names: for programs that know them.
//!
//! A guest here is files that are looked at: there is no appliance to launch, no kernel to ask, and nothing is written.
//! What each call means offline, and what takes the place of those that are not here, is in
//! `docs/offline-filesystem-api.md`.

mod xfs;

pub use xfs::{XfsInfo, superblock};

use crate::device::Device;
use crate::guest::Guest;
use crate::open::Subvolume;
use crate::system::System;
use crate::tree::Tree;
use crate::wish::mountable;
use h2k_block::{BlockRead, Class, Error, Meter, Result};
use h2k_volume::Role;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The calls on one guest.
pub struct Calls<'g> {
    guest: &'g Guest,
}

/// Numbers of a mounted filesystem, as statvfs(3) has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatVfs {
    /// Bytes of a block.
    pub bsize: u64,
    /// Blocks of the whole filesystem.
    pub blocks: u64,
    /// Blocks nobody uses.
    pub bfree: u64,
    /// The same: what is kept for root is not taken off.
    pub bavail: u64,
    /// Files that can exist, where there is a limit.
    pub files: Option<u64>,
    /// Of those, how many do not yet.
    pub ffree: Option<u64>,
}

/// A btrfs filesystem, as `btrfs filesystem show` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtrfsShow {
    /// Its label.
    pub label: Option<Vec<u8>>,
    /// Its UUID.
    pub uuid: String,
    /// How many devices it has, present or not.
    pub total_devices: u64,
}

/// A ZFS pool, as the labels of its devices tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZfsPool {
    /// Its name.
    pub name: String,
    /// Its number.
    pub guid: Option<String>,
    /// The devices of this guest that belong to it.
    pub devices: Vec<String>,
}

/// Exit codes of ntfs-3g.probe(8).
mod probe {
    pub(super) const MOUNTABLE: u8 = 0;
    pub(super) const NO_NTFS: u8 = 12;
    pub(super) const CORRUPT: u8 = 13;
    pub(super) const HIBERNATED: u8 = 14;
    pub(super) const UNCLEAN: u8 = 15;
}

/// The kernel's own block size, of a device that holds nothing that says otherwise.
const BLOCK: u64 = 4096;

impl<'g> Calls<'g> {
    /// The calls on `guest`.
    #[must_use]
    pub fn new(guest: &'g Guest) -> Self {
        Self { guest }
    }

    fn device(&self, name: &str) -> Result<&'g Device> {
        self.guest.device(name)
    }

    fn content(&self, name: &str) -> Result<&'g Arc<dyn BlockRead>> {
        let device = self.device(name)?;
        let none = || Error::unsupported(format!("{name} has no content of its own here"));
        device.content().ok_or_else(none)
    }

    /// Everything that may be mounted or belongs to something that may be, and its type: `ext4`, `swap`,
    /// `LVM2_member`, `linux_raid_member`, `crypto_LUKS`, `zfs_member`, or `unknown`. Subvolumes of btrfs are listed
    /// as `btrfsvol:DEVICE/PATH` behind their device.
    ///
    /// # Errors
    /// When a list of subvolumes cannot be read.
    pub fn list_filesystems(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for device in self.guest.devices() {
            let extended = device
                .partition
                .as_ref()
                .is_some_and(|p| p.role == Role::Extended);
            if extended || (device.whole_disk && device.kind.is_none()) {
                continue;
            }
            all.push((device.name.clone(), device.kind.unwrap_or("unknown").to_owned()));
            if device.kind == Some("btrfs") {
                for subvolume in self.btrfs_subvolume_list(&device.name)? {
                    let source = mountable(&device.name, Some(&subvolume.path));
                    all.push((source, "btrfs".to_owned()));
                }
            }
        }
        Ok(all)
    }

    /// What a device holds, as `blkid` spells it; `None` where nothing is known.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn vfs_type(&self, device: &str) -> Result<Option<&'static str>> {
        Ok(self.device(device)?.kind)
    }

    /// UUID or serial number of what a device holds.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn vfs_uuid(&self, device: &str) -> Result<Option<&'g str>> {
        Ok(self.device(device)?.uuid.as_deref())
    }

    /// Label of what a device holds.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn vfs_label(&self, device: &str) -> Result<Option<&'g [u8]>> {
        Ok(self.device(device)?.label.as_deref())
    }

    /// Number of a partition in its table.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device; [`Class::Invalid`] when it is no partition.
    pub fn part_to_partnum(&self, partition: &str) -> Result<u32> {
        let found = self.device(partition)?.partition.as_ref();
        found.map(|p| p.number).ok_or_else(|| no_partition(partition))
    }

    /// The device a partition is on.
    ///
    /// # Errors
    /// As [`part_to_partnum`](Self::part_to_partnum).
    pub fn part_to_dev(&self, partition: &str) -> Result<&'g str> {
        let device = self.device(partition)?;
        let below = device.partition.as_ref().and_then(|_| device.below.first());
        below.map(String::as_str).ok_or_else(|| no_partition(partition))
    }

    /// Bytes of a device.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_getsize64(&self, device: &str) -> Result<u64> {
        Ok(self.device(device)?.size)
    }

    /// Units of 512 bytes of a device, whatever its sectors are.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_getsz(&self, device: &str) -> Result<u64> {
        Ok(self.device(device)?.size.div_euclid(512))
    }

    /// Bytes of a sector: 512, or 4096 on a disk whose GPT counts in these. An image does not say more.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device; else as reading it.
    pub fn blockdev_getss(&self, device: &str) -> Result<u64> {
        let mut disk = self.device(device)?;
        while let Some(below) = disk.below.first() {
            disk = self.device(below)?;
        }
        let Some(content) = disk.content() else {
            return Ok(512);
        };
        for size in [512, 4096] {
            let mut head = [0; 8];
            if content.len() >= BLOCK.saturating_add(8) {
                content.read_at(size, &mut head)?;
            }
            if &head == b"EFI PART" {
                return Ok(size);
            }
        }
        Ok(512)
    }

    /// Bytes of a block: of the filesystem, where there is one that is read, else 4096 as the kernel has it.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_getbsz(&self, device: &str) -> Result<u64> {
        let device = self.device(device)?;
        let usage = self.guest.open(device).and_then(|opened| opened.fs.usage());
        Ok(usage.map_or(BLOCK, |usage| usage.block))
    }

    /// Whether a device may be read only: always, here.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_getro(&self, device: &str) -> Result<bool> {
        self.device(device).map(|_| true)
    }

    /// Makes a device read-only, which it is.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_setro(&self, device: &str) -> Result<()> {
        self.device(device).map(|_| ())
    }

    /// Makes a device writable.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: guests are looked at.
    pub fn blockdev_setrw(&self, device: &str) -> Result<()> {
        self.refuse(device, "blockdev_setrw", "devices are opened for reading")
    }

    /// Writes out what is kept back, which is nothing.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_flushbufs(&self, device: &str) -> Result<()> {
        self.device(device).map(|_| ())
    }

    /// Reads a partition table anew: it cannot have changed, for nobody writes.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn blockdev_rereadpt(&self, device: &str) -> Result<()> {
        self.device(device).map(|_| ())
    }

    /// The roots of the operating systems, `/dev/sda2` or `btrfsvol:/dev/sda2/root`.
    #[must_use]
    pub fn inspect_os(&self) -> Vec<String> {
        let found = self.guest.systems().found;
        found.iter().map(System::source).collect()
    }

    /// `linux`, `windows`, `freebsd` …
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such root.
    pub fn inspect_get_type(&self, root: &str) -> Result<&'static str> {
        Ok(self.guest.system_at(root)?.kind.word())
    }

    /// What a system mounts where, the root first: mount points and what is mounted there.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such root; else as [`Guest::assemble`].
    pub fn inspect_get_mountpoints(&self, root: &str) -> Result<Vec<(String, String)>> {
        let assembled = self.guest.assemble(&self.guest.system_at(root)?)?;
        let mounts = assembled.tree.mounts().iter().map(|mount| {
            let point = String::from_utf8_lossy(&mount.point).into_owned();
            (point, mount.source.clone())
        });
        Ok(mounts.collect())
    }

    /// The filesystems that belong to a system, sorted.
    ///
    /// # Errors
    /// As [`inspect_get_mountpoints`](Self::inspect_get_mountpoints).
    pub fn inspect_get_filesystems(&self, root: &str) -> Result<Vec<String>> {
        let mounts = self.inspect_get_mountpoints(root)?;
        let mut all: Vec<String> = mounts.into_iter().map(|(_, source)| source).collect();
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The filesystems of every system, by its root.
    ///
    /// # Errors
    /// As [`inspect_get_mountpoints`](Self::inspect_get_mountpoints).
    pub fn inspect_filesystems(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let roots = self.inspect_os().into_iter();
        roots
            .map(|root| {
                let all = self.inspect_get_filesystems(&root)?;
                Ok((root, all))
            })
            .collect()
    }

    /// Label, UUID and number of devices of a btrfs filesystem, by one of its devices.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the device holds no btrfs; else as reading it.
    pub fn btrfs_filesystem_show(&self, device: &str) -> Result<BtrfsShow> {
        let member = h2k_btrfs::member(&**self.content(device)?)?;
        let member = member.ok_or_else(|| other(device, "btrfs"))?;
        let uuid = self.device(device)?.uuid.clone();
        Ok(BtrfsShow {
            label: member.label,
            uuid: uuid.unwrap_or_default(),
            total_devices: member.devices,
        })
    }

    /// The subvolumes of a btrfs filesystem, the top level left out.
    ///
    /// # Errors
    /// As [`Guest::subvolumes`].
    pub fn btrfs_subvolume_list(&self, device: &str) -> Result<Vec<Subvolume>> {
        let mut all = self.guest.subvolumes(self.device(device)?)?;
        all.retain(|subvolume| !subvolume.path.is_empty());
        Ok(all)
    }

    /// The ZFS pools that devices of this guest belong to.
    #[must_use]
    pub fn zfs_pool_list(&self) -> Vec<ZfsPool> {
        let mut pools: Vec<ZfsPool> = Vec::new();
        for device in self
            .guest
            .devices()
            .iter()
            .filter(|d| d.kind == Some("zfs_member"))
        {
            let name = String::from_utf8_lossy(device.label.as_deref().unwrap_or_default()).into_owned();
            match pools.iter_mut().find(|p| p.name == name && p.guid == device.uuid) {
                Some(pool) => pool.devices.push(device.name.clone()),
                None => pools.push(ZfsPool {
                    name,
                    guid: device.uuid.clone(),
                    devices: vec![device.name.clone()],
                }),
            }
        }
        pools
    }

    /// The datasets of a ZFS pool.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: of ZFS only the labels are read.
    pub fn zfs_dataset_list(&self, pool: &str) -> Result<()> {
        let what = format!("zfs_dataset_list: of the pool {pool} only the labels of its devices are read");
        Err(Error::unsupported(what))
    }

    /// Geometry, label and UUID of an XFS filesystem, by its superblock.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when the device holds no XFS.
    pub fn xfs_info(&self, device: &str) -> Result<XfsInfo> {
        XfsInfo::read(&**self.content(device)?)
    }

    /// The fields of an XFS filesystem's first superblock, as `xfs_db -r -c 'sb 0' -c p` prints them.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when the device holds no XFS.
    pub fn xfs_db(&self, device: &str) -> Result<Vec<(&'static str, String)>> {
        superblock(&**self.content(device)?)
    }

    /// Changes label or UUID of an XFS filesystem.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: XFS is read and not written.
    pub fn xfs_admin(&self, device: &str) -> Result<()> {
        self.refuse(device, "xfs_admin", "XFS is read and not written")
    }

    /// Makes an XFS filesystem larger.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: XFS is read and not written.
    pub fn xfs_growfs(&self, device: &str) -> Result<()> {
        self.refuse(device, "xfs_growfs", "XFS is read and not written")
    }

    /// Repairs an XFS filesystem.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: XFS is read and not written, and its structures are checked as far as reading
    /// needs them only.
    pub fn xfs_repair(&self, device: &str) -> Result<()> {
        self.refuse(device, "xfs_repair", "XFS is read and not written")
    }

    /// What ntfs-3g.probe(8) would say: 0 for a volume that can be mounted, 12 for no NTFS, 13 for a damaged one; with
    /// `rw` also 14 for one that Windows sleeps on, and 15 for one that was not closed.
    ///
    /// # Errors
    /// [`Class::NotFound`] when there is no such device.
    pub fn ntfs_3g_probe(&self, device: &str, rw: bool) -> Result<u8> {
        let content = self.content(device)?;
        if !h2k_ntfs::probe(&**content).unwrap_or(false) {
            return Ok(probe::NO_NTFS);
        }
        let Ok(volume) = h2k_ntfs::open(Arc::clone(content), &self.guest.limits()) else {
            return Ok(probe::CORRUPT);
        };
        let condition = volume.condition();
        Ok(match rw {
            true if condition.hibernated => probe::HIBERNATED,
            true if condition.journal_open => probe::UNCLEAN,
            _ => probe::MOUNTABLE,
        })
    }

    /// The flags of a file on ext2, 3 or 4 as lsattr(1) spells them, sorted: `ai` for one that is immutable and
    /// append-only. `tree` has been put together from this guest.
    ///
    /// # Errors
    /// [`Class::Unsupported`] on a filesystem that has no such flags; else as looking the path up.
    pub fn get_e2attrs(&self, tree: &Tree, path: &[u8], meter: &mut Meter) -> Result<String> {
        let place = tree.find(path, meter)?;
        let mount = tree.at(place)?;
        let kind = mount.fs.facts().kind;
        if !matches!(kind, "ext2" | "ext3" | "ext4") {
            let what = format!("get_e2attrs: {kind} has no flags of ext2, 3 and 4");
            return Err(Error::unsupported(what));
        }
        let content = self.content(&mount.source)?;
        let flags = h2k_ext4::open(Arc::clone(content), &self.guest.limits())?.flags(place.node)?;
        let mut letters: Vec<char> = FLAGS
            .into_iter()
            .filter(|(bit, _)| flags & bit != 0)
            .map(|(_, letter)| letter)
            .collect();
        letters.sort_unstable();
        Ok(letters.into_iter().collect())
    }

    /// Changes flags of a file on ext2, 3 or 4.
    ///
    /// # Errors
    /// Always [`Class::Unsupported`]: guests are looked at.
    pub fn set_e2attrs(&self, path: &[u8]) -> Result<()> {
        let path = String::from_utf8_lossy(path);
        Err(Error::unsupported(format!(
            "set_e2attrs of {path}: a guest's files are read and not written"
        )))
    }

    fn refuse(&self, device: &str, call: &str, why: &str) -> Result<()> {
        self.device(device)?;
        Err(Error::unsupported(format!("{call} of {device}: {why}")))
    }
}

fn no_partition(name: &str) -> Error {
    Error::new(Class::Invalid, format!("{name} is no partition"))
}

fn other(device: &str, kind: &str) -> Error {
    Error::new(Class::Invalid, format!("{device} holds no {kind}"))
}

/// Letters of the flags that lsattr(1) shows.
const FLAGS: [(u32, char); 22] = [
    (0x1, 's'),
    (0x2, 'u'),
    (0x4, 'c'),
    (0x8, 'S'),
    (0x10, 'i'),
    (0x20, 'a'),
    (0x40, 'd'),
    (0x80, 'A'),
    (0x400, 'm'),
    (0x800, 'E'),
    (0x1000, 'I'),
    (0x4000, 'j'),
    (0x8000, 't'),
    (0x1_0000, 'D'),
    (0x2_0000, 'T'),
    (0x8_0000, 'e'),
    (0x10_0000, 'V'),
    (0x80_0000, 'C'),
    (0x200_0000, 'x'),
    (0x1000_0000, 'N'),
    (0x2000_0000, 'P'),
    (0x4000_0000, 'F'),
];

/// How full the filesystem is that `path` lies on.
///
/// # Errors
/// As looking the path up, and as [`h2k_fs::FsRead::usage`].
pub fn statvfs(tree: &Tree, path: &[u8], meter: &mut Meter) -> Result<StatVfs> {
    let usage = tree.at(tree.find(path, meter)?)?.fs.usage()?;
    let block = usage.block.max(1);
    let free = usage.free.div_euclid(block);
    Ok(StatVfs {
        bsize: usage.block,
        blocks: usage.total.div_euclid(block),
        bfree: free,
        bavail: free,
        files: usage.nodes,
        ffree: usage.nodes_free,
    })
}
