//! GRUB's map from its own names of disks to those of the kernel.

use super::{Renamer, mapped};
use crate::edit::Edit;
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::fixes::patch::{Patch, lines, part};
use crate::view::View;
use h2k_block::Result;
use h2k_boot::naming::{Naming, of as naming};
use h2k_guest::Source;

const FILES: [&str; 2] = ["/boot/grub2/device.map", "/boot/grub/device.map"];

/// Removes GRUB's map of devices, or corrects it where GRUB 0.97 needs it.
pub(in crate::fixes) struct DeviceMap;

impl Fix for DeviceMap {
    fn id(&self) -> &'static str {
        "linux.device-map"
    }

    fn about(&self) -> &'static str {
        "removes GRUB's map of devices, or corrects it where GRUB 0.97 needs it"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        if view.options.no_grub {
            return Ok(vec![Finding::leave("boot loaders are to be left as they are")]);
        }
        let mut findings = Vec::new();
        for path in FILES {
            let Some(bytes) = view.look.bytes(path, 1 << 20) else {
                continue;
            };
            findings.push(of_map(view, path, &bytes).read([Source::file(path.as_bytes())]));
        }
        if findings.is_empty() {
            findings.push(Finding::leave("GRUB has no map of devices"));
        }
        Ok(findings)
    }
}

fn of_map(view: &View<'_>, path: &str, bytes: &[u8]) -> Finding {
    let mut patch = Patch::new(bytes);
    let mut stale = Vec::new();
    for line in lines(bytes).filter(|line| !line.silent()) {
        let words = line.words();
        let [_, device, ..] = words.as_slice() else {
            continue;
        };
        let spec = String::from_utf8_lossy(part(bytes, device)).into_owned();
        if !matches!(naming(&spec), Naming::Order(_) | Naming::Place) {
            continue;
        }
        let disk = Renamer::new(view).view.resolve(spec.as_bytes()).ok();
        let new = disk.and_then(|disk| mapped(&disk.name, view.target.bus));
        if let Some(new) = new.filter(|new| *new != spec) {
            patch.replace(device.clone(), new.clone());
            stale.push(format!("{spec} becomes {new}"));
        } else if disk.is_none() {
            stale.push(format!("{spec} names no device of these disks"));
        }
    }
    let second = view.look.is_file("/boot/grub2/grub.cfg") || view.look.is_file("/boot/grub/grub.cfg");
    match (stale.is_empty(), second) {
        (true, _) => Finding::leave(format!("{path} names disks as they are named on the new machine")),
        (false, true) => {
            let why = format!("{path} maps disks of the old machine, and GRUB 2 finds disks without it");
            let path = path.as_bytes().to_vec();
            Finding::change(why, vec![Edit::Remove { path }])
        }
        (false, false) if patch.changed() => {
            let why = format!("in {path}, {}", stale.join("; "));
            Finding::change(why, vec![Edit::write(path, patch.done())])
        }
        (false, false) => Finding::warn(format!("in {path}, {}", stale.join("; "))),
    }
}
