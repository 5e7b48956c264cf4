//! When a system was installed, by what was left then.

use crate::os::Installed;
use crate::report::Asking;
use h2k_guest::{Fact, Look, Source};

/// Files that installers write once.
const LEFT: &[(&str, &str)] = &[
    ("/var/log/installer/status", "the Debian installer finished"),
    ("/var/log/installer/syslog", "the installer's log was written"),
    (
        "/var/log/installer/curtin-install.log",
        "Ubuntu's installer finished",
    ),
    ("/var/log/anaconda/anaconda.log", "Anaconda's log was written"),
    ("/var/log/anaconda.log", "Anaconda's log was written"),
    (
        concat!("/root", "/anaconda-ks.cfg"),
        "Anaconda wrote down what it was told",
    ),
    ("/var/log/YaST2/y2logmkinitrd", "YaST's log was written"),
    ("/var/adm/autoinstall/cache/pre-fetch.sh", "AutoYaST ran"),
    (
        "/var/lib/cloud/instance/boot-finished",
        "cloud-init finished for the present instance",
    ),
    ("/etc/ssh/ssh_host_ed25519_key.pub", "the host keys were made"),
    ("/etc/ssh/ssh_host_rsa_key.pub", "the host keys were made"),
    ("/etc/machine-id", "the machine-id was written"),
    ("/lost+found", "the root filesystem was made"),
];

pub(super) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Vec<Installed> {
    let mut found: Vec<Installed> = Vec::new();
    let mut add = |seconds: i64, what: &str, source: Source| {
        // An image that was built has times of 1970, or none.
        if seconds > 0 && !found.iter().any(|i| i.what == what) {
            found.push(Installed {
                seconds: Fact::new(seconds, source),
                what: what.to_owned(),
            });
        }
    };
    // rpm writes down when it installed what comes first in every system.
    for database in asking.databases(files) {
        let first = database
            .packages
            .iter()
            .find(|p| p.name == "basesystem" || p.name == "filesystem");
        let time = first.and_then(|p| Some((p.installed?, p)));
        if let Some((time, package)) = time {
            let what = format!("the package {} was installed", package.name);
            let source = Source::named(format!("{} ({})", package.from, package.name));
            add(i64::try_from(time).unwrap_or(0), &what, source);
        }
    }
    for (path, what) in LEFT {
        if let Some(stat) = files.stat(path) {
            add(stat.modified.seconds, what, Source::file(path.as_bytes()));
        }
    }
    if let Some(stat) = files.stat("/")
        && let Some(created) = stat.created
    {
        add(created.seconds, "the root directory was made", Source::file(b"/"));
    }
    found
}
