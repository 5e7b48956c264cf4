//! What restrains programs and users.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What restrains programs and users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Security {
    /// SELinux, where it is configured.
    pub selinux: Option<Selinux>,
    /// AppArmor, where it is installed.
    pub apparmor: Option<AppArmor>,
    /// Whether only what FIPS 140 allows is used.
    pub fips: Option<Fact<bool>>,
    /// What the kernel is told about any of these: `security=apparmor`, `enforcing=0`.
    pub kernel_switches: Vec<Fact<String>>,
    /// Policies that administrators set from afar, of Windows: `machine`, `user`.
    pub group_policies: Vec<Fact<String>>,
}

/// SELinux.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Selinux {
    /// What the configuration says: `enforcing`, `permissive`, `disabled`.
    pub configured: Option<Fact<String>>,
    /// What comes of it with the kernel's command line, as far as that is known, and whether the policy is there.
    pub effective: Option<Fact<String>>,
    /// Which policy: `targeted`.
    pub policy: Option<Fact<String>>,
    /// The policies that are there, each as the file the kernel loads.
    pub policy_files: Vec<Source>,
    /// Whether every file is given its label anew at the next start.
    pub autorelabel: Option<Fact<bool>>,
}

/// AppArmor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AppArmor {
    /// Whether the system loads its profiles at start.
    pub enabled: Option<Fact<bool>>,
    /// Its profiles.
    pub profiles: Vec<Profile>,
}

/// A profile of AppArmor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Profile {
    /// Its name, or the program it is for.
    pub name: String,
    /// `enforce`, `complain`, `kill`, `unconfined`, `prompt`; `disable` when it is not loaded.
    pub mode: String,
    /// Where it was read.
    pub source: Source,
}
