//! How a system is connected: what its configuration says, whichever tool it was written for.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a system is connected, by its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Network {
    /// The tools whose configuration was found, and whether they are started.
    pub tools: Vec<NetworkTool>,
    /// Connections, by tool and file.
    pub connections: Vec<Connection>,
    /// What gives interfaces their names, in the order in which it is asked.
    pub names: Vec<NameRule>,
    /// Switches of the kernel and of udev that decide on names: `net.ifnames=0`, `biosdevname=0`.
    pub name_switches: Vec<Fact<String>>,
    /// What a DHCP server last answered. Another day it may answer otherwise.
    pub last_leases: Vec<Lease>,
    /// Names to addresses.
    pub dns: Dns,
}

/// A tool that sets up networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkTool {
    /// `networkmanager`, `networkd`, `netplan`, `ifupdown`, `network-scripts`, `wicked` …
    pub name: String,
    /// Whether the system starts it; absent where that is not told by links.
    pub enabled: Option<bool>,
    /// Settings of the tool as a whole that decide on what it does: `main.dns=none`.
    pub settings: Vec<Fact<String>>,
    /// The link that starts it, or the file that shows it is there.
    pub source: Source,
}

/// What is configured together: a profile, a stanza, a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Connection {
    /// What its tool calls it.
    pub name: String,
    /// The tool it is for: `networkmanager`, `netplan`, `networkd`, `ifcfg`, `ifcfg-suse`, `interfaces`, `cloud-init`,
    /// `wicked`, `dhcpcd`, `connman`, `registry` …
    pub tool: String,
    /// What identifies it: a UUID of NetworkManager or ifcfg, a GUID of Windows.
    pub id: Option<Fact<String>>,
    /// Of which kind its interface is: `ethernet`, `bond`, `bridge`, `vlan`, `wifi`, `loopback` …
    pub kind: Option<Fact<String>>,
    /// The one interface it is for, where it names one.
    pub interface: Option<Fact<String>>,
    /// Which interfaces it is for, where it describes them. All has to be true of an interface.
    #[serde(rename = "match")]
    pub matching: Match,
    /// The name its interface is given.
    pub set_name: Option<Fact<String>>,
    /// The hardware address it presents instead of the interface's own; or a word such as `random`.
    pub cloned_mac: Option<Fact<String>>,
    /// How IPv4 is set up.
    pub ipv4: Option<Fact<Method>>,
    /// How IPv6 is set up.
    pub ipv6: Option<Fact<Method>>,
    /// Its addresses, IPv4 and IPv6.
    pub addresses: Vec<IpAddress>,
    /// Default gateways.
    pub gateways: Vec<Fact<String>>,
    /// Routes besides.
    pub routes: Vec<Route>,
    /// Name servers, in order.
    pub name_servers: Vec<Fact<String>>,
    /// Domains that names are looked for in.
    pub search: Vec<Fact<String>>,
    /// Largest packet, in bytes.
    pub mtu: Option<Fact<u32>>,
    /// Whether it is brought up by itself.
    pub autostart: Option<Fact<bool>>,
    /// The VLAN's number.
    pub vlan: Option<Fact<u16>>,
    /// The interfaces it lies on: of a VLAN or a tunnel.
    pub lower: Vec<Fact<String>>,
    /// The interfaces it is made of: of a bond or a bridge.
    pub members: Vec<Fact<String>>,
    /// The bond, bridge or other device it is a member of.
    pub controller: Option<Fact<String>>,
    /// The wireless network's name.
    pub ssid: Option<Fact<String>>,
    /// Whether it holds a secret (which is never shown).
    pub holds_secret: bool,
    /// Parameters of its kind as its tool spells them: `mode`, `stp`, `remote` …
    pub parameters: BTreeMap<String, String>,
    /// Why it does not count: `a file of that name in /etc counts instead`.
    pub ignored: Option<String>,
    /// Where it begins.
    pub source: Source,
}

/// Which interfaces are meant. An empty list says nothing; several values of one list are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Match {
    /// Names, or patterns of the shell for them, as written: `ens192`, `en*`.
    pub names: Vec<String>,
    /// Hardware addresses, in lower case with colons.
    pub macs: Vec<String>,
    /// Drivers, or patterns for them.
    pub drivers: Vec<String>,
    /// Places in the machine: `pci-0000:0b:00.0`.
    pub paths: Vec<String>,
    /// Anything else, as written: `Type=ether`, `KernelCommandLine=…`.
    pub others: Vec<String>,
}

impl Match {
    /// Whether nothing is asked of an interface.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// How addresses come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By DHCP, be it with addresses besides.
    Dhcp,
    /// As written.
    Static,
    /// IPv6: by what routers announce, and DHCP if they say so.
    Automatic,
    /// An address that the link alone knows.
    LinkLocal,
    /// The system is the router and hands out addresses.
    Shared,
    /// None.
    Disabled,
    /// By something else than the tool itself: a modem, a VPN, a script.
    Other,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct IpAddress {
    /// Without its length.
    pub address: String,
    /// How many of its bits are the network's.
    pub prefix: Option<u8>,
    /// What it is called: `eth0:1`.
    pub label: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// Whereto: `10.0.0.0/8`; `default`.
    pub destination: String,
    /// By way of; absent on the link itself.
    pub gateway: Option<String>,
    /// The smaller the better.
    pub metric: Option<u32>,
    /// The table it is in, a number or a name.
    pub table: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// A rule that gives an interface its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NameRule {
    /// The name, where the rule says one.
    pub name: Option<String>,
    /// Else how it is made, the first that works: `keep kernel database onboard slot path`.
    pub policy: Vec<String>,
    /// Other names that mean the interface too.
    pub aliases: Vec<String>,
    /// Which interfaces it is for.
    #[serde(rename = "match")]
    pub matching: Match,
    /// What reads it: `udev` for rules and `.link` files, `iftab`, `mactab`.
    pub tool: String,
    /// Why it does not count.
    pub ignored: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// What a DHCP server last answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Lease {
    /// Who asked: `dhclient`, `networkmanager`, `networkd`, `wicked`, `dhcpcd` …
    pub client: String,
    /// For which interface, where that is told.
    pub interface: Option<String>,
    /// The hardware address that asked, where it is told.
    pub mac: Option<String>,
    /// The address.
    pub address: String,
    /// How many of its bits are the network's.
    pub prefix: Option<u8>,
    /// Gateways.
    pub routers: Vec<String>,
    /// Name servers.
    pub name_servers: Vec<String>,
    /// The domain.
    pub domain: Option<String>,
    /// The server that answered.
    pub server: Option<String>,
    /// Until when, as the file has it.
    pub expires: Option<String>,
    /// Where it was read.
    pub source: Source,
}

/// Names to addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Dns {
    /// Who answers for the system: `file`, `systemd-resolved`, `networkmanager`, `resolvconf`, `netconfig` …
    pub manager: Option<Fact<String>>,
    /// Where `/etc/resolv.conf` leads, if it is a link.
    pub resolv_conf_link: Option<Fact<String>>,
    /// Name servers for the system as a whole, in order. Those of a connection stand there.
    pub name_servers: Vec<Fact<String>>,
    /// Name servers for when there are no others.
    pub fallback_servers: Vec<Fact<String>>,
    /// Domains that names are looked for in.
    pub search: Vec<Fact<String>>,
    /// Options of the resolver: `ndots:2`, `DNSSEC=yes`.
    pub options: Vec<Fact<String>>,
    /// Lines of the hosts file.
    pub hosts: Vec<Host>,
    /// In which order names are looked for: `files dns`.
    pub order: Option<Fact<Vec<String>>>,
}

/// A line of the hosts file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Host {
    /// The address.
    pub address: String,
    /// Its names.
    pub names: Vec<String>,
    /// Where it was read.
    pub source: Source,
}

impl Connection {
    /// A connection nothing is known of but its name.
    #[must_use]
    pub fn new(tool: &str, name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            tool: tool.to_owned(),
            id: None,
            kind: None,
            interface: None,
            matching: Match::default(),
            set_name: None,
            cloned_mac: None,
            ipv4: None,
            ipv6: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            routes: Vec::new(),
            name_servers: Vec::new(),
            search: Vec::new(),
            mtu: None,
            autostart: None,
            vlan: None,
            lower: Vec::new(),
            members: Vec::new(),
            controller: None,
            ssid: None,
            holds_secret: false,
            parameters: BTreeMap::new(),
            ignored: None,
            source,
        }
    }
}

impl Network {
    /// Whether something ties a name, or the connection that uses it, to a MAC address.
    #[must_use]
    pub fn ties(&self, connection: &Connection, name: &str) -> bool {
        let rule = self
            .names
            .iter()
            .any(|r| r.ignored.is_none() && r.name.as_deref() == Some(name) && !r.matching.macs.is_empty());
        // A MAC address with a name beside it that does not fit any more matches nothing.
        let by_mac = !connection.matching.macs.is_empty();
        rule || (by_mac && (connection.set_name.is_some() || connection.matching.names.is_empty()))
    }
}

/// Whether a name is one that hardware gets, by its slot, its address or its turn: `ens192`, `eth0`.
#[must_use]
pub fn hardware_name(name: &str) -> bool {
    let rest = ["ens", "enp", "eno", "enx", "enX", "eth", "em", "p"]
        .iter()
        .find_map(|p| name.strip_prefix(p));
    rest.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()) && !r.contains(['.', ':', '@']))
}
