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
