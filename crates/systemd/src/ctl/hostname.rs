//! `hostnamectl` offline.

use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What a guest is called. What the hardware or a lease would make of that only a running machine knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostName {
    /// Its name, by `/etc/hostname`.
    pub static_hostname: Option<Fact<String>>,
    /// A name for people, by machine-info(5).
    pub pretty_hostname: Option<Fact<String>>,
    /// Icon, by machine-info(5).
    pub icon_name: Option<Fact<String>>,
    /// `server`, `vm`, `laptop` …, where machine-info(5) says; else systemd looks at the hardware.
    pub chassis: Option<Fact<String>>,
    /// `production`, `staging` …
    pub deployment: Option<Fact<String>>,
    /// Where it stands.
    pub location: Option<Fact<String>>,
    /// The machine's number, 32 hexadecimal digits; absent where it is made at the first boot.
    pub machine_id: Option<Fact<String>>,
    /// Name and version of the system, for people.
    pub operating_system: Option<Fact<String>>,
    /// The system's name in the Common Platform Enumeration.
    pub os_cpe_name: Option<Fact<String>>,
    /// Where to read about the system.
    pub os_home_page: Option<Fact<String>>,
    /// Versions of the kernels that have modules here: one of them would run.
    pub kernels: Vec<Fact<String>>,
}

/// `hostnamectl status` and `show`.
#[must_use]
pub fn host_name(look: &Look<'_>) -> HostName {
    let info = look.text("/etc/machine-info");
    let info = |key: &str| info.as_ref().and_then(|text| text.assigned(key));
    let os = look.first_text(["/etc/os-release", "/usr/lib/os-release"]);
    let os = |key: &str| os.as_ref().and_then(|text| text.assigned(key));
    let first = |path: &str| {
        let text = look.text(path)?;
        let line = text.spoken().next()?;
        Some(line.fact(line.text.to_owned()))
    };
    let id = first("/etc/machine-id");
    let id = id.filter(|id| id.value.len() == 32 && id.value.bytes().all(|b| b.is_ascii_hexdigit()));
    let mut kernels = Vec::new();
    for dir in ["/usr/lib/modules", "/lib/modules"] {
        for name in look.names(dir) {
            let path = h2k_guest::look::join(dir.as_bytes(), &name);
            let version = String::from_utf8_lossy(&name).into_owned();
            let known = kernels.iter().any(|k: &Fact<String>| k.value == version);
            if !known && look.is_dir(&path) {
                kernels.push(Fact::new(version, Source::file(&path)));
            }
        }
    }
    HostName {
        static_hostname: first("/etc/hostname"),
        pretty_hostname: info("PRETTY_HOSTNAME"),
        icon_name: info("ICON_NAME"),
        chassis: info("CHASSIS"),
        deployment: info("DEPLOYMENT"),
        location: info("LOCATION"),
        machine_id: id,
        operating_system: os("PRETTY_NAME"),
        os_cpe_name: os("CPE_NAME"),
        os_home_page: os("HOME_URL"),
        kernels,
    }
}
