//! A Windows system: drivers that are started with the kernel, and what keeps it from being changed or started.

use super::{DRIVER, Finding, Level, Patient};
use h2k_boot::Bus;
use h2k_guest::registry::{Hold, RegKey, Registry};
use h2k_guest::{Look, Source};
use h2k_volume::PartitionType;

/// The drivers of a bus: any of them serves. With the devices that a driver has to be bound to; none for those that
/// Windows binds by the class of the device, as it comes.
type Served = (Bus, &'static [&'static str], &'static [&'static str]);

const BUSES: [Served; 8] = [
    (
        Bus::VirtioBlk,
        &["viostor"],
        &["VEN_1AF4&DEV_1001", "VEN_1AF4&DEV_1042"],
    ),
    (
        Bus::VirtioScsi,
        &["vioscsi"],
        &["VEN_1AF4&DEV_1004", "VEN_1AF4&DEV_1048"],
    ),
    (Bus::Sata, &["storahci", "msahci", "iaStorV"], &[]),
    (Bus::Nvme, &["stornvme"], &[]),
    (Bus::Ide, &["intelide", "pciide"], &[]),
    (Bus::Pvscsi, &["pvscsi"], &[]),
    (Bus::LsiSas, &["LSI_SAS"], &[]),
    (Bus::Lsi, &["symc8xx", "sym_hi"], &[]),
];

const SET: &str = "CurrentControlSet";

pub(super) fn check(patient: &Patient<'_>, look: &Look<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(boot) = patient.facts.boot.as_ref().map(|s| &s.found) {
        super::loader::firmware(patient, boot, &mut findings);
    }
    let registry = Registry::new(&patient.assembled.tree, look.limits());
    match registry.ask(look, "HKLM\\SYSTEM") {
        Some(system) => {
            for served in &BUSES {
                findings.push(driver(&registry, &system, look, served).on(served.0));
            }
            network(&system, look, &mut findings);
            pending_renames(&system, look, &mut findings);
            sleeping(&system, look, &mut findings);
        }
        None => findings.push(Finding::new(
            DRIVER,
            Level::Unknown,
            "the registry of the system cannot be read",
        )),
    }
    if let Some(software) = registry.ask(look, "HKLM\\SOFTWARE") {
        waiting(&software, look, &mut findings);
    }
    volumes(patient, &mut findings);
    findings
}

/// Whether a bus has a driver that is started with the kernel and knows the device.
fn driver(registry: &Registry<'_>, system: &Hold, look: &Look<'_>, served: &Served) -> Finding {
    let (bus, services, devices) = served;
    let mut why = Vec::new();
    let mut evidence = Vec::new();
    for service in *services {
        let path = format!("{SET}\\Services\\{service}");
        let Some(key) = system.key(look, &path) else {
            continue;
        };
        evidence.push(key.source());
        match idle(registry, look, &key, service) {
            Some((reason, source)) => {
                why.push(reason);
                evidence.push(source);
            }
            None if devices.is_empty() => {
                let said = format!("{service} is started with the kernel");
                return Finding::new(DRIVER, Level::Ok, said).read([key.source()]);
            }
            None => match bound(system, look, service, devices) {
                Some(source) => {
                    let said = format!("{service} is started with the kernel, and bound to the device");
                    return Finding::new(DRIVER, Level::Ok, said).read([key.source(), source]);
                }
                None => why.push(format!("{service} is there, and not bound to the device")),
            },
        }
    }
    if why.is_empty() {
        why.push(format!("there is no driver {}", services.join(" or ")));
        evidence.push(Source::named(format!("HKLM\\SYSTEM\\{SET}\\Services")));
    }
    let finding = Finding::new(DRIVER, Level::Stop, why.join("; ")).read(evidence);
    match bus.is_virtio() {
        true => finding.advise("install the drivers of virtio-win so that they are started with the kernel"),
        false => finding,
    }
}

/// Why a driver does not run when the root is looked for; `None` if it does.
fn idle(
    registry: &Registry<'_>,
    look: &Look<'_>,
    key: &RegKey<'_>,
    service: &str,
) -> Option<(String, Source)> {
    let start = key.number("Start");
    match &start {
        Some(start) if start.value == 0 => {}
        Some(start) => {
            return Some((
                format!(
                    "{service} is there, and not started with the kernel (Start is {})",
                    start.value
                ),
                start.source.clone(),
            ));
        }
        None => {
            return Some((
                format!("{service} is there, and does not say when it is started"),
                key.source(),
            ));
        }
    }
    // Windows itself leaves this where it thinks that a driver is not needed.
    let over = key.subkey("StartOverride").and_then(|k| k.number("0"));
    if let Some(over) = over.filter(|o| o.value != 0) {
        return Some((
            format!("{service} is there, and StartOverride keeps it from being started"),
            over.source,
        ));
    }
    let image = key
        .text("ImagePath")
        .map_or_else(|| format!("System32\\drivers\\{service}.sys"), |f| f.value);
    let image = image.replace('\\', "/");
    let after = |prefix: &str| {
        let head = image.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix)
            .then(|| image.get(prefix.len()..))?
    };
    let below = after("/SystemRoot/")
        .or_else(|| after("%SystemRoot%/"))
        .unwrap_or(&image);
    let path = registry.path(look, below)?;
    // A path of another form (`\??\C:\…`) is not looked up.
    let plain = !below.contains(':') && !below.contains('%');
    (plain && !look.is_file(&path))
        .then(|| (format!("the file of {service} is not there"), Source::file(&path)))
}

/// What binds a driver to one of `devices`: the driver database since Windows 8, the list of critical devices before.
fn bound(system: &Hold, look: &Look<'_>, service: &str, devices: &[&str]) -> Option<Source> {
    if let Some(database) = system.key(look, "DriverDatabase\\DeviceIds\\PCI") {
        return database.subkeys().into_iter().find_map(|id| {
            let name = id.name().to_ascii_uppercase();
            let fits = devices.iter().any(|d| name.starts_with(d)) && !id.values().is_empty();
            fits.then(|| id.source())
        });
    }
    let critical = system.key(look, &format!("{SET}\\Control\\CriticalDeviceDatabase"))?;
    critical.subkeys().into_iter().find_map(|id| {
        let name = id.name().to_ascii_uppercase();
        let fits = devices.iter().any(|d| name.starts_with(&format!("PCI#{d}")));
        let ours = id
            .text("Service")
            .is_some_and(|s| s.value.eq_ignore_ascii_case(service));
        (fits && ours).then(|| id.source())
    })
}

fn network(system: &Hold, look: &Look<'_>, findings: &mut Vec<Finding>) {
    match system.key(look, &format!("{SET}\\Services\\netkvm")) {
        Some(key) => findings.push(
            Finding::new(
                "network",
                Level::Ok,
                "the driver of virtio's network device is there",
            )
            .read([key.source()]),
        ),
        None => findings.push(
            Finding::new(
                "network",
                Level::Warn,
                "there is no driver of virtio's network device",
            )
            .advise("give it an e1000e until virtio-win is installed")
            .read([Source::named(format!("HKLM\\SYSTEM\\{SET}\\Services"))]),
        ),
    }
}

fn pending_renames(system: &Hold, look: &Look<'_>, findings: &mut Vec<Finding>) {
    let manager = system.key(look, &format!("{SET}\\Control\\Session Manager"));
    let renames = manager.and_then(|k| k.texts("PendingFileRenameOperations"));
    if let Some(renames) = renames.filter(|r| !r.value.is_empty()) {
        findings.push(
            Finding::new(
                "pending-reboot",
                Level::Warn,
                "files wait to be replaced at the next start",
            )
            .advise("let it restart once before the move")
            .read([renames.source]),
        );
    }
}

/// Hibernation, and the fast start-up that is a kind of it.
fn sleeping(system: &Hold, look: &Look<'_>, findings: &mut Vec<Finding>) {
    let head = look.head("/hiberfil.sys", 4).unwrap_or_default();
    let asleep = [&b"hibr"[..], b"HIBR"].contains(&head.as_slice());
    let fast = system
        .key(look, &format!("{SET}\\Control\\Session Manager\\Power"))
        .and_then(|k| k.number("HiberbootEnabled"))
        .filter(|f| f.value != 0);
    if asleep {
        let why =
            "it is hibernated, or was shut down for a fast start-up: it would go on with the devices it had";
        let mut finding = Finding::new("hibernation", Level::Stop, why)
            .advise("start it once on the old machine, and shut it down with: shutdown /s /t 0")
            .read([Source::file(b"/hiberfil.sys")]);
        finding.evidence.extend(fast.map(|f| f.source));
        findings.push(finding);
    }
}

/// Restarts that wait, and policies against new devices.
fn waiting(software: &Hold, look: &Look<'_>, findings: &mut Vec<Finding>) {
    let base = "Microsoft\\Windows\\CurrentVersion";
    for path in [
        "Component Based Servicing\\RebootPending",
        "WindowsUpdate\\Auto Update\\RebootRequired",
    ] {
        if let Some(key) = software.key(look, &format!("{base}\\{path}")) {
            findings.push(
                Finding::new("pending-reboot", Level::Warn, "an update waits for a restart")
                    .advise("let it restart once before the move")
                    .read([key.source()]),
            );
        }
    }
    if let Some(key) = software.key(look, "Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions") {
        let denies = key
            .values()
            .into_iter()
            .find(|v| v.name().starts_with("Deny") && v.number().is_some_and(|n| n != 0));
        if let Some(value) = denies {
            findings.push(
                Finding::new(
                    "policy",
                    Level::Warn,
                    "a policy forbids that devices are installed: drivers may not be",
                )
                .read([value.source()]),
            );
        }
    }
}

/// What lies on volumes that Windows alone reads.
fn volumes(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for device in patient.guest.devices() {
        let source = || Source::named(device.name.clone());
        if device.kind.is_some_and(|k| k.eq_ignore_ascii_case("bitlocker")) {
            let why = format!(
                "{} is encrypted with BitLocker: keys in a TPM stay with the old machine",
                device.name
            );
            findings.push(
                Finding::new("bitlocker", Level::Warn, why)
                    .advise("have the recovery key at hand, or suspend BitLocker before the move")
                    .read([source()]),
            );
        }
        let dynamic = device.partition.as_ref().is_some_and(|p| match &p.kind {
            PartitionType::Byte(byte) => *byte == 0x42,
            PartitionType::Guid(guid) => {
                let guid = guid.to_ascii_lowercase();
                guid.starts_with("5808c8aa-") || guid.starts_with("af9b60a0-")
            }
            PartitionType::Name(_) => false,
        });
        if dynamic {
            let why = format!("{} belongs to a dynamic disk", device.name);
            findings.push(Finding::new("dynamic-disk", Level::Warn, why).read([source()]));
        }
    }
    for mount in patient.assembled.tree.mounts() {
        for warning in mount.fs.facts().warnings {
            findings.push(
                Finding::new("filesystem", Level::Warn, warning).read([Source::named(mount.source.clone())]),
            );
        }
    }
}
