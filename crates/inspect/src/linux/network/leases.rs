//! What DHCP servers last answered, as clients keep it: dhclient.leases(5), the state files of systemd's client (which
//! NetworkManager uses too), dhcpcd's copy of the packet (RFC 2131), wicked's XML.

use super::parse;
use crate::network::Lease;
use h2k_guest::look::join;
use h2k_guest::{Look, Source, Text};
use std::net::Ipv4Addr;

/// A packet is at most this long on any link there is.
const PACKET: u64 = 64 << 10;

pub(super) fn look(look: &Look<'_>) -> Vec<Lease> {
    let mut all = Vec::new();
    for dir in [
        "/var/lib/dhcp",
        "/var/lib/dhclient",
        "/var/lib/dhcp3",
        "/var/lib/NetworkManager",
    ] {
        for name in look.names(dir) {
            let file = String::from_utf8_lossy(&name).into_owned();
            let lease = file.ends_with(".lease") || file.ends_with(".leases");
            let Some(text) = look.text(join(dir.as_bytes(), &name)).filter(|_| lease) else {
                continue;
            };
            if let Some(rest) = file.strip_prefix("internal-") {
                let interface = rest.strip_suffix(".lease").and_then(|r| r.get(37..));
                all.extend(state("networkmanager", interface, &text));
            } else if file.starts_with("dhclient") {
                all.extend(dhclient(&text));
            }
        }
    }
    for dir in ["/run/systemd/netif/leases", "/var/lib/systemd/network/leases"] {
        for text in look.texts_in(dir, "") {
            all.extend(state("networkd", None, &text));
        }
    }
    for dir in ["/var/lib/dhcpcd", "/var/lib/dhcpcd5", "/var/db/dhcpcd"] {
        for name in look.names(dir) {
            let path = join(dir.as_bytes(), &name);
            let Some(stem) = name.strip_suffix(b".lease") else {
                continue;
            };
            let stem = String::from_utf8_lossy(stem).into_owned();
            let stem = stem.strip_prefix("dhcpcd-").unwrap_or(&stem);
            // eth0-SSID of a wireless one.
            let interface = stem.split('-').next().unwrap_or(stem);
            let Some(bytes) = look.bytes(&path, PACKET) else {
                continue;
            };
            all.extend(packet(interface, &bytes, Source::file(&path)));
        }
    }
    for dir in ["/var/lib/wicked", "/run/wicked"] {
        for text in look.texts_in(dir, "-dhcp-ipv4.xml") {
            all.extend(wicked(&text));
        }
    }
    all
}

fn lease(client: &str, address: &str, source: Source) -> Lease {
    Lease {
        client: client.to_owned(),
        interface: None,
        mac: None,
        address: address.to_owned(),
        prefix: None,
        routers: Vec::new(),
        name_servers: Vec::new(),
        domain: None,
        server: None,
        expires: None,
        source,
    }
}

fn list(text: &str) -> Vec<String> {
    let words = text.split([' ', ',']).map(str::trim);
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// `KEY=value` of systemd's DHCP client.
fn state(client: &str, interface: Option<&str>, text: &Text) -> Option<Lease> {
    let address = text.assigned("ADDRESS")?;
    let mut found = lease(client, &address.value, address.source);
    let said = |key: &str| raw(text, key);
    found.interface = interface.map(str::to_owned);
    found.prefix = said("NETMASK").and_then(|m| parse::prefix(&m));
    found.routers = said("ROUTER").map(|r| list(&r)).unwrap_or_default();
    found.name_servers = said("DNS").map(|r| list(&r)).unwrap_or_default();
    found.domain = said("DOMAINNAME");
    found.server = said("SERVER_ADDRESS");
    // A client identifier of type 1 is the hardware address.
    let id = said("CLIENTID").filter(|id| id.len() == 14 && id.starts_with("01") && id.is_ascii());
    found.mac = id.and_then(|id| {
        let bytes: Vec<&str> = (2_usize..14)
            .step_by(2)
            .filter_map(|at| id.get(at..at.checked_add(2)?))
            .collect();
        parse::mac(&bytes.join(":"))
    });
    Some(found)
}

/// A value with its spaces, which shells would end at.
fn raw(text: &Text, key: &str) -> Option<String> {
    let value =
        |line: h2k_guest::Line<'_>| Some(line.text.strip_prefix(key)?.strip_prefix('=')?.trim().to_owned());
    text.spoken().filter_map(value).last().filter(|v| !v.is_empty())
}

/// `lease { interface "eth0"; fixed-address 10.0.0.5; … }`: of each interface the last counts.
fn dhclient(text: &Text) -> Vec<Lease> {
    let mut all: Vec<Lease> = Vec::new();
    let mut open: Option<Lease> = None;
    for line in text.spoken() {
        let said = line.text.trim_end_matches(';');
        if said.starts_with("lease") && said.ends_with('{') {
            open = Some(lease("dhclient", "", line.source()));
            continue;
        }
        if said == "}" {
            if let Some(done) = open.take().filter(|l| !l.address.is_empty()) {
                let same = all.iter().position(|l| l.interface == done.interface);
                // A machine has few interfaces; a file that names more is none of dhclient's.
                match same {
                    Some(at) => all.splice(at..=at, [done]).for_each(drop),
                    None if all.len() < 256 => all.push(done),
                    None => {}
                }
            }
            continue;
        }
        let Some(found) = &mut open else { continue };
        let (key, rest) = said.split_once(' ').unwrap_or((said, ""));
        let (key, rest) = match key {
            "option" => rest.split_once(' ').unwrap_or((rest, "")),
            _ => (key, rest),
        };
        let rest = rest.trim().trim_matches('"');
        match key {
            "interface" => found.interface = Some(rest.to_owned()),
            "fixed-address" => rest.clone_into(&mut found.address),
            "subnet-mask" => found.prefix = parse::prefix(rest),
            "routers" => found.routers = list(rest),
            "domain-name-servers" => found.name_servers = list(rest),
            "domain-name" => found.domain = Some(rest.to_owned()),
            "dhcp-server-identifier" => found.server = Some(rest.to_owned()),
            "expire" => found.expires = Some(rest.split_once(' ').map_or(rest, |(_, at)| at).to_owned()),
            _ => {}
        }
    }
    all
}

/// A DHCPACK: RFC 2131 figure 1, options of RFC 2132.
pub(super) fn packet(interface: &str, bytes: &[u8], source: Source) -> Option<Lease> {
    let four = |at: usize| Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?));
    let cookie = bytes.get(236..240)?;
    if bytes.first() != Some(&2) || cookie != [99, 130, 83, 99] {
        return None;
    }
    let mut found = lease("dhcpcd", &four(16)?.to_string(), source);
    found.interface = Some(interface.to_owned());
    let mac = bytes.get(28..34).filter(|_| bytes.get(2) == Some(&6))?;
    let mac: Vec<String> = mac.iter().map(|b| format!("{b:02x}")).collect();
    found.mac = Some(mac.join(":"));
    let mut rest = bytes.get(240..)?;
    while let Some((code, after)) = rest.split_first() {
        if *code == 0 {
            rest = after;
            continue;
        }
        let Some((len, after)) = after.split_first().filter(|_| *code != 255) else {
            break;
        };
        let Some((value, after)) = after.split_at_checked(usize::from(*len)) else {
            break;
        };
        rest = after;
        let addresses = || {
            value
                .as_chunks::<4>()
                .0
                .iter()
                .map(|a| Ipv4Addr::from(*a).to_string())
        };
        match code {
            1 => found.prefix = addresses().next().and_then(|m| parse::prefix(&m)),
            3 => found.routers = addresses().collect(),
            6 => found.name_servers = addresses().collect(),
            15 => found.domain = Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()),
            54 => found.server = addresses().next(),
            _ => {}
        }
    }
    Some(found)
}

fn wicked(text: &Text) -> Option<Lease> {
    let document = crate::linux::xml::read(text.as_str()).ok()?;
    let values = |name: &str| -> Vec<String> {
        let nodes = document.descendants().filter(|n| n.has_tag_name(name));
        nodes
            .filter_map(|n| n.text())
            .map(|t| t.trim().to_owned())
            .collect()
    };
    let address = values("address").into_iter().find(|a| a.contains('.'))?;
    let mut found = lease("wicked", "", text.source());
    let parsed = parse::address(&h2k_guest::Fact::new(address, text.source()));
    found.address = parsed.address;
    found.prefix = parsed.prefix;
    let file = String::from_utf8_lossy(text.path()).into_owned();
    let file = file.rsplit("/lease-").next().unwrap_or_default();
    found.interface = file.strip_suffix("-dhcp-ipv4.xml").map(str::to_owned);
    found.routers = values("gateway");
    found.name_servers = values("server")
        .into_iter()
        .filter(|s| s.parse::<Ipv4Addr>().is_ok())
        .collect();
    found.domain = values("default-domain")
        .into_iter()
        .next()
        .or_else(|| values("domain").into_iter().next());
    found.server = values("server-id").into_iter().next();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lease_of_each_interface_counts() {
        let text = Text::new(
            b"/var/lib/dhcp/dhclient.leases",
            b"lease {\n  interface \"ens33\";\n  fixed-address 10.0.0.4;\n}\nlease {\n  interface \"ens33\";\n  fixed-address \
              10.0.0.5;\n  option subnet-mask 255.255.255.0;\n  option routers 10.0.0.1;\n  option domain-name-servers \
              10.0.0.2,10.0.0.3;\n  option domain-name \"example.org\";\n  expire 4 2026/11/21 12:00:00;\n}\n",
        );
        let all = dhclient(&text);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].address.as_str(), all[0].prefix), ("10.0.0.5", Some(24)));
        assert_eq!(all[0].name_servers, ["10.0.0.2", "10.0.0.3"]);
        assert_eq!(all[0].expires.as_deref(), Some("2026/11/21 12:00:00"));
        assert_eq!(all[0].source.as_str(), "/var/lib/dhcp/dhclient.leases:5");
    }

    #[test]
    fn a_packet_is_read_as_the_server_sent_it() {
        let mut bytes = vec![0; 240];
        bytes[0] = 2;
        bytes[2] = 6;
        bytes[16..20].copy_from_slice(&[10, 0, 0, 5]);
        bytes[28..34].copy_from_slice(&[0, 0x50, 0x56, 1, 2, 3]);
        bytes[236..240].copy_from_slice(&[99, 130, 83, 99]);
        bytes.extend([0, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1, 255]);
        let found = packet("eth0", &bytes, Source::file(b"/l")).unwrap();
        assert_eq!((found.address.as_str(), found.prefix), ("10.0.0.5", Some(24)));
        assert_eq!(found.mac.as_deref(), Some("00:50:56:01:02:03"));
        assert_eq!(found.routers, ["10.0.0.1"]);
        assert!(packet("eth0", &bytes[..239], Source::file(b"/l")).is_none());
    }
}
