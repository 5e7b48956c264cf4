//! What is mounted although no fstab says so: partitions whose type is their purpose, `/usr` of Flatcar, and what OSTree
//! shows below a deployment.
//!
//! Sources: the Discoverable Partitions Specification (UAPI group), Flatcar's description of its partitions, ostree's of
//! its deployments.

use crate::assemble::Assembled;
use crate::device::Device;
use crate::guest::Guest;
use crate::system::System;
use crate::tree::Tree;
use h2k_block::{Class, Error, Meter, Result};
use h2k_fs::{FileKind, FsRead, lookup_path, resolve};
use h2k_volume::PartitionType;
use std::sync::Arc;

/// Types of partitions and where systemd mounts them; of `/usr` those of x86-64 and arm64.
const ROLES: &[(&str, &str)] = &[
    ("8484680c-9521-48c6-9c11-b0720656f69e", "/usr"),
    ("b0e01050-ee5f-4390-949a-9101b17104e9", "/usr"),
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", "/var"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "/home"),
    ("3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "/srv"),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", "/boot"),
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "/efi"),
];

/// The tree whose root is a deployment of OSTree: the filesystem itself is below `/sysroot`, and `/var` is shared by
/// the deployments of one system.
pub(crate) fn deployed(system: &System, fs: Arc<dyn FsRead>, path: &[u8], meter: &mut Meter) -> Result<Tree> {
    let node = resolve(&*fs, path, meter)?.ok_or_else(|| {
        Error::new(
            Class::NotFound,
            format!("there is no deployment {}", String::from_utf8_lossy(path)),
        )
    })?;
    let mut tree = Tree::rooted(system.source(), Arc::clone(&fs), node);
    // Of a deployment without these directories the rest is shown all the same.
    let _ = tree.mount(b"/sysroot", system.source(), fs, meter);
    let name = path
        .strip_prefix(b"ostree/deploy/")
        .and_then(|rest| rest.split(|b| *b == b'/').next());
    if let Some(name) = name {
        let var = [b"/sysroot/ostree/deploy/", name, b"/var"].concat();
        let _ = tree.bind(&var, b"/var", meter);
    }
    Ok(tree)
}

impl Guest {
    /// Mounts what is known by its partition's type, where fstab mounts nothing. Devices of other disks than the root's
    /// are left alone, as systemd does, and so are those of tables that hold a second system.
    pub(crate) fn add_by_role(&self, system: &System, assembled: &mut Assembled, meter: &mut Meter) {
        let root = disk_of(&system.device);
        for (role, point) in ROLES {
            let of_role = |d: &&Device| disk_of(&d.name) == root && type_of(d) == Some(*role);
            let mut found = self.filesystems().filter(of_role);
            if let (Some(device), None) = (found.next(), found.next()) {
                let why = format!("the type of the partition {}", device.name);
                self.add_silently(device, point, why, assembled, meter);
            }
        }
        // A partition for booting that fstab does not name: Fedora CoreOS finds it by its label.
        let labelled = |d: &&Device| disk_of(&d.name) == root && d.label.as_deref() == Some(b"boot");
        if let Some(device) = self
            .filesystems()
            .find(labelled)
            .filter(|_| system.deployment.is_some())
        {
            let why = format!("the label of {}", device.name);
            self.add_silently(device, "/boot", why, assembled, meter);
        }
        self.add_newest_usr(root, assembled, meter);
    }

    /// Flatcar keeps two of `/usr`, and starts the one with more priority: the newer one, unless an update failed.
    fn add_newest_usr(&self, root: &str, assembled: &mut Assembled, meter: &mut Meter) {
        let slots = |d: &&Device| {
            disk_of(&d.name) == root
                && d.part_label
                    .as_deref()
                    .is_some_and(|l| matches!(l, "USR-A" | "USR-B"))
        };
        let newest = self
            .filesystems()
            .filter(slots)
            .filter_map(|device| Some((version(&*self.open(device).ok()?.fs, meter)?, device)))
            .max_by(|a, b| a.0.cmp(&b.0));
        if let Some((_, device)) = newest {
            let why = format!("the name of the partition {}", device.name);
            self.add_silently(device, "/usr", why, assembled, meter);
        }
    }

    /// Mounts a device on a directory that is there and empty. Nobody asked for it: what fails is no fault.
    fn add_silently(
        &self,
        device: &Device,
        point: &str,
        why: String,
        assembled: &mut Assembled,
        meter: &mut Meter,
    ) {
        let tree = &mut assembled.tree;
        let point = point.as_bytes();
        let taken = tree
            .mounts()
            .iter()
            .any(|m| m.source == device.name || m.point == point);
        if taken || !is_empty(tree, point, meter).unwrap_or(false) {
            return;
        }
        let Ok(opened) = self.open(device) else { return };
        if tree.mount(point, device.name.clone(), opened.fs, meter).is_ok() {
            assembled.unlisted.push((point.to_vec(), why));
        }
    }
}

fn is_empty(tree: &Tree, point: &[u8], meter: &mut Meter) -> Result<bool> {
    let Some(place) = tree.lookup(point, true, meter)? else {
        return Ok(false);
    };
    if tree.stat(place)?.kind != FileKind::Dir {
        return Ok(false);
    }
    let mut empty = true;
    tree.list(place, &mut |_| {
        empty = false;
        std::ops::ControlFlow::Break(())
    })?;
    Ok(empty)
}

fn type_of(device: &Device) -> Option<&str> {
    match &device.partition.as_ref()?.kind {
        PartitionType::Guid(guid) => Some(guid),
        _ => None,
    }
}

/// `/dev/sda` of `/dev/sda3`.
fn disk_of(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// The numbers of `VERSION_ID` in the os-release of a filesystem that is a `/usr`.
fn version(fs: &dyn FsRead, meter: &mut Meter) -> Option<Vec<u64>> {
    let node = lookup_path(fs, b"lib/os-release", false, meter).ok()??;
    let bytes = h2k_fs::read_file(fs, node, meter).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix("VERSION_ID="))?;
    let numbers = value.trim_matches(['"', '\'']).split('.');
    Some(numbers.map(|n| n.parse().unwrap_or(0)).collect())
}
