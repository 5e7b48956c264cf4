//! New files under SELinux.

use crate::lab::Lab;
use h2k_block::{Limits, Meter};
use h2k_fix::Outcome;
use h2k_fs::{FsRead, resolve};
use std::ops::ControlFlow;

const PLAN: &str = "auto ens192\niface ens192 inet dhcp\n  hwaddress ether 00:50:56:8a:01:21\n";
const LINK: &str = "/etc/systemd/network/10-hyper2kvm-ens192.link";
const CONTEXTS: &str = "/.* system_u:object_r:default_t:s0\n/etc/.* system_u:object_r:etc_t:s0\n/etc/systemd/network(/.*)? system_u:object_r:systemd_conf_t:s0\n";

fn fixed(more: &[(&str, &str)]) -> crate::lab::Done {
    let mut lab = Lab::new(&[("/etc/network/interfaces", PLAN)]);
    lab.file("/usr/lib/systemd/systemd-udevd", "");
    for (path, text) in more {
        lab.file(path, text);
    }
    lab.fix("linux.network-names")
}

fn label(fs: &dyn FsRead, path: &str) -> Option<String> {
    let node = resolve(fs, path.as_bytes(), &mut Meter::new(Limits::default()))
        .unwrap()
        .unwrap();
    let mut found = None;
    fs.xattrs(node, &mut |name, value| {
        if name == b"security.selinux" {
            found = Some(String::from_utf8(value.to_vec()).unwrap());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn a_new_file_and_its_directories_get_the_labels_of_the_policy() {
    let done = fixed(&[
        ("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n"),
        ("/etc/selinux/targeted/contexts/files/file_contexts", CONTEXTS),
    ]);
    let expected = Some("system_u:object_r:systemd_conf_t:s0\0".to_owned());
    assert_eq!(label(&done.fs, LINK), expected);
    assert_eq!(label(&done.fs, "/etc/systemd/network"), expected);
    assert_eq!(
        label(&done.fs, "/etc/systemd").as_deref(),
        Some("system_u:object_r:etc_t:s0\0")
    );
    assert_eq!(done.text("/.autorelabel"), None);
}

#[test]
fn without_selinux_nothing_is_labelled() {
    for config in ["SELINUX=disabled\nSELINUXTYPE=targeted\n", ""] {
        let done = fixed(&[
            ("/etc/selinux/config", config),
            ("/etc/selinux/targeted/contexts/files/file_contexts", CONTEXTS),
        ]);
        assert_eq!(label(&done.fs, LINK), None);
        assert_eq!(done.text("/.autorelabel"), None);
    }
}

#[test]
fn where_labels_cannot_be_told_the_guest_labels_anew() {
    let done = fixed(&[("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")]);
    assert_eq!(done.text("/.autorelabel").as_deref(), Some(""));
    done.says(
        Outcome::Change,
        "the policy of SELinux does not tell the label of /etc/systemd",
    );
}
