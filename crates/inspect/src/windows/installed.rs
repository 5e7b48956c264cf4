//! Where Windows keeps lists of what is installed, for everybody and for one user.

use super::profiles::{self, Profile};
use super::{SOFTWARE, hive};
use crate::report::Asking;
use h2k_guest::Look;
use h2k_guest::registry::RegKey;

/// Below a hive of SOFTWARE; a user's hive has it below `Software`.
const UNINSTALL: &str = "Microsoft\\Windows\\CurrentVersion\\Uninstall";

/// Shows every key that describes an application, with the view it is in and whose it is.
pub(crate) fn each(
    asking: &Asking<'_>,
    look: &Look<'_>,
    show: &mut dyn FnMut(&RegKey<'_>, &'static str, Option<&Profile>),
) {
    if let Some(software) = hive(asking, look, SOFTWARE) {
        for (prefix, view) in [("", "native"), ("Wow6432Node\\", "32-bit")] {
            let key = software.key(look, &format!("{prefix}{UNINSTALL}"));
            for key in key.iter().flat_map(RegKey::subkeys) {
                show(&key, view, None);
            }
        }
    }
    for profile in profiles::list(asking, look) {
        let Some(user) = profile.hive(asking, look) else {
            continue;
        };
        let key = user.key(look, &format!("Software\\{UNINSTALL}"));
        for key in key.iter().flat_map(RegKey::subkeys) {
            show(&key, "user", Some(&profile));
        }
    }
}
