//! Other places where disks are named.

use crate::lab::Lab;
use h2k_fix::Outcome;

fn lab(path: &str, text: &str) -> Lab {
    let mut lab = Lab::new(&[(path, text)]);
    lab.disk("/dev/sda");
    lab
}

#[test]
fn mdadm_looks_at_every_partition() {
    let path = "/etc/mdadm/mdadm.conf";
    let text = "# DEVICE /dev/sda1\nDEVICE /dev/sda1\n  /dev/sd[bc]2 # x\nARRAY /dev/md0 UUID=1:2 devices=/dev/sda1,/dev/sdb1\n\
                MAILADDR root\n";
    let done = lab(path, text).fix("linux.mdadm");
    let expected = "# DEVICE /dev/sda1\nDEVICE partitions # x\nARRAY /dev/md0 UUID=1:2\nMAILADDR root\n";
    assert_eq!(done.text(path).unwrap(), expected);
}

#[test]
fn mdadm_that_looks_everywhere_is_left() {
    let path = "/etc/mdadm.conf";
    lab(path, "DEVICE partitions containers\nARRAY /dev/md0 UUID=1:2\n")
        .fix("linux.mdadm")
        .left("holds on any machine");
    lab(path, "ARRAY /dev/md0 devices=/dev/sda1\n")
        .fix("linux.mdadm")
        .says(Outcome::Warn, "known by its devices alone");
    lab("/x", "").fix("linux.mdadm").left("no configuration of mdadm");
}

#[test]
fn a_filter_of_lvm_admits_disks_by_their_new_names() {
    let path = "/etc/lvm/lvm.conf";
    let text = "devices {\n  # filter = [ \"a|/dev/sda|\", \"r|.*|\" ]\n  filter = [ \"r|/dev/cdrom|\",\n    \"a|^/dev/sda[12]$|\", \"r|.*|\" ]\n\
                \tglobal_filter=[\"a|.*|\"]\n}\n";
    let done = lab(path, text).fix("linux.lvm-filter");
    let expected = text.replace(
        "    \"a|^/dev/sda[12]$|\"",
        "    \"a|^/dev/([hsv]d|xvd|nvme)|\", \"a|^/dev/sda[12]$|\"",
    );
    assert_eq!(done.text(path).unwrap(), expected);
}

#[test]
fn filters_of_lvm_that_admit_disks_are_left() {
    for filter in [
        "[ \"a|.*|\" ]",
        "[ \"r|/dev/sdb|\", \"a|.*|\" ]",
        "[ \"a|/dev/mapper/|\", \"r|.*|\" ]",
        "[ \"a|/dev/sda|\" ]",
        "\"a|.*|\"",
        "[ \"a|/dev/sda",
    ] {
        let text = format!("filter = {filter}\n");
        lab("/etc/lvm/lvm.conf", &text)
            .fix("linux.lvm-filter")
            .left("holds on any machine");
    }
    lab("/x", "")
        .fix("linux.lvm-filter")
        .left("no configuration of LVM");
}

#[test]
fn grub_2_finds_disks_without_a_map() {
    let path = "/boot/grub/device.map";
    let mut second = lab(path, "(hd0)\t/dev/disk/by-id/ata-VBOX_1\n");
    second.file("/boot/grub/grub.cfg", "menuentry x {\n linux /v\n}\n");
    let done = second.fix("linux.device-map");
    assert_eq!(done.text(path), None);
    let legacy = lab(path, "# x\n(fd0) /dev/fd0\n(hd0)\t/dev/sda\n").fix("linux.device-map");
    assert_eq!(
        legacy.text(path).unwrap(),
        "# x\n(fd0) /dev/fd0\n(hd0)\t/dev/vda\n"
    );
    lab(path, "(hd0) /dev/vda\n")
        .fix("linux.device-map")
        .left("as they are named on the new machine");
    lab(path, "(hd0) /dev/sdq\n")
        .fix("linux.device-map")
        .says(Outcome::Warn, "/dev/sdq names no device");
    lab("/x", "").fix("linux.device-map").left("no map");
}

#[test]
fn lilo_is_only_told_of() {
    let done = lab(
        "/etc/lilo.conf",
        "boot=/dev/hda\nimage=/vmlinuz\n\troot = /dev/hda1\n",
    )
    .fix("linux.lilo");
    done.says(Outcome::Warn, "LILO has stored boot=/dev/hda, root=/dev/hda1");
    assert!(done.proposal.drafted.changes().is_empty());
    lab("/etc/lilo.conf", "root=UUID=1\n")
        .fix("linux.lilo")
        .left("names no disk");
    lab("/x", "").fix("linux.lilo").left("no /etc/lilo.conf");
}
