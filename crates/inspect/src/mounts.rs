//! What is mounted where.

use crate::report::Asking;
use h2k_guest::{Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// The mount table, as far as it could be put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Mounts {
    /// What is mounted, the root first.
    pub mounted: Vec<MountPoint>,
    /// What the table names besides.
    pub left_out: Vec<NotMounted>,
}

/// A filesystem in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MountPoint {
    /// Where.
    pub mount_point: String,
    /// What, as guestfish spells it.
    pub device: String,
    /// Which filesystem: `ext4`, `xfs` …
    pub filesystem: String,
    /// The filesystem's UUID.
    pub uuid: Option<String>,
    /// What says so.
    pub source: Source,
}

/// A line of the mount table that mounts nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NotMounted {
    /// What it names.
    pub spec: String,
    /// Where it would be mounted.
    pub mount_point: String,
    /// What `spec` means, as guestfish spells it, where that is known.
    pub device: Option<String>,
    /// Why it is not.
    pub why: String,
    /// Whether that is as it should be: swap, a network, what the kernel makes up. Otherwise files are missing.
    pub expected: bool,
    /// What says so.
    pub source: Source,
}

pub(crate) fn look(asking: &Asking<'_>, _: &Look<'_>) -> Mounts {
    let table = || Source::named("/etc/fstab");
    let tree = &asking.assembled.tree;
    let unlisted = |point: &[u8]| {
        let mut all = asking.assembled.unlisted.iter();
        all.find(|(at, _)| at == point)
            .map(|(_, why)| Source::named(why.clone()))
    };
    let mounted = tree.mounts().iter().map(|mount| {
        let facts = mount.fs.facts();
        let root = mount.point.is_empty() || mount.point == b"/";
        MountPoint {
            mount_point: String::from_utf8_lossy(if root { b"/" } else { &mount.point }).into_owned(),
            device: mount.source.clone(),
            filesystem: facts.kind.to_owned(),
            uuid: facts.uuid,
            source: if root {
                Source::named(format!("the files on {}", asking.system.source()))
            } else {
                unlisted(&mount.point).unwrap_or_else(table)
            },
        }
    });
    let left_out = asking.assembled.left_out.iter().map(|left| NotMounted {
        spec: String::from_utf8_lossy(&left.spec).into_owned(),
        mount_point: String::from_utf8_lossy(&left.point).into_owned(),
        device: left.device.clone(),
        why: left.why.to_string(),
        expected: left.expected,
        source: table(),
    });
    Mounts {
        mounted: mounted.collect(),
        left_out: left_out.collect(),
    }
}
