//! What a Windows system's registry and files tell, a module for each topic.

mod applications;
mod drives;
mod installed;
mod os;
mod osinfo;
mod profiles;
mod sam;
mod services;
mod time;
mod users;

pub use applications::{Application, Applications, Appx, Defender, Hotfix};
pub use drives::{Drive, Drives, VolumePoint};
pub use services::{DeviceDriver, DriverPackage, Drivers, Service, Services};
pub use users::{Account, AccountGroup, Accounts, AutomaticLogon, UserProfile};

pub(crate) use applications::look as applications;
pub(crate) use drives::look as drives;
pub(crate) use os::look as os;
pub(crate) use services::{drivers, services};

use crate::report::{Asking, Section};
use crate::topic::Topic;
use h2k_guest::Look;
use h2k_guest::registry::Hold;
use schemars::JsonSchema;
use serde::Serialize;

/// Topics whose answer has another form for Windows than for other systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct WindowsFacts {
    /// Accounts, groups, profiles (topic `users`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Section<Accounts>>,
}

/// Asks for the topics of [`WindowsFacts`]; `None` where none of them is wanted.
pub(crate) fn look(asking: &Asking<'_>) -> Option<WindowsFacts> {
    let facts = WindowsFacts {
        users: asking.section(Topic::Users, true, users::look),
    };
    facts.users.is_some().then_some(facts)
}

/// The hive of the system's settings.
pub(crate) const SYSTEM: &str = "HKLM\\SYSTEM";
/// The hive of what is installed.
pub(crate) const SOFTWARE: &str = "HKLM\\SOFTWARE";
/// The hive of accounts.
pub(crate) const SAM: &str = "HKLM\\SAM";

/// The hive of that name, if the guest has it.
pub(crate) fn hive(asking: &Asking<'_>, look: &Look<'_>, name: &str) -> Option<Hold> {
    asking.registry().ask(look, name)
}
