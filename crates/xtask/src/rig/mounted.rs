//! The partitions of a guest's disk, mounted by the kernel: for chores that change a guest as its own tools would.

use h2k_testkit::mount::{Mount, mount};
use std::path::Path;
use std::process::Command;

/// Where a partition lies, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition {
    pub(super) start: u64,
    pub(super) size: u64,
}

impl Partition {
    /// Mounts it; `options` as `mount -o` takes them.
    pub(super) fn mount(self, image: &Path, options: &str) -> Result<Mount, String> {
        let place = format!("offset={},sizelimit={},{options}", self.start, self.size);
        mount(image, "auto", &place)
    }
}

/// The partitions of `image`, in the order of its table.
pub(super) fn partitions(image: &Path) -> Result<Vec<Partition>, String> {
    let table = Command::new("sfdisk")
        .arg("--json")
        .arg(image)
        .output()
        .map_err(|e| format!("sfdisk: {e}"))?;
    let table: serde_json::Value =
        serde_json::from_slice(&table.stdout).map_err(|e| format!("sfdisk: {e}"))?;
    let list = table["partitiontable"]["partitions"].as_array();
    let bytes = |part: &serde_json::Value, field: &str| part[field].as_u64().unwrap_or(0) * 512;
    let list = list.into_iter().flatten().map(|part| Partition {
        start: bytes(part, "start"),
        size: bytes(part, "size"),
    });
    Ok(list.collect())
}

/// Mounts the root of a guest that the rig built: the last partition that has the rig's marker.
pub(super) fn root_of(image: &Path) -> Result<Mount, String> {
    for partition in partitions(image)?.into_iter().rev() {
        for options in ["rw", "rw,subvol=@"] {
            let Ok(mounted) = partition.mount(image, options) else {
                continue;
            };
            if mounted.path().join("usr/local/sbin/rig-marker").exists() {
                return Ok(mounted);
            }
        }
    }
    Err(format!(
        "no partition of {} that this kernel mounts has /usr/local/sbin/rig-marker",
        image.display()
    ))
}
