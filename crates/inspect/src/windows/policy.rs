//! What administrators restrict: group policies, installing devices, asking before changes, remote desktops.

use super::{SOFTWARE, SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::RegKey;
use h2k_guest::{Fact, Look};
use schemars::JsonSchema;
use serde::Serialize;

/// What administrators restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsSecurity {
    /// Group policies that were applied to the machine: what each is called, or its extension's GUID.
    pub group_policies: Vec<Fact<String>>,
    /// Restrictions on installing devices, as `name=value`: they can keep drivers from being installed.
    pub device_installation: Vec<Fact<String>>,
    /// Whether changes are asked about first (UAC).
    pub user_account_control: Option<Fact<bool>>,
    /// Whether desktops may be reached from afar.
    pub remote_desktop: Option<Fact<bool>>,
    /// Whether the machine started with Secure Boot when it ran last.
    pub secure_boot: Option<Fact<bool>>,
    /// Whether PowerShell's scripts have to be signed: `Restricted`, `AllSigned` …
    pub script_policy: Option<Fact<String>>,
}

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> WindowsSecurity {
    let mut found = WindowsSecurity::default();
    if let Some(software) = hive(asking, look, SOFTWARE) {
        let key = |path: &str| software.key(look, path);
        let history = key("Microsoft\\Windows\\CurrentVersion\\Group Policy\\History");
        for extension in history
            .iter()
            .flat_map(RegKey::subkeys)
            .filter(|k| k.name().starts_with('{'))
        {
            let applied = extension.subkeys();
            if applied.is_empty() {
                found
                    .group_policies
                    .push(Fact::new(extension.name(), extension.source()));
            }
            found.group_policies.extend(applied.iter().map(|policy| {
                policy
                    .words("DisplayName")
                    .unwrap_or_else(|| Fact::new(extension.name(), policy.source()))
            }));
        }
        let restrictions = key("Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions");
        for value in restrictions.iter().flat_map(RegKey::values) {
            let said = value
                .number()
                .map(|n| n.to_string())
                .or_else(|| value.text())
                .unwrap_or_default();
            found
                .device_installation
                .push(Fact::new(format!("{}={said}", value.name()), value.source()));
        }
        found.user_account_control =
            key("Microsoft\\Windows\\CurrentVersion\\Policies\\System").and_then(|k| k.flag("EnableLUA"));
        let policy = key("Policies\\Microsoft\\Windows\\PowerShell");
        let own = key("Microsoft\\PowerShell\\1\\ShellIds\\Microsoft.PowerShell");
        found.script_policy = policy.iter().chain(&own).find_map(|k| k.words("ExecutionPolicy"));
    }
    if let Some(system) = hive(asking, look, SYSTEM) {
        let control = |path: &str| system.key(look, &format!("CurrentControlSet\\Control\\{path}"));
        let denied = control("Terminal Server").and_then(|k| k.flag("fDenyTSConnections"));
        found.remote_desktop = denied.map(|f| f.map(|denied| !denied));
        found.secure_boot = control("SecureBoot\\State").and_then(|k| k.flag("UEFISecureBootEnabled"));
    }
    found
}
