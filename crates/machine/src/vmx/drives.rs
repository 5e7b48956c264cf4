//! `scsi0:1.fileName` and its kin.

use super::dictionary::Dictionary;
use super::list;
use crate::number::said;
use crate::{Controller, Drive, DriveKind, File, Note, Slot, Source};
use h2k_block::Result;

/// Kinds of controllers, the highest number of one, and the highest unit on one.
const KINDS: [(&str, u32, u32); 4] = [("ide", 1, 1), ("scsi", 3, 63), ("sata", 3, 29), ("nvme", 3, 63)];

pub(super) fn read(keys: &Dictionary, notes: &mut Vec<Note>) -> Result<Vec<Drive>> {
    let mut drives = Vec::new();
    for (kind, controllers, units) in KINDS {
        for controller in 0..=controllers {
            if !present(keys, &format!("{kind}{controller}"), kind == "ide") {
                continue;
            }
            let model = model(keys, kind, controller);
            for unit in 0..=units {
                let prefix = format!("{kind}{controller}:{unit}");
                if !present(keys, &prefix, false) {
                    continue;
                }
                let slot = match model {
                    // Two channels of two drives each are one controller here.
                    Controller::Ide => Slot {
                        controller: 0,
                        unit: controller.saturating_mul(2).saturating_add(unit),
                    },
                    _ => Slot { controller, unit },
                };
                drives.push(drive(keys, &prefix, model, slot, notes));
            }
        }
    }
    for unit in 0..=1 {
        let prefix = format!("floppy{unit}");
        // A floppy drive is there unless it is said not to be; one that nothing is said of is of no interest.
        if keys.get(&format!("{prefix}.filename")).is_some() && present(keys, &prefix, true) {
            let slot = Slot { controller: 0, unit };
            let mut floppy = Drive::new(DriveKind::Floppy, Controller::Floppy, Some(slot));
            floppy.source = source(keys, &prefix, "file");
            drives.push(floppy);
        }
    }
    turns(keys, &mut drives);
    Ok(drives)
}

/// Whether a device is there; `usually` where nothing is said.
fn present(keys: &Dictionary, prefix: &str, usually: bool) -> bool {
    let key = format!("{prefix}.present");
    if keys.get(&key).is_some() {
        keys.yes(&key)
    } else {
        usually
    }
}

fn model(keys: &Dictionary, kind: &str, controller: u32) -> Controller {
    match kind {
        "ide" => Controller::Ide,
        "sata" => Controller::Sata,
        "nvme" => Controller::Nvme,
        _ => {
            let word = keys
                .get(&format!("scsi{controller}.virtualdev"))
                .map(str::to_ascii_lowercase);
            match word.as_deref() {
                Some("pvscsi") => Controller::PvScsi,
                Some("lsisas1068") => Controller::LsiSas,
                Some("lsilogic") => Controller::LsiLogic,
                // What VMware takes where nothing is said.
                Some("buslogic") | None => Controller::BusLogic,
                Some(_) => Controller::Scsi,
            }
        }
    }
}

fn drive(keys: &Dictionary, prefix: &str, model: Controller, slot: Slot, notes: &mut Vec<Note>) -> Drive {
    let mut note = |what: String, why: &str| {
        notes.push(Note {
            what,
            why: why.to_owned(),
        });
    };
    let kind = keys
        .get(&format!("{prefix}.devicetype"))
        .unwrap_or("disk")
        .to_ascii_lowercase();
    let cdrom = kind.contains("cdrom") || kind == "atapi-cdrom";
    let mut drive = Drive::new(
        if cdrom { DriveKind::Cdrom } else { DriveKind::Disk },
        model,
        Some(slot),
    );
    let start = keys.get(&format!("{prefix}.startconnected"));
    let empty = cdrom && start.is_some_and(|word| word.trim().eq_ignore_ascii_case("false"));
    if !empty {
        drive.source = source(keys, prefix, &kind);
    }
    if !cdrom && matches!(drive.source, Source::Elsewhere(_)) {
        note(
            prefix.to_owned(),
            "a physical disk of the source's host: name a copy of it instead",
        );
    }
    let mode = keys
        .get(&format!("{prefix}.mode"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    drive.read_only = !cdrom && mode.contains("readonly");
    if mode.contains("nonpersistent") || mode.contains("undoable") {
        note(
            format!("{prefix}.mode"),
            "the source forgets what was written to this disk when it is switched off; the target keeps it",
        );
    }
    if keys.get(&format!("{prefix}.redo")).and_then(said).is_some() {
        note(
            format!("{prefix}.redo"),
            "a redo log of this disk exists: what it holds is not part of the disk",
        );
    }
    if keys.yes(&format!("{prefix}.sharedbus"))
        || keys
            .get(&format!("{prefix}.sharing"))
            .is_some_and(|s| s == "multi-writer")
    {
        note(
            format!("{prefix}.sharing"),
            "other machines may write to this disk",
        );
    }
    drive
}

fn source(keys: &Dictionary, prefix: &str, kind: &str) -> Source {
    let name = keys.get(&format!("{prefix}.filename")).and_then(said);
    let physical = matches!(
        kind,
        "cdrom-raw" | "atapi-cdrom" | "rawdisk" | "scsi-passthru" | "device"
    ) || keys
        .get(&format!("{prefix}.filetype"))
        .is_some_and(|t| t.eq_ignore_ascii_case("device"));
    match name {
        None => Source::Empty,
        Some(name) if kind.contains("cdrom") || kind.starts_with("atapi") => match physical {
            true => Source::Empty,
            false => Source::File(File {
                name,
                format: Some("raw".to_owned()),
                ..File::default()
            }),
        },
        // A raw disk's file is a descriptor that names the device: it goes through the gate like others.
        Some(name) if physical && kind != "rawdisk" => Source::Elsewhere(format!("device {name}")),
        Some(name) if name.eq_ignore_ascii_case("emptybackingstring") => Source::Empty,
        Some(name) => Source::File(File {
            format: name
                .to_ascii_lowercase()
                .ends_with(".vmdk")
                .then(|| "vmdk".to_owned()),
            name,
            ..File::default()
        }),
    }
}

/// Turns in the boot order: `bios.bootOrder` names kinds, `bios.hddOrder` disks.
fn turns(keys: &Dictionary, drives: &mut [Drive]) {
    let mut next = 1;
    let mut give = |drive: &mut Drive| {
        if drive.boot.is_none() {
            drive.boot = Some(next);
            next = next.saturating_add(1_u32);
        }
    };
    for kind in list(keys.get("bios.bootorder").unwrap_or_default()) {
        match kind.to_ascii_lowercase().as_str() {
            "hdd" => {
                for name in list(keys.get("bios.hddorder").unwrap_or_default()) {
                    let named =
                        |d: &&mut Drive| d.kind == DriveKind::Disk && place(d).as_deref() == Some(name);
                    if let Some(drive) = drives.iter_mut().find(named) {
                        give(drive);
                    }
                }
                if let Some(drive) = drives.iter_mut().find(|d| d.kind == DriveKind::Disk) {
                    give(drive);
                }
            }
            "cdrom" => {
                if let Some(drive) = drives.iter_mut().find(|d| d.kind == DriveKind::Cdrom) {
                    give(drive);
                }
            }
            _ => {}
        }
    }
}

/// A drive's place as VMware writes it: `scsi0:1`.
fn place(drive: &Drive) -> Option<String> {
    let slot = drive.slot?;
    Some(match drive.controller {
        Controller::Ide => format!("ide{}:{}", slot.unit >> 1, slot.unit & 1),
        Controller::Sata => format!("sata{}:{}", slot.controller, slot.unit),
        Controller::Nvme => format!("nvme{}:{}", slot.controller, slot.unit),
        _ => format!("scsi{}:{}", slot.controller, slot.unit),
    })
}
