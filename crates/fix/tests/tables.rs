//! The tables of filesystems and of encrypted devices.

use crate::lab::{Done, Lab};
use h2k_fix::{FstabMode, Outcome};
use h2k_guest::{Plug, Wire};
use h2k_testkit::oracle;
use h2k_testkit::rng::Rng;

const SWAP: &str = "22222222-2222-3333-4444-555555555555";
const HOME: &str = "33333333-2222-3333-4444-555555555555";
const LUKS: &str = "44444444-2222-3333-4444-555555555555";
const PART: &str = "55555555-02";

/// A guest with swap on sda2, /home on sdb1, LUKS on sdb2 and a partition without anything on sdb3.
fn lab(files: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::new(files);
    lab.disk("/dev/sda");
    lab.disk("/dev/sdb");
    lab.partition("/dev/sda2", "swap", SWAP, "aaaaaaaa-02");
    lab.partition("/dev/sdb1", "xfs", HOME, "bbbbbbbb-01");
    lab.partition("/dev/sdb2", "crypto_LUKS", LUKS, "bbbbbbbb-02");
    lab.partition("/dev/sdb3", "swap", "66666666-2222-3333-4444-555555555555", PART);
    lab.devices.last_mut().unwrap().uuid = None;
    lab
}

fn fstab(text: &str) -> Done {
    lab(&[("/etc/fstab", text)]).fix("linux.fstab")
}

fn after(done: &Done) -> String {
    done.text("/etc/fstab").unwrap()
}

#[test]
fn names_of_disks_become_uuids_and_nothing_else_changes() {
    let done = fstab(
        "# /dev/sda1 was here\n/dev/sda1\t/  ext4   errors=remount-ro 0 1 # /dev/sda2\n/dev/vda2 none swap sw\r\n\
         \t/dev/xvdb1 /home xfs logdev=/dev/sdb3,noatime\n/dev/nvme1n1p2 /x auto nofail\nUUID=1 /y ext4 nofail",
    );
    assert_eq!(
        after(&done),
        format!(
            "# /dev/sda1 was here\nUUID={}\t/  ext4   errors=remount-ro 0 1 # /dev/sda2\nUUID={SWAP} none swap sw\r\n\
             \tUUID={HOME} /home xfs logdev=/dev/disk/by-partuuid/{PART},noatime\nUUID={LUKS} /x auto nofail\n\
             UUID=1 /y ext4 nofail",
            Lab::ROOT
        )
    );
    done.says(Outcome::Change, "/home: /dev/xvdb1 becomes UUID=33333333");
    done.says(Outcome::Warn, "UUID=1, which names no device");
    // Whoever mounts reads it the same way: the oracle finds no fault in the form.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fstab");
    std::fs::write(&path, after(&done)).unwrap();
    let path = path.to_str().unwrap();
    let told = oracle::ok("findmnt", &["--tab-file", path, "-rno", "SOURCE,TARGET"]);
    let expected = format!("UUID={} /\nUUID={SWAP} none\n\tUUID={HOME} /home", Lab::ROOT);
    assert!(told.starts_with(&expected.replace('\t', "")), "{told}");
}

#[test]
fn names_that_hang_on_content_are_left() {
    let text = format!(
        "LABEL=x /a ext4 noauto\nUUID={HOME} /home xfs\n/dev/disk/by-uuid/{SWAP} none swap\nproc /proc proc\n\
         server:/x /n nfs\n/dev/sr0 /media/cdrom0 udf,iso9660 noauto\n/dev/fd0 /f auto noauto\ntmpfs /t tmpfs\n"
    );
    let mut all = lab(&[("/etc/fstab", &text)]);
    all.devices[2].label = Some(b"x".to_vec());
    let done = all.fix("linux.fstab");
    done.left("/etc/fstab holds on any machine");
    Lab::new(&[]).fix("linux.fstab").left("there is no /etc/fstab");
}

#[test]
fn what_names_no_device_is_told_and_left() {
    let done = fstab("/dev/sdz1 /data ext4\n");
    assert_eq!(after(&done), "/dev/sdz1 /data ext4\n");
    done.says(Outcome::Warn, "/data is on /dev/sdz1, which names no device");
    fstab("/dev/sdz1 /boot ext4\n").says(Outcome::Blocked, "/boot is on /dev/sdz1");
    fstab("UUID=no /boot ext4\n").says(Outcome::Blocked, "/boot is on UUID=no");
    fstab("/dev/bcache7 /boot ext4\n").says(Outcome::Warn, "/boot is on /dev/bcache7");
    fstab("UUID=no / ext4\n").says(Outcome::Warn, "/ is on UUID=no");
    fstab("/dev/root / ext4\n").left("holds on any machine");
    fstab("/dev/sdz1 /boot ext4 nofail\n").says(Outcome::Warn, "/boot is on /dev/sdz1");
}

#[test]
fn the_root_is_where_the_table_is() {
    let done = fstab("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part3 / ext4\n");
    assert_eq!(after(&done), format!("UUID={} / ext4\n", Lab::ROOT));
}

#[test]
fn what_holds_something_else_is_not_meant() {
    let done = fstab("/dev/sdb1 /data ext4\n/dev/sda2 /d vfat\n");
    done.says(Outcome::Warn, "/dev/sdb1, and that holds xfs and not ext4");
    assert!(done.proposal.drafted.changes().is_empty());
}

#[test]
fn a_drive_for_discs_keeps_a_link_of_udev() {
    let done = fstab("/dev/hdc /media/cdrom auto noauto,ro\n");
    assert_eq!(after(&done), "/dev/cdrom /media/cdrom auto noauto,ro\n");
}

#[test]
fn a_name_by_path_means_the_only_disk() {
    let mut lab = Lab::new(&[(
        "/etc/fstab",
        "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part2 none swap\n/dev/sda2 none swap\n",
    )]);
    lab.disk("/dev/sda");
    lab.partition("/dev/sda2", "swap", SWAP, "aaaaaaaa-02");
    lab.options.fstab = FstabMode::BypathOnly;
    let done = lab.fix("linux.fstab");
    assert_eq!(
        after(&done),
        format!("UUID={SWAP} none swap\n/dev/sda2 none swap\n")
    );
}

#[test]
fn a_name_by_path_means_the_disk_that_hangs_there() {
    let plug = |unit| {
        Some(Plug {
            wire: Wire::Scsi,
            unit,
        })
    };
    let at =
        |unit| format!("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:{unit}:0-part1 /home xfs defaults 0 2\n");
    let mut all = lab(&[("/etc/fstab", &at(4))]);
    all.plugs = vec![plug(0), plug(4)];
    let done = all.fix("linux.fstab");
    assert_eq!(after(&done), format!("UUID={HOME} /home xfs defaults 0 2\n"));
    // Nothing is there, or two things are: nobody knows what is meant.
    for plugs in [vec![plug(0), plug(3)], vec![plug(4), plug(4)], vec![]] {
        let mut all = lab(&[("/etc/fstab", &at(4))]);
        all.plugs = plugs;
        let done = all.fix("linux.fstab");
        done.says(Outcome::Warn, "names no device of these disks");
        assert_eq!(after(&done), at(4));
    }
}

#[test]
fn the_table_is_left_on_request() {
    let mut lab = lab(&[("/etc/fstab", "/dev/sda1 / ext4\n")]);
    lab.options.fstab = FstabMode::Noop;
    lab.fix("linux.fstab").left("is to be left");
}

#[test]
fn where_nothing_is_known_the_name_follows_the_bus() {
    let done = fstab("/dev/sdb3 /raw auto\n");
    assert_eq!(after(&done), format!("PARTUUID={PART} /raw auto\n"));
    let mut bare = lab(&[("/etc/fstab", "/dev/sdb3 /raw auto\n")]);
    bare.devices.last_mut().unwrap().part_uuid = None;
    let done = bare.fix("linux.fstab");
    assert_eq!(after(&done), "/dev/vdb3 /raw auto\n");
    done.says(Outcome::Warn, "nothing is known that holds on any machine");
}

#[test]
fn content_that_is_there_twice_identifies_nothing() {
    let mut twice = lab(&[("/etc/fstab", "/dev/sdb1 /home xfs\n")]);
    twice.partition("/dev/sdc1", "xfs", HOME, "cccccccc-01");
    let done = twice.fix("linux.fstab");
    assert_eq!(after(&done), "PARTUUID=bbbbbbbb-01 /home xfs\n");
}

#[test]
fn encrypted_devices_are_named_by_their_headers() {
    let text = "# /dev/sdb2\ndata  /dev/sdb2\tnone  luks,header=/dev/sdb3\nswap /dev/sda2 /dev/urandom swap\n\
                k UUID=44444444-2222-3333-4444-555555555555 /dev/sdb1:/key luks\n";
    let done = lab(&[("/etc/crypttab", text)]).fix("linux.crypttab");
    let expected = format!(
        "# /dev/sdb2\ndata  UUID={LUKS}\tnone  luks,header=/dev/disk/by-partuuid/{PART}\n\
         swap /dev/disk/by-partuuid/aaaaaaaa-02 /dev/urandom swap\nk UUID={LUKS} /dev/disk/by-uuid/{HOME}:/key luks\n"
    );
    assert_eq!(done.text("/etc/crypttab").unwrap(), expected);
}

#[test]
fn an_encrypted_device_that_is_not_there_is_told() {
    let text = format!("a UUID={LUKS} none luks\nb /dev/sdz none luks\n");
    let done = lab(&[("/etc/crypttab", &text)]).fix("linux.crypttab");
    done.says(Outcome::Warn, "b is on /dev/sdz");
    assert_eq!(done.text("/etc/crypttab").unwrap(), text);
    let known = lab(&[("/etc/crypttab", &format!("a UUID={LUKS} none luks\n"))]).fix("linux.crypttab");
    known.left("/etc/crypttab holds on any machine");
}

/// Tokens of a table, with those that are replaced.
fn token(rng: &mut Rng) -> (&'static str, Option<&'static str>) {
    const ALL: [(&str, Option<&str>); 8] = [
        ("/dev/sda2", Some("UUID=22222222-2222-3333-4444-555555555555")),
        ("/dev/sdb1", Some("UUID=33333333-2222-3333-4444-555555555555")),
        ("/dev/hdb2", Some("UUID=44444444-2222-3333-4444-555555555555")),
        ("UUID=22222222-2222-3333-4444-555555555555", None),
        ("/dev/mapper/x", None),
        ("#/dev/sda2", None),
        ("tmpfs", None),
        ("\u{fffd}\u{e4}\\040", None),
    ];
    ALL[usize::try_from(rng.below(8)).unwrap()]
}

#[test]
fn of_any_table_only_the_names_of_disks_change() {
    let mut rng = Rng::new(5);
    for _ in 0..300 {
        let (mut text, mut expected) = (String::new(), String::new());
        for _ in 0..rng.below(12) {
            let (old, new) = token(&mut rng);
            let indent = ["", " ", "\t\t"][usize::try_from(rng.below(3)).unwrap()];
            let gap = [" ", "\t", "  \t "][usize::try_from(rng.below(3)).unwrap()];
            let rest = [
                "/m auto defaults,x-y=/dev/sda2 0 0",
                "/m",
                "/dev/sda2 auto # /dev/sdb1",
            ];
            let rest = rest[usize::try_from(rng.below(3)).unwrap()];
            let end = ["\n", "\r\n", " \n", "\n\n"][usize::try_from(rng.below(4)).unwrap()];
            text.push_str(&format!("{indent}{old}{gap}{rest}{end}"));
            expected.push_str(&format!("{indent}{}{gap}{rest}{end}", new.unwrap_or(old)));
        }
        assert_eq!(after(&fstab(&text)), expected, "{text}");
    }
}

/// A unit of the guest's own, and what `linux.units` makes of it.
fn unit(name: &str, text: &str) -> Done {
    lab(&[(&format!("/etc/systemd/system/{name}"), text)]).fix("linux.units")
}

#[test]
fn units_name_what_they_mount_by_its_content() {
    let text = "# What=/dev/sda1\n[Unit]\nWhat=/dev/sdb1\n[Mount]\nWhat = /dev/sdb1\nWhere=/home\n";
    let done = unit("home.mount", text);
    let expected = text.replace("What = /dev/sdb1", &format!("What = /dev/disk/by-uuid/{HOME}"));
    assert_eq!(done.text("/etc/systemd/system/home.mount").unwrap(), expected);
    done.says(
        Outcome::Change,
        "What=: /dev/sdb1 becomes /dev/disk/by-uuid/33333333",
    );
    let done = unit("home.mount.d/disk.conf", "[Mount]\nWhat=/dev/xvdb1\n");
    let text = done.text("/etc/systemd/system/home.mount.d/disk.conf").unwrap();
    assert_eq!(text, format!("[Mount]\nWhat=/dev/disk/by-uuid/{HOME}\n"));
    unit("data.mount", "[Mount]\nWhat=/dev/sdz1\n").says(Outcome::Warn, "/dev/sdz1, which names no device");
}

#[test]
fn a_unit_of_swap_has_the_name_of_its_device() {
    let at = |name: &str| format!("/etc/systemd/system/{name}");
    let mut all = lab(&[(&at("dev-sda2.swap"), "[Swap]\nWhat=/dev/sda2\n")]);
    all.file(&at("dev-sda2.swap.d/x.conf"), "[Swap]\nPriority=1\n");
    all.link(
        &at("swap.target.wants/dev-sda2.swap"),
        "/etc/systemd/system/dev-sda2.swap",
    );
    let done = all.fix("linux.units");
    let name = oracle::ok("systemd-escape", &["-p", &format!("/dev/disk/by-uuid/{SWAP}")]);
    let name = format!("{}.swap", name.trim());
    assert_eq!(done.text(&at("dev-sda2.swap")), None);
    assert_eq!(
        done.text(&at(&name)).unwrap(),
        format!("[Swap]\nWhat=/dev/disk/by-uuid/{SWAP}\n")
    );
    assert!(done.text(&at(&format!("{name}.d/x.conf"))).is_some());
    assert_eq!(done.target(&at("swap.target.wants/dev-sda2.swap")), None);
    assert_eq!(
        done.target(&at(&format!("swap.target.wants/{name}"))),
        Some(at(&name))
    );
}

#[test]
fn units_that_hold_on_any_machine_are_left() {
    for text in [
        "[Mount]\nWhat=/dev/vg/data\nWhere=/data\n",
        "[Mount]\nWhat=tmpfs\n",
        "[Mount]\nWhere=/dev/sda1\n",
        "[Mount]\n#What=/dev/sda1\n",
        "[Mount]\nWhat=/dev/sd%i\n",
    ] {
        let mut all = lab(&[("/etc/systemd/system/a.mount", text)]);
        all.device("/dev/vg/data", "xfs", "77777777-2222-3333-4444-555555555555");
        all.fix("linux.units").left("holds on any machine");
    }
    let mut all = lab(&[("/etc/systemd/system/a.mount", "[Mount]\nWhat=/dev/sdb1\n")]);
    all.options.fstab = FstabMode::Noop;
    all.fix("linux.units").left("as /etc/fstab is");
    let mut all = lab(&[]);
    all.link("/etc/systemd/system/b.mount", "/dev/null");
    all.fix("linux.units").left("no unit of the guest's own");
}
