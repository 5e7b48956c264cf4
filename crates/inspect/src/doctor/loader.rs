//! Whether firmware finds a boot loader, and the boot loader a kernel.

use super::{Finding, Level, Patient};
use h2k_boot::{Boot, Firmware, LoaderKind};

/// Whether firmware finds something to start.
pub(super) fn firmware(patient: &Patient<'_>, boot: &Boot, findings: &mut Vec<Finding>) {
    match boot.firmware.as_ref().map(|f| f.value) {
        Some(Firmware::Uefi) => uefi(boot, findings),
        Some(Firmware::Bios) => bios(boot, findings),
        _ if !patient.scanned() => {
            findings.push(Finding::new("firmware", Level::Unknown, "the disks themselves cannot be looked at"));
        }
        _ => findings.push(
            Finding::new(
                "firmware",
                Level::Stop,
                "no disk has boot code in its first sector, and there is no EFI system partition: nothing starts a \
                 boot loader",
            )
            .advise("a disk may be missing: name all disks of the guest"),
        ),
    }
}

pub(super) fn check(patient: &Patient<'_>, boot: &Boot, findings: &mut Vec<Finding>) {
    firmware(patient, boot, findings);
    if boot.loaders.is_empty() {
        findings.push(Finding::new(
            "boot-loader",
            Level::Unknown,
            "no configuration of a known boot loader is there",
        ));
        return;
    }
    let Some(entry) = boot.default_entry() else {
        findings.push(
            Finding::new(
                "boot-loader",
                Level::Stop,
                "the boot loader has no entry to start",
            )
            .read(
                boot.loaders
                    .iter()
                    .map(|l| h2k_guest::Source::named(l.config.clone())),
            ),
        );
        return;
    };
    let title = &entry.title;
    match (&entry.kernel, &entry.kernel_path) {
        (Some(_), Some(path)) => {
            let why = format!("{} starts {title}: {path}", entry.loader.word());
            findings.push(Finding::new("boot-loader", Level::Ok, why).read([entry.source.clone()]));
        }
        (Some(name), None) => {
            let why = format!("{title} starts the kernel {name}, which is not there");
            findings.push(Finding::new("boot-loader", Level::Stop, why).read([entry.source.clone()]));
        }
        (None, _) => {
            let why = format!("{title}, which is started by itself, starts no kernel of Linux");
            findings.push(Finding::new("boot-loader", Level::Warn, why).read([entry.source.clone()]));
        }
    }
    if entry.initramfs_paths.is_empty() && !entry.initramfs.is_empty() {
        let why = format!("the initramfs {} is not there", entry.initramfs.join(" "));
        findings.push(Finding::new("boot-loader", Level::Stop, why).read([entry.source.clone()]));
    }
    let exhausted = entry.loader == LoaderKind::Lilo;
    if exhausted {
        findings.push(
            Finding::new(
                "boot-loader",
                Level::Warn,
                "LILO finds its files by where they lie on the disk: a copy must not move them",
            )
            .read([entry.source.clone()]),
        );
    }
    consoles(entry, findings);
}

fn uefi(boot: &Boot, findings: &mut Vec<Finding>) {
    let evidence = boot.firmware.iter().map(|f| f.source.clone());
    let Some(esp) = &boot.esp else {
        findings.push(
            Finding::new(
                "firmware",
                Level::Unknown,
                "the EFI system partition could not be read",
            )
            .read(evidence),
        );
        return;
    };
    match &esp.fallback {
        Some(path) => findings.push(
            Finding::new("firmware", Level::Ok, format!("UEFI starts {path} when it knows nothing of the guest"))
                .read(evidence),
        ),
        None => findings.push(
            Finding::new(
                "firmware",
                Level::Stop,
                format!("there is no EFI/BOOT/BOOT….EFI on {}: without the variables of its old firmware, nothing is started", esp.device),
            )
            .advise(match &esp.windows {
                Some(manager) => format!("copy {manager} of the guest to EFI/BOOT/BOOTX64.EFI"),
                None => "copy shim (or GRUB) of the guest to EFI/BOOT/BOOTX64.EFI".to_owned(),
            })
            .read(evidence),
        ),
    }
}

fn bios(boot: &Boot, findings: &mut Vec<Finding>) {
    let evidence: Vec<_> = boot.firmware.iter().map(|f| f.source.clone()).collect();
    match boot.boot_code.first() {
        Some(code) => {
            let whose = code.loader.map_or("a boot loader", LoaderKind::word);
            let why = format!("BIOS starts {whose} from {}", code.device);
            findings.push(Finding::new("firmware", Level::Ok, why).read(evidence));
        }
        None => findings.push(
            Finding::new(
                "firmware",
                Level::Stop,
                "no disk has boot code in its first sector",
            )
            .read(evidence),
        ),
    }
}

/// Consoles that only Xen has.
fn consoles(entry: &h2k_boot::Entry, findings: &mut Vec<Finding>) {
    let words = entry
        .command_line
        .as_deref()
        .unwrap_or_default()
        .split_whitespace();
    let xen = words.filter(|w| {
        ["console=xvc", "console=hvc", "earlyprintk=xen", "xencons="]
            .iter()
            .any(|x| w.starts_with(x))
    });
    let xen: Vec<&str> = xen.collect();
    if !xen.is_empty() {
        let why = format!("{} is a console that Xen has: messages go nowhere", xen.join(" "));
        findings.push(
            Finding::new("console", Level::Warn, why)
                .advise("console=tty0 console=ttyS0,115200")
                .read([entry.source.clone()]),
        );
    }
}
