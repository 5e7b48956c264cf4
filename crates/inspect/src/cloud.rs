//! What cloud-init is told and did.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Where a system gets its configuration from when it starts in a cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cloud {
    /// cloud-init; `null` where it is not installed and left nothing.
    pub cloud_init: Option<CloudInit>,
    /// Files of Ignition and Afterburn, which do the same for Fedora CoreOS and Flatcar.
    pub ignition: Vec<Source>,
}

/// cloud-init.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CloudInit {
    /// Its version, by the package.
    pub version: Option<Fact<String>>,
    /// Its files of configuration, in the order in which they are merged.
    pub config_files: Vec<Source>,
    /// The sources of data it may ask, in this order.
    pub datasource_list: Vec<Fact<String>>,
    /// The source it used last: `DataSourceNoCloud [seed=/dev/sr0]`.
    pub datasource: Option<Fact<String>>,
    /// The instance it takes this machine for. Where the next start says another one, it configures everything anew.
    pub instance_id: Option<Fact<String>>,
    /// Instances it has been before, by their directories.
    pub instances: Vec<String>,
    /// What turns it off; empty where it is on.
    pub disabled_by: Vec<Source>,
    /// What turns off its configuration of the network.
    pub network_disabled_by: Option<Source>,
    /// Whether it leaves the hostname alone.
    pub preserve_hostname: Option<Fact<String>>,
    /// Whether root may not log in by SSH.
    pub disable_root: Option<Fact<String>>,
    /// What it makes of passwords in sshd.
    pub ssh_password_authentication: Option<Fact<String>>,
    /// The user it makes.
    pub default_user: Option<Fact<String>>,
    /// Data that lies on the disk for it.
    pub seeds: Vec<Source>,
    /// Errors of the last run.
    pub errors: Vec<Fact<String>>,
    /// The stages of the last run.
    pub stages: Vec<CloudStage>,
}

/// A stage of cloud-init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CloudStage {
    /// `init-local`, `init`, `modules-config`, `modules-final`.
    pub name: String,
    /// Seconds since 1970 UTC, rounded down; `null` when it did not begin.
    pub started: Option<i64>,
    /// As above; `null` when it did not end.
    pub finished: Option<i64>,
    /// The file that says so.
    pub source: Source,
}
