//! Caches of device names that are wrong on other hardware.

use super::Fix;
use crate::edit::Edit;
use crate::finding::Finding;
use crate::view::View;
use h2k_block::Result;
use h2k_guest::Source;

/// What remembers devices by names or identifiers of the old machine, and is made anew when it is missing.
/// `system.devices` hides physical volumes whose disks have other serial numbers now.
const FILES: [&str; 5] = [
    "/etc/blkid/blkid.tab",
    "/etc/blkid.tab",
    "/etc/lvm/cache/.cache",
    "/etc/lvm/devices/system.devices",
    "/var/cache/blkid.tab",
];

/// Removes caches of device names.
pub(super) struct Caches;

impl Fix for Caches {
    fn id(&self) -> &'static str {
        "linux.device-caches"
    }

    fn about(&self) -> &'static str {
        "removes caches of device names, which the guest makes anew"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        let found: Vec<&str> = FILES.into_iter().filter(|path| view.look.is_file(path)).collect();
        if found.is_empty() {
            return Ok(vec![Finding::leave("no cache of device names is there")]);
        }
        let remove = |path: &&str| Edit::Remove {
            path: path.as_bytes().to_vec(),
        };
        let why = format!(
            "{} remembers devices of the old machine, and is made anew without them",
            found.join(", ")
        );
        let sources = found.iter().map(|path| Source::file(path.as_bytes()));
        Ok(vec![
            Finding::change(why, found.iter().map(remove).collect()).read(sources.collect::<Vec<_>>()),
        ])
    }
}
