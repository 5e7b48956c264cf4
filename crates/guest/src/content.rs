//! How full the filesystems of a guest are.

use crate::device::Device;
use crate::guest::Guest;
use crate::tree::Tree;
use crate::wish::mountable;
use h2k_block::Error;
use schemars::JsonSchema;
use serde::Serialize;

/// One filesystem, subvolume, swap space or locked device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemFacts {
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

impl Guest {
    /// Opens every filesystem and asks how full it is, and where `trees` have it. What cannot be opened is told with its
    /// device.
    #[must_use]
    pub fn contents<'t>(
        &self,
        trees: impl IntoIterator<Item = &'t Tree>,
    ) -> (Vec<FilesystemFacts>, Vec<(String, Error)>) {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        for device in self.devices() {
            let shown = device.holds_files || device.locked || device.kind == Some("swap");
            if device.kind.is_some() && shown {
                self.content_of(device, &mut found, &mut problems);
            }
        }
        for mount in trees.into_iter().flat_map(Tree::mounts) {
            let point = String::from_utf8_lossy(&mount.point).into_owned();
            // Two devices of one btrfs have their subvolumes twice.
            for fs in found.iter_mut().filter(|fs| fs.source == mount.source) {
                // Two systems may have it at the same place.
                if !fs.mount_points.contains(&point) {
                    fs.mount_points.push(point.clone());
                }
            }
        }
        (found, problems)
    }

    fn content_of(
        &self,
        device: &Device,
        found: &mut Vec<FilesystemFacts>,
        problems: &mut Vec<(String, Error)>,
    ) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let bare = FilesystemFacts {
            source: device.name.clone(),
            device: device.name.clone(),
            type_: device.kind.unwrap_or("unknown").to_owned(),
            label: device.label.as_deref().map(text),
            uuid: device.uuid.clone(),
            size: device.size,
            ..FilesystemFacts::default()
        };
        if !device.holds_files {
            found.push(bare);
            return;
        }
        let opened = match self.open(device) {
            Ok(opened) => opened,
            Err(e) => {
                problems.push((device.name.clone(), e));
                found.push(bare);
                return;
            }
        };
        let facts = opened.fs.facts();
        let mut filled = FilesystemFacts {
            type_: if facts.kind.is_empty() {
                bare.type_.clone()
            } else {
                facts.kind.to_owned()
            },
            warnings: facts.warnings,
            ..bare
        };
        match opened.fs.usage() {
            Ok(usage) => {
                filled.size = usage.total;
                filled.used = Some(usage.total.saturating_sub(usage.free));
                filled.free = Some(usage.free);
                filled.nodes = usage.nodes;
                filled.nodes_free = usage.nodes_free;
            }
            Err(e) => problems.push((device.name.clone(), e)),
        }
        let subvolumes = self.subvolumes(device).unwrap_or_else(|e| {
            problems.push((device.name.clone(), e));
            Vec::new()
        });
        found.push(filled.clone());
        for subvolume in subvolumes.iter().filter(|s| !s.path.is_empty()) {
            found.push(FilesystemFacts {
                source: mountable(&device.name, Some(&subvolume.path)),
                warnings: Vec::new(),
                ..filled.clone()
            });
        }
    }
}
