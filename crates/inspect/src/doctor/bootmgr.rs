//! Whether the boot manager of Windows is there, has its store, and the store a system that is there too.

use super::{Finding, Level, Patient};
use crate::windows::{BootEntry, BootStore};
use h2k_boot::{Boot, Firmware};
use h2k_guest::{Look, Source};

const CHECK: &str = "boot-loader";

pub(super) fn check(patient: &Patient<'_>, boot: &Boot, look: &Look<'_>, findings: &mut Vec<Finding>) {
    // Without disks nothing is known of other partitions.
    if !patient.scanned() {
        return;
    }
    if boot.loaders.is_empty() {
        findings.push(
            Finding::new(CHECK, Level::Stop, "no boot manager of Windows is on these disks")
                .advise("a disk may be missing: name all disks of the guest"),
        );
        return;
    }
    let programs: Vec<Source> = boot
        .loaders
        .iter()
        .flat_map(|loader| loader.files.iter().cloned().map(Source::named))
        .collect();
    let firmware = boot.firmware.as_ref().map(|f| match f.value {
        Firmware::Uefi => "uefi",
        _ => "bios",
    });
    let windows = patient.facts.windows.as_ref();
    let stores = windows
        .and_then(|w| w.boot.as_ref())
        .map(|s| s.found.stores.as_slice());
    let mut stores = stores
        .unwrap_or_default()
        .iter()
        .filter(|store| firmware.is_none_or(|f| store.firmware == f))
        .peekable();
    if stores.peek().is_none() {
        let configs: Vec<&str> = boot.loaders.iter().map(|l| l.config.as_str()).collect();
        let why = format!(
            "the boot manager has no store: {} cannot be read",
            configs.join(" or ")
        );
        findings.push(Finding::new(CHECK, Level::Stop, why).read(programs));
        return;
    }
    for store in stores {
        findings.push(one(patient, look, store));
    }
}

/// What a store starts by itself.
fn one(patient: &Patient<'_>, look: &Look<'_>, store: &BootStore) -> Finding {
    let file = Source::named(format!("{}:{}", store.device, store.file));
    let finding = |level, why: String| Finding::new(CHECK, level, why);
    let Some(entry) = default(store) else {
        return finding(
            Level::Warn,
            "the store names no entry that starts by itself".to_owned(),
        )
        .read([file]);
    };
    let title = entry.description.as_deref().unwrap_or(&entry.id);
    let evidence = [file, entry.source.clone()];
    let device = entry.os_device.as_ref().or(entry.device.as_ref());
    let here = device.and_then(|d| d.device.as_deref());
    // A path of ARC names a partition by its number on a disk of the BIOS: that is not followed.
    let by_identity = device.is_some_and(|d| d.kind == "partition") && store.file != "/boot.ini";
    if by_identity && here.is_none() {
        let why = format!("{title}, which starts by itself, is on a partition that is not on these disks");
        return finding(Level::Stop, why)
            .advise("a disk may be missing, or have got another signature: name all disks of the guest")
            .read(evidence);
    }
    if let Some(other) = here.filter(|here| *here != patient.system.device) {
        let why = format!(
            "{title}, which starts by itself, is on {other}: this system is started only when chosen"
        );
        return finding(Level::Warn, why).read(evidence);
    }
    let program = entry.path.as_deref().filter(|_| here.is_some());
    if let Some(program) = program.filter(|p| !look.is_file(p.replace('\\', "/"))) {
        let why = format!("{title}, which starts by itself, has the loader {program}, which is not there");
        return finding(Level::Stop, why).read(evidence);
    }
    if let Some(switch) = entry.switches.iter().find(|s| *s == "testsigning") {
        let why = format!("{title} is started with {switch}: Secure Boot has to be off");
        return finding(Level::Warn, why).read(evidence);
    }
    finding(Level::Ok, format!("{} starts {title}", store.file)).read(evidence)
}

/// The entry that is started when nobody chooses; without one, the first that is shown.
fn default(store: &BootStore) -> Option<&BootEntry> {
    let named = |id: &String| store.entries.iter().find(|e| e.id.eq_ignore_ascii_case(id));
    match &store.default_entry {
        Some(id) => named(id),
        None => store.display_order.iter().find_map(named),
    }
}
