//! Hostile configuration: seeded damage to files of every kind, and those that grow.

use crate::text_door::{PLACES, knock, read};
use h2k_testkit::mutate;
use h2k_testkit::rng::Rng;

const DHCP: &[u8] = &[2, 1, 6, 0, 9, 9, 9, 9];

/// What a file of each place looks like: those of the other tests, and a line for the rest.
fn seed(place: usize) -> Vec<u8> {
    let text: &str = match PLACES[place].0 {
        p if p.contains("nmconnection") => {
            "[connection]\nid=a\ntype=ethernet\ninterface-name=ens3\n[ethernet]\nmac-address=00:50:56:8A:01:22\n[ipv4]\naddress1=10.0.0.2/24,10.0.0.1\ndns=1.1.1.1;\nmethod=manual\nroute1=10.0.0.0/8,10.0.0.9,5\nroute1_options=table=7\n[wifi-security]\npsk=x\n"
        }
        p if p.ends_with(".yaml") || p.contains("network-config") || p.ends_with(".cfg") => {
            "network:\n  version: 2\n  ethernets:\n    a: &a\n      match: {macaddress: \"00:50:56:8a:01:23\"}\n      addresses: [10.0.0.2/24, {10.0.0.3/24: {label: x}}]\n      routes: [{to: default, via: 10.0.0.1}]\n    b: *a\n    c: {<<: *a, mtu: 9}\n  bonds:\n    bond0: {interfaces: [a, b], parameters: {mode: 1}}\n"
        }
        p if p.starts_with("/etc/systemd/network") => {
            "[Match]\nName=en* eth[0-9]\n[NetDev]\nName=bond0\nKind=bond\n[Network]\nDHCP=yes\\\n\nAddress=10.0.0.2/24\nVLAN=a b\n[Route]\nGateway=10.0.0.1\n[Link]\nNamePolicy=keep\nMTUBytes=9K\n"
        }
        p if p.contains("ifcfg") => {
            "DEVICE=eth0.5\nVLAN=yes\nIPADDR0=10.0.0.2\nNETMASK0=255.255.0.0\nGATEWAY=10.0.0.1\nBONDING_OPTS=\"mode=1 x\"\nDNS1=1.1.1.1\nBOOTPROTO='none'\nIPV6ADDR=2001:db8::1/64\n"
        }
        p if p.contains("route") => {
            "default 10.0.0.1 - eth0\n10.0.0.0/8 via 10.0.0.1 metric 5 table 7\nADDRESS0=10.0.0.0\nNETMASK0=255.0.0.0\nGATEWAY0=10.0.0.1\n"
        }
        "/etc/network/interfaces" => {
            "auto /e[a-z]* lo \\\n eth0\nsource x/*\niface eth0.5 inet static\n address 10.0.0.2/24\n gateway 10.0.0.1\n up ip route add 10.0.0.0/8 via 10.0.0.1\n bond-slaves a b\n wpa-psk x\n"
        }
        "/etc/dhcpcd.conf" => "interface eth0\nstatic ip_address=10.0.0.2/24\nstatic routers=10.0.0.1\n",
        p if p.contains("connman") => {
            "[service_a]\nType=ethernet\nIPv4=10.0.0.2/255.255.255.0/10.0.0.1\nMAC=00:50:56:8A:01:22\n"
        }
        "/etc/conf.d/net" => {
            "config_eth0=\"10.0.0.2/24\n10.0.0.3 netmask 255.0.0.0\"\nroutes_eth0=(\"default via 10.0.0.1\")\n"
        }
        p if p.contains("70-persistent") => {
            "SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:8a:01:22\", KERNEL==\"eth*\", NAME=\"eth0\"\n"
        }
        "/etc/iftab" => "eth0 mac 00:50:56:8a:01:22\n",
        p if p.contains("dhclient") => {
            "lease {\n interface \"eth0\";\n fixed-address 10.0.0.2;\n option subnet-mask 255.255.255.0;\n expire 4 2026/1/1;\n}\n"
        }
        "/var/lib/dhcpcd/a.lease" => {
            let mut packet = DHCP.to_vec();
            packet.resize(236, 7);
            packet.extend([
                99, 130, 83, 99, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1, 15, 1, 65, 255,
            ]);
            return packet;
        }
        p if p.contains("internal-") => {
            "ADDRESS=10.0.0.2\nNETMASK=255.255.255.0\nDNS=1.1.1.1 2.2.2.2\nCLIENTID=0100505601aabb\n"
        }
        "/etc/resolv.conf" => "nameserver 127.0.0.53\nsearch a b\noptions x\n",
        p if p.ends_with(".xml") => {
            "<zone target=\"DROP\"><interface name=\"a\"/><service name=\"ssh\"/><port port=\"1\" protocol=\"tcp\"/><rule family=\"ipv4\"><source address=\"10.0.0.0/8\"/><accept/></rule></zone>"
        }
        "/etc/nftables.conf" => {
            "table inet f {\n chain i {\n  type filter hook input priority 0; policy drop;\n  tcp dport { 1, 2 } accept comment \"a;b\"\n }\n}\ninclude \"/etc/x*\"\n"
        }
        p if p.ends_with("rules.v4") || p.ends_with("user.rules") => {
            "*filter\n:INPUT DROP [0:0]\n### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=7373\n[1:2] -A INPUT -j ACCEPT\nCOMMIT\n"
        }
        "/etc/apparmor.d/a" => "profile a /bin/a flags=(complain) {\n /x{a,b} r,\n}\n",
        "/etc/selinux/config" => "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
        p if p.ends_with("crontab") => "A=b\n*/5 0-23 1,2 jan sun root run\n@daily root x\n1 5 name nice x\n",
        "/etc/crypttab" => "a UUID=1-2 none luks\nb /dev/sda1 /dev/urandom swap,cipher=x,size=256\n",
        "/etc/mdadm.conf" => "ARRAY /dev/md0\n UUID=01234567:89abcdef:01234567:89abcdef\n",
        _ => "/dev/sda1 none swap pri=5 0 0\n127.0.0.1 localhost\n[main]\ndns=none\n",
    };
    text.as_bytes().to_vec()
}

#[test]
fn a_hundred_thousand_damaged_files_end_in_answers() {
    let mut rng = Rng::new(0x6e65_7477_6f72_6b31);
    let seeds: Vec<Vec<u8>> = (0..PLACES.len()).map(seed).collect();
    for turn in 0..100_000 {
        let place = turn % PLACES.len();
        let mut bytes = vec![u8::try_from(place).unwrap()];
        bytes.extend(&seeds[place]);
        // Grammars break where their signs are: some damage puts one of them in.
        let len = bytes.len();
        mutate::damage(&mut rng, &mut bytes, 1..len);
        let signs = b"\n\"'\\{}[]()<>;:=,#*/ -&!?0\t";
        for _ in 0..rng.below(4) {
            let at = 1 + rng.below(len as u64 - 1) as usize;
            bytes[at] = signs[rng.below(signs.len() as u64) as usize];
        }
        knock(&bytes);
    }
}

#[test]
fn files_that_repeat_themselves_end_soon() {
    let signs = [
        "[",
        "{",
        "<a>",
        "- ",
        "\"",
        "*",
        "\\\n",
        "a: &a {<<: *a}\n",
        "&a [*a, ",
        "iface a\nauto a\n",
        "/dev/sda1 a swap\n",
        "[Match]\n",
        "? ",
        "<",
        "{\n",
        "a=\"\n",
    ];
    for place in 0..PLACES.len() {
        for sign in signs {
            drop(read(place, sign.repeat((256 << 10) / sign.len()).as_bytes()));
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    let place = PLACES
        .iter()
        .position(|(path, _)| path.ends_with("a.yaml"))
        .unwrap();
    let found = read(place, b"network: [\n");
    let json = serde_json::to_value(&found).unwrap();
    let unread = &json["systems"][0]["network"]["unread"][0];
    assert_eq!(
        (&unread["source"], &unread["class"]),
        (&"/etc/netplan/a.yaml".into(), &"corrupt".into())
    );
}
