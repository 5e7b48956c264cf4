//! Unified kernel images: what their kernel is told is part of a program that firmware may want signed.

use super::{Renamed, Renamer, Use, mapped};
use crate::finding::Finding;
use crate::fixes::Fix;
use crate::view::View;
use h2k_block::Result;
use h2k_boot::Entry;
use h2k_boot::naming::{Naming, of as naming};

/// Tells of unified kernel images that name disks of the old machine.
pub(in crate::fixes) struct Uki;

impl Fix for Uki {
    fn id(&self) -> &'static str {
        "linux.uki"
    }

    fn about(&self) -> &'static str {
        "tells of unified kernel images whose built-in command line names disks of the old machine"
    }

    fn look(&self, view: &View<'_>) -> Result<Vec<Finding>> {
        // A unified image is its own entry.
        let unified = |entry: &&Entry| entry.kernel_path.as_deref() == Some(entry.source.as_str());
        let mut findings = Vec::new();
        for entry in view.boot.entries.iter().filter(unified) {
            findings.extend(of_image(view, entry));
        }
        if findings.is_empty() {
            findings.push(Finding::leave("there is no unified kernel image"));
        }
        Ok(findings)
    }
}

fn of_image(view: &View<'_>, entry: &Entry) -> Vec<Finding> {
    let image = entry.source.as_str();
    let words = entry
        .command_line
        .as_deref()
        .unwrap_or_default()
        .split_whitespace();
    let mut findings = Vec::new();
    for word in words {
        let Some((key, spec)) = word.split_once('=') else {
            continue;
        };
        let key_counts = matches!(key, "root" | "real_root" | "resume" | "crypt_root");
        let hangs = matches!(naming(spec), Naming::Order(_) | Naming::Place);
        if !key_counts || !hangs || !spec.starts_with("/dev/") {
            continue;
        }
        let stays = view
            .resolve(spec.as_bytes())
            .ok()
            .and_then(|device| mapped(&device.name, view.target.bus));
        if stays.as_deref() == Some(spec) {
            continue;
        }
        let instead = match Renamer::new(view).rename(spec.as_bytes(), Use::Content) {
            Renamed::To(name) | Renamed::Weak(name) => format!("{key}={name}"),
            _ => format!("a UUID after {key}="),
        };
        let why = format!(
            "{image} has {word} built in, a name that the new machine does not have, and the image cannot be changed \
             without being built and signed anew"
        );
        let advice = format!(
            "while the guest still runs, put {instead} into /etc/kernel/cmdline and build the image anew (kernel-install, \
             mkinitcpio -P or dracut --uefi); or choose with --bus a controller on which disks keep their names"
        );
        // Where it hangs on another image, or on waking up, the guest starts all the same.
        let finding = match entry.default && key != "resume" {
            true => Finding::blocked(why),
            false => Finding::warn(why),
        };
        findings.push(finding.advise(advice).read([entry.source.clone()]));
    }
    if findings.is_empty() {
        let why = format!("what is built into {image} holds on the new machine");
        findings.push(Finding::leave(why).read([entry.source.clone()]));
    }
    findings
}
