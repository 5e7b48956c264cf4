//! Firewalls and their rules.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Every firewall that is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Firewalls {
    /// One for each tool that was found.
    pub firewalls: Vec<Firewall>,
}

/// A firewall, as one tool is told to set it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Firewall {
    /// `firewalld`, `nftables`, `iptables`, `ip6tables`, `ufw`, `susefirewall2`, `windows` …
    pub tool: String,
    /// Whether the system turns it on; absent where that is not told.
    pub enabled: Option<Fact<bool>>,
    /// What applies where no zone is said: firewalld's default zone.
    pub default_zone: Option<Fact<String>>,
    /// Zones of firewalld and of SUSE, profiles of Windows.
    pub zones: Vec<Zone>,
    /// Chains of nftables and iptables, with what becomes of packets that no rule takes.
    pub chains: Vec<Chain>,
    /// Rules outside of zones, in order.
    pub rules: Vec<Rule>,
    /// Other settings that matter: `IPV6=yes`, `LogDenied=off`.
    pub settings: Vec<Fact<String>>,
}

/// A zone or profile: what may come in where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Zone {
    /// `public`, `EXT`, `domain` …
    pub name: String,
    /// Whether it is turned on; zones without such a switch are.
    pub enabled: Option<bool>,
    /// What becomes of what no rule takes: `default`, `accept`, `drop`, `reject`.
    pub target: Option<String>,
    /// Interfaces bound to it.
    pub interfaces: Vec<String>,
    /// Senders bound to it.
    pub sources: Vec<String>,
    /// Services let in, and the ports each stands for.
    pub services: Vec<Service>,
    /// Ports let in: `8080/tcp`.
    pub ports: Vec<String>,
    /// Protocols let in.
    pub protocols: Vec<String>,
    /// Ports that are passed on, as text.
    pub forwards: Vec<String>,
    /// Whether what leaves is given the sender's address.
    pub masquerade: bool,
    /// Rich rules and others that stand in the zone.
    pub rules: Vec<Rule>,
    /// Where it was read.
    pub source: Source,
}

/// A service that a zone lets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// `ssh`, `dhcpv6-client` …
    pub name: String,
    /// The ports it stands for: `22/tcp`; empty when its definition was not found or has none.
    pub ports: Vec<String>,
    /// Where it is defined.
    pub defined: Option<Source>,
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Chain {
    /// `filter`; of nftables with its family: `inet filter`.
    pub table: String,
    /// `INPUT`.
    pub name: String,
    /// Where packets enter it: `type filter hook input priority 0`; absent when other chains call it.
    pub hook: Option<String>,
    /// What becomes of packets that no rule takes: `accept`, `drop`.
    pub policy: Option<String>,
    /// Its rules, in order, as text.
    pub rules: Vec<Rule>,
    /// Where it was read.
    pub source: Source,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// As its tool spells it, without what names the chain.
    pub text: String,
    /// Its name, where rules have one.
    pub name: Option<String>,
    /// Whether it applies.
    pub enabled: bool,
    /// `in`, `out`, `forward`; absent where the text tells.
    pub direction: Option<String>,
    /// `allow`, `deny`, `reject` …; absent where the text tells.
    pub action: Option<String>,
    /// What it is made of, where its tool names the parts: `protocol`, `local-port`, `application`, `profile` …
    pub parts: BTreeMap<String, Vec<String>>,
    /// Where it was read.
    pub source: Source,
}

impl Firewall {
    /// A firewall nothing is known of.
    #[must_use]
    pub fn new(tool: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            enabled: None,
            default_zone: None,
            zones: Vec::new(),
            chains: Vec::new(),
            rules: Vec::new(),
            settings: Vec::new(),
        }
    }
}

impl Zone {
    /// A zone that lets nothing in.
    #[must_use]
    pub fn new(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            enabled: None,
            target: None,
            interfaces: Vec::new(),
            sources: Vec::new(),
            services: Vec::new(),
            ports: Vec::new(),
            protocols: Vec::new(),
            forwards: Vec::new(),
            masquerade: false,
            rules: Vec::new(),
            source,
        }
    }
}

impl Rule {
    /// A rule that its text tells all of.
    #[must_use]
    pub fn new(text: impl Into<String>, source: Source) -> Self {
        Self {
            text: text.into(),
            name: None,
            enabled: true,
            direction: None,
            action: None,
            parts: BTreeMap::new(),
            source,
        }
    }
}
