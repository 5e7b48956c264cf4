//! How systems are connected: known answers for each tool, and its own programs as judges.

use crate::common::{asked, rig_guest, section, shared_guest, system, value};
use h2k_inspect::Topic;
use h2k_testkit::oracle;
use serde_json::{Value, json};
use std::path::Path;

/// A system with these files, and a mount table if none is among them.
pub fn tree(files: &[(&str, &str)]) -> h2k_fs::MemFs {
    let mut fs = system(files);
    if !files.iter().any(|(path, _)| *path == "/etc/fstab") {
        fs.file("/etc/fstab", "").unwrap();
    }
    fs
}

/// The connection `name` of the tool.
fn connection<'a>(network: &'a Value, tool: &str, name: &str) -> &'a Value {
    let all = network["connections"].as_array().unwrap();
    let found = all.iter().find(|c| c["tool"] == tool && c["name"] == name);
    found.unwrap_or_else(|| panic!("{tool} has no {name} in {network:#}"))
}

/// `address/prefix` of each.
fn addresses(connection: &Value) -> Vec<String> {
    let all = connection["addresses"].as_array().unwrap();
    let one = |a: &Value| format!("{}/{}", a["address"].as_str().unwrap(), a["prefix"]);
    all.iter().map(one).collect()
}

/// The values of a list of facts.
fn values(connection: &Value, list: &str) -> Vec<String> {
    let all = connection[list].as_array().unwrap();
    all.iter()
        .map(|f| f["value"].as_str().unwrap().to_owned())
        .collect()
}

/// `destination via gateway` of each.
fn routes(connection: &Value) -> Vec<String> {
    let all = connection["routes"].as_array().unwrap();
    let one = |r: &Value| {
        format!(
            "{} via {}",
            r["destination"].as_str().unwrap(),
            r["gateway"].as_str().unwrap_or("-")
        )
    };
    all.iter().map(one).collect()
}

const KEYFILE: &str = "[connection]\nid=Wired 1\nuuid=4c8f3b1e-0000-4000-8000-000000000001\ntype=ethernet\n\
    interface-name=ens192\nautoconnect=false\n\n[ethernet]\nmac-address=00:50:56:8A:01:22\ncloned-mac-address=preserve\n\
    mtu=9000\n\n[ipv4]\naddress1=192.168.77.22/24,192.168.77.2\naddress2=10.0.0.9/8\ndns=192.168.77.3;1.1.1.1;\n\
    dns-search=example.org;\nmethod=manual\nroute1=172.16.0.0/12,192.168.77.9,50\nroute1_options=table=7\n\n\
    [ipv6]\nmethod=auto\n";

#[test]
fn a_keyfile_of_networkmanager_is_read_whole() {
    let mut fs = tree(&[]);
    let path = "/etc/NetworkManager/system-connections/wired.nmconnection";
    let node = fs.file(path, KEYFILE).unwrap();
    fs.set_mode(node, 0o600).unwrap();
    let open = fs
        .file(
            "/etc/NetworkManager/system-connections/open.nmconnection",
            "[connection]\nid=open\ntype=wifi\n[wifi]\nssid=net\n[wifi-security]\npsk=hunter2hunter2\n",
        )
        .unwrap();
    fs.set_mode(open, 0o644).unwrap();
    fs.file(
        "/etc/NetworkManager/system-connections/wired.nmconnection~",
        KEYFILE,
    )
    .unwrap();
    fs.file(
        "/usr/lib/NetworkManager/system-connections/wired.nmconnection",
        KEYFILE,
    )
    .unwrap();
    fs.file("/etc/NetworkManager/conf.d/x.conf", "[main]\ndns=none\n")
        .unwrap();
    fs.file("/usr/lib/systemd/system/NetworkManager.service", "")
        .unwrap();
    fs.link(
        "/etc/systemd/system/multi-user.target.wants/NetworkManager.service",
        "/usr/lib/systemd/system/NetworkManager.service",
    )
    .unwrap();
    let network = asked(fs, Topic::Network);
    let wired = connection(&network, "networkmanager", "Wired 1");
    assert_eq!(value(wired, "interface"), "ens192");
    assert_eq!(wired["interface"]["source"], format!("{path}:5"));
    assert_eq!(wired["match"]["macs"], json!(["00:50:56:8a:01:22"]));
    assert_eq!(
        (value(wired, "cloned-mac"), value(wired, "mtu")),
        (&json!("preserve"), &json!(9000))
    );
    assert_eq!(
        (value(wired, "ipv4"), value(wired, "ipv6")),
        (&json!("static"), &json!("automatic"))
    );
    assert_eq!(addresses(wired), ["192.168.77.22/24", "10.0.0.9/8"]);
    assert_eq!(values(wired, "gateways"), ["192.168.77.2"]);
    assert_eq!(values(wired, "name-servers"), ["192.168.77.3", "1.1.1.1"]);
    assert_eq!(values(wired, "search"), ["example.org"]);
    assert_eq!(routes(wired), ["172.16.0.0/12 via 192.168.77.9"]);
    assert_eq!(
        (&wired["routes"][0]["metric"], &wired["routes"][0]["table"]),
        (&json!(50), &json!("7"))
    );
    assert_eq!(value(wired, "autostart"), false);
    let open = connection(&network, "networkmanager", "open");
    assert_eq!(
        (&open["holds-secret"], value(open, "ssid")),
        (&json!(true), &json!("net"))
    );
    assert!(open["ignored"].as_str().unwrap().contains("others than root"));
    assert!(!network.to_string().contains("hunter2"), "a secret is shown");
    let all = network["connections"].as_array().unwrap();
    assert_eq!(all.len(), 3, "a backup is none");
    let shadowed = all
        .iter()
        .find(|c| c["source"].as_str().unwrap().starts_with("/usr/lib"))
        .unwrap();
    assert!(shadowed["ignored"].as_str().unwrap().contains(path));
    assert_eq!(network["tools"][0]["name"], "networkmanager");
    assert_eq!(network["tools"][0]["enabled"], true);
    assert_eq!(network["tools"][0]["settings"][0]["value"], "main.dns=none");
}

const NETPLAN: [(&str, &str); 2] = [
    (
        "10-base.yaml",
        "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    lan:\n      match:\n        macaddress: 00:50:56:8a:01:23\n      \
         set-name: ens192\n      addresses: [192.168.77.23/24]\n      nameservers: {addresses: [192.168.77.3]}\n      mtu: 1400\n    \
         eno1: {dhcp4: true}\n    eno2: {}\n    eno3: {}\n  bonds:\n    bond0:\n      interfaces: [eno2, eno3]\n      \
         parameters: {mode: active-backup, mii-monitor-interval: 100}\n      addresses: [\"2001:db8::5/64\"]\n",
    ),
    (
        "20-more.yaml",
        "network:\n  ethernets:\n    lan:\n      addresses:\n      - 10.9.8.7/16\n      mtu: 1500\n      routes:\n      \
         - {to: default, via: 192.168.77.2}\n      - to: 10.20.0.0/16\n        via: 10.9.0.1\n        metric: 5\n      \
         nameservers: {search: [example.org]}\n  vlans:\n    vlan7: {id: 7, link: bond0, addresses: [10.7.0.1/24]}\n  bridges:\n    \
         br0: {interfaces: [vlan7], dhcp4: yes, macaddress: \"02:00:00:00:00:01\"}\n",
    ),
];

fn netplan_files(fs: &mut h2k_fs::MemFs) {
    for (name, yaml) in NETPLAN {
        fs.file(&format!("/etc/netplan/{name}"), yaml).unwrap();
    }
}

#[test]
fn files_of_netplan_are_put_over_each_other() {
    let mut fs = tree(&[]);
    netplan_files(&mut fs);
    let network = asked(fs, Topic::Network);
    let lan = connection(&network, "netplan", "lan");
    assert_eq!(addresses(lan), ["192.168.77.23/24", "10.9.8.7/16"]);
    assert_eq!(lan["addresses"][1]["source"], "/etc/netplan/20-more.yaml:5");
    assert_eq!(
        (value(lan, "mtu"), value(lan, "set-name")),
        (&json!(1500), &json!("ens192"))
    );
    assert_eq!(values(lan, "gateways"), ["192.168.77.2"]);
    assert_eq!(routes(lan), ["10.20.0.0/16 via 10.9.0.1"]);
    assert_eq!(lan["match"]["macs"], json!(["00:50:56:8a:01:23"]));
    assert_eq!(
        (values(lan, "name-servers"), values(lan, "search")),
        (vec!["192.168.77.3".into()], vec!["example.org".into()])
    );
    let bond = connection(&network, "netplan", "bond0");
    assert_eq!(values(bond, "members"), ["eno2", "eno3"]);
    assert_eq!(bond["parameters"]["mode"], "active-backup");
    assert_eq!(
        value(connection(&network, "netplan", "eno2"), "controller"),
        "bond0"
    );
    let vlan = connection(&network, "netplan", "vlan7");
    assert_eq!(
        (value(vlan, "vlan"), values(vlan, "lower")),
        (&json!(7), vec!["bond0".to_owned()])
    );
    let bridge = connection(&network, "netplan", "br0");
    assert_eq!(
        (value(bridge, "ipv4"), value(bridge, "kind")),
        (&json!("dhcp"), &json!("bridge"))
    );
}

/// What netplan itself makes of the same files, read by the reader of the tool it makes them for.
fn generated(renderer: &str) -> (Value, Value) {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc/netplan");
    std::fs::create_dir_all(&etc).unwrap();
    let mut fs = tree(&[]);
    for (name, yaml) in NETPLAN {
        let yaml = yaml.replace("networkd", renderer);
        std::fs::write(etc.join(name), &yaml).unwrap();
        fs.file(&format!("/etc/netplan/{name}"), yaml).unwrap();
    }
    let ours = asked(fs, Topic::Network);
    oracle::ok(
        "netplan",
        &["generate", "--root-dir", root.path().to_str().unwrap()],
    );
    let mut fs = tree(&[]);
    for dir in ["run/systemd/network", "run/NetworkManager/system-connections"] {
        copy(&root.path().join(dir), dir, &mut fs);
    }
    (ours, asked(fs, Topic::Network))
}

fn copy(from: &Path, to: &str, fs: &mut h2k_fs::MemFs) {
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let content = std::fs::read(entry.path()).unwrap();
        let node = fs
            .file(&format!("/{to}/{}", entry.file_name().to_str().unwrap()), content)
            .unwrap();
        fs.set_mode(node, 0o600).unwrap();
    }
}

#[test]
fn what_netplan_generates_for_networkd_says_the_same() {
    let (ours, theirs) = generated("networkd");
    for (name, file) in [
        ("lan", "10-netplan-lan.network"),
        ("bond0", "10-netplan-bond0.network"),
        ("vlan7", "10-netplan-vlan7.network"),
        ("br0", "10-netplan-br0.network"),
        ("eno1", "10-netplan-eno1.network"),
    ] {
        let (a, b) = (
            connection(&ours, "netplan", name),
            connection(&theirs, "networkd", file),
        );
        assert_eq!(addresses(a), addresses(b), "{name}");
        assert_eq!(values(a, "gateways"), values(b, "gateways"), "{name}");
        assert_eq!(routes(a), routes(b), "{name}");
        assert_eq!(values(a, "name-servers"), values(b, "name-servers"), "{name}");
        assert_eq!(values(a, "search"), values(b, "search"), "{name}");
        assert_eq!(value(a, "ipv4"), value(b, "ipv4"), "{name}");
    }
    let bond = connection(&theirs, "networkd", "10-netplan-bond0.netdev");
    assert_eq!(values(bond, "members"), ["eno2", "eno3"]);
    assert_eq!(
        (value(bond, "kind"), &bond["parameters"]["Mode"]),
        (&json!("bond"), &json!("active-backup"))
    );
    let vlan = connection(&theirs, "networkd", "10-netplan-vlan7.netdev");
    assert_eq!(
        (value(vlan, "vlan"), values(vlan, "lower")),
        (&json!(7), vec!["bond0".to_owned()])
    );
    let rule = theirs["names"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["name"] == "ens192")
        .unwrap();
    assert_eq!(rule["match"]["macs"], json!(["00:50:56:8a:01:23"]));
}

#[test]
fn what_netplan_generates_for_networkmanager_says_the_same() {
    let (ours, theirs) = generated("NetworkManager");
    for name in ["lan", "bond0", "vlan7", "br0", "eno1"] {
        let a = connection(&ours, "netplan", name);
        let b = connection(&theirs, "networkmanager", &format!("netplan-{name}"));
        assert_eq!(addresses(a), addresses(b), "{name}");
        assert_eq!(values(a, "gateways"), values(b, "gateways"), "{name}");
        assert_eq!(routes(a), routes(b), "{name}");
        assert_eq!(values(a, "name-servers"), values(b, "name-servers"), "{name}");
        assert_eq!(values(a, "search"), values(b, "search"), "{name}");
    }
    let vlan = connection(&theirs, "networkmanager", "netplan-vlan7");
    assert_eq!(
        (value(vlan, "vlan"), value(vlan, "kind")),
        (&json!(7), &json!("vlan"))
    );
    assert_eq!(
        value(
            connection(&theirs, "networkmanager", "netplan-eno2"),
            "controller"
        ),
        "bond0"
    );
}

#[test]
fn networkd_files_of_one_name_hide_each_other_and_drop_ins_add() {
    let network = asked(
        tree(&[
            (
                "/etc/systemd/network/20-lan.network",
                "[Match]\nName=en* eth*\nMACAddress=00:50:56:aa:bb:cc\n[Network]\nDHCP=ipv4\nDNS=1.1.1.1\n",
            ),
            (
                "/etc/systemd/network/20-lan.network.d/more.conf",
                "[Network]\nDNS=\nDNS=9.9.9.9\nAddress=10.0.0.1/8\n[Route]\nGateway=10.0.0.254\n",
            ),
            ("/usr/lib/systemd/network/20-lan.network", "[Match]\nName=*\n"),
            ("/etc/systemd/network/80-off.network", "-> /dev/null"),
            (
                "/usr/lib/systemd/network/99-default.link",
                "[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep kernel path\n",
            ),
            ("/etc/systemd/network/99-default.link", "-> /dev/null"),
        ]),
        Topic::Network,
    );
    let lan = connection(&network, "networkd", "20-lan.network");
    assert_eq!(
        lan["match"]["names"],
        json!(["en*", "eth*"]),
        "a pattern stays one"
    );
    assert_eq!(
        (value(lan, "ipv4"), addresses(lan)),
        (&json!("dhcp"), vec!["10.0.0.1/8".to_owned()])
    );
    assert_eq!(
        (values(lan, "name-servers"), values(lan, "gateways")),
        (vec!["9.9.9.9".into()], vec!["10.0.0.254".into()])
    );
    assert_eq!(lan["ignored"], Value::Null);
    let all = network["connections"].as_array().unwrap();
    assert_eq!(
        all[1]["ignored"],
        "/etc/systemd/network/20-lan.network counts instead"
    );
    assert!(all[2]["ignored"].as_str().unwrap().contains("/dev/null"));
    assert!(
        network["names"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["ignored"] != Value::Null)
    );
}

#[test]
fn files_of_red_hats_scripts_are_read_with_routes_and_layers() {
    let dir = "/etc/sysconfig/network-scripts";
    let file = |name: &str| format!("{dir}/{name}");
    let text = [
        (
            file("ifcfg-eth0"),
            "TYPE=Ethernet\nBOOTPROTO=none\nNAME=\"System eth0\"\nDEVICE=eth0\nONBOOT=yes\nHWADDR=00:50:56:AA:BB:01\nUUID=5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03\n\
            IPADDR=10.0.0.5\nPREFIX=24\nIPADDR2=10.1.0.5\nNETMASK2=255.255.0.0\nDNS2=8.8.8.8\nDNS1=8.8.4.4\nDOMAIN=\"a.org b.org\"\nIPV6INIT=yes\nIPV6ADDR=2001:db8::5/64\nIPV6_DEFAULTGW=2001:db8::1\n",
        ),
        (
            file("route-eth0"),
            "ADDRESS0=172.16.0.0\nNETMASK0=255.240.0.0\nGATEWAY0=10.0.0.9\n",
        ),
        (
            file("ifcfg-eth1"),
            "DEVICE=eth1\nONBOOT=no\nMASTER=bond0\nSLAVE=yes\nBOOTPROTO=none\n",
        ),
        (
            file("ifcfg-bond0"),
            "DEVICE=bond0\nTYPE=Bond\nBONDING_OPTS=\"mode=4 miimon=100\"\nBOOTPROTO=dhcp\n",
        ),
        (
            file("route-bond0"),
            "10.5.0.0/16 via 10.0.0.7 dev bond0 metric 3\n",
        ),
        (file("ifcfg-bond0.5"), "DEVICE=bond0.5\nVLAN=yes\nBRIDGE=br5\n"),
        (file("ifcfg-br5"), "DEVICE=br5\nTYPE=Bridge\nSTP=on\n"),
        (file("ifcfg-eth0:1"), "DEVICE=eth0:1\nIPADDR=192.168.5.1\n"),
        (
            file("ifcfg-lo"),
            "DEVICE=lo\nIPADDR=127.0.0.1\nNETMASK=255.0.0.0\n",
        ),
        (file("ifcfg-eth0.rpmsave"), "DEVICE=eth9\n"),
        (
            "/etc/sysconfig/network".to_owned(),
            "NETWORKING=yes\nHOSTNAME=h\nGATEWAY=10.0.0.1\nGATEWAYDEV=eth0\n",
        ),
    ];
    let text: Vec<(&str, &str)> = text.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let network = asked(tree(&text), Topic::Network);
    let eth0 = connection(&network, "ifcfg", "System eth0");
    assert_eq!(eth0["match"]["macs"], json!(["00:50:56:aa:bb:01"]));
    assert_eq!(addresses(eth0), ["10.0.0.5/24", "10.1.0.5/16", "2001:db8::5/64"]);
    assert_eq!(values(eth0, "gateways"), ["2001:db8::1", "10.0.0.1"]);
    assert_eq!(values(eth0, "name-servers"), ["8.8.4.4", "8.8.8.8"]);
    assert_eq!(values(eth0, "search"), ["a.org", "b.org"]);
    assert_eq!(routes(eth0), ["172.16.0.0/12 via 10.0.0.9"]);
    assert_eq!(
        (value(eth0, "ipv4"), value(eth0, "ipv6"), value(eth0, "autostart")),
        (&json!("static"), &json!("static"), &json!(true))
    );
    let bond = connection(&network, "ifcfg", "bond0");
    assert_eq!(
        (value(bond, "kind"), value(bond, "ipv4"), values(bond, "members")),
        (&json!("bond"), &json!("dhcp"), vec!["eth1".to_owned()])
    );
    assert_eq!(
        (&bond["parameters"]["mode"], routes(bond)),
        (&json!("4"), vec!["10.5.0.0/16 via 10.0.0.7".to_owned()])
    );
    let vlan = connection(&network, "ifcfg", "bond0.5");
    assert_eq!(
        (
            value(vlan, "vlan"),
            values(vlan, "lower"),
            value(vlan, "controller")
        ),
        (&json!(5), vec!["bond0".to_owned()], &json!("br5"))
    );
    assert_eq!(
        values(connection(&network, "ifcfg", "br5"), "members"),
        ["bond0.5"]
    );
    let alias = connection(&network, "ifcfg", "eth0:1");
    assert_eq!(
        (addresses(alias), &alias["addresses"][0]["label"]),
        (vec!["192.168.5.1/24".to_owned()], &json!("eth0:1"))
    );
    assert_eq!(value(connection(&network, "ifcfg", "lo"), "kind"), "loopback");
    assert_eq!(network["connections"].as_array().unwrap().len(), 7);
}

#[test]
fn files_of_suse_are_read_with_the_routes_beside_them() {
    let network = asked(
        tree(&[
            (
                "/etc/sysconfig/network/ifcfg-eth0",
                "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='10.0.0.5/24'\nIPADDR_1='10.0.1.5'\nNETMASK_1='255.255.255.0'\nLABEL_1='one'\nLLADDR='00:50:56:aa:bb:02'\nMTU='1400'\n",
            ),
            (
                "/etc/sysconfig/network/ifcfg-eth1",
                "BOOTPROTO='dhcp'\nSTARTMODE='off'\n",
            ),
            (
                "/etc/sysconfig/network/ifcfg-bond0",
                "BONDING_MASTER='yes'\nBONDING_SLAVE0='eth1'\nBONDING_MODULE_OPTS='mode=active-backup'\nBOOTPROTO='dhcp4'\n",
            ),
            (
                "/etc/sysconfig/network/ifcfg-vlan9",
                "ETHERDEVICE='bond0'\nVLAN_ID='9'\n",
            ),
            ("/etc/sysconfig/network/ifcfg-eth0.bak", "BOOTPROTO='dhcp'\n"),
            (
                "/etc/sysconfig/network/routes",
                "default 10.0.0.1 - -\n172.16.0.0 10.0.1.9 255.240.0.0 eth0\n",
            ),
            ("/etc/sysconfig/network/config", "NETCONFIG_DNS_POLICY=auto\n"),
        ]),
        Topic::Network,
    );
    let eth0 = connection(&network, "ifcfg-suse", "eth0");
    assert_eq!(addresses(eth0), ["10.0.0.5/24", "10.0.1.5/24"]);
    assert_eq!(
        (values(eth0, "gateways"), routes(eth0)),
        (
            vec!["10.0.0.1".to_owned()],
            vec!["172.16.0.0/12 via 10.0.1.9".to_owned()]
        )
    );
    assert_eq!(
        (value(eth0, "autostart"), value(eth0, "mtu")),
        (&json!(true), &json!(1400))
    );
    let eth1 = connection(&network, "ifcfg-suse", "eth1");
    assert_eq!(
        (
            value(eth1, "ipv4"),
            value(eth1, "ipv6"),
            value(eth1, "controller")
        ),
        (&json!("dhcp"), &json!("dhcp"), &json!("bond0"))
    );
    let bond = connection(&network, "ifcfg-suse", "bond0");
    assert_eq!(
        (value(bond, "ipv4"), value(bond, "ipv6"), value(bond, "kind")),
        (&json!("dhcp"), &Value::Null, &json!("bond"))
    );
    let vlan = connection(&network, "ifcfg-suse", "vlan9");
    assert_eq!(
        (value(vlan, "vlan"), values(vlan, "lower")),
        (&json!(9), vec!["bond0".to_owned()])
    );
    assert_eq!(network["connections"].as_array().unwrap().len(), 4);
}

const INTERFACES: &str = "source interfaces.d/*.cfg\nauto lo\niface lo inet loopback\n\nauto eth0 eth0:1 \\\n  bond0\nallow-hotplug eth1\n\
    iface eth0 inet static\n    address 192.168.77.21/24\n    gateway 192.168.77.2\n    dns-nameservers 192.168.77.3 1.1.1.1\n    \
    hwaddress ether 00:50:56:8A:01:21\n    up ip route add 10.8.0.0/16 via 192.168.77.9\n    post-up route add -net 10.9.0.0 netmask \
    255.255.0.0 gw 192.168.77.8 || true\n# no\niface eth0 inet6 auto\niface eth0:1 inet static\n    netmask 255.255.0.0\n    address \
    10.3.0.1\niface eth1 inet dhcp\niface bond0 inet manual\n    bond-slaves eth2 eth3\n    bond-mode 802.3ad\niface eth4.7 inet dhcp\n\
    iface br0 inet dhcp\n    bridge_ports eth5\n    bridge_stp off\n    wpa-psk hunter2hunter2\n";

#[test]
fn interfaces_are_read_with_what_they_source() {
    let network = asked(
        tree(&[
            ("/etc/network/interfaces", INTERFACES),
            (
                "/etc/network/interfaces.d/x.cfg",
                "auto eth6\niface eth6 inet6 static\n  address 2001:db8::6\n  netmask 64\n",
            ),
            ("/etc/network/interfaces.d/y.off", "iface eth7 inet dhcp\n"),
        ]),
        Topic::Network,
    );
    let all = network["connections"].as_array().unwrap();
    let named = |name: &str| connection(&network, "interfaces", name);
    assert_eq!(all.len(), 9);
    assert_eq!(addresses(named("eth0")), ["192.168.77.21/24"]);
    assert_eq!(values(named("eth0"), "gateways"), ["192.168.77.2"]);
    assert_eq!(
        routes(named("eth0")),
        ["10.8.0.0/16 via 192.168.77.9", "10.9.0.0/16 via 192.168.77.8"]
    );
    assert_eq!(value(named("eth0"), "cloned-mac"), "00:50:56:8a:01:21");
    assert_eq!(
        (
            addresses(named("eth0:1")),
            &named("eth0:1")["addresses"][0]["label"]
        ),
        (vec!["10.3.0.1/16".to_owned()], &json!("eth0:1"))
    );
    assert_eq!(
        (value(named("bond0"), "kind"), values(named("bond0"), "members")),
        (&json!("bond"), vec!["eth2".into(), "eth3".into()])
    );
    assert_eq!(
        (value(named("eth4.7"), "vlan"), values(named("eth4.7"), "lower")),
        (&json!(7), vec!["eth4".to_owned()])
    );
    assert_eq!(
        (value(named("br0"), "kind"), &named("br0")["parameters"]["stp"]),
        (&json!("bridge"), &json!("off"))
    );
    assert_eq!(addresses(named("eth6")), ["2001:db8::6/64"]);
    assert_eq!(value(named("eth4.7"), "autostart"), false);
    assert!(!network.to_string().contains("hunter2"), "a secret is shown");
}

#[test]
fn ifquery_says_the_same_of_interfaces() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("interfaces");
    let text = INTERFACES.replace("source interfaces.d/*.cfg\n", "");
    std::fs::write(&file, &text).unwrap();
    let network = asked(tree(&[("/etc/network/interfaces", &text)]), Topic::Network);
    let file = format!("--interfaces={}", file.display());
    let sorted = |said: String| {
        let mut all: Vec<String> = said.lines().map(str::to_owned).collect();
        all.sort();
        all.dedup();
        all
    };
    let all = network["connections"].as_array().unwrap();
    let started = all.iter().filter(|c| value(c, "autostart") == true);
    let ours: String = started
        .map(|c| format!("{}\n", c["name"].as_str().unwrap()))
        .collect();
    let auto = oracle::ok("ifquery", &[&file, "--list", "--allow=auto"]);
    let hotplug = oracle::ok("ifquery", &[&file, "--list", "--allow=hotplug"]);
    assert_eq!(sorted(ours), sorted(auto + &hotplug));
    for name in ["eth0", "eth0:1"] {
        let said = oracle::ok("ifquery", &[&file, name]);
        let word = |key: &str| {
            said.lines()
                .find_map(|l| l.strip_prefix(key))
                .map(|v| v.trim().to_owned())
        };
        let mine = connection(&network, "interfaces", name);
        let address = word("address:").unwrap();
        let address = address.split('/').next().unwrap();
        assert_eq!(mine["addresses"][0]["address"], address);
        let mask = word("netmask:").unwrap();
        let length = match mask.parse::<std::net::Ipv4Addr>() {
            Ok(mask) => u32::from(mask).leading_ones(),
            Err(_) => mask.parse().unwrap(),
        };
        assert_eq!(mine["addresses"][0]["prefix"], length, "{name}");
        assert_eq!(word("gateway:"), values(mine, "gateways").first().cloned());
    }
}

#[test]
fn cloud_inits_two_versions_are_read() {
    let network = asked(
        tree(&[
            (
                "/var/lib/cloud/seed/nocloud-net/network-config",
                "version: 1\nconfig:\n- type: physical\n  name: eth0\n  mac_address: 52:54:00:12:34:00\n  subnets:\n  - {type: static, address: 192.168.1.10, netmask: 255.255.255.0, gateway: 192.168.1.1, dns_nameservers: [8.8.8.8]}\n- {type: vlan, name: eth0.7, vlan_link: eth0, vlan_id: 7, subnets: [{type: dhcp}]}\n- {type: nameserver, address: [9.9.9.9], search: [x.org]}\n",
            ),
            (
                "/var/lib/cloud/instances/i-1/network-config.json",
                "{\"version\": 2, \"ethernets\": {\"ens3\": {\"dhcp4\": true, \"match\": {\"macaddress\": \"FA:16:3E:00:00:01\"}}}}",
            ),
            (
                "/etc/cloud/cloud.cfg.d/99-off.cfg",
                "network: {config: disabled}\n",
            ),
            ("/usr/lib/systemd/system/cloud-init.service", ""),
        ]),
        Topic::Network,
    );
    let eth0 = connection(&network, "cloud-init", "eth0");
    assert_eq!(
        (addresses(eth0), values(eth0, "gateways")),
        (vec!["192.168.1.10/24".to_owned()], vec!["192.168.1.1".to_owned()])
    );
    assert_eq!(values(eth0, "name-servers"), ["8.8.8.8", "9.9.9.9"]);
    assert_eq!(
        (value(eth0, "set-name"), &eth0["match"]["macs"]),
        (&json!("eth0"), &json!(["52:54:00:12:34:00"]))
    );
    assert_eq!(value(connection(&network, "cloud-init", "eth0.7"), "vlan"), 7);
    let ens3 = connection(&network, "cloud-init", "ens3");
    assert_eq!(
        (value(ens3, "ipv4"), &ens3["match"]["macs"]),
        (&json!("dhcp"), &json!(["fa:16:3e:00:00:01"]))
    );
    let tool = network["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "cloud-init")
        .unwrap();
    assert_eq!(
        tool["settings"][0]["source"],
        "/etc/cloud/cloud.cfg.d/99-off.cfg:1"
    );
}

#[test]
fn smaller_tools_are_read_and_the_rest_is_named() {
    let network = asked(
        tree(&[
            (
                "/etc/dhcpcd.conf",
                "hostname\ninterface eth0\nstatic ip_address=10.0.0.5/24\nstatic routers=10.0.0.1\nstatic domain_name_servers=1.1.1.1 8.8.8.8\n",
            ),
            (
                "/var/lib/connman/lan.config",
                "[service_lan]\nType=ethernet\nMAC=00:50:56:AA:00:01\nIPv4=10.0.0.6/255.255.255.0/10.0.0.1\nNameservers=1.1.1.1,9.9.9.9\n",
            ),
            (
                "/etc/conf.d/net",
                "config_eth0=\"10.0.0.7/24\n10.1.0.7 netmask 255.255.0.0\"\nroutes_eth0=\"default via 10.0.0.1\"\n",
            ),
            ("/etc/wicked/ifconfig/eth0.xml", "<interface/>"),
            ("/etc/iftab", "eth0 mac 00:50:56:aa:00:02\n"),
            (
                "/etc/kernel/cmdline",
                "root=/dev/sda1 net.ifnames=0 ifname=lan0:00:50:56:aa:00:03\n",
            ),
        ]),
        Topic::Network,
    );
    let dhcpcd = connection(&network, "dhcpcd", "eth0");
    assert_eq!(
        (addresses(dhcpcd), value(dhcpcd, "ipv4")),
        (vec!["10.0.0.5/24".to_owned()], &json!("static"))
    );
    let connman = connection(&network, "connman", "lan");
    assert_eq!(
        (addresses(connman), values(connman, "gateways")),
        (vec!["10.0.0.6/24".to_owned()], vec!["10.0.0.1".to_owned()])
    );
    let gentoo = connection(&network, "netifrc", "eth0");
    assert_eq!(
        (addresses(gentoo), values(gentoo, "gateways")),
        (
            vec!["10.0.0.7/24".into(), "10.1.0.7/16".into()],
            vec!["10.0.0.1".to_owned()]
        )
    );
    assert_eq!(network["unread"][0]["source"], "/etc/wicked/ifconfig/eth0.xml");
    assert_eq!(network["unread"][0]["class"], "unsupported");
    let named: Vec<_> = network["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap(), r["tool"].as_str().unwrap()))
        .collect();
    assert_eq!(named, [("eth0", "iftab"), ("lan0", "dracut")]);
    assert_eq!(network["name-switches"][0]["value"], "net.ifnames=0");
}

#[test]
fn a_stub_resolver_is_followed_to_what_it_asks() {
    let network = asked(
        tree(&[
            ("/etc/resolv.conf", "-> ../run/systemd/resolve/stub-resolv.conf"),
            (
                "/run/systemd/resolve/stub-resolv.conf",
                "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch x.org\n",
            ),
            (
                "/etc/systemd/resolved.conf",
                "[Resolve]\nDNS=10.0.0.53 10.0.0.54\nDNSSEC=no\n",
            ),
            ("/etc/systemd/resolved.conf.d/a.conf", "[Resolve]\nDomains=~.\n"),
            (
                "/etc/hosts",
                "127.0.0.1 localhost\n# c\n10.0.0.5 db db.example.org # the database\n",
            ),
            ("/etc/nsswitch.conf", "passwd: files\nhosts: files resolve dns\n"),
        ]),
        Topic::Network,
    );
    let dns = &network["dns"];
    assert_eq!(value(dns, "manager"), "systemd-resolved");
    assert_eq!(values(dns, "name-servers"), ["10.0.0.53", "10.0.0.54"]);
    assert_eq!(dns["name-servers"][0]["source"], "/etc/systemd/resolved.conf:2");
    assert_eq!(values(dns, "search"), ["x.org", "~."]);
    assert_eq!(dns["hosts"][1]["names"], json!(["db", "db.example.org"]));
    assert_eq!(value(dns, "order"), &json!(["files", "resolve", "dns"]));
}

#[test]
fn leases_are_told_as_what_once_was_answered() {
    let network = asked(
        tree(&[
            (
                "/var/lib/NetworkManager/internal-4c8f3b1e-0000-4000-8000-000000000001-ens192.lease",
                "# private\nADDRESS=10.0.0.5\nNETMASK=255.255.255.0\nROUTER=10.0.0.1\nDNS=10.0.0.2 10.0.0.3\nCLIENTID=0100505601aabb\n",
            ),
            ("/run/systemd/netif/leases/2", "ADDRESS=10.0.1.5\n"),
            (
                "/var/lib/wicked/lease-eth0-dhcp-ipv4.xml",
                "<lease><family>ipv4</family><ipv4:dhcp xmlns:ipv4=\"x\"/><addresses><assigned-address><address>10.0.2.5/24</address></assigned-address></addresses></lease>",
            ),
        ]),
        Topic::Network,
    );
    let leases = network["last-leases"].as_array().unwrap();
    assert_eq!(leases[0]["interface"], "ens192");
    assert_eq!(
        (&leases[0]["mac"], &leases[0]["name-servers"]),
        (&json!("00:50:56:01:aa:bb"), &json!(["10.0.0.2", "10.0.0.3"]))
    );
    assert_eq!(
        (&leases[1]["client"], &leases[1]["address"]),
        (&json!("networkd"), &json!("10.0.1.5"))
    );
    assert_eq!(
        (
            &leases[2]["interface"],
            &leases[2]["address"],
            &leases[2]["prefix"]
        ),
        (&json!("eth0"), &json!("10.0.2.5"), &json!(24))
    );
}

#[test]
fn shared_guests_say_what_their_files_say() {
    for name in ["debian", "fedora-btrfs"] {
        let Some(found) = shared_guest(
            name,
            &[
                Topic::Network,
                Topic::Firewall,
                Topic::Security,
                Topic::Schedule,
                Topic::Storage,
            ],
        ) else {
            return;
        };
        for topic in [
            Topic::Network,
            Topic::Firewall,
            Topic::Security,
            Topic::Schedule,
            Topic::Storage,
        ] {
            assert_eq!(section(&found, topic)["unread"], json!([]), "{name} {topic}");
        }
        let storage = section(&found, Topic::Storage);
        let subvolumes = storage["subvolumes"].as_array().unwrap();
        let paths: Vec<_> = subvolumes.iter().map(|s| s["path"].as_str().unwrap()).collect();
        if name == "debian" {
            let groups: Vec<_> = storage["volume-groups"]
                .as_array()
                .unwrap()
                .iter()
                .map(|g| g["name"].as_str().unwrap())
                .collect();
            assert_eq!(groups, ["debian"], "{storage:#}");
        } else {
            assert_eq!(paths, ["root", "home"], "{storage:#}");
        }
    }
}

#[test]
fn guests_of_the_rig_say_how_they_were_built() {
    for (guest, tool, name) in [
        ("ext4-bios", "interfaces", "ens192"),
        ("xfs-uefi", "networkmanager", ""),
        ("btrfs-bios", "netplan", ""),
        ("lvm-bios", "interfaces", "ens33"),
    ] {
        let Some(found) = rig_guest(guest, &[Topic::Network]) else {
            return;
        };
        let meta = format!("{}/{guest}.meta", std::env::var("H2K_RIG").unwrap());
        let meta = std::fs::read_to_string(meta).unwrap();
        let said = |key: &str| meta.lines().find_map(|l| l.strip_prefix(key)).unwrap().to_owned();
        let network = section(&found, Topic::Network);
        let all = network["connections"].as_array().unwrap();
        let one = all
            .iter()
            .find(|c| c["tool"] == tool && (name.is_empty() || c["name"] == name))
            .unwrap();
        let json = one.to_string();
        if said("V_IP=") == "dhcp" {
            assert_eq!(value(one, "ipv4"), "dhcp", "{guest}");
        } else {
            assert_eq!(one["addresses"][0]["address"], said("V_IP=").as_str(), "{guest}");
            assert_eq!(values(one, "gateways"), [said("V_GW=")], "{guest}");
            // netplan's file of that guest names the interface alone.
            let names = network["names"].to_string();
            let pinned = json.contains(&said("V_MAC=")) || names.contains(&said("V_MAC="));
            assert!(pinned || tool == "netplan", "{guest}: {network:#}");
        }
        println!(
            "{guest}: {tool}, {} connections, {} unread",
            all.len(),
            network["unread"].as_array().unwrap().len()
        );
    }
}
