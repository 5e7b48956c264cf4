//! What a Windows system's registry and files tell, a module for each topic.

mod agents;
mod applications;
mod bcd;
mod drives;
mod firewall;
mod installed;
mod ipv6;
mod locale;
mod membership;
mod network;
mod os;
mod osinfo;
mod policy;
mod profiles;
mod sam;
mod schedule;
mod services;
mod storage;
mod time;
mod updates;
mod users;

pub use agents::{WindowsAgent, WindowsAgents};
pub use applications::{Application, Applications, Appx, Defender, Hotfix};
pub use bcd::{BootConfiguration, BootDevice, BootEntry, BootStore};
pub use drives::{Drive, Drives, VolumePoint};
pub use locale::{WindowsEnvironment, WindowsLocale, WindowsVariable};
pub use policy::WindowsSecurity;
pub use services::{DeviceDriver, DriverPackage, Drivers, Service, Services};
pub use storage::{SpecialDevice, WindowsStorage};
pub use updates::Updates;
pub use users::{Account, AccountGroup, Accounts, AutomaticLogon, UserProfile};

pub(crate) use applications::look as applications;
pub(crate) use drives::look as drives;
pub(crate) use firewall::look as firewall;
pub(crate) use network::look as network;
pub(crate) use os::look as os;
pub(crate) use schedule::look as schedule;
pub(crate) use services::{drivers, services};
pub(crate) use storage::special;
pub(crate) use updates::look as updates;

use crate::report::{Asking, Section};
use crate::topic::Topic;
use h2k_guest::Look;
use h2k_guest::registry::Hold;
use schemars::JsonSchema;
use serde::Serialize;

/// Topics whose answer has another form for Windows than for other systems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsFacts {
    /// Accounts, groups, profiles (topic `users`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Section<Accounts>>,
    /// What the boot manager is told (topic `boot`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Section<BootConfiguration>>,
    /// What keeps disks from being written to (topic `storage`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Section<WindowsStorage>>,
    /// What administrators restrict (topic `security`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<Section<WindowsSecurity>>,
    /// Time zone, clock, language, keyboard (topic `locale`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<Section<WindowsLocale>>,
    /// Variables of the system (topic `environment`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Section<WindowsEnvironment>>,
    /// Tools of hypervisors (topic `agents`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Section<WindowsAgents>>,
}

/// Asks for the topics of [`WindowsFacts`]; `None` where none of them is wanted.
pub(crate) fn look(asking: &Asking<'_>) -> Option<WindowsFacts> {
    let facts = WindowsFacts {
        users: asking.section(Topic::Users, true, users::look),
        boot: asking.section(Topic::Boot, true, bcd::look),
        storage: asking.section(Topic::Storage, true, storage::look),
        security: asking.section(Topic::Security, true, policy::look),
        locale: asking.section(Topic::Locale, true, locale::look),
        environment: asking.section(Topic::Environment, true, locale::environment),
        agents: asking.section(Topic::Agents, true, agents::look),
    };
    (facts != WindowsFacts::default()).then_some(facts)
}

/// The hive of the system's settings.
pub(crate) const SYSTEM: &str = "HKLM\\SYSTEM";
/// The hive of what is installed.
pub(crate) const SOFTWARE: &str = "HKLM\\SOFTWARE";
/// The hive of accounts.
pub(crate) const SAM: &str = "HKLM\\SAM";
/// The hive of the local security authority.
pub(crate) const SECURITY: &str = "HKLM\\SECURITY";

/// The hive of that name, if the guest has it.
pub(crate) fn hive(asking: &Asking<'_>, look: &Look<'_>, name: &str) -> Option<Hold> {
    asking.registry().ask(look, name)
}
