//! `ifcfg-*` of SUSE, which wicked reads: ifcfg(5), ifcfg-bonding(5), ifcfg-vlan(5), ifcfg-bridge(5), ifroute(5). The
//! name of the file is the name of the interface.

use super::ifcfg::{BACKUPS, Settings};
use super::parse;
use crate::network::{Connection, Method, Route};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Text};
use std::collections::BTreeMap;

const DIR: &str = "/etc/sysconfig/network";
/// How many routes are looked up among the interfaces.
const ROUTES: usize = 1024;

pub(super) fn look(look: &Look<'_>) -> Vec<Connection> {
    let config = look
        .text(format!("{DIR}/config"))
        .map(|text| Settings::new(&text));
    let mut all: Vec<Connection> = Vec::new();
    for name in look.names(DIR) {
        let file = String::from_utf8_lossy(&name).into_owned();
        let Some(interface) = file.strip_prefix("ifcfg-") else {
            continue;
        };
        if interface == "template" || BACKUPS.iter().any(|ending| interface.ends_with(ending)) {
            continue;
        }
        let Some(text) = look.text(join(DIR.as_bytes(), &name)) else {
            continue;
        };
        let mut found = connection(&text, interface);
        if let Some(text) = look.text(format!("{DIR}/ifroute-{interface}")) {
            for (route, _) in routes(&text) {
                parse::add_route(&mut found, route);
            }
        }
        all.push(found);
    }
    if let Some(text) = look.text(format!("{DIR}/routes")) {
        for (route, device) in routes(&text).into_iter().take(ROUTES) {
            place(route, device.as_deref(), &mut all);
        }
    }
    for connection in &mut all {
        let config = config
            .as_ref()
            .filter(|_| connection.interface.as_ref().is_some_and(|i| i.value != "lo"));
        if let Some(dhcp) = config.and_then(|c| c.get("DHCLIENT_SET_DEFAULT_ROUTE")) {
            connection
                .parameters
                .insert("dhcp-sets-default-route".to_owned(), dhcp.value);
        }
    }
    let mut of: BTreeMap<String, Fact<String>> = BTreeMap::new();
    for (controller, member) in all.iter().flat_map(|c| c.members.iter().map(move |m| (c, m))) {
        let fact = Fact::new(controller.name.clone(), member.source.clone());
        of.entry(member.value.clone()).or_insert(fact);
    }
    for connection in &mut all {
        connection.controller = of.remove(&connection.name);
    }
    all
}

/// A route for all interfaces belongs to the one whose network has its gateway; to the named one where one is named.
fn place(route: Route, device: Option<&str>, all: &mut [Connection]) {
    let holds = |connection: &Connection| match device {
        Some(device) => connection.name == device,
        None => {
            let gateway = route.gateway.as_deref().and_then(|g| g.parse().ok());
            gateway.is_some_and(|gateway| connection.addresses.iter().any(|a| parse::reaches(a, gateway)))
        }
    };
    if let Some(connection) = all.iter_mut().find(|c| holds(c)) {
        parse::add_route(connection, route);
    }
}

fn connection(text: &Text, interface: &str) -> Connection {
    let said = Settings::new(text);
    let mut found = Connection::new("ifcfg-suse", interface, text.source());
    let own = |value: &str| Fact::new(value.to_owned(), text.source());
    found.interface = Some(own(interface));
    let (kind, layer) = kind(&said, interface);
    found.kind = kind;
    if let Some(name) = said.get("NAME") {
        found.parameters.insert("title".to_owned(), name.value);
    }
    found.cloned_mac = said.get("LLADDR").map(|f| f.map(|m| parse::mac_or_word(&m)));
    found.mtu = said.number("MTU");
    found.autostart = said.get("STARTMODE").map(|f| {
        f.map(|mode| {
            matches!(
                mode.to_ascii_lowercase().as_str(),
                "auto" | "onboot" | "on" | "boot" | "hotplug" | "nfsroot" | "ifplugd"
            )
        })
    });
    addresses(&said, &mut found);
    methods(&said, &mut found);
    found.vlan = said.number("VLAN_ID");
    found.lower.extend(said.get("ETHERDEVICE"));
    if found.vlan.is_none() && layer == "vlan" {
        let number = interface
            .rsplit_once('.')
            .map(|(_, n)| n)
            .or_else(|| interface.strip_prefix("vlan"));
        found.vlan = number.and_then(|n| Some(Fact::new(n.parse().ok()?, text.source())));
    }
    let prefixes = ["BONDING_SLAVE", "BONDING_PORT", "TEAM_PORT_DEVICE"];
    let listed = prefixes.iter().flat_map(|prefix| said.series(prefix));
    found.members = listed.map(|(_, f)| f.clone()).collect();
    found.members.extend(said.words("BRIDGE_PORTS"));
    if let Some(options) = said.get("BONDING_MODULE_OPTS") {
        for option in options.value.split_whitespace() {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            found.parameters.insert(key.to_owned(), value.to_owned());
        }
    }
    for (key, name) in [
        ("BRIDGE_STP", "stp"),
        ("BRIDGE_FORWARDDELAY", "forward-delay"),
        ("ZONE", "zone"),
        ("TUNNEL", "tunnel"),
    ] {
        if let Some(value) = said.get(key) {
            found.parameters.insert(name.to_owned(), value.value);
        }
    }
    found.ssid = said.get("WIRELESS_ESSID");
    let secrets = [
        "WIRELESS_WPA_PSK",
        "WIRELESS_WPA_PASSWORD",
        "WIRELESS_KEY",
        "WIRELESS_CLIENT_KEY_PASSWORD",
    ];
    found.holds_secret = secrets.iter().any(|key| said.series(key).next().is_some());
    found
}

fn kind(said: &Settings, interface: &str) -> (Option<Fact<String>>, &'static str) {
    let yes = |key: &str| said.truth(key).filter(|f| f.value);
    let layers = [
        ("bond", yes("BONDING_MASTER")),
        ("bridge", yes("BRIDGE")),
        ("vlan", said.get("ETHERDEVICE").map(|f| f.map(|_| true))),
        ("wifi", said.get("WIRELESS_ESSID").map(|f| f.map(|_| true))),
        ("tunnel", said.get("TUNNEL").map(|f| f.map(|_| true))),
        (
            "loopback",
            (interface == "lo").then(|| Fact::new(true, said.source.clone())),
        ),
    ];
    for (kind, found) in layers {
        if let Some(found) = found {
            return (Some(found.map(|_| kind.to_owned())), kind);
        }
    }
    (None, "")
}

fn addresses(said: &Settings, found: &mut Connection) {
    // IPADDR_1 has NETMASK_1, PREFIXLEN_1 and LABEL_1 beside it.
    for (suffix, address) in said.series("IPADDR") {
        let same = |key: &str| said.get(&format!("{key}{suffix}")).map(|f| f.value);
        let mask = same("PREFIXLEN").or_else(|| same("NETMASK"));
        let mut address = parse::address_with(address, mask.as_deref());
        address.label = same("LABEL");
        found.addresses.push(address);
    }
    found.gateways.extend(said.get("GATEWAY"));
}

fn methods(said: &Settings, found: &mut Connection) {
    let fixed = |v6: bool| {
        let first = found.addresses.iter().find(|a| parse::is_v6(&a.address) == v6);
        first.map(|a| Fact::new(Method::Static, a.source.clone()))
    };
    let (v4, v6) = (fixed(false), fixed(true));
    let Some(proto) = said.get("BOOTPROTO") else {
        (found.ipv4, found.ipv6) = (v4, v6);
        return;
    };
    let as_method = |method| Some(proto.clone().map(|_| method));
    let word = proto.value.to_ascii_lowercase();
    let dhcp = |plain: &str| word.split('+').any(|part| part == "dhcp" || part == plain);
    found.ipv4 = if dhcp("dhcp4") {
        as_method(Method::Dhcp)
    } else if word.contains("autoip") {
        as_method(Method::LinkLocal)
    } else {
        v4.or_else(|| as_method(Method::Disabled))
    };
    found.ipv6 = if dhcp("dhcp6") {
        as_method(Method::Dhcp)
    } else {
        v6
    };
}

/// `destination gateway netmask interface type`, with `-` for what is left out. Beside each route, its interface.
fn routes(text: &Text) -> Vec<(Route, Option<String>)> {
    text.spoken()
        .filter_map(|line| {
            let mut words = line.text.split_whitespace();
            let destination = words.next()?;
            let mut words = words.map(|w| Some(w).filter(|w| *w != "-"));
            let gateway = words.next().flatten();
            let mask = words.next().flatten();
            let device = words.next().flatten().map(str::to_owned);
            let route = parse::route(&parse::network(destination, mask), gateway, line.source());
            Some((route, device))
        })
        .collect()
}
