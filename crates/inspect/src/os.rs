//! What the system is: product, version, architecture, names, identifiers.

use h2k_guest::Fact;
use schemars::JsonSchema;
use serde::Serialize;

/// What a system is. What does not apply, or is not known, is `null`; nothing is guessed without saying so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Os {
    /// What it calls itself: `Debian GNU/Linux 12 (bookworm)`, `Windows 11 Pro`.
    pub product_name: Option<Fact<String>>,
    /// The distribution in libguestfs' word: `debian`, `rhel`, `archlinux`, `windows`. One that libguestfs has no word
    /// for has its own identifier.
    pub distro: Option<Fact<String>>,
    /// The identifier as the system has it: `ID` of os-release.
    pub id: Option<Fact<String>>,
    /// What it is made from, nearest first: `ID_LIKE` of os-release.
    pub like: Option<Fact<Vec<String>>>,
    /// The version as written: `VERSION_ID` of os-release, `10.0`.
    pub version: Option<Fact<String>>,
    /// The first number of the version. A rolling distribution has none.
    pub major_version: Option<Fact<u32>>,
    /// The second number of the version; 0 where the version has one number only.
    pub minor_version: Option<Fact<u32>>,
    /// What the distribution's own release file says, where it says more than os-release: `12.5` of Debian.
    pub release: Option<Fact<String>>,
    /// The name of the version: `bookworm`.
    pub codename: Option<Fact<String>>,
    /// The build: `BUILD_ID` of os-release, `22631.3007` of Windows.
    pub build: Option<Fact<String>>,
    /// The variant of the product: `VARIANT_ID` of os-release; `Client`, `Server` of Windows.
    pub variant: Option<Fact<String>>,
    /// The edition of Windows: `Professional`.
    pub edition: Option<Fact<String>>,
    /// The processor its programs are made for, in libguestfs' word: `x86_64`, `aarch64`, `i386`.
    pub architecture: Option<Fact<String>>,
    /// Its name in the network.
    pub hostname: Option<Fact<String>>,
    /// Every place that names it, the one that counts first.
    pub hostnames: Vec<Fact<String>>,
    /// The domain it is a member of (Windows), or that its name ends with.
    pub domain: Option<Fact<String>>,
    /// The workgroup of a Windows that is a member of no domain.
    pub workgroup: Option<Fact<String>>,
    /// Its machine-id, 32 hexadecimal digits; `MachineGuid` of Windows.
    pub machine_id: Option<Fact<String>>,
    /// What machine-info says of the machine.
    pub machine: Option<Machine>,
    /// The short identifier of osinfo-db: `debian12`, `rhel9.2`, `win2k22`. Concluded from distribution and version.
    pub osinfo: Option<Fact<String>>,
    /// The form of its packages: `deb`, `rpm`, `apk`, `pacman`, `ebuild`, `xbps`, `pkg` …
    pub package_format: Option<Fact<String>>,
    /// What installs them: `apt`, `dnf`, `yum`, `zypper` …
    pub package_management: Option<Fact<String>>,
    /// When it was installed. Windows writes it down; of other systems each entry is a sign, and says of what.
    pub installed: Vec<Installed>,
    /// Where Windows lies: `/Windows`.
    pub system_root: Option<Fact<String>>,
    /// The set of the registry's SYSTEM hive that counts: `ControlSet001`.
    pub control_set: Option<Fact<String>>,
    /// To whom Windows is registered.
    pub registered_owner: Option<Fact<String>>,
    /// For which organization.
    pub registered_organization: Option<Fact<String>>,
    /// The identifier of Windows' licence, which is not its key.
    pub product_id: Option<Fact<String>>,
}

/// A time at which the system may have been installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Installed {
    /// Seconds since 1970 UTC.
    pub seconds: Fact<i64>,
    /// What happened then: `recorded by the system`, `the installer's log was written`, `the filesystem was made` …
    pub what: String,
}

/// What the administrator wrote down of a machine (machine-info(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    /// A name for people.
    pub pretty_hostname: Option<Fact<String>>,
    /// The name of an icon.
    pub icon_name: Option<Fact<String>>,
    /// `vm`, `server`, `laptop` …
    pub chassis: Option<Fact<String>>,
    /// `production`, `staging` …
    pub deployment: Option<Fact<String>>,
    /// Where it stands.
    pub location: Option<Fact<String>>,
    /// Who made it.
    pub hardware_vendor: Option<Fact<String>>,
    /// What it is sold as.
    pub hardware_model: Option<Fact<String>>,
}
