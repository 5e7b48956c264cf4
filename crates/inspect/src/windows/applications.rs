//! Applications: the lists behind "Apps & features", packages of the Store, hotfixes, what guards against viruses.

use super::installed::each;
use super::time::seconds;
use super::{SOFTWARE, SYSTEM, hive};
use crate::report::Asking;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Applications {
    /// Applications that are shown by a name, in the order of the registry.
    pub applications: Vec<Application>,
    /// Packages of the Store, for all users.
    pub appx: Vec<Appx>,
    /// Updates of Windows, by name.
    pub hotfixes: Vec<Hotfix>,
    /// The state of Windows Defender, where it is there.
    pub defender: Option<Defender>,
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Application {
    /// The name of its key: a word or a GUID.
    pub name: String,
    /// The name people see.
    pub display_name: String,
    /// Its version.
    pub version: Option<String>,
    /// Who made it.
    pub publisher: Option<String>,
    /// Where it lies: `C:\Program Files\…`.
    pub install_location: Option<String>,
    /// Where it was installed from.
    pub install_source: Option<String>,
    /// When, as written: `20240229`.
    pub install_date: Option<String>,
    /// Its home page.
    pub url: Option<String>,
    /// Where help is.
    pub help_url: Option<String>,
    /// What its makers say of it.
    pub comments: Option<String>,
    /// Its size in KiB, as it says.
    pub estimated_size: Option<u64>,
    /// The command that removes it.
    pub uninstall: Option<String>,
    /// The product code, where Windows Installer installed it.
    pub product_code: Option<String>,
    /// Whether lists leave it out.
    pub hidden: bool,
    /// Which list it is in: `native`, `32-bit` (on a 64-bit Windows), `user`.
    pub view: String,
    /// The user whose own it is.
    pub user: Option<String>,
    /// `antivirus` for what guards against viruses, by name and publisher.
    pub class: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// A package of the Store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Appx {
    /// `Microsoft.WindowsCalculator`.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// `x64`, `neutral` …
    pub architecture: Option<String>,
    /// The hash that stands for its publisher.
    pub publisher_id: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// An update of Windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Hotfix {
    /// `KB5034441`; the package's name where it has no such number.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// `installed`, `permanent`, `partially installed`, `superseded`, `staged`, `installation pending` …
    pub state: String,
    /// When it was installed: seconds since 1970, UTC.
    pub installed: Option<i64>,
    /// Where it was read.
    pub source: Source,
}

/// The state of Windows Defender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Defender {
    /// Whether a setting or a policy turns it off.
    pub disabled: Option<Fact<bool>>,
    /// How its service starts: `automatic`, `disabled` …
    pub service: Option<Fact<String>>,
    /// Where it was seen.
    pub source: Source,
}

/// Words in a name that mean a program against viruses; in lower case.
const ANTIVIRUS: [&str; 19] = [
    "virus",
    "kaspersky",
    "mcafee",
    "norton",
    "sophos",
    "bitdefender",
    "eset ",
    "trend micro",
    "symantec endpoint",
    "avast",
    "crowdstrike",
    "sentinelone",
    "sentinel agent",
    "carbon black",
    "cylance",
    "f-secure",
    "malwarebytes",
    "cortex xdr",
    "webroot",
];

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Applications {
    let mut found = Applications::default();
    each(asking, look, &mut |key, view, profile| {
        let user = profile.map(|p| p.name().to_owned());
        found.applications.extend(application(key, view, user));
    });
    let Some(software) = hive(asking, look, SOFTWARE) else {
        return found;
    };
    const STORE: &str = "Microsoft\\Windows\\CurrentVersion\\Appx\\AppxAllUserStore\\Applications";
    let store = software.key(look, STORE);
    found.appx = store
        .iter()
        .flat_map(RegKey::subkeys)
        .map(|key| appx(&key))
        .collect();
    found.hotfixes = hotfixes(&software, look);
    found.defender = defender(asking, look, &software);
    found
}

fn application(key: &RegKey<'_>, view: &str, user: Option<String>) -> Option<Application> {
    let text = |name: &str| key.words(name).map(|f| f.value);
    let display_name = text("DisplayName")?;
    let name = key.name();
    let publisher = text("Publisher");
    let msi = key.flag("WindowsInstaller").is_some_and(|f| f.value);
    Some(Application {
        class: is_antivirus(&name, &display_name, publisher.as_deref()).then(|| "antivirus".to_owned()),
        product_code: (msi && name.starts_with('{')).then(|| name.clone()),
        version: text("DisplayVersion"),
        install_location: text("InstallLocation"),
        install_source: text("InstallSource"),
        install_date: text("InstallDate"),
        url: text("URLInfoAbout"),
        help_url: text("HelpLink"),
        comments: text("Comments"),
        estimated_size: key.number("EstimatedSize").map(|f| f.value),
        uninstall: text("UninstallString"),
        hidden: key.flag("SystemComponent").is_some_and(|f| f.value) || key.value("ParentKeyName").is_some(),
        view: view.to_owned(),
        user,
        source: key.source(),
        name,
        display_name,
        publisher,
    })
}

fn is_antivirus(key: &str, name: &str, publisher: Option<&str>) -> bool {
    let name = name.to_lowercase();
    let publisher = publisher.unwrap_or_default().to_lowercase();
    key.contains("ApexOneNT")
        || publisher.contains("avg technologies")
        || ANTIVIRUS.iter().any(|word| name.contains(word))
        || ["kaspersky", "mcafee", "sophos", "bitdefender", "crowdstrike"]
            .iter()
            .any(|word| publisher.contains(word))
}

/// `Name_1.2.3.4_x64__publisher`, the full name of a package.
fn appx(key: &RegKey<'_>) -> Appx {
    let full = key.name();
    let mut parts = full
        .split('_')
        .map(|part| (!part.is_empty()).then(|| part.to_owned()));
    let name = parts.next().flatten().unwrap_or_default();
    let (version, architecture) = (parts.next().flatten(), parts.next().flatten());
    Appx {
        name,
        version,
        architecture,
        publisher_id: parts.next_back().flatten(),
        source: key.source(),
    }
}

fn hotfixes(software: &Hold, look: &Look<'_>) -> Vec<Hotfix> {
    const PACKAGES: &str = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\Packages";
    let mut all: Vec<Hotfix> = Vec::new();
    let packages = software.key(look, PACKAGES);
    for key in packages.iter().flat_map(RegKey::subkeys) {
        let name = key.name();
        let Some(rest) = name.strip_prefix("Package_for_") else {
            continue;
        };
        // `Package_for_KB4474419~31bf3856ad364e35~amd64~~6.1.3.2`; `Package_1_for_KB…` are its parts.
        let number = |name: &str| key.number(name).map(|f| f.value);
        let state = number("CurrentState");
        let low_high = number("InstallTimeLow").zip(number("InstallTimeHigh"));
        all.push(Hotfix {
            name: rest.split('~').next().unwrap_or(rest).to_owned(),
            version: rest
                .rsplit('~')
                .next()
                .filter(|v| v.contains('.'))
                .map(str::to_owned),
            state: state.map_or("unknown", state_word).to_owned(),
            installed: low_high.and_then(|(low, high)| seconds((high << 32) | (low & 0xffff_ffff))),
            source: key.source(),
        });
    }
    // Windows up to 5.2.
    let old = software.key(look, "Microsoft\\Windows NT\\CurrentVersion\\HotFix");
    for key in old.iter().flat_map(RegKey::subkeys) {
        let installed = key.flag("Installed").is_some_and(|f| f.value);
        all.push(Hotfix {
            name: key.name(),
            version: None,
            state: if installed { "installed" } else { "unknown" }.to_owned(),
            installed: None,
            source: key.source(),
        });
    }
    all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    all
}

/// `CurrentState` of a package (Microsoft, "CBS Servicing States Chart"). What is permanent is installed and cannot be
/// removed.
fn state_word(state: u64) -> &'static str {
    match state {
        0x80 => "permanent",
        0x70 => "installed",
        0x65 => "partially installed",
        0x60 => "installation pending",
        0x50 => "superseded",
        0x40 => "staged",
        0x30 => "staging",
        0x20 => "resolved",
        0x10 => "resolving",
        0x05 => "removal pending",
        0x00 => "absent",
        _ => "unknown",
    }
}

fn defender(asking: &Asking<'_>, look: &Look<'_>, software: &Hold) -> Option<Defender> {
    let key = software.key(look, "Microsoft\\Windows Defender")?;
    let policy = software.key(look, "Policies\\Microsoft\\Windows Defender");
    let switches = policy.iter().chain([&key]).flat_map(|key| {
        ["DisableAntiVirus", "DisableAntiSpyware"]
            .into_iter()
            .filter_map(|name| key.flag(name))
    });
    let switches: Vec<Fact<bool>> = switches.collect();
    let system = hive(asking, look, SYSTEM);
    let service = system
        .as_ref()
        .and_then(|s| s.key(look, "CurrentControlSet\\Services\\WinDefend"));
    let start = service.as_ref().and_then(|service| service.number("Start"));
    Some(Defender {
        // What turns it off decides; else whatever says that it is on.
        disabled: switches
            .iter()
            .find(|s| s.value)
            .or_else(|| switches.first())
            .cloned(),
        service: start.map(|f| f.map(|n| super::services::start_word(n, false).to_owned())),
        source: key.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::state_word;

    #[test]
    fn states_of_packages_have_the_names_of_microsofts_chart() {
        // "CBS Servicing States Chart - Refresher", column "Hex".
        let chart = [
            (0x00, "absent"),
            (0x05, "removal pending"),
            (0x10, "resolving"),
            (0x20, "resolved"),
            (0x30, "staging"),
            (0x40, "staged"),
            (0x50, "superseded"),
            (0x60, "installation pending"),
            (0x65, "partially installed"),
            (0x70, "installed"),
            (0x80, "permanent"),
            (0x71, "unknown"),
        ];
        for (state, word) in chart {
            assert_eq!(state_word(state), word, "{state:#x}");
        }
    }
}
