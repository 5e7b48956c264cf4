//! The door hostile configuration comes through: the same function serves the mutation tests and the fuzz target.

use h2k_block::Limits;
use h2k_fs::MemFs;
use h2k_guest::{Device, Guest};
use h2k_inspect::{Inspection, Topic, Topics, inspect};

/// Files that are read by a grammar of their own, and the topic that reads them.
pub const PLACES: [(&str, Topic); 34] = [
    (
        "/etc/NetworkManager/system-connections/a.nmconnection",
        Topic::Network,
    ),
    ("/etc/NetworkManager/NetworkManager.conf", Topic::Network),
    ("/etc/netplan/a.yaml", Topic::Network),
    ("/etc/systemd/network/a.network", Topic::Network),
    ("/etc/systemd/network/a.netdev", Topic::Network),
    ("/etc/systemd/network/a.link", Topic::Network),
    ("/etc/sysconfig/network-scripts/ifcfg-a", Topic::Network),
    ("/etc/sysconfig/network-scripts/route-a", Topic::Network),
    ("/etc/sysconfig/network/ifcfg-a", Topic::Network),
    ("/etc/sysconfig/network/routes", Topic::Network),
    ("/etc/network/interfaces", Topic::Network),
    ("/var/lib/cloud/seed/nocloud/network-config", Topic::Network),
    ("/etc/cloud/cloud.cfg.d/a.cfg", Topic::Network),
    ("/etc/dhcpcd.conf", Topic::Network),
    ("/var/lib/connman/a.config", Topic::Network),
    ("/etc/conf.d/net", Topic::Network),
    ("/etc/udev/rules.d/70-persistent-net.rules", Topic::Network),
    ("/etc/iftab", Topic::Network),
    ("/var/lib/dhcp/dhclient.leases", Topic::Network),
    ("/var/lib/dhcpcd/a.lease", Topic::Network),
    (
        "/var/lib/NetworkManager/internal-4c8f3b1e-0000-4000-8000-000000000001-a.lease",
        Topic::Network,
    ),
    ("/etc/resolv.conf", Topic::Network),
    ("/etc/hosts", Topic::Network),
    ("/etc/firewalld/zones/a.xml", Topic::Firewall),
    ("/etc/nftables.conf", Topic::Firewall),
    ("/etc/iptables/rules.v4", Topic::Firewall),
    ("/etc/ufw/user.rules", Topic::Firewall),
    ("/etc/apparmor.d/a", Topic::Security),
    ("/etc/selinux/config", Topic::Security),
    ("/etc/crontab", Topic::Schedule),
    ("/etc/anacrontab", Topic::Schedule),
    ("/etc/crypttab", Topic::Storage),
    ("/etc/mdadm.conf", Topic::Storage),
    ("/etc/fstab", Topic::Storage),
];

/// What hostile input may cost here.
const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    steps: 50_000,
    depth: 16,
};

/// Reads `content` as the file of the place numbered by the first byte.
pub fn knock(bytes: &[u8]) {
    if let Some((first, content)) = bytes.split_first() {
        let place = usize::from(*first) % PLACES.len();
        drop(read(place, content));
    }
}

/// A system with that one file.
pub fn read(place: usize, content: &[u8]) -> Inspection {
    let (path, topic) = PLACES[place];
    let mut fs = MemFs::new();
    fs.dir("/bin").unwrap();
    fs.dir("/etc").unwrap();
    if path != "/etc/fstab" {
        fs.file("/etc/fstab", "").unwrap();
    }
    if path == "/etc/ufw/user.rules" {
        fs.file("/etc/ufw/ufw.conf", "ENABLED=yes\n").unwrap();
    }
    fs.file(path, content).unwrap();
    let guest = Guest::of(vec![Device::with_fs("/dev/sda1", fs)], &LIMITS);
    let found = inspect(&guest, &Topics::only(&[topic]), &LIMITS);
    assert_eq!(found.systems.len(), 1, "the file was not read at all");
    found
}
