use h2k_block::{Class, Limits, Meter, Result};
use h2k_fs::{Facts, FsRead, MemFs};
use h2k_guest::{Assembled, Device, Guest, Opened, Subvolume, Subvolumes, SystemKind, Wish};
use std::sync::Arc;

fn guest(devices: Vec<Device>) -> Guest {
    Guest::of(devices, &Limits::default())
}

fn linux(fstab: &str) -> MemFs {
    let mut fs = MemFs::new();
    fs.file("/etc/fstab", fstab).unwrap();
    fs.file("/etc/os-release", "NAME=x\nPRETTY_NAME=\"Some Linux 1\"\n")
        .unwrap();
    fs.link("/bin", "usr/bin").unwrap();
    for dir in ["/boot/efi", "/home", "/usr", "/var", "/srv", "/my files"] {
        fs.dir(dir).unwrap();
    }
    fs
}

fn data(label: &str, uuid: &str, name: &str) -> MemFs {
    let mut fs = MemFs::new();
    fs.file(&format!("/{name}"), name).unwrap();
    fs.set_facts(Facts {
        kind: "ext4",
        label: Some(label.into()),
        uuid: Some(uuid.into()),
        ..Facts::default()
    });
    fs
}

fn mounts(assembled: &Assembled) -> Vec<String> {
    let all = assembled.tree.mounts().iter();
    all.map(|m| format!("{} {}", m.source, String::from_utf8_lossy(&m.point)))
        .collect()
}

fn missing(assembled: &Assembled) -> Vec<String> {
    let all = assembled.left_out.iter().filter(|l| !l.expected);
    all.map(|l| String::from_utf8_lossy(&l.spec).into_owned())
        .collect()
}

#[test]
fn an_fstab_is_resolved_by_every_name_a_device_can_have() {
    let cases = [
        ("UUID=11-aa", "/dev/vg/home", "PARTUUID=ABCD-04"),
        ("LABEL=B", "/dev/mapper/vg-home", "/dev/disk/by-label/the\\x20var"),
        ("PARTLABEL=\"my\\040boot\"", "LABEL=h", "LABEL=the\\040var"),
        ("/dev/vda1", "UUID=22", "/dev/nvme0n1p4"),
        (
            "/dev/disk/by-uuid/11-AA",
            "/dev/disk/by-id/dm-name-vg-home",
            "/dev/disk/by-partuuid/abcd-04",
        ),
        (
            "/dev/disk/by-partlabel/my\\x20boot",
            "LVM",
            "/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part4",
        ),
    ];
    let lvm = format!("/dev/disk/by-id/dm-uuid-LVM-{}{}", "G".repeat(32), "V".repeat(32));
    for (boot, home, var) in cases {
        let home = if home == "LVM" { &lvm } else { home };
        let fstab = format!(
            "{var} /var ext4 defaults 0 0\n{boot} /boot auto ro\n/dev/sda5 none swap sw\n{home} /home ext4\n\
             proc /proc proc\nserver:/x /mnt nfs\nUUID=gone /gone ext4\nUUID=gone2 /gone2 ext4 nofail\n"
        );
        let mut devices = devices();
        devices.push(Device::with_fs("/dev/sda2", linux(&fstab)));
        let guest = guest(devices);
        let assembled = guest.root().unwrap();
        assert_eq!(
            mounts(&assembled),
            [
                "/dev/sda2 /",
                "/dev/sda4 /var",
                "/dev/sda1 /boot",
                "/dev/vg/home /home"
            ],
            "{fstab}"
        );
        assert_eq!(missing(&assembled), ["UUID=gone"]);
        assert_eq!(assembled.left_out.len(), 5);
        let system = assembled.system.unwrap();
        assert_eq!(
            (system.kind, system.name.as_deref()),
            (SystemKind::Linux, Some("Some Linux 1"))
        );
    }
}

/// The devices of the test above, without the root.
fn devices() -> Vec<Device> {
    let mut boot = Device::with_fs("/dev/sda1", data("B", "11-AA", "boot"));
    boot.part_label = Some("my boot".into());
    let mut home = Device::with_fs("/dev/vg/home", data("h", "22", "home"));
    home.aliases.push("/dev/mapper/vg-home".into());
    home.lvm_uuid = Some("G".repeat(32) + &"V".repeat(32));
    let mut var = Device::with_fs("/dev/sda4", data("the var", "33", "var"));
    var.part_uuid = Some("abcd-04".into());
    let mut disk = Device::without_files("/dev/sda", "");
    disk.whole_disk = true;
    vec![disk, boot, home, var, Device::without_files("/dev/sda5", "swap")]
}

#[test]
fn encrypted_devices_are_found_by_the_names_crypttab_gives_them() {
    let mut fs = linux("/dev/mapper/secret /home ext4\n/dev/mapper/other /srv ext4\n");
    fs.file(
        "/etc/crypttab",
        "# c\nsecret UUID=77 none luks\nother UUID=78 none\n",
    )
    .unwrap();
    let mut locked = Device::without_files("/dev/sda3", "crypto_LUKS");
    locked.uuid = Some("77".into());
    let mut plain = Device::with_fs("/dev/mapper/luks-77", data("h", "5", "home"));
    plain.plain_of = Some("/dev/sda3".into());
    let mut other = Device::without_files("/dev/sda4", "crypto_LUKS");
    (other.uuid, other.locked) = (Some("78".into()), true);
    let all = vec![Device::with_fs("/dev/sda2", fs), locked, plain, other];
    let assembled = guest(all).root().unwrap();
    assert_eq!(mounts(&assembled), ["/dev/sda2 /", "/dev/mapper/luks-77 /home"]);
    let why = &assembled.left_out[0].why;
    assert_eq!(why.class(), Class::Refused);
    assert!(
        why.advice().unwrap().contains("--key /dev/sda4:file:PATH"),
        "{why:?}"
    );
}

#[test]
fn inner_mount_points_come_after_outer_ones_and_binds_last() {
    let mut boot = data("b", "1", "boot");
    boot.dir("/efi").unwrap();
    let fs =
        linux("/srv /my\\040files none bind\nUUID=2 /boot/efi vfat\nUUID=3 /srv ext4\nUUID=1 /boot ext4\n");
    let all = vec![
        Device::with_fs("/dev/sda1", data("", "2", "efi")),
        Device::with_fs("/dev/sda2", boot),
        Device::with_fs("/dev/sda3", data("", "3", "srv")),
        Device::with_fs("/dev/sda4", fs),
    ];
    let assembled = guest(all).root().unwrap();
    assert_eq!(
        mounts(&assembled),
        [
            "/dev/sda4 /",
            "/dev/sda3 /srv",
            "/dev/sda2 /boot",
            "/dev/sda1 /boot/efi",
            "/dev/sda3 /my files"
        ]
    );
    let mut meter = Meter::new(Limits::default());
    assembled.tree.find(b"/my files/srv", &mut meter).unwrap();
    assembled.tree.find(b"/boot/efi/efi", &mut meter).unwrap();
}

#[test]
fn two_systems_are_a_question_and_none_with_one_filesystem_is_an_answer() {
    let two = guest(vec![
        Device::with_fs("/dev/sda1", linux("")),
        Device::with_fs("/dev/sdb1", windows()),
    ]);
    let asked = two.root().unwrap_err();
    assert_eq!(asked.class(), Class::Invalid);
    assert!(
        asked
            .sentence()
            .contains("/dev/sda1 (Some Linux 1), /dev/sdb1 (windows)"),
        "{asked}"
    );
    assert_eq!(asked.advice(), Some("choose one: --root /dev/sda1"));
    let chosen = two.assemble(&two.system_at("/dev/sdb1").unwrap()).unwrap();
    assert_eq!(mounts(&chosen), ["/dev/sdb1 /"]);

    let bare = guest(vec![Device::with_fs("/dev/sda", data("d", "1", "x"))]);
    let root = bare.root().unwrap();
    assert!(root.system.is_none());
    assert_eq!(mounts(&root), ["/dev/sda /"]);
    assert_eq!(bare.system_at("/dev/sda").unwrap_err().class(), Class::Invalid);

    let data_disks = guest(vec![
        Device::with_fs("/dev/sda1", data("d", "1", "x")),
        Device::with_fs("/dev/sdb1", data("d", "2", "x")),
    ]);
    let asked = data_disks.root().unwrap_err();
    assert_eq!(asked.class(), Class::NotFound);
    assert!(
        asked.sentence().contains("/dev/sda1 (ext4), /dev/sdb1 (ext4)"),
        "{asked}"
    );
    assert_eq!(asked.advice(), Some("say what to look into: --mount /dev/sda1:/"));
    assert_eq!(guest(Vec::new()).root().unwrap_err().class(), Class::NotFound);
}

fn windows() -> MemFs {
    let mut fs = MemFs::new();
    fs.dir("/Windows/System32/config").unwrap();
    fs
}

#[test]
fn an_encrypted_disk_asks_for_its_key() {
    let mut locked = Device::without_files("/dev/sda2", "crypto_LUKS");
    locked.locked = true;
    let asked = guest(vec![Device::with_fs("/dev/sda1", data("b", "1", "x")), locked])
        .root()
        .unwrap_err();
    assert_eq!(asked.class(), Class::Refused);
    assert!(
        asked.advice().unwrap().contains("--key /dev/sda2:file:PATH"),
        "{asked:?}"
    );
}

#[test]
fn an_lvm_snapshot_of_a_root_is_no_second_system() {
    let mut snapshot = Device::with_fs("/dev/vg/before-update", linux(""));
    snapshot.snapshot = true;
    let all = vec![snapshot, Device::with_fs("/dev/vg/root", linux(""))];
    assert_eq!(mounts(&guest(all).root().unwrap()), ["/dev/vg/root /"]);
}

#[test]
fn a_file_that_only_looks_like_a_system_is_none() {
    let mut esp = MemFs::new();
    esp.file("/EFI/Microsoft/Boot/bootmgfw.efi", "").unwrap();
    let mut fake = MemFs::new();
    fake.file("/Windows", "a file").unwrap();
    fake.file("/etc/hosts", "").unwrap();
    let found = guest(vec![
        Device::with_fs("/dev/sda1", esp),
        Device::with_fs("/dev/sda2", fake),
    ])
    .systems();
    assert!(found.found.is_empty() && found.unread.is_empty(), "{found:?}");
}

/// Subvolumes that are trees in memory: number, path, snapshot, tree.
struct Many {
    all: Vec<(u64, &'static str, bool, MemFs)>,
    default: u64,
}

impl Subvolumes for Many {
    fn list(&self) -> Result<Vec<Subvolume>> {
        let one = |(id, path, snapshot, _): &(u64, &str, bool, MemFs)| Subvolume {
            path: path.as_bytes().to_vec(),
            id: *id,
            snapshot: *snapshot,
            read_only: path.contains("backup"),
            default: *id == self.default,
        };
        Ok(self.all.iter().map(one).collect())
    }

    fn open(&self, id: u64) -> Result<Arc<dyn FsRead>> {
        let found = self.all.iter().find(|s| s.0 == id);
        Ok(Arc::new(found.unwrap().3.clone()))
    }
}

fn many(default: u64, all: Vec<(u64, &'static str, bool, MemFs)>) -> Device {
    let many = Many { all, default };
    let fs = many.open(default).unwrap();
    let opened = Opened {
        fs,
        subvolumes: Some(Arc::new(many)),
    };
    let mut device = Device::holding("/dev/sda2", opened);
    (device.kind, device.uuid) = (Some("btrfs"), Some("9".into()));
    device
}

#[test]
fn a_system_in_a_subvolume_is_found_and_its_snapshots_and_containers_are_not() {
    let fstab = "UUID=9 / btrfs subvol=root\nUUID=9 /home btrfs subvol=/home,compress=zstd\n\
                 UUID=9 /var btrfs subvolid=258\nUUID=9 /srv btrfs subvol=none\n";
    let all = guest(vec![many(
        5,
        vec![
            (5, "", false, MemFs::new()),
            (256, "root", false, linux(fstab)),
            (257, "home", false, data("", "", "user")),
            (258, "var", false, data("", "", "log")),
            (259, "snapshots/1", true, linux(fstab)),
            (260, "root/var/lib/machines/c", false, linux("")),
        ],
    )]);
    let assembled = all.root().unwrap();
    assert_eq!(
        mounts(&assembled),
        [
            "btrfsvol:/dev/sda2/root /",
            "btrfsvol:/dev/sda2/home /home",
            "btrfsvol:/dev/sda2/var /var"
        ]
    );
    let left = &assembled.left_out[0];
    assert!(
        !left.expected && left.why.advice().unwrap().contains("root home var"),
        "{left:?}"
    );
    let asked = all.system_at("btrfsvol:/dev/sda2/snapshots/1").unwrap();
    assert_eq!(asked.source(), "btrfsvol:/dev/sda2/snapshots/1");
}

#[test]
fn a_snapshot_that_is_the_default_is_the_system() {
    let all = guest(vec![many(
        300,
        vec![
            (5, "", false, MemFs::new()),
            (256, "@", false, MemFs::new()),
            (299, "@/.snapshots/1/snapshot", false, linux("")),
            (300, "@/.snapshots/2/snapshot", true, linux("")),
        ],
    )]);
    let assembled = all.root().unwrap();
    assert_eq!(
        mounts(&assembled),
        ["btrfsvol:/dev/sda2/@/.snapshots/2/snapshot /"]
    );
}

#[test]
fn a_system_that_was_rolled_back_runs_on_a_snapshot() {
    let all = guest(vec![many(
        5,
        vec![
            (5, "", false, MemFs::new()),
            (256, "@home", false, data("", "", "user")),
            (257, "backup-1", true, linux("")),
            (258, "timeshift/snapshots/1/@", true, linux("")),
            (259, "@", true, linux("")),
        ],
    )]);
    assert_eq!(mounts(&all.root().unwrap()), ["btrfsvol:/dev/sda2/@ /"]);
}

#[test]
fn mounts_are_said_in_guestfishs_way() {
    let all = guest(vec![
        Device::with_fs("/dev/sda1", linux("")),
        Device::with_fs("/dev/vg/home", data("", "1", "user")),
        many(
            5,
            vec![(5, "", false, MemFs::new()), (256, "@", false, linux(""))],
        ),
    ]);
    let tree = |wishes: &[&str]| {
        let wishes: Result<Vec<Wish>> = wishes.iter().map(|w| Wish::parse(w, &all)).collect();
        all.mount(&wishes?)
    };
    let points = |wishes: &[&str]| {
        let tree = tree(wishes).unwrap();
        let all = tree.mounts().iter();
        all.map(|m| format!("{} {}", m.source, String::from_utf8_lossy(&m.point)))
            .collect::<Vec<_>>()
    };
    // The order given does not matter.
    assert_eq!(
        points(&["/dev/vg/home:/home:ro", "/dev/vda1"]),
        ["/dev/sda1 /", "/dev/vg/home /home"]
    );
    for spelled in [
        "/dev/sda2:/:subvol=@",
        "/dev/sda2:/:subvol=/@,ro",
        "btrfsvol:/dev/sda2/@:/",
        "/dev/sda2::subvolid=256",
    ] {
        assert_eq!(points(&[spelled]), ["btrfsvol:/dev/sda2/@ /"]);
    }
    for (wrong, class) in [
        ("/dev/sda1:home", Class::Invalid),
        ("/dev/sda1:/:noexec", Class::Invalid),
        ("/dev/sda1:/home", Class::Invalid),
        ("/dev/sdz:/", Class::NotFound),
        ("/dev/sda1:/:subvol=@", Class::NotFound),
        ("/dev/sda2:/:subvol=none", Class::NotFound),
        ("btrfsvol:/dev/sda2:/", Class::Invalid),
    ] {
        assert_eq!(tree(&[wrong]).unwrap_err().class(), class, "{wrong}");
    }
}
