//! Packages, by the package manager's own database.

use h2k_guest::Source;
use schemars::JsonSchema;
use serde::Serialize;

/// What is installed, of every package manager a system has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Packages {
    /// The databases that were found.
    pub databases: Vec<PackageDatabase>,
    /// Every package in them, without a limit, in the order of the databases.
    pub packages: Vec<InstalledPackage>,
}

/// One database of packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PackageDatabase {
    /// Who keeps it, and in which form: `dpkg`, `rpm (sqlite)`, `apk`, `flatpak` …
    pub kind: String,
    /// The form of its packages: `deb`, `rpm`, `apk`, `pacman`, `ebuild`, `xbps`, `ipk`, `nix`, `snap`, `flatpak`.
    pub format: String,
    /// How many packages were read, in whichever state.
    pub packages: usize,
    /// What is odd in it.
    pub warnings: Vec<String>,
    /// Its file or directory.
    pub source: Source,
}

/// One package. What its manager does not write down is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct InstalledPackage {
    /// Its name; of portage with the category.
    pub name: String,
    /// The epoch of its version.
    pub epoch: Option<u32>,
    /// Its version without epoch and release. Of a snap the revision: the version is inside the snap.
    pub version: String,
    /// The distribution's part of the version.
    pub release: Option<String>,
    /// Architecture, in the manager's word.
    pub arch: Option<String>,
    /// `installed`, `incomplete`, `broken`, `config-files` (removed, its configuration stays), `not-installed`,
    /// `disabled` (a snap).
    pub state: String,
    /// Whether the administrator holds it at this version.
    pub hold: bool,
    /// Whether it is a key that rpm keeps among the packages.
    pub key: bool,
    /// What it was built from.
    pub source_package: Option<String>,
    /// Who distributes it.
    pub vendor: Option<String>,
    /// Who packaged it.
    pub maintainer: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// The longer text, as stored.
    pub description: Option<String>,
    /// Licence, in the manager's words.
    pub license: Option<String>,
    /// Where it comes from.
    pub url: Option<String>,
    /// Section or group.
    pub group: Option<String>,
    /// Bytes its files take.
    pub size: Option<u64>,
    /// When it was installed, in seconds since 1970 UTC.
    pub installed: Option<u64>,
    /// When it was built, in seconds since 1970 UTC.
    pub built: Option<u64>,
    /// The form of the package, as in its database.
    pub format: String,
    /// The file that says so.
    pub source: Source,
}
