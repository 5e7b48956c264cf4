//! Tools of hypervisors and clouds.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What hypervisors and clouds have put into a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Agents {
    /// The agents found.
    pub agents: Vec<Agent>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Agent {
    /// Its name: `open-vm-tools`, `qemu-guest-agent` …
    pub name: String,
    /// Whose guests it is for: `vmware`, `virtualbox`, `hyper-v`, `kvm`, `xen`, `parallels`, `aws`, `azure`, `google` …
    pub platform: String,
    /// Its version, where a package or the agent itself says one.
    pub version: Option<Fact<String>>,
    /// Whether the system starts it, by the links of its service; `null` where it has no service, or none that is
    /// known.
    pub started: Option<Fact<bool>>,
    /// What shows that it is there.
    pub evidence: Vec<Evidence>,
}

/// What shows that something is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// `package`, `file`, `service`.
    pub kind: String,
    /// Which.
    pub what: String,
    /// Where it was found.
    pub source: Source,
}
