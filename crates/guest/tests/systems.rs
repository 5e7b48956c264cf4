//! Which systems are found, and what is put together without an fstab.

use h2k_block::Limits;
use h2k_fs::{Facts, MemFs, Time};
use h2k_guest::{Assembled, Device, Guest, SystemKind};
use h2k_volume::{Partition, PartitionType, Role, Scheme};

/// Paths, and what stands there.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A filesystem with these files; a target after `-> `, a directory where a path ends with a slash.
fn tree(files: Files<'_>) -> MemFs {
    let mut fs = MemFs::new();
    for (path, text) in files {
        if let Some(target) = text.strip_prefix("-> ") {
            fs.link(path, target).unwrap();
        } else if let Some(dir) = path.strip_suffix('/') {
            fs.dir(dir).unwrap();
        } else {
            fs.file(path, *text).unwrap();
        }
    }
    fs
}

fn guest(devices: Vec<Device>) -> Guest {
    Guest::of(devices, &Limits::default())
}

fn kind(files: Files<'_>) -> Option<SystemKind> {
    let systems = guest(vec![Device::with_fs("/dev/sda1", tree(files))]).systems();
    assert!(systems.unread.is_empty());
    systems.found.first().map(|s| s.kind)
}

#[test]
fn roots_are_known_by_a_few_names() {
    use SystemKind::{Dos, FreeBsd, Hurd, Linux, Minix, NetBsd, OpenBsd};
    let release = ("/etc/os-release", "ID=x\n");
    let cases: [(Files<'_>, Option<SystemKind>); 18] = [
        (&[("/bin", "-> usr/bin"), ("/etc/fstab", "")], Some(Linux)),
        (&[("/bin", "-> ./usr/bin"), release], Some(Linux)),
        (&[("/bin", "-> /usr/bin"), release], Some(Linux)),
        (&[("/bin/", ""), ("/etc/fstab", ""), release], Some(Linux)),
        (&[("/bin/", ""), ("/etc/hosts", "")], Some(Linux)),
        (&[("/nix/store/", ""), ("/etc/NIXOS", "")], Some(Linux)),
        (&[("/bin/", ""), ("/etc/photon-release", "x")], Some(Linux)),
        (
            &[
                ("/bin/freebsd-version", ""),
                ("/etc/master.passwd", ""),
                ("/etc/fstab", ""),
            ],
            Some(FreeBsd),
        ),
        (
            &[("/bin/", ""), ("/netbsd", ""), ("/etc/master.passwd", "")],
            Some(NetBsd),
        ),
        (
            &[("/bin/", ""), ("/bsd", ""), ("/etc/master.passwd", "")],
            Some(OpenBsd),
        ),
        (
            &[
                ("/bin/", ""),
                ("/etc/fstab", ""),
                ("/hurd/console", ""),
                ("/hurd/hello", ""),
                ("/hurd/null", ""),
            ],
            Some(Hurd),
        ),
        (&[("/service/vm", ""), ("/etc/version", "3.3.0")], Some(Minix)),
        (&[("/KERNEL.SYS", ""), ("/COMMAND.COM", "")], Some(Dos)),
        // Data, a boot partition, a home, an ESP, a /usr, a /var.
        (&[("/etc/fstab", "")], None),
        (&[("/grub/grub.cfg", ""), ("/vmlinuz", "")], None),
        (&[("/me/.bashrc", ""), ("/lost+found/", "")], None),
        (&[("/EFI/BOOT/BOOTX64.EFI", "")], None),
        (
            &[("/bin/sh", ""), ("/lib/os-release", "ID=x\n"), ("/local/", "")],
            None,
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(kind(files), expected, "{files:?}");
    }
}

#[test]
fn windows_is_a_system_wherever_it_lies() {
    let disk = "multi(0)disk(0)rdisk(0)partition(1)";
    let ini = format!("[operating systems]\r\n{disk}\\nt\\two=\"Windows\"\r\n");
    let cases: [(Files<'_>, Option<SystemKind>); 6] = [
        (&[("/Windows/System32/config/", "")], Some(SystemKind::Windows)),
        (&[("/WINNT/System32/config/", "")], Some(SystemKind::Windows)),
        (&[("/ReactOS/System32/config/", "")], Some(SystemKind::Windows)),
        (&[("/win32/System32/config/", "")], Some(SystemKind::Windows)),
        (
            &[("/boot.ini", &ini), ("/nt/two/System32/config/", "")],
            Some(SystemKind::Windows),
        ),
        (&[("/nt/two/System32/config/", "")], None),
    ];
    for (files, expected) in cases {
        assert_eq!(kind(files), expected, "{files:?}");
    }
}

#[test]
fn a_system_is_called_what_a_shell_reads_from_its_os_release() {
    let name = |text: &str| {
        let files = tree(&[("/bin/", ""), ("/etc/os-release", text)]);
        let systems = guest(vec![Device::with_fs("/dev/sda1", files)]).systems();
        systems.found.first().and_then(|s| s.name.clone())
    };
    assert_eq!(name("PRETTY_NAME='One 1'\n").as_deref(), Some("One 1"));
    assert_eq!(
        name("# PRETTY_NAME=No\n PRETTY_NAME=\"A \\\"B\\\"\" # c\n").as_deref(),
        Some("A \"B\"")
    );
    assert_eq!(name("ID=x\n"), None);
}

#[test]
fn every_system_of_a_disk_is_listed() {
    let linux = |name: &str| {
        tree(&[
            ("/bin/", ""),
            ("/etc/os-release", &format!("PRETTY_NAME=\"{name}\"\n")),
        ])
    };
    let guest = guest(vec![
        Device::with_fs("/dev/sda1", linux("One")),
        Device::with_fs("/dev/sda2", tree(&[("/data", "")])),
        Device::with_fs("/dev/sda3", linux("Two")),
    ]);
    let names: Vec<_> = guest.systems().found.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["/dev/sda1 (One)", "/dev/sda3 (Two)"]);
    let why = guest.root().unwrap_err();
    assert_eq!(why.advice(), Some("choose one: --root /dev/sda1"));
}

fn points(assembled: &Assembled) -> Vec<String> {
    let all = assembled.tree.mounts().iter();
    all.map(|m| format!("{} {}", m.source, String::from_utf8_lossy(&m.point)))
        .collect()
}

fn text(assembled: &Assembled, path: &str) -> String {
    let mut meter = h2k_block::Meter::new(Limits::default());
    let place = assembled
        .tree
        .lookup(path.as_bytes(), true, &mut meter)
        .unwrap()
        .unwrap();
    String::from_utf8(assembled.tree.read_file(place, &mut meter).unwrap()).unwrap()
}

#[test]
fn the_newest_deployment_of_ostree_is_the_root() {
    let mut fs = tree(&[
        ("/boot/", ""),
        ("/ostree/deploy/fedora/var/lib/state", "kept"),
        ("/ostree/deploy/fedora/deploy/aaa.0.origin", ""),
        (
            "/ostree/deploy/fedora/deploy/aaa.0/usr/lib/os-release",
            "PRETTY_NAME=\"Old\"\n",
        ),
        (
            "/ostree/deploy/fedora/deploy/bbb.0/usr/lib/os-release",
            "PRETTY_NAME=\"New\"\n",
        ),
        (
            "/ostree/deploy/fedora/deploy/bbb.0/etc/os-release",
            "-> ../usr/lib/os-release",
        ),
        ("/ostree/deploy/fedora/deploy/bbb.0/etc/hostname", "core\n"),
        ("/ostree/deploy/fedora/deploy/bbb.0/sysroot/", ""),
        ("/ostree/deploy/fedora/deploy/bbb.0/var/", ""),
        ("/ostree/deploy/fedora/deploy/bbb.0/boot/", ""),
        ("/ostree/deploy/fedora/deploy/bbb.0/ostree", "-> sysroot/ostree"),
    ]);
    let origin = fs.file("/ostree/deploy/fedora/deploy/bbb.0.origin", "").unwrap();
    let time = Time {
        seconds: 1_700_000_000,
        nanos: 0,
    };
    fs.set_time(origin, time).unwrap();
    let mut boot = tree(&[("/loader/entries/a.conf", "title a\n")]);
    boot.set_facts(Facts {
        kind: "ext4",
        label: Some(b"boot".to_vec()),
        ..Facts::default()
    });
    let guest = guest(vec![
        Device::with_fs("/dev/sda3", boot),
        Device::with_fs("/dev/sda4", fs),
    ]);
    let assembled = guest.root().unwrap();
    let system = assembled.system.as_ref().unwrap();
    assert_eq!(system.to_string(), "/dev/sda4 (New)");
    assert_eq!(
        system.deployment.as_deref(),
        Some(&b"ostree/deploy/fedora/deploy/bbb.0"[..])
    );
    assert_eq!(
        points(&assembled),
        [
            "/dev/sda4 /",
            "/dev/sda4 /sysroot",
            "/dev/sda4 /var",
            "/dev/sda3 /boot"
        ]
    );
    assert_eq!(text(&assembled, "/etc/hostname"), "core\n");
    assert_eq!(text(&assembled, "/var/lib/state"), "kept");
    assert_eq!(text(&assembled, "/boot/loader/entries/a.conf"), "title a\n");
    assert!(
        text(
            &assembled,
            "/ostree/deploy/fedora/deploy/aaa.0/usr/lib/os-release"
        )
        .contains("Old")
    );
    assert_eq!(assembled.unlisted.len(), 3);
}

/// A partition of a GPT.
fn partition(device: &mut Device, kind: &str, name: &str) {
    device.part_label = Some(name.to_owned());
    device.partition = Some(Partition {
        number: 1,
        scheme: Scheme::Gpt,
        start: 0,
        len: 0,
        kind: PartitionType::Guid(kind.to_owned()),
        name: name.to_owned(),
        uuid: None,
        attributes: 0,
        bootable: false,
        role: Role::Primary,
    });
}

#[test]
fn flatcar_has_the_newer_of_its_two_usr() {
    let usr = |version: &str| {
        tree(&[
            ("/lib/os-release", &format!("ID=flatcar\nVERSION_ID={version}\n")),
            ("/bin/sh", ""),
        ])
    };
    let mut a = Device::with_fs("/dev/sda3", usr("3510.2.10"));
    partition(&mut a, "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6", "USR-A");
    let mut b = Device::with_fs("/dev/sda4", usr("3510.2.9"));
    partition(&mut b, "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6", "USR-B");
    let root = tree(&[
        ("/bin", "-> usr/bin"),
        ("/etc/os-release", "-> ../usr/lib/os-release"),
        ("/usr/", ""),
    ]);
    let assembled = guest(vec![a, b, Device::with_fs("/dev/sda9", root)])
        .root()
        .unwrap();
    assert_eq!(points(&assembled), ["/dev/sda9 /", "/dev/sda3 /usr"]);
    assert!(text(&assembled, "/etc/os-release").contains("3510.2.10"));
}

#[test]
fn partitions_are_mounted_by_their_type_where_no_fstab_says_otherwise() {
    let data = |name: &str| Device::with_fs(name, tree(&[("/here", name)]));
    let mut home = data("/dev/sda2");
    partition(&mut home, "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "");
    let mut boot = data("/dev/sda3");
    partition(&mut boot, "bc13c2ff-59e6-4262-a352-b275fd6f7172", "");
    let mut elsewhere = data("/dev/sdb1");
    partition(&mut elsewhere, "3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "");
    let mut other = data("/dev/sda5");
    other.uuid = Some("5".to_owned());
    let root = tree(&[
        ("/bin/", ""),
        ("/etc/fstab", "UUID=5 /boot ext4 defaults 0 0\n"),
        ("/home/", ""),
        ("/boot/", ""),
        ("/srv/", ""),
    ]);
    let all = vec![Device::with_fs("/dev/sda1", root), home, boot, elsewhere, other];
    let assembled = guest(all).root().unwrap();
    // /boot is named by the table, /srv would be on another disk.
    assert_eq!(
        points(&assembled),
        ["/dev/sda1 /", "/dev/sda5 /boot", "/dev/sda2 /home"]
    );
    assert_eq!(
        assembled.unlisted,
        [(
            b"/home".to_vec(),
            "the type of the partition /dev/sda2".to_owned()
        )]
    );
}

#[test]
fn every_system_is_put_together_and_each_filesystem_knows_where_all_have_it() {
    let root = |fstab: &str| {
        tree(&[
            ("/bin/", ""),
            ("/home/", ""),
            ("/srv/", ""),
            ("/etc/fstab", fstab),
        ])
    };
    let shared = "/dev/sda3 /home ext4 defaults 0 0\n";
    let more = "/dev/sda3 /srv ext4 defaults 0 0\n/dev/sda3 /home ext4 defaults 0 0\n";
    let mut locked = Device::without_files("/dev/sda4", "crypto_LUKS");
    locked.locked = true;
    let mut home = Device::with_fs("/dev/sda3", tree(&[("/me", "")]));
    home.kind = Some("ext4");
    let guest = guest(vec![
        Device::with_fs("/dev/sda1", root(shared)),
        Device::with_fs("/dev/sda2", root(more)),
        home,
        locked,
    ]);
    let all = guest.assemble_all();
    let roots: Vec<String> = all.systems.iter().map(|(system, _)| system.source()).collect();
    assert_eq!(roots, ["/dev/sda1", "/dev/sda2"]);
    let unread: Vec<String> = all
        .unread()
        .map(|u| format!("{} {}", u.source, u.class))
        .collect();
    assert_eq!(unread, ["/dev/sda4 refused"]);
    let (filesystems, problems) = guest.contents(all.systems.iter().map(|(_, assembled)| &assembled.tree));
    assert!(problems.is_empty(), "{problems:?}");
    let points: Vec<_> = filesystems
        .iter()
        .map(|fs| (fs.source.as_str(), fs.mount_points.join(" ")))
        .collect();
    let expected = [
        ("/dev/sda1", "/"),
        ("/dev/sda2", "/"),
        ("/dev/sda3", "/home /srv"),
        ("/dev/sda4", ""),
    ];
    assert_eq!(points, expected.map(|(source, all)| (source, all.to_owned())));
}
