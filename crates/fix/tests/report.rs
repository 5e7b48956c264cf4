//! What is told and not changed.

use crate::lab::Lab;
use h2k_fix::Outcome;

#[test]
fn a_clock_in_local_time_is_told() {
    let done = Lab::new(&[("/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n")]).fix("linux.rtc");
    done.says(Outcome::Warn, "local time");
    assert!(done.proposal.drafted.changes().is_empty());
    let old = Lab::new(&[("/etc/sysconfig/clock", "ZONE=\"Europe/Berlin\"\nUTC=false\n")]);
    old.fix("linux.rtc").says(Outcome::Warn, "local time");
}

#[test]
fn a_clock_in_utc_is_left() {
    Lab::new(&[("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n")])
        .fix("linux.rtc")
        .left("runs in UTC");
    Lab::new(&[]).fix("linux.rtc").left("nothing says");
}

#[test]
fn a_policy_that_refuses_changed_files_is_told() {
    let policy = "# rules\ndont_appraise fsmagic=0x9fa0\nappraise fowner=0\n";
    let done = Lab::new(&[("/etc/ima/ima-policy", policy)]).fix("linux.integrity");
    done.says(Outcome::Warn, "/etc/ima/ima-policy has files appraised");
    let grub = "menuentry 'Linux' {\n linux /vmlinuz root=/dev/sda1 ro ima_appraise=enforce\n}\n";
    let done = Lab::new(&[("/boot/grub/grub.cfg", grub), ("/vmlinuz", "x")]).fix("linux.integrity");
    done.says(Outcome::Warn, "ima_appraise=enforce");
    Lab::new(&[]).fix("linux.integrity").left("no kernel is told");
}

#[test]
fn a_filesystem_that_is_there_twice_is_told() {
    let mut lab = Lab::new(&[]);
    lab.partition("/dev/sdb1", "ext4", Lab::ROOT, "bbbbbbbb-01");
    let done = lab.fix("linux.twins");
    let why = format!(
        "/dev/sda1 and /dev/sdb1 hold ext4 with one UUID: root=UUID={} may",
        Lab::ROOT
    );
    done.says(Outcome::Warn, &why);
    assert!(done.proposal.drafted.changes().is_empty());
    let mut lab = Lab::new(&[]);
    lab.partition("/dev/sdb1", "xfs", "1-2", "bbbbbbbb-01");
    lab.partition("/dev/sdc1", "xfs", "1-2", "cccccccc-01");
    lab.fix("linux.twins")
        .says(Outcome::Warn, "UUID=1-2 may mean any");
}

#[test]
fn what_shares_a_uuid_for_a_reason_is_left() {
    let mut lab = Lab::new(&[]);
    for name in ["/dev/sdb1", "/dev/sdc1"] {
        lab.partition(name, "btrfs", "1-2", "bbbbbbbb-01");
    }
    lab.device("/dev/sdd1", "linux_raid_member", "3-4");
    lab.device("/dev/sde1", "linux_raid_member", "3-4");
    lab.fix("linux.twins")
        .left("no filesystem is on these disks twice");
}
