//! How a Windows system is connected: the settings of every adapter the registry knows.

use super::{SYSTEM, hive, ipv6};
use crate::linux::{address_with, hosts, with_length};
use crate::network::{Connection, IpAddress, Lease, Method, Network, Route};
use crate::report::Asking;
use h2k_guest::registry::{Hold, RegKey};
use h2k_guest::{Fact, Look};
use std::collections::BTreeMap;

/// The class of network adapters.
const ADAPTERS: &str = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
const TCPIP: &str = "CurrentControlSet\\Services\\Tcpip\\Parameters";

pub(crate) fn look(asking: &Asking<'_>, look: &Look<'_>) -> Network {
    let mut found = Network::default();
    if let Some(text) = asking
        .registry()
        .path(look, "System32/drivers/etc/hosts")
        .and_then(|path| look.text(path))
    {
        found.dns.hosts = hosts(&text);
    }
    let Some(system) = hive(asking, look, SYSTEM) else {
        return found;
    };
    let Some(tcpip) = system.key(look, TCPIP) else {
        return found;
    };
    if let Some(list) = tcpip.words("SearchList") {
        found.dns.search = listed(&list);
    }
    let classes = classes(&system, look);
    let mut by_hand = ipv6::look(&system, look);
    let interfaces = tcpip.subkey("Interfaces");
    for key in interfaces.iter().flat_map(RegKey::subkeys) {
        let id = key.name();
        // Groups of settings for interfaces that are gone have no GUID as their name.
        if id.starts_with('{') {
            let class = classes.get(&id.to_lowercase());
            let mut connection = connection(&system, look, &key, class);
            let addresses = class.and_then(ipv6::luid).and_then(|luid| by_hand.remove(&luid));
            add_ipv6(&mut connection, addresses.unwrap_or_default());
            found.last_leases.extend(lease(&key, &connection.name));
            found.connections.push(connection);
        }
    }
    // What is left is of adapters that are gone.
    for (luid, addresses) in by_hand {
        let Some(source) = addresses.first().map(|a| a.source.clone()) else {
            continue;
        };
        let mut gone = Connection::new("registry", luid, source);
        add_ipv6(&mut gone, addresses);
        gone.ignored = ghost(false, false, false);
        found.connections.push(gone);
    }
    found.connections.extend(persistent_routes(&tcpip));
    found
}

/// Adds addresses of IPv6 that were given by hand.
fn add_ipv6(connection: &mut Connection, addresses: Vec<IpAddress>) {
    let disabled = connection
        .ipv6
        .as_ref()
        .is_some_and(|f| f.value == Method::Disabled);
    if let Some(first) = addresses.first().filter(|_| !disabled) {
        connection.ipv6 = Some(Fact::new(Method::Static, first.source.clone()));
    }
    connection.addresses.extend(addresses);
}

/// The keys of adapters' drivers, by the adapter's GUID.
fn classes<'h>(system: &'h Hold, look: &'h Look<'h>) -> BTreeMap<String, RegKey<'h>> {
    let class = system.key(look, &format!("CurrentControlSet\\Control\\Class\\{ADAPTERS}"));
    let keys = class.iter().flat_map(RegKey::subkeys);
    let by_id = keys.filter_map(|key| Some((key.words("NetCfgInstanceId")?.value.to_lowercase(), key)));
    by_id.collect()
}

/// Values that are texts of their own, the zero address and empty ones left out.
fn texts(key: &RegKey<'_>, name: &str) -> Vec<Fact<String>> {
    let Some(all) = key.texts(name) else {
        return Vec::new();
    };
    let said = all
        .value
        .into_iter()
        .filter(|text| !matches!(text.trim(), "" | "0.0.0.0"));
    said.map(|text| Fact::new(text, all.source.clone())).collect()
}

/// A text that is a list, by commas or spaces.
fn listed(fact: &Fact<String>) -> Vec<Fact<String>> {
    let parts = fact.value.split([',', ' ', ';']).filter(|part| !part.is_empty());
    parts
        .map(|part| Fact::new(part.to_owned(), fact.source.clone()))
        .collect()
}

fn connection(system: &Hold, look: &Look<'_>, key: &RegKey<'_>, class: Option<&RegKey<'_>>) -> Connection {
    let id = key.name();
    let named = system.key(
        look,
        &format!("CurrentControlSet\\Control\\Network\\{ADAPTERS}\\{id}\\Connection"),
    );
    let name = named.as_ref().and_then(|n| n.words("Name"));
    let mut found = Connection::new(
        "registry",
        name.map_or_else(|| id.clone(), |f| f.value),
        key.source(),
    );
    found.id = Some(Fact::new(id.clone(), key.source()));
    let dhcp = key.flag("EnableDHCP");
    let uses_dhcp = dhcp.as_ref().is_some_and(|f| f.value);
    found.ipv4 = dhcp.map(|f| f.map(|on| if on { Method::Dhcp } else { Method::Static }));
    if !uses_dhcp {
        let masks = texts(key, "SubnetMask");
        let mut masks = masks.iter().map(|mask| mask.value.as_str());
        found.addresses = texts(key, "IPAddress")
            .iter()
            .map(|a| address_with(a, masks.next()))
            .collect();
        found.gateways = texts(key, "DefaultGateway");
    }
    found.name_servers = key.words("NameServer").iter().flat_map(listed).collect();
    found.search = key.words("Domain").iter().flat_map(listed).collect();
    found.mtu = key
        .number("MTU")
        .and_then(|f| Some(Fact::new(u32::try_from(f.value).ok()?, f.source)));
    ipv6_method(system, look, &id, &mut found);
    let mut note = |name: &str, fact: Option<Fact<String>>| {
        if let Some(fact) = fact {
            found.parameters.insert(name.to_owned(), fact.value);
        }
    };
    note(
        "gateway-metric",
        Some(texts(key, "DefaultGatewayMetric")).and_then(|all| all.into_iter().next()),
    );
    let netbt = system.key(
        look,
        &format!("CurrentControlSet\\Services\\NetBT\\Parameters\\Interfaces\\Tcpip_{id}"),
    );
    if let Some(netbt) = &netbt {
        let wins: Vec<String> = texts(netbt, "NameServerList")
            .into_iter()
            .map(|f| f.value)
            .collect();
        note(
            "wins",
            (!wins.is_empty()).then(|| Fact::new(wins.join(" "), netbt.source())),
        );
        let netbios = netbt.number("NetbiosOptions");
        note(
            "netbios",
            netbios.map(|f| {
                f.map(|n| {
                    ["by dhcp", "on", "off"]
                        .get(usize::try_from(n).unwrap_or(9))
                        .copied()
                        .unwrap_or("unknown")
                        .to_owned()
                })
            }),
        );
    }
    if let Some(class) = class {
        note("adapter", class.words("DriverDesc"));
        note("component", class.words("ComponentId"));
        note("driver-version", class.words("DriverVersion"));
        found.cloned_mac = class.words("NetworkAddress").map(|f| f.map(|mac| colons(&mac)));
    }
    let instance = named
        .as_ref()
        .and_then(|n| n.words("PnpInstanceID").or_else(|| n.words("PnpInstanceId")));
    let device = instance
        .as_ref()
        .and_then(|i| system.key(look, &format!("CurrentControlSet\\Enum\\{}", i.value)));
    if let Some(instance) = &instance {
        found.matching.paths.push(instance.value.clone());
        found.matching.macs.extend(mac_of(&instance.value));
    }
    found
        .matching
        .drivers
        .extend(device.as_ref().and_then(|d| d.words("Service")).map(|f| f.value));
    found.ignored = ghost(class.is_some(), instance.is_some(), device.is_some());
    found
}

/// Why an adapter's settings do not count, if they do not.
fn ghost(class: bool, instance: bool, device: bool) -> Option<String> {
    let why = if !class && !instance {
        "no adapter has this identifier any more"
    } else if instance && !device {
        "its adapter is no longer among the devices"
    } else {
        return None;
    };
    Some(why.to_owned())
}

fn ipv6_method(system: &Hold, look: &Look<'_>, id: &str, found: &mut Connection) {
    let Some(tcpip6) = system.key(look, "CurrentControlSet\\Services\\Tcpip6\\Parameters") else {
        return;
    };
    // Bit 4 turns off everything but the loopback; 0xff is what is documented to be written.
    let disabled = tcpip6
        .number("DisabledComponents")
        .filter(|f| f.value & 0x10 != 0);
    let own = tcpip6.subkey(&format!("Interfaces\\{id}"));
    found.ipv6 = match (disabled, &own) {
        (Some(fact), _) => Some(fact.map(|_| Method::Disabled)),
        (None, Some(own)) => Some(Fact::new(Method::Automatic, own.source())),
        (None, None) => None,
    };
    let servers = own.as_ref().and_then(|own| own.words("NameServer"));
    found.name_servers.extend(servers.iter().flat_map(listed));
}

/// What a DHCP server last answered.
fn lease(key: &RegKey<'_>, name: &str) -> Option<Lease> {
    let address = key.words("DhcpIPAddress").filter(|f| f.value != "0.0.0.0")?;
    let mask = key.words("DhcpSubnetMask").map(|f| f.value);
    let address = address_with(&address, mask.as_deref());
    let plain = |all: Vec<Fact<String>>| all.into_iter().map(|f| f.value).collect();
    let ends = key.number("LeaseTerminatesTime");
    Some(Lease {
        client: "windows".to_owned(),
        interface: Some(name.to_owned()),
        mac: None,
        prefix: address.prefix,
        address: address.address,
        routers: plain(texts(key, "DhcpDefaultGateway")),
        name_servers: plain(key.words("DhcpNameServer").iter().flat_map(listed).collect()),
        domain: key.words("DhcpDomain").map(|f| f.value),
        server: key.words("DhcpServer").map(|f| f.value),
        expires: ends.map(|f| f.value.to_string()),
        source: address.source,
    })
}

/// Routes that outlive a restart: values named `destination,mask,gateway,metric`.
fn persistent_routes(tcpip: &RegKey<'_>) -> Option<Connection> {
    let key = tcpip.subkey("PersistentRoutes")?;
    let mut found = Connection::new("registry", "persistent routes", key.source());
    for value in key.values() {
        let name = value.name();
        let mut parts = name.split(',');
        let (Some(to), Some(mask), Some(gateway)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let destination = if to == "0.0.0.0" && mask == "0.0.0.0" {
            "default".to_owned()
        } else {
            with_length(to, Some(mask))
        };
        found.routes.push(Route {
            destination,
            gateway: Some(gateway.to_owned()),
            metric: parts.next().and_then(|m| m.parse().ok()),
            table: None,
            source: value.source(),
        });
    }
    (!found.routes.is_empty()).then_some(found)
}

/// `00155D010203`, `00-15-5D-…` as `00:15:5d:01:02:03`.
fn colons(mac: &str) -> String {
    let digits: Vec<char> = mac.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs: Vec<String> = digits
        .chunks(2)
        .map(|pair| pair.iter().collect::<String>().to_lowercase())
        .collect();
    pairs.join(":")
}

/// The hardware address in the serial number that PCI Express adapters make of it: the last part of the instance's
/// name is the number's bytes, low ones first in each half (VMXNET3, E1000E).
fn mac_of(instance: &str) -> Option<String> {
    let serial = instance.rsplit('\\').next()?;
    let digits = serial
        .get(..16)
        .filter(|d| serial.len() == 18 && d.chars().all(|c| c.is_ascii_hexdigit()))?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    let mac = match [a, b, c, d, e, f, g, h] {
        // 00 0C 29 FF FF E0 E5 A1
        [a, b, c, 0xff, 0xff, f, g, h] => [a, b, c, f, g, h],
        // FF 56 50 00 AC 4E 9E FE: both halves the other way round
        [0xff, c, b, a, h, g, f, 0xfe] => [a, b, c, f, g, h],
        _ => return None,
    };
    Some(mac.map(|byte| format!("{byte:02x}")).join(":"))
}

#[cfg(test)]
mod tests {
    use super::{colons, ghost, mac_of};

    #[test]
    fn hardware_addresses_are_found_in_serial_numbers() {
        let vmxnet = "PCI\\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\\FF565000AC4E9EFE00";
        assert_eq!(mac_of(vmxnet).unwrap(), "00:50:56:9e:4e:ac");
        let e1000e = "PCI\\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00\\000C29FFFFE0E5A100";
        assert_eq!(mac_of(e1000e).unwrap(), "00:0c:29:e0:e5:a1");
        assert_eq!(mac_of("PCI\\VEN_8086&DEV_100F\\4&b70f118&0&0888"), None);
        assert_eq!(mac_of("ROOT\\NET\\0000"), None);
        assert_eq!(colons("00-15-5D-01-02-0A"), "00:15:5d:01:02:0a");
    }

    #[test]
    fn settings_without_an_adapter_do_not_count() {
        assert_eq!(ghost(true, true, true), None);
        assert!(ghost(false, false, false).is_some());
        assert!(ghost(true, true, false).is_some());
    }
}
