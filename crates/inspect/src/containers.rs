//! Engines of containers and what they hold.

use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// What runs containers, and which there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Containers {
    /// Engines, installed or with something left on the disk.
    pub engines: Vec<Engine>,
    /// Containers.
    pub containers: Vec<Container>,
    /// Images containers are made from.
    pub images: Vec<ContainerImage>,
}

/// An engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Engine {
    /// `docker`, `podman`, `containerd`, `cri-o`, `lxc`, `lxd`, `incus`, `systemd-nspawn`, `kubelet`, `k3s` …
    pub name: String,
    /// Its version, by the package.
    pub version: Option<Fact<String>>,
    /// Whether the system starts it; `null` where it has no service.
    pub started: Option<Fact<bool>>,
    /// Where its state lies, where there is any.
    pub state: Option<Source>,
    /// How many containers it has; `null` where its state is in a form that is not read.
    pub containers: Option<usize>,
    /// How many images it has; `null` as above, or where it knows no images.
    pub images: Option<usize>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Container {
    /// Whose it is.
    pub engine: String,
    /// Its name.
    pub name: String,
    /// Its number, where it has one.
    pub id: Option<String>,
    /// What it was made from.
    pub image: Option<String>,
    /// Whether it was running when the guest stopped; `null` where nothing says so.
    pub running: Option<bool>,
    /// The file that describes it.
    pub source: Source,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContainerImage {
    /// Whose it is.
    pub engine: String,
    /// Its names with their tags; none of an image that was replaced.
    pub names: Vec<String>,
    /// Its number: of docker `sha256:…`.
    pub id: String,
    /// The file that says so.
    pub source: Source,
}
