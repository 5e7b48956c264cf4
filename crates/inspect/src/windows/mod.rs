//! What a Windows system's registry and files tell, a module for each topic.

mod applications;
mod drives;
mod installed;
mod profiles;
mod services;
mod time;

pub use applications::{Appx, Application, Applications, Defender, Hotfix};
pub use drives::{Drive, Drives, VolumePoint};
pub use services::{DeviceDriver, DriverPackage, Drivers, Service, Services};

pub(crate) use applications::look as applications;
pub(crate) use drives::look as drives;
pub(crate) use services::{drivers, services};

use crate::report::Asking;
use h2k_guest::Look;
use h2k_guest::registry::Hold;

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
