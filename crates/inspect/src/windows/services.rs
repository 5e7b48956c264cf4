//! Services and drivers: what the service control manager and the loader start.

use super::profiles::Place;
use super::{SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::RegKey;
use h2k_guest::{Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Services, in the order of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Services {
    /// Services.
    pub services: Vec<Service>,
}

/// Drivers, in the order of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Drivers {
    /// Drivers of the kernel and of filesystems.
    pub drivers: Vec<Service>,
    /// Devices whose driver the system can load before anything is installed, by identifier: up to Windows 7.
    pub critical_devices: Vec<DeviceDriver>,
    /// INF files that the system knows, with the devices they are for: since Windows 8.
    pub packages: Vec<DriverPackage>,
}

/// A service or a driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// The name of its key.
    pub name: String,
    /// The name people see. Where that lies in a program's resources, the key's.
    pub display_name: Option<String>,
    /// `kernel driver`, `filesystem driver`, `own process`, `shared process`, `user service` …
    #[serde(rename = "type")]
    pub kind: String,
    /// `boot`, `system`, `automatic`, `automatic (delayed)`, `manual`, `disabled`.
    pub start: String,
    /// The start that counts at boot instead, on this kind of machine (`StartOverride\0`).
    pub start_override: Option<String>,
    /// What is run, as written.
    pub image: Option<String>,
    /// The library that a shared process loads for it.
    pub library: Option<String>,
    /// Whether the file is there; absent where its place is not told or not on the system's drive.
    pub present: Option<bool>,
    /// As whom it runs.
    pub account: Option<String>,
    /// The group that decides when it is loaded.
    pub group: Option<String>,
    /// What has to run before it; groups begin with `+`.
    pub depends_on: Vec<String>,
    /// Whether something else than time starts or stops it.
    pub triggers: u64,
    /// Where it was read.
    pub source: Source,
}

/// A driver for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DeviceDriver {
    /// `pci#ven_1af4&dev_1001`.
    pub device: String,
    /// The driver's name.
    pub service: Option<String>,
    /// The class of device it makes.
    pub class: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// An INF file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DriverPackage {
    /// `oem3.inf`.
    pub inf: String,
    /// Which of its versions counts: `oem3.inf_amd64_…`.
    pub active: Option<String>,
    /// Who provides it.
    pub provider: Option<String>,
    /// The services its configurations install.
    pub services: Vec<String>,
    /// The devices it is for, of buses that disks and networks are on: `PCI\VEN_1AF4&DEV_1001`.
    pub devices: Vec<String>,
    /// Where it was read.
    pub source: Source,
}

/// How something starts.
pub(crate) fn start_word(start: u64, delayed: bool) -> &'static str {
    match (start, delayed) {
        (0, _) => "boot",
        (1, _) => "system",
        (2, false) => "automatic",
        (2, true) => "automatic (delayed)",
        (3, _) => "manual",
        (4, _) => "disabled",
        _ => "unknown",
    }
}

/// `Type` of a service. Bits 0 to 3 are drivers, 4 and 5 services.
fn kind_word(kind: u64) -> &'static str {
    match kind & 0xff & !0x100 {
        0x01 => "kernel driver",
        0x02 => "filesystem driver",
        0x04 => "adapter",
        0x08 => "filesystem recognizer",
        k if k & 0x40 != 0 => "user service",
        k if k & 0x10 != 0 => "own process",
        k if k & 0x20 != 0 => "shared process",
        _ => "unknown",
    }
}

fn each(asking: &Asking<'_>, look: &Look<'_>, drivers: bool) -> Vec<Service> {
    let Some(system) = hive(asking, look, SYSTEM) else {
        return Vec::new();
    };
    let files = Place::of(asking, look);
    let services = system.key(look, "CurrentControlSet\\Services");
    let keys = services.iter().flat_map(RegKey::subkeys);
    keys.filter_map(|key| {
        let kind = key.number("Type")?.value;
        let is_driver = kind & 0x0f != 0;
        (is_driver == drivers).then(|| one(&key, kind, &files, look))
    })
    .collect()
}

fn one(key: &RegKey<'_>, kind: u64, files: &Place, look: &Look<'_>) -> Service {
    let text = |name: &str| key.words(name).map(|f| f.value);
    let name = key.name();
    let start = key.number("Start").map_or(3, |f| f.value);
    let delayed = key.flag("DelayedAutostart").is_some_and(|f| f.value);
    let parameters = key.subkey("Parameters");
    let library = parameters
        .as_ref()
        .and_then(|p| p.words("ServiceDll"))
        .map(|f| f.value);
    let image = text("ImagePath");
    // A driver without a path is where drivers are.
    let by_name = format!("System32\\drivers\\{name}.sys");
    let file = image
        .as_deref()
        .or((kind & 0x0f != 0).then_some(by_name.as_str()));
    let path = file.and_then(|file| files.path(program(file)));
    let instead = key.subkey("StartOverride").and_then(|k| k.number("0"));
    Service {
        display_name: text("DisplayName").and_then(|text| plain(&text)),
        kind: kind_word(kind).to_owned(),
        start: start_word(start, delayed).to_owned(),
        start_override: instead.map(|f| start_word(f.value, false).to_owned()),
        present: path.map(|path| look.is_file(path)),
        account: text("ObjectName"),
        group: text("Group"),
        depends_on: dependencies(key),
        triggers: key
            .subkey("TriggerInfo")
            .map_or(0, |k| u64::try_from(k.subkeys().len()).unwrap_or(0)),
        source: key.source(),
        image,
        library,
        name,
    }
}

fn dependencies(key: &RegKey<'_>) -> Vec<String> {
    let list = |name: &str| key.texts(name).map(|f| f.value).unwrap_or_default();
    let groups = list("DependOnGroup").into_iter().map(|group| format!("+{group}"));
    list("DependOnService").into_iter().chain(groups).collect()
}

/// The program in a command line: what stands in quotes, or up to the end of the first word that is a program.
fn program(command: &str) -> &str {
    let command = command.trim();
    if let Some(quoted) = command.strip_prefix('"') {
        return quoted.split('"').next().unwrap_or(quoted);
    }
    for ending in [".exe", ".sys"] {
        let found = command
            .as_bytes()
            .windows(4)
            .position(|w| w.eq_ignore_ascii_case(ending.as_bytes()));
        if let Some(program) = found.and_then(|at| command.get(..at.saturating_add(4))) {
            return program;
        }
    }
    command
}

/// A name as it is shown: `@file.inf,%name%;What it says` carries its own text, `@file,-100` does not.
fn plain(text: &str) -> Option<String> {
    if !text.starts_with('@') {
        return Some(text.to_owned());
    }
    let said = text.split_once(';').map(|(_, said)| said.trim());
    said.filter(|said| !said.is_empty()).map(str::to_owned)
}

pub(crate) fn services(asking: &Asking<'_>, look: &Look<'_>) -> Services {
    Services {
        services: each(asking, look, false),
    }
}

pub(crate) fn drivers(asking: &Asking<'_>, look: &Look<'_>) -> Drivers {
    let mut found = Drivers {
        drivers: each(asking, look, true),
        ..Drivers::default()
    };
    let Some(system) = hive(asking, look, SYSTEM) else {
        return found;
    };
    let critical = system.key(look, "CurrentControlSet\\Control\\CriticalDeviceDatabase");
    for key in critical.iter().flat_map(RegKey::subkeys) {
        found.critical_devices.push(DeviceDriver {
            device: key.name(),
            service: key.words("Service").map(|f| f.value),
            class: key.words("ClassGUID").map(|f| f.value),
            source: key.source(),
        });
    }
    if let Some(database) = system.key(look, "DriverDatabase") {
        found.packages = packages(&database);
    }
    found
}

/// The devices that each INF file of the driver database is for.
fn packages(database: &RegKey<'_>) -> Vec<DriverPackage> {
    let mut devices: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for bus in ["PCI", "ACPI", "VMBUS", "XEN", "XENBUS", "ROOT"] {
        let ids = database.subkey(&format!("DeviceIds\\{bus}"));
        for id in ids.iter().flat_map(RegKey::subkeys) {
            for value in id.values() {
                let inf = value.name().to_lowercase();
                if std::path::Path::new(&inf).extension().is_some_and(|e| e == "inf") {
                    devices
                        .entry(inf)
                        .or_default()
                        .push(format!("{bus}\\{}", id.name()));
                }
            }
        }
    }
    let files = database.subkey("DriverInfFiles");
    let files = files.iter().flat_map(RegKey::subkeys);
    files
        .filter_map(|key| {
            let inf = key.name();
            let devices = devices.remove(&inf.to_lowercase()).unwrap_or_default();
            // The hundreds of INF files that come with Windows and are for nothing on a bus of devices say little.
            let own = inf.to_lowercase().starts_with("oem");
            if devices.is_empty() && !own {
                return None;
            }
            let active = key.words("Active").map(|f| f.value);
            let package = active
                .as_ref()
                .and_then(|a| database.subkey(&format!("DriverPackages\\{a}")));
            Some(DriverPackage {
                provider: package
                    .as_ref()
                    .and_then(|p| p.words("Provider"))
                    .map(|f| f.value),
                services: package.as_ref().map(configured).unwrap_or_default(),
                devices,
                active,
                source: key.source(),
                inf,
            })
        })
        .collect()
}

fn configured(package: &RegKey<'_>) -> Vec<String> {
    let configurations = package.subkey("Configurations");
    let all = configurations.iter().flat_map(RegKey::subkeys);
    let mut names: Vec<String> = all.filter_map(|c| c.words("Service")).map(|f| f.value).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::{plain, program};

    #[test]
    fn the_program_of_a_command_line_is_found() {
        assert_eq!(
            program("\"C:\\Program Files\\x y.exe\" -k"),
            "C:\\Program Files\\x y.exe"
        );
        assert_eq!(
            program("C:\\Program Files\\x y.EXE -k a.exe"),
            "C:\\Program Files\\x y.EXE"
        );
        assert_eq!(program("system32\\drivers\\a.sys"), "system32\\drivers\\a.sys");
    }

    #[test]
    fn names_that_carry_their_text_give_it() {
        assert_eq!(plain("Spooler").unwrap(), "Spooler");
        assert_eq!(
            plain("@oem3.inf,%viostor%;VirtIO SCSI driver").unwrap(),
            "VirtIO SCSI driver"
        );
        assert_eq!(plain("@%SystemRoot%\\system32\\x.dll,-100"), None);
    }
}
