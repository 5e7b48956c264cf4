//! netplan's YAML, as its reference describes it.

use super::parse;
use crate::linux::ini::truth;
use crate::linux::yaml::{self, Node, Value};
use crate::network::{Connection, Method};
use h2k_block::Meter;
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source, Text};
use std::collections::BTreeMap;

/// Where files lie; of two with one name, the earlier place counts.
const DIRS: [&str; 3] = ["/run/netplan", "/etc/netplan", "/lib/netplan"];

/// Keys of `network:` whose values are interfaces, and what kind they are.
const KINDS: [(&str, &str); 12] = [
    ("ethernets", "ethernet"),
    ("modems", "modem"),
    ("wifis", "wifi"),
    ("bonds", "bond"),
    ("bridges", "bridge"),
    ("dummy-devices", "dummy"),
    ("tunnels", "tunnel"),
    ("virtual-ethernets", "veth"),
    ("vlans", "vlan"),
    ("vrfs", "vrf"),
    ("nm-devices", "networkmanager"),
    ("openvswitch", "openvswitch"),
];

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let mut files: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for dir in DIRS {
        for name in look.names(dir) {
            if name.ends_with(b".yaml") {
                files
                    .entry(name.clone())
                    .or_insert_with(|| join(dir.as_bytes(), &name));
            }
        }
    }
    let mut whole: Option<Value> = None;
    for path in files.values() {
        let Some(text) = look.text(path) else { continue };
        let Some(value) = read(look, &text) else { continue };
        match &mut whole {
            Some(whole) => whole.merge(value),
            None => whole = Some(value),
        }
    }
    let network = whole.as_ref().and_then(|w| w.get("network"));
    network.map(|n| connections(n, "netplan")).unwrap_or_default()
}

/// The YAML of a file; what is wrong with it is remembered.
pub(super) fn read(look: &Look<'_>, text: &Text) -> Option<Value> {
    match yaml::read(text, &mut Meter::new(*look.limits())) {
        Ok(value) => Some(value),
        Err(e) => {
            look.failed(text.source(), &e);
            None
        }
    }
}

/// The interfaces of a `network:` of version 2, which cloud-init writes too.
pub(super) fn connections(network: &Value, tool: &str) -> Vec<Connection> {
    let renderer = network.said("renderer");
    let mut all: Vec<Connection> = Vec::new();
    for (key, kind) in KINDS {
        let Some(devices) = network.get(key).filter(|_| key != "openvswitch") else {
            continue;
        };
        let default = devices.said("renderer").or_else(|| renderer.clone());
        for (name, device) in devices.entries() {
            if name != "renderer" && matches!(device.node, Node::Map(_) | Node::Null) {
                all.push(connection(name, device, kind, default.as_ref(), tool));
            }
        }
    }
    members(&mut all);
    all
}

/// Members know their controller, which alone is told of them.
fn members(all: &mut [Connection]) {
    let mut of: BTreeMap<String, Fact<String>> = BTreeMap::new();
    for controller in all.iter() {
        for member in &controller.members {
            of.insert(
                member.value.clone(),
                Fact::new(controller.name.clone(), member.source.clone()),
            );
        }
    }
    for connection in all {
        if connection.controller.is_none() {
            connection.controller = of.get(&connection.name).cloned();
        }
    }
}

fn connection(
    name: &str,
    device: &Value,
    kind: &str,
    renderer: Option<&Fact<String>>,
    tool: &str,
) -> Connection {
    let mut found = Connection::new(tool, name, device.source.clone());
    found.kind = Some(Fact::new(kind.to_owned(), device.source.clone()));
    if kind == "tunnel"
        && let Some(mode) = device.said("mode")
    {
        found.parameters.insert("mode".to_owned(), mode.value.clone());
        if mode.value == "wireguard" || mode.value == "vxlan" {
            found.kind = Some(mode);
        }
    }
    matching(name, device, kind, &mut found);
    found.set_name = device.said("set-name");
    found.cloned_mac = device
        .said("macaddress")
        .map(|f| f.map(|m| parse::mac_or_word(&m)));
    found.mtu = number(device, "mtu");
    let auto = device.said("activation-mode");
    found.autostart = auto.map(|f| f.map(|mode| mode != "manual" && mode != "off"));
    addressing(device, &mut found);
    found.vlan = number(device, "id");
    found.lower.extend(device.said("link").filter(|_| kind == "vlan"));
    found.members = device.list("interfaces");
    let renderer = device.said("renderer").or_else(|| renderer.cloned());
    if let Some(renderer) = renderer {
        found.parameters.insert("renderer".to_owned(), renderer.value);
    }
    for key in [
        "local", "remote", "peer", "table", "link", "optional", "critical", "port",
    ] {
        if let Some(said) = device.said(key).filter(|_| kind != "vlan" || key != "link") {
            found.parameters.insert(key.to_owned(), said.value);
        }
    }
    if let Some(parameters) = device.get("parameters") {
        for (key, value) in parameters.entries() {
            let list = || {
                parameters
                    .list(key)
                    .into_iter()
                    .map(|f| f.value)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let said = value.text().map_or_else(list, str::to_owned);
            found.parameters.insert(key.clone(), said);
        }
    }
    if let Some(points) = device.get("access-points") {
        found.ssid = points
            .entries()
            .next()
            .map(|(ssid, point)| Fact::new(ssid.clone(), point.source.clone()));
        found.holds_secret = points
            .entries()
            .any(|(_, p)| p.get("password").is_some() || secret(p.get("auth")));
    }
    let keys = ["key", "keys", "private-key", "password"];
    found.holds_secret |= keys.iter().any(|key| device.get(key).is_some()) || secret(device.get("auth"));
    let peers = device.get("peers").into_iter().flat_map(Value::items);
    found.holds_secret |= peers
        .into_iter()
        .any(|p| p.get("keys").is_some_and(|k| k.get("shared").is_some()));
    if let Some(passthrough) = device.get("networkmanager") {
        found.id = passthrough.said("uuid");
        if let Some(title) = passthrough.said("name") {
            found
                .parameters
                .insert("networkmanager-name".to_owned(), title.value);
        }
    }
    found
}

fn secret(auth: Option<&Value>) -> bool {
    auth.is_some_and(|auth| {
        auth.entries()
            .any(|(key, _)| key.contains("password") || key == "client-key")
    })
}

fn matching(name: &str, device: &Value, kind: &str, found: &mut Connection) {
    let physical = matches!(kind, "ethernet" | "wifi" | "modem");
    let Some(asked) = device.get("match").filter(|_| physical) else {
        // Without a match the identifier is the name of the interface.
        if kind != "networkmanager" {
            found.interface = Some(Fact::new(name.to_owned(), device.source.clone()));
        }
        return;
    };
    let values = |key: &str| asked.list(key).into_iter().map(|f| f.value);
    found.matching.names.extend(values("name"));
    found
        .matching
        .macs
        .extend(values("macaddress").map(|m| parse::mac_or_word(&m)));
    found.matching.drivers.extend(values("driver"));
    let known = ["name", "macaddress", "driver"];
    for (key, value) in asked.entries().filter(|(key, _)| !known.contains(&key.as_str())) {
        found
            .matching
            .others
            .push(format!("{key}={}", value.text().unwrap_or_default()));
    }
}

fn addressing(device: &Value, found: &mut Connection) {
    let flag = |key: &str| {
        let said = device.said(key)?;
        Some(Fact::new(truth(&said.value)?, said.source))
    };
    for value in device.get("addresses").into_iter().flat_map(Value::items) {
        match value.entries().next() {
            // `- 10.0.0.5/24: {label: maas}`
            Some((address, options)) => {
                let source = options.source.clone();
                let mut address = parse::address(&Fact::new(address.clone(), source));
                address.label = options.said("label").map(|l| l.value);
                found.addresses.push(address);
            }
            None => found.addresses.extend(value.fact().map(|f| parse::address(&f))),
        }
    }
    let fixed = |v6: bool| {
        let first = found.addresses.iter().find(|a| parse::is_v6(&a.address) == v6);
        first.map(|a| Fact::new(Method::Static, a.source.clone()))
    };
    let local = device.list("link-local");
    let off = |v6: bool| {
        let said = device.get("link-local")?;
        let named = local.iter().any(|f| f.value == if v6 { "ipv6" } else { "ipv4" });
        Some(Fact::new(
            if named {
                Method::LinkLocal
            } else {
                Method::Disabled
            },
            said.source.clone(),
        ))
    };
    let on = |key: &str, method: Method| flag(key).filter(|f| f.value).map(|f| f.map(|_| method));
    found.ipv4 = on("dhcp4", Method::Dhcp)
        .or_else(|| fixed(false))
        .or_else(|| flag("dhcp4").map(|f| f.map(|_| Method::Disabled)))
        .or_else(|| off(false).filter(|f| f.value == Method::LinkLocal))
        // netplan leaves IPv4 off where nothing asks for it.
        .or_else(|| Some(Fact::new(Method::Disabled, device.source.clone())));
    found.ipv6 = on("dhcp6", Method::Dhcp)
        .or_else(|| fixed(true))
        .or_else(|| on("accept-ra", Method::Automatic))
        .or_else(|| off(true));
    for key in ["gateway4", "gateway6"] {
        found.gateways.extend(device.said(key));
    }
    for value in device.get("routes").into_iter().flat_map(Value::items) {
        route(value, found);
    }
    if let Some(servers) = device.get("nameservers") {
        found.name_servers = servers.list("addresses");
        found.search = servers.list("search");
    }
}

fn route(value: &Value, found: &mut Connection) {
    let Some(to) = value.said("to") else { return };
    let via = value.said("via");
    let mut route = parse::route(&to.value, via.as_ref().map(|v| v.value.as_str()), to.source);
    route.metric = number(value, "metric").map(|f| f.value);
    route.table = value.said("table").map(|f| f.value);
    parse::add_route(found, route);
}

fn number<T: std::str::FromStr>(value: &Value, key: &str) -> Option<Fact<T>> {
    let said = value.said(key)?;
    Some(Fact::new(said.value.parse().ok()?, said.source))
}

/// What netplan and cloud-init say of a whole file: nothing is configured.
pub(super) fn disabled(value: &Value) -> Option<Source> {
    let network = value.get("network").unwrap_or(value);
    let said = network.said("config")?;
    (said.value == "disabled").then_some(said.source)
}
