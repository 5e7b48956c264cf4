use crate::lab::Lab;
use h2k_fix::Outcome;

const ID: &str = "linux.device-caches";

#[test]
fn caches_of_device_names_are_removed() {
    let done = Lab::new(&[
        ("/etc/lvm/devices/system.devices", "VERSION=1.1.1\n"),
        ("/etc/blkid.tab", "x"),
    ])
    .fix(ID);
    assert_eq!(done.text("/etc/lvm/devices/system.devices"), None);
    assert_eq!(done.text("/etc/blkid.tab"), None);
    done.says(Outcome::Change, "/etc/lvm/devices/system.devices");
    assert_eq!(done.proposal.drafted.changes().len(), 2);
}

#[test]
fn what_is_no_cache_is_left() {
    let done = Lab::new(&[("/etc/lvm/lvm.conf", "devices {}\n")]).fix(ID);
    done.left("no cache");
    assert_eq!(done.text("/etc/lvm/lvm.conf").unwrap(), "devices {}\n");
}
