//! Names of interfaces, on guests as the rig builds them and on older ones.

use crate::lab::Lab;
use h2k_fix::{Hypervisor, NetworkLevel, Nic, Outcome};

const ID: &str = "linux.network-names";
const MAC: &str = "00:50:56:8a:01:21";
const LINK: &str = "/etc/systemd/network/10-hyper2kvm-ens192.link";
const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";

/// A guest with systemd of this version and these files, whose machine has these interfaces.
fn guest(version: u32, files: &[(&str, &str)], nics: &[(&str, Option<&str>)]) -> Lab {
    let mut lab = Lab::new(files);
    lab.file("/usr/lib/systemd/systemd-udevd", "");
    lab.file(&format!("/usr/lib/systemd/libsystemd-shared-{version}.so"), "");
    with(lab, nics)
}

fn with(mut lab: Lab, nics: &[(&str, Option<&str>)]) -> Lab {
    lab.target.from = Some(Hypervisor::Vmware);
    lab.target.nics = nics
        .iter()
        .map(|(mac, name)| Nic {
            mac: (*mac).to_owned(),
            name: name.map(str::to_owned),
        })
        .collect();
    lab
}

fn link(name: &str, mac: &str) -> String {
    format!(
        "# Keeps the name this interface had on the old machine.\n[Match]\nPermanentMACAddress={mac}\n\n[Link]\nName={name}\n"
    )
}

const STATIC: &str = "auto lo\niface lo inet loopback\n\nallow-hotplug ens192\niface ens192 inet static\n    address 192.168.77.21/24\n    hwaddress ether 00:50:56:8a:01:21\n";

#[test]
fn a_rule_for_the_old_driver_matches_any() {
    let rule = |driver: &str| {
        format!(
            "# PCI device 0x15ad:0x07b0 (vmxnet3)\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"{driver}\", \
             ATTR{{address}}==\"{MAC}\", ATTR{{dev_id}}==\"0x0\", ATTR{{type}}==\"1\", NAME=\"ens192\"\n"
        )
    };
    let old = rule("vmxnet3");
    let files = [("/etc/network/interfaces", STATIC), (RULES, old.as_str())];
    let done = guest(252, &files, &[(MAC, Some("ens192"))]).fix(ID);
    assert_eq!(done.text(RULES), Some(rule("?*")));
    done.says(Outcome::Leave, "ens192 is tied to 00:50:56:8a:01:21 already");
    assert_eq!(done.text(LINK), None);
    assert_eq!(done.text("/etc/network/interfaces").as_deref(), Some(STATIC));

    let mut careful = guest(252, &files, &[(MAC, Some("ens192"))]);
    careful.options.network = NetworkLevel::Conservative;
    let done = careful.fix(ID);
    assert_eq!(done.text(RULES), Some(old.clone()));
    assert_eq!(done.text(LINK), Some(link("ens192", MAC)));
    done.says(Outcome::Warn, "driver of the old machine");
}

#[test]
fn a_keyfile_with_name_and_address_gets_its_name_tied() {
    let keyfile = "[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n\n[ethernet]\nmac-address=00:50:56:8A:01:21\n\n[ipv4]\nmethod=manual\naddress1=192.168.77.22/24,192.168.77.1\n";
    let path = "/etc/NetworkManager/system-connections/ens192.nmconnection";
    // The configuration alone tells, without a description of the machine.
    let mut lab = guest(252, &[(path, keyfile)], &[]);
    lab.owned(path, 0o600, 0, 0);
    let done = lab.fix(ID);
    assert_eq!(done.text(LINK), Some(link("ens192", MAC)));
    assert_eq!(done.text(path).as_deref(), Some(keyfile));
    assert_eq!(done.owner(LINK), (0o644, 0, 0));
}

#[test]
fn netplan_by_name_is_tied_to_the_only_interface() {
    let plan = "network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [192.168.77.23/24]\n";
    let done = guest(252, &[("/etc/netplan/01-netcfg.yaml", plan)], &[(MAC, None)]).fix(ID);
    assert_eq!(done.text(LINK), Some(link("ens192", MAC)));
}

#[test]
fn netplan_that_names_by_address_is_left() {
    let plan = "network:\n  version: 2\n  ethernets:\n    lan:\n      match: {macaddress: \"00:50:56:8a:01:21\"}\n      set-name: ens192\n      dhcp4: true\n";
    guest(252, &[("/etc/netplan/01-netcfg.yaml", plan)], &[(MAC, None)])
        .fix(ID)
        .left("ens192 is what netplan calls");
}

#[test]
fn a_plan_for_the_old_driver_matches_the_new_one() {
    let plan = "network:\n  ethernets:\n    lan: # the only one\n      match:\n        driver: vmxnet3\n      dhcp4: true\n";
    let path = "/etc/netplan/01-netcfg.yaml";
    let done = guest(252, &[(path, plan)], &[(MAC, None)]).fix(ID);
    assert_eq!(done.text(path), Some(plan.replace("vmxnet3", "virtio_net")));
}

#[test]
fn dhcp_by_name_keeps_the_name_the_slot_gave() {
    let files = [(
        "/etc/network/interfaces",
        "auto lo\niface lo inet loopback\nallow-hotplug ens33\niface ens33 inet dhcp\n",
    )];
    let done = guest(252, &files, &[("00:50:56:8a:01:24", Some("ens33"))]).fix(ID);
    let path = "/etc/systemd/network/10-hyper2kvm-ens33.link";
    assert_eq!(done.text(path), Some(link("ens33", "00:50:56:8a:01:24")));
}

#[test]
fn older_systemd_tells_interfaces_apart_by_their_driver() {
    let files = [(
        "/etc/sysconfig/network-scripts/ifcfg-ens192",
        "DEVICE=ens192\nHWADDR=00:50:56:8A:01:21\nBOOTPROTO=dhcp\n",
    )];
    let done = guest(239, &files, &[]).fix(ID);
    let text = done.text(LINK).unwrap();
    assert!(
        text.contains("MACAddress=00:50:56:8a:01:21\nDriver=virtio_net\n") && !text.contains("Permanent")
    );
}

#[test]
fn without_systemd_names_are_kept_by_rules_and_rules_of_other_interfaces_go() {
    let rule = |mac: &str, name: &str| {
        format!(
            "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{mac}\", ATTR{{type}}==\"1\", KERNEL==\"eth*\", NAME=\"{name}\"\n"
        )
    };
    let old = format!("# made by udev\n{}", rule("00:0c:29:00:00:01", "eth0"));
    let files = [
        (RULES, old.as_str()),
        (
            "/etc/sysconfig/network-scripts/ifcfg-eth0",
            "DEVICE=eth0\nHWADDR=00:50:56:8A:01:21\n",
        ),
        (
            "/etc/sysconfig/network-scripts/ifcfg-eth1",
            "DEVICE=eth1\nHWADDR=00:50:56:8A:01:22\n",
        ),
    ];
    let nics = [(MAC, None), ("00:50:56:8a:01:22", None)];
    let done = with(Lab::new(&files), &nics).fix(ID);
    let expected = format!(
        "# made by udev\n{}{}",
        rule(MAC, "eth0"),
        rule("00:50:56:8a:01:22", "eth1")
    );
    assert_eq!(done.text(RULES), Some(expected));
    done.says(Outcome::Change, "00:0c:29:00:00:01");
}

#[test]
fn the_kernels_own_name_of_the_only_interface_is_left() {
    let files = [("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")];
    with(Lab::new(&files), &[(MAC, None)])
        .fix(ID)
        .left("the kernel's own name");
    // With names by slot it would be another.
    let done = guest(252, &files, &[(MAC, None)]).fix(ID);
    let path = "/etc/systemd/network/10-hyper2kvm-eth0.link";
    assert_eq!(done.text(path), Some(link("eth0", MAC)));
}

#[test]
fn what_is_ambiguous_is_left_and_told() {
    let files = [(
        "/etc/network/interfaces",
        "iface ens192 inet dhcp\niface ens224 inet dhcp\n",
    )];
    let done = guest(252, &files, &[(MAC, None), ("00:50:56:8a:01:22", None)]).fix(ID);
    assert!(done.proposal.drafted.changes().is_empty());
    done.says(Outcome::Warn, "ens224 is used by the configuration");
    let advice = done.proposal.findings.iter().filter_map(|f| f.advice.as_deref());
    assert!(
        advice
            .into_iter()
            .any(|a| a.contains("give the MAC address of ens192"))
    );
}

#[test]
fn an_address_that_is_gone_is_told_and_replaced_when_that_is_wanted() {
    let path = "/etc/sysconfig/network-scripts/ifcfg-ens192";
    let files = [(
        path,
        "DEVICE=ens192\n# the first\nHWADDR=00:0C:29:11:22:33\nBOOTPROTO=dhcp\n",
    )];
    let done = guest(252, &files, &[(MAC, None)]).fix(ID);
    done.says(
        Outcome::Warn,
        "00:0c:29:11:22:33, which the machine does not have",
    );
    assert_eq!(done.text(path).unwrap(), files[0].1);

    let mut lab = guest(252, &files, &[(MAC, None)]);
    lab.options.network = NetworkLevel::Aggressive;
    let done = lab.fix(ID);
    assert_eq!(
        done.text(path).unwrap(),
        "DEVICE=ens192\n# the first\nHWADDR=00:50:56:8a:01:21\nBOOTPROTO=dhcp\n"
    );
    assert_eq!(done.text(LINK), Some(link("ens192", MAC)));
}

#[test]
fn places_of_the_old_machine_are_told() {
    let path = "/etc/systemd/network/20-lan.network";
    let text = "[Match]\nPath=pci-0000:0b:00.0\n\n[Network]\nDHCP=yes\n";
    let done = guest(252, &[(path, text)], &[(MAC, None)]).fix(ID);
    done.says(Outcome::Warn, "pci-0000:0b:00.0, a place in the old machine");
    assert_eq!(done.text(path).as_deref(), Some(text));
}

#[test]
fn a_guest_that_matches_every_interface_is_left() {
    let text = "[Match]\nName=en*\n\n[Network]\nDHCP=yes\n";
    guest(
        252,
        &[("/etc/systemd/network/20-wired.network", text)],
        &[(MAC, None)],
    )
    .fix(ID)
    .left("no configuration calls an interface");
}
