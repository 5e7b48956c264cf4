//! What cloud-init is told of the network: its "Networking config Version 1" and "Version 2", the second of which is
//! netplan's form.

use super::{netplan, parse};
use crate::linux::yaml::Value;
use crate::network::{Connection, Method};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};

/// What was read, and where it says that cloud-init shall leave the network alone.
pub(super) fn look(look: &Look<'_>) -> (Vec<Connection>, Option<Source>) {
    let mut texts: Vec<Text> = Vec::new();
    for dir in ["nocloud-net", "nocloud"] {
        texts.extend(look.text(format!("/var/lib/cloud/seed/{dir}/network-config")));
    }
    for name in look.names("/var/lib/cloud/instances") {
        let dir = join(b"/var/lib/cloud/instances", &name);
        texts.extend(look.text(join(&dir, b"network-config.json")));
    }
    texts.extend(look.text("/etc/cloud/cloud.cfg"));
    texts.extend(look.texts_in("/etc/cloud/cloud.cfg.d", ".cfg"));
    let mut all = Vec::new();
    let mut disabled = None;
    for text in &texts {
        // Most of these files say nothing of networks, and cost nothing then.
        if !text.as_str().contains("network") && !text.as_str().contains("version") {
            continue;
        }
        let Some(value) = netplan::read(look, text) else {
            continue;
        };
        let main = text.path().starts_with(b"/etc/cloud/");
        let network = match value.get("network") {
            Some(network) => network,
            None if main => continue,
            None => &value,
        };
        disabled = netplan::disabled(&value).filter(|_| main).or(disabled);
        let version = network.said("version").map(|v| v.value);
        let found = match version.as_deref() {
            Some("1") => network.get("config").map(first).unwrap_or_default(),
            Some("2") => netplan::connections(network, "cloud-init"),
            _ => Vec::new(),
        };
        all.extend(found);
    }
    (all, disabled)
}

/// Version 1: a list of devices, and of what belongs to none.
fn first(list: &Value) -> Vec<Connection> {
    let mut all = Vec::new();
    let (mut servers, mut search) = (Vec::new(), Vec::new());
    for item in list.items() {
        let Some(kind) = item.said("type") else { continue };
        match kind.value.as_str() {
            "nameserver" => {
                servers.extend(item.list("address"));
                search.extend(item.list("search"));
            }
            "route" => {
                if let (Some(found), Some(route)) = (all.last_mut(), route(item)) {
                    parse::add_route(found, route);
                }
            }
            _ => all.extend(device(item, kind)),
        }
    }
    // They are everybody's; told once, with the first.
    if let Some(found) = all.first_mut() {
        found.name_servers.extend(servers);
        found.search.extend(search);
    }
    all
}

fn device(item: &Value, kind: Fact<String>) -> Option<Connection> {
    let name = item.said("name")?;
    let mut found = Connection::new("cloud-init", name.value.clone(), item.source.clone());
    let physical = kind.value == "physical";
    let mac = item.said("mac_address");
    if let Some(mac) = mac.filter(|_| physical) {
        found.matching.macs.push(parse::mac_or_word(&mac.value));
        found.set_name = Some(name);
    } else {
        found.interface = Some(name);
        found.cloned_mac = item.said("mac_address").filter(|_| !physical);
    }
    found.kind = Some(kind.map(|k| if k == "physical" { "ethernet".to_owned() } else { k }));
    found.mtu = item
        .said("mtu")
        .and_then(|f| Some(Fact::new(f.value.parse().ok()?, f.source)));
    found.vlan = item
        .said("vlan_id")
        .and_then(|f| Some(Fact::new(f.value.parse().ok()?, f.source)));
    found.lower.extend(item.said("vlan_link"));
    for key in ["bond_interfaces", "bridge_interfaces"] {
        found.members.extend(item.list(key));
    }
    for (key, value) in item.get("params").into_iter().flat_map(Value::entries) {
        let plain = key.trim_start_matches("bond-").trim_start_matches("bridge_");
        found
            .parameters
            .insert(plain.to_owned(), value.text().unwrap_or_default().to_owned());
    }
    for subnet in item.get("subnets").into_iter().flat_map(Value::items) {
        one(subnet, &mut found);
    }
    Some(found)
}

fn one(subnet: &Value, found: &mut Connection) {
    let Some(kind) = subnet.said("type") else { return };
    let address = subnet.said("address");
    let v6 = kind.value.contains('6') || address.as_ref().is_some_and(|a| parse::is_v6(&a.value));
    let method = match kind.value.as_str() {
        "dhcp" | "dhcp4" | "dhcp6" | "ipv6_dhcpv6-stateful" => Method::Dhcp,
        "static" | "static6" => Method::Static,
        "ipv6_slaac" | "ipv6_dhcpv6-stateless" => Method::Automatic,
        "manual" => Method::Disabled,
        _ => Method::Other,
    };
    let method = Some(kind.map(|_| method));
    if v6 {
        found.ipv6 = method;
    } else {
        found.ipv4 = method;
    }
    if let Some(address) = address {
        let mask = subnet.said("netmask").or_else(|| subnet.said("prefix"));
        found.addresses.push(parse::address_with(
            &address,
            mask.as_ref().map(|m| m.value.as_str()),
        ));
    }
    found.gateways.extend(subnet.said("gateway"));
    found.name_servers.extend(subnet.list("dns_nameservers"));
    found.search.extend(subnet.list("dns_search"));
    for item in subnet.get("routes").into_iter().flat_map(Value::items) {
        if let Some(route) = route(item) {
            parse::add_route(found, route);
        }
    }
}

fn route(item: &Value) -> Option<crate::network::Route> {
    let to = item.said("destination").or_else(|| item.said("network"))?;
    let mask = item.said("netmask").or_else(|| item.said("prefix"));
    let network = parse::network(&to.value, mask.as_ref().map(|m| m.value.as_str()));
    let via = item.said("gateway");
    let mut route = parse::route(&network, via.as_ref().map(|v| v.value.as_str()), to.source);
    route.metric = item.said("metric").and_then(|m| m.value.parse().ok());
    Some(route)
}
