//! What systems are.

use crate::common::{asked, rig_guest, section, shared_guest, system, value};
use h2k_inspect::Topic;
use h2k_testkit::oracle;
use serde_json::{Value, json};

/// An ELF header of x86_64.
fn elf() -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(18, 0);
    head.extend([62, 0, 1, 0]);
    head
}

/// `distro major minor format manager osinfo`, absent ones as a hyphen.
fn line(os: &Value) -> String {
    let word = |name: &str| match value(os, name) {
        Value::Null => "-".to_owned(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let names = [
        "distro",
        "major-version",
        "minor-version",
        "package-format",
        "package-management",
        "osinfo",
    ];
    names.map(word).join(" ")
}

/// Paths, and what stands there.
type Files = &'static [(&'static str, &'static str)];

/// Release files as the distributions have them, and what is concluded.
const RELEASES: &[(Files, &str)] = &[
    (
        &[
            (
                "/etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
            ),
            ("/etc/debian_version", "12.5\n"),
        ],
        "debian 12 5 deb apt debian12",
    ),
    (
        &[
            (
                "/etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nNAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=trixie\nID=debian\n",
            ),
            ("/etc/debian_version", "trixie/sid\n"),
        ],
        "debian - - deb apt debiantesting",
    ),
    (
        &[("/etc/debian_version", "5.0.1\n"), ("/etc/fstab", "")],
        "debian 5 0 deb apt debian5",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=\"Ubuntu 22.04.3 LTS\"\nVERSION_CODENAME=jammy\n",
            ),
            ("/etc/debian_version", "bookworm/sid\n"),
        ],
        "ubuntu 22 4 deb apt ubuntu22.04",
    ),
    (
        &[
            (
                "/etc/lsb-release",
                "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.10\nDISTRIB_CODENAME=maverick\nDISTRIB_DESCRIPTION=\"Ubuntu 10.10 (Phony Pharaoh)\"\n",
            ),
            ("/etc/debian_version", "squeeze/sid\n"),
            ("/etc/fstab", ""),
        ],
        "ubuntu 10 10 deb apt ubuntu10.10",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=37\nPRETTY_NAME=\"Fedora Linux 37 (Server Edition)\"\nVARIANT_ID=server\n",
        )],
        "fedora 37 0 rpm dnf fedora37",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=37\nPRETTY_NAME=\"Fedora Linux 37 (Silverblue)\"\nVARIANT_ID=silverblue\n",
        )],
        "fedora 37 0 rpm dnf silverblue37",
    ),
    (
        &[
            ("/etc/redhat-release", "Fedora release 14 (Phony)\n"),
            ("/etc/fstab", ""),
        ],
        "fedora 14 0 rpm yum fedora14",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"9.1\"\nPRETTY_NAME=\"Red Hat Enterprise Linux 9.1 (Plow)\"\n",
        )],
        "rhel 9 1 rpm dnf rhel9.1",
    ),
    (
        &[
            (
                "/etc/redhat-release",
                "Red Hat Enterprise Linux AS release 4 (Nahant Update 8)\n",
            ),
            ("/etc/fstab", ""),
        ],
        "rhel 4 8 rpm up2date rhel4.8",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n",
            ),
            ("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n"),
            ("/etc/redhat-release", "-> centos-release"),
        ],
        "centos 7 9 rpm yum centos7.0",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=\"CentOS Stream\"\nID=\"centos\"\nVERSION_ID=\"9\"\nPRETTY_NAME=\"CentOS Stream 9\"\n",
            ),
            ("/etc/centos-release", "CentOS Stream release 9\n"),
        ],
        "centos 9 0 rpm dnf centos-stream9",
    ),
    (
        &[
            ("/etc/centos-release", "CentOS release 6.6 (Final)\n"),
            ("/etc/redhat-release", "CentOS release 6.6 (Final)\n"),
            ("/etc/fstab", ""),
        ],
        "centos 6 6 rpm yum centos6.6",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.0\"\nPRETTY_NAME=\"Rocky Linux 9.0 (Blue Onyx)\"\n",
            ),
            ("/etc/rocky-release", "Rocky Linux release 9.0 (Blue Onyx)\n"),
        ],
        "rocky 9 0 rpm dnf rocky9.0",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"AlmaLinux\"\nID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\nPRETTY_NAME=\"AlmaLinux 9.3 (Shamrock Pampas Cat)\"\n",
        )],
        "almalinux 9 3 rpm dnf almalinux9",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=\"Oracle Linux Server\"\nID=\"ol\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"8.5\"\nPRETTY_NAME=\"Oracle Linux Server 8.5\"\n",
            ),
            ("/etc/oracle-release", "Oracle Linux Server release 8.5\n"),
        ],
        "oraclelinux 8 5 rpm dnf ol8.5",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"SLES\"\nVERSION=\"15-SP4\"\nVERSION_ID=\"15.4\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP4\"\nID=\"sles\"\nID_LIKE=\"suse\"\n",
        )],
        "sles 15 4 rpm zypper sle15sp4",
    ),
    (
        &[
            (
                "/etc/SuSE-release",
                "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 3\n",
            ),
            ("/etc/fstab", ""),
        ],
        "sles 11 3 rpm zypper sles11sp3",
    ),
    (
        &[
            (
                "/etc/SuSE-release",
                "openSUSE 12.1 (x86_64)\nVERSION = 12.1\nCODENAME = Asparagus\n",
            ),
            ("/etc/fstab", ""),
        ],
        "opensuse 12 1 rpm zypper opensuse12.1",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"openSUSE Leap\"\nID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.4\"\nPRETTY_NAME=\"openSUSE Leap 15.4\"\n",
        )],
        "opensuse 15 4 rpm zypper opensuse15.4",
    ),
    (
        &[
            (
                "/usr/lib/os-release",
                "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.17.2\nPRETTY_NAME=\"Alpine Linux v3.17\"\n",
            ),
            ("/etc/os-release", "-> ../usr/lib/os-release"),
        ],
        "alpinelinux 3 17 apk apk alpinelinux3.17",
    ),
    (
        &[("/etc/alpine-release", "3.10.2\n"), ("/etc/fstab", "")],
        "alpinelinux 3 10 apk apk alpinelinux3.10",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"Arch Linux\"\nPRETTY_NAME=\"Arch Linux\"\nID=arch\nBUILD_ID=rolling\n",
        )],
        "archlinux - - pacman pacman archlinux",
    ),
    (
        &[("/etc/arch-release", ""), ("/etc/fstab", "")],
        "archlinux - - pacman pacman archlinux",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=Gentoo\nID=gentoo\nPRETTY_NAME=\"Gentoo Linux\"\nVERSION_ID=\"2.14\"\n",
        )],
        "gentoo 2 14 ebuild portage gentoo",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"void\"\nID=\"void\"\nPRETTY_NAME=\"Void Linux\"\n",
        )],
        "voidlinux - - xbps xbps voidlinux",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"VMware Photon OS\"\nVERSION=\"4.0\"\nID=photon\nVERSION_ID=4.0\nPRETTY_NAME=\"VMware Photon OS/Linux\"\n",
        )],
        "photon 4 0 rpm tdnf -",
    ),
    (
        &[
            (
                "/etc/photon-release",
                "VMware Photon OS 3.0\nPHOTON_BUILD_NUMBER=26156e2\n",
            ),
            ("/etc/fstab", ""),
        ],
        "photon 3 0 rpm tdnf -",
    ),
    (
        &[
            (
                "/etc/os-release",
                "NAME=NixOS\nID=nixos\nVERSION_ID=\"22.05\"\nPRETTY_NAME=\"NixOS 22.05 (Quokka)\"\n",
            ),
            ("/etc/NIXOS", ""),
        ],
        "nixos 22 5 nix nix nixos-22.05",
    ),
    (
        &[
            ("/etc/system-release", "Amazon Linux AMI release 2018.03\n"),
            ("/etc/fstab", ""),
        ],
        "amzn 2018 3 rpm yum -",
    ),
    (
        &[("/etc/slackware-version", "Slackware 14.2\n"), ("/etc/fstab", "")],
        "slackware 14 2 txz slackpkg slackware14.2",
    ),
    (
        &[(
            "/etc/os-release",
            "NAME=\"Nobody's Linux\"\nID=nobodys\nID_LIKE=\"something ubuntu debian\"\nVERSION_ID=3\n",
        )],
        "nobodys 3 0 deb apt -",
    ),
];

#[test]
fn release_files_name_distribution_version_and_package_manager() {
    for (files, expected) in RELEASES {
        let os = asked(system(files), Topic::Os);
        assert_eq!(line(&os), *expected, "{files:?}");
        assert_eq!(os["unread"], json!([]));
    }
}

#[test]
fn the_bsds_and_small_systems_are_named_with_their_version() {
    let cases: &[(Files, &str, &str)] = &[
        (
            &[
                (
                    "/bin/freebsd-version",
                    "#!/bin/sh\nUSERLAND_VERSION=\"13.1-RELEASE-p3\"\n",
                ),
                ("/etc/master.passwd", ""),
                (
                    "/etc/rc.conf",
                    "hostname=\"fb.example.org\"\nsshd_enable=\"YES\"\n",
                ),
            ],
            "FreeBSD 13.1-RELEASE-p3",
            "freebsd 13 1 pkg pkg freebsd13.1",
        ),
        (
            &[
                ("/netbsd", ""),
                ("/etc/master.passwd", ""),
                ("/etc/release", "NetBSD 9.0/amd64\n\nBuild settings:\n"),
                ("/etc/rc.conf", "hostname=fb.example.org\n"),
            ],
            "NetBSD 9.0",
            "netbsd 9 0 pkgsrc pkgin netbsd9.0",
        ),
        (
            &[
                ("/bsd", ""),
                ("/etc/master.passwd", ""),
                ("/etc/motd", "OpenBSD 7.0 (GENERIC.MP) #232: Thu Sep 30\n"),
                ("/etc/myname", "fb.example.org\n"),
            ],
            "OpenBSD 7.0",
            "openbsd 7 0 tgz pkg_add openbsd7.0",
        ),
    ];
    for (files, product, expected) in cases {
        let os = asked(system(files), Topic::Os);
        assert_eq!(value(&os, "product-name"), product);
        assert_eq!(line(&os), *expected);
        assert_eq!(value(&os, "hostname"), "fb.example.org");
    }
    let os = asked(
        system(&[("/service/vm", ""), ("/etc/version", "3.3.0\n")]),
        Topic::Os,
    );
    assert_eq!(value(&os, "product-name"), "MINIX 3.3.0");
    let os = asked(system(&[("/KERNEL.SYS", ""), ("/COMMAND.COM", "")]), Topic::Os);
    assert_eq!(value(&os, "product-name"), "FreeDOS");
}

#[test]
fn osinfo_knows_the_identifiers_that_are_concluded() {
    let said = oracle::ok("osinfo-query", &["os", "--fields=short-id"]);
    let known: Vec<&str> = said.lines().map(str::trim).collect();
    // Debian 12 carries a database that is older than itself.
    for (_, expected) in RELEASES.iter().filter(|(_, e)| !e.ends_with(" -")) {
        let id = expected.rsplit(' ').next().unwrap();
        assert!(known.contains(&id) || id == "debian12", "{id}");
    }
}

#[test]
fn every_fact_of_a_system_says_where_it_was_read() {
    let mut fs = system(&[
        (
            "/etc/os-release",
            "# c\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian 12'\nVERSION=\"12 (bookworm)\"\nID_LIKE=\"a b\"\n",
        ),
        ("/etc/debian_version", "12.9\n"),
        ("/etc/hostname", "# a name\nweb01.example.org\n"),
        ("/etc/HOSTNAME", "-> hostname"),
        ("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=older\n"),
        ("/etc/machine-id", "0123456789ABCDEF0123456789abcdef\n"),
        ("/etc/machine-info", "PRETTY_HOSTNAME=\"Web One\"\nCHASSIS=vm\n"),
    ]);
    fs.file("/usr/bin/bash", elf()).unwrap();
    fs.link("/bin/bash", "/usr/bin/bash").unwrap();
    let os = asked(fs, Topic::Os);
    let fact = |value: Value, source: &str| json!({ "value": value, "source": source });
    for (name, expected) in [
        ("product-name", fact(json!("Debian 12"), "/etc/os-release:4")),
        ("distro", fact(json!("debian"), "/etc/os-release:2")),
        ("like", fact(json!(["a", "b"]), "/etc/os-release:6")),
        ("codename", fact(json!("bookworm"), "/etc/os-release:5")),
        ("version", fact(json!("12"), "/etc/os-release:3")),
        ("minor-version", fact(json!(9), "/etc/debian_version:1")),
        ("release", fact(json!("12.9"), "/etc/debian_version:1")),
        ("architecture", fact(json!("x86_64"), "/usr/bin/bash")),
        ("hostname", fact(json!("web01.example.org"), "/etc/hostname:2")),
        ("domain", fact(json!("example.org"), "/etc/hostname:2")),
        (
            "machine-id",
            fact(json!("0123456789abcdef0123456789abcdef"), "/etc/machine-id:1"),
        ),
    ] {
        assert_eq!(os[name], expected, "{name}");
    }
    let names: Vec<_> = os["hostnames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["value"])
        .collect();
    assert_eq!(names, ["web01.example.org", "older"]);
    assert_eq!(
        os["machine"]["pretty-hostname"],
        fact(json!("Web One"), "/etc/machine-info:1")
    );
    assert_eq!(os["machine"]["location"], Value::Null);
}

#[test]
fn a_machine_id_that_waits_for_the_first_start_is_none() {
    let os = asked(
        system(&[("/etc/fstab", ""), ("/etc/machine-id", "uninitialized\n")]),
        Topic::Os,
    );
    assert_eq!(os["machine-id"], Value::Null);
}

#[test]
fn the_guests_are_what_virt_inspector_says_they_are() {
    if let Some(found) = shared_guest("debian", &[Topic::Os]) {
        let os = section(&found, Topic::Os);
        assert_eq!(line(&os), "debian 5 0 deb apt debian5");
        assert_eq!(value(&os, "product-name"), "5.0.1");
        assert_eq!(value(&os, "hostname"), "debian.invalid");
        assert_eq!(value(&os, "architecture"), "x86_64");
    }
    if let Some(found) = shared_guest("fedora-btrfs", &[Topic::Os]) {
        let os = section(&found, Topic::Os);
        assert_eq!(line(&os), "fedora 14 0 rpm yum fedora14");
        assert_eq!(value(&os, "product-name"), "Fedora release 14 (Phony)");
        assert_eq!(value(&os, "hostname"), "fedora.invalid");
        assert_eq!(value(&os, "architecture"), "x86_64");
        assert!(os["installed"][0]["seconds"]["value"].as_i64().unwrap() > 1_600_000_000);
    }
}

#[test]
fn the_guests_of_the_rig_are_debian() {
    for name in ["ext4-bios", "lvm-bios", "xfs-uefi", "btrfs-bios"] {
        let Some(found) = rig_guest(name, &[Topic::Os]) else {
            return;
        };
        let os = section(&found, Topic::Os);
        println!("{name}: {os:#}");
        assert!(line(&os).starts_with("debian 12 "), "{}", line(&os));
        assert_eq!(os["unread"], json!([]));
    }
}
