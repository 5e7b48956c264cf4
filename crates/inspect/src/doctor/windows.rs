//! A Windows system: drivers that are started with the kernel, and know the devices they are for.

use super::{DRIVER, Finding, Level, Patient};
use h2k_boot::Bus;
use h2k_guest::registry::{Hold, RegKey, Registry};
use h2k_guest::{Look, Source};

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
        super::bootmgr::check(patient, boot, look, &mut findings);
    }
    let registry = Registry::new(&patient.assembled.tree, look.limits());
    match registry.ask(look, "HKLM\\SYSTEM") {
        Some(system) => {
            for served in &BUSES {
                findings.push(driver(&registry, &system, look, served).on(served.0));
            }
            network(&registry, &system, look, &mut findings);
        }
        None => findings.push(Finding::new(
            DRIVER,
            Level::Unknown,
            "the registry of the system cannot be read",
        )),
    }
    super::preflight::check(patient, &registry, look, &mut findings);
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
    let file = missing_file(registry, look, key, service)?;
    Some((format!("the file of {service} is not there"), file))
}

/// The file of a driver, where it is looked for and not there.
fn missing_file(registry: &Registry<'_>, look: &Look<'_>, key: &RegKey<'_>, service: &str) -> Option<Source> {
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
    (plain && !look.is_file(&path)).then(|| Source::file(&path))
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

fn network(registry: &Registry<'_>, system: &Hold, look: &Look<'_>, findings: &mut Vec<Finding>) {
    let finding = |level, why: &str| Finding::new("network", level, why);
    let services = || Source::named(format!("HKLM\\SYSTEM\\{SET}\\Services"));
    let slow = |finding: Finding| finding.advise("give it an e1000e until virtio-win is installed");
    let Some(key) = system.key(look, &format!("{SET}\\Services\\netkvm")) else {
        let why = "there is no driver of virtio's network device";
        findings.push(slow(finding(Level::Warn, why)).read([services()]));
        return;
    };
    // Plug and play starts it: any start but "disabled" will do.
    let disabled = key.number("Start").filter(|start| start.value == 4);
    findings.push(match (disabled, missing_file(registry, look, &key, "netkvm")) {
        (Some(start), _) => slow(finding(
            Level::Warn,
            "the driver of virtio's network device is there, and disabled (Start is 4)",
        ))
        .read([start.source]),
        (None, Some(file)) => slow(finding(
            Level::Warn,
            "the file of the driver of virtio's network device is not there",
        ))
        .read([key.source(), file]),
        (None, None) => {
            finding(Level::Ok, "the driver of virtio's network device is there").read([key.source()])
        }
    });
}
