//! The door hostile guests come through: the same function serves the mutation tests and the fuzz target.

use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest};
use h2k_inspect::{Topic, Topics, inspect};

/// What hostile input may cost here.
pub const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 50_000,
    depth: 16,
};

/// Files that are read as text, a topic's files in a row.
const FILES: &[(Topic, &[&str])] = &[
    (
        Topic::Os,
        &[
            "/etc/os-release",
            "/etc/debian_version",
            "/etc/hostname",
            "/etc/machine-id",
            "/etc/machine-info",
            "/etc/rc.conf",
        ],
    ),
    (
        Topic::Os,
        &[
            "/etc/SuSE-release",
            "/etc/lsb-release",
            "/etc/sysconfig/network",
            "/bin/sh",
        ],
    ),
    (Topic::Os, &["/etc/redhat-release", "/etc/HOSTNAME", "/bin/ls"]),
    (
        Topic::Packages,
        &[
            "/var/lib/dpkg/status",
            "/var/db/xbps/pkgdb-0.38.plist",
            "/usr/lib/opkg/status",
            "/var/lib/snapd/state.json",
        ],
    ),
    (
        Topic::Users,
        &["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/login.defs"],
    ),
    (
        Topic::Users,
        &["/etc/sudoers", "/etc/doas.conf", "/etc/polkit-1/rules.d/50.rules"],
    ),
    (
        Topic::Users,
        &[
            "/etc/ssh/sshd_config",
            "/etc/ssh/ssh_host_rsa_key.pub",
            "/etc/ssh/authorized_keys.d/me",
        ],
    ),
    (Topic::Environment, &["/etc/environment", "/etc/profile"]),
    (
        Topic::Cloud,
        &[
            "/etc/cloud/cloud.cfg",
            "/var/lib/cloud/data/status.json",
            "/var/lib/cloud/data/result.json",
        ],
    ),
    (
        Topic::Agents,
        &["/var/lib/VBoxGuestAdditions/config", "/lib/apk/db/installed"],
    ),
    (
        Topic::Containers,
        &[
            "/var/lib/docker/containers/a/config.v2.json",
            "/var/lib/docker/image/overlay2/repositories.json",
            "/var/lib/containers/storage/overlay-images/images.json",
            "/etc/docker/daemon.json",
        ],
    ),
];

/// How many kinds of files there are.
pub const KINDS: usize = FILES.len();

/// Asks a guest whose files of one kind are all `bytes`. Complaints are the expected answer.
pub fn knock(kind: usize, bytes: &[u8]) {
    let Some((topic, paths)) = FILES.get(kind % KINDS) else {
        return;
    };
    let mut fs = MemFs::new();
    fs.dir("/bin").unwrap();
    fs.file("/etc/fstab", "").unwrap();
    if !paths.contains(&"/etc/passwd") {
        fs.file("/etc/passwd", "me:x:1000:1000:Me:/home/me:/bin/sh\n")
            .unwrap();
    }
    for path in *paths {
        fs.file(path, bytes).unwrap();
    }
    let guest = Guest::of(vec![Device::with_fs("/dev/sda1", fs)], &LIMITS);
    let found = inspect(&guest, &Topics::only(&[*topic]), &LIMITS);
    assert_eq!(found.systems.len(), 1);
}
