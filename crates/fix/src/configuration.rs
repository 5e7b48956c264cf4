//! What a guest is configured with, as a manifest writes it. Keys that are not known are refused.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a guest is configured with; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Its name, and names of others.
    pub hostname: Hostname,
    /// Its users.
    pub users: Users,
    /// Which of its units start.
    pub services: Services,
    /// Files of networkd and NetworkManager.
    pub network: NetworkFiles,
    /// Scripts that run once, at the first start.
    pub firstboot: Scripts,
}

/// The names of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hostname {
    /// Its name, without a domain.
    #[serde(alias = "name")]
    pub hostname: Option<String>,
    /// Its name with its domain.
    pub fqdn: Option<String>,
    /// Its domain, where `fqdn` is not given.
    pub domain: Option<String>,
    /// Lines of the hosts file: address to name.
    pub hosts: BTreeMap<String, String>,
}

/// Users that are there, and users that may not log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// Made, or changed where they are there.
    #[serde(alias = "users")]
    pub create: Vec<User>,
    /// Names of those that are locked.
    pub disable: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// The name.
    pub username: String,
    /// The number; the next free one where none is given.
    pub uid: Option<u32>,
    /// The number of the user's own group; that of the user where none is given and it is free.
    pub gid: Option<u32>,
    /// Groups besides.
    pub groups: Vec<String>,
    /// The shell.
    pub shell: Option<String>,
    /// The home directory.
    pub home: Option<String>,
    /// A remark: the full name, mostly.
    pub comment: Option<String>,
    /// The password as crypt(5) has it. A new user without one logs in by key only.
    pub password_hash: Option<String>,
    /// Keys that open the account.
    pub ssh_authorized_keys: Vec<String>,
    /// Whether the user may become root.
    pub sudo: bool,
    /// Whether without a password.
    pub sudo_nopasswd: bool,
}

/// Units, by what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// Started from now on, as their own `[Install]` says.
    pub enable: Vec<String>,
    /// Not started by links of the administrator.
    pub disable: Vec<String>,
    /// Not started by anything.
    pub mask: Vec<String>,
}

/// Files that configure networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkFiles {
    /// Files of systemd-networkd.
    #[serde(alias = "files")]
    pub network_files: Vec<NetworkFile>,
    /// Keyfiles of NetworkManager.
    pub nm_connections: Vec<Keyfile>,
    /// Whether systemd-networkd starts.
    pub enable_networkd: bool,
    /// Whether NetworkManager starts.
    pub enable_network_manager: bool,
}

/// A file of systemd-networkd.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// Its name, without number and ending.
    pub name: String,
    /// Which kind of file.
    #[serde(rename = "type", default)]
    pub kind: NetworkFileKind,
    /// The number in front of its name.
    #[serde(default = "fifty")]
    pub priority: u8,
    /// All of it.
    pub content: String,
}

fn fifty() -> u8 {
    50
}

/// Kinds of files of systemd-networkd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkFileKind {
    /// How an interface is configured.
    #[default]
    Network,
    /// An interface that is made.
    Netdev,
}

/// A keyfile of NetworkManager.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyfile {
    /// Its name, without ending.
    pub name: String,
    /// All of it.
    pub content: String,
}

/// Scripts that run once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scripts {
    /// The only one, for short.
    pub script: Option<String>,
    /// Several.
    pub scripts: Vec<Script>,
    /// The name of the service that runs them; `hyper2kvm-firstboot` by default.
    pub service_name: Option<String>,
    /// Whether the service stays, and runs whatever is put beside it later.
    pub keep_enabled: bool,
    /// What else its unit says.
    pub service: UnitWords,
}

/// A script that runs once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Scripts run in this order, and then in that of their names.
    #[serde(default = "fifty")]
    pub order: u8,
    /// All of it. Without `#!` it is one of sh.
    pub content: String,
}

/// Words of a unit, spelt as units spell them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub struct UnitWords {
    /// What it is.
    pub description: Option<String>,
    /// What it waits for; `network.target` by default.
    pub after: Option<String>,
    /// Paths that have to be mounted.
    pub requires_mounts_for: Option<String>,
    /// Variables: `NAME=value`.
    pub environment: Vec<String>,
}

/// What becomes of cloud-init.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CloudInit {
    /// It is switched off.
    pub disable: bool,
    /// It is given this seed, as for a new machine.
    pub nocloud: Option<NoCloud>,
}

/// A seed of the data source NoCloud.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NoCloud {
    /// What the instance is to do.
    pub user_data: String,
    /// What the instance is: its identifier, its name.
    pub meta_data: String,
    /// Its network; without, the guest's own stays.
    #[serde(default)]
    pub network_config: Option<String>,
}

/// What is done at the first start besides scripts of the user; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FirstBoot {
    /// The guest's own tool makes its initramfs images anew.
    pub regen_initramfs: bool,
    /// The guest agent of QEMU is installed, from the guest's own package sources.
    pub guest_agent: bool,
    /// Tools of VMware are taken out by the guest's package manager.
    pub remove_vmware_tools: bool,
}
