//! Kernels, and what each can drive.

mod config;
mod drivers;
mod find;
mod image;
mod modules;

pub use drivers::{Driver, Family, Presence};
pub(crate) use find::find;
pub use image::{HEAD, ImageFormat, KernelImage};
pub use modules::{ModuleFile, Modules, dependencies, module_name};

use crate::initramfs::Initramfs;
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// A kernel of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Kernel {
    /// Its file.
    pub path: String,
    /// Its release: what `uname -r` says, and what its modules lie under.
    pub release: Option<Fact<String>>,
    /// The whole version line of its header.
    pub banner: Option<String>,
    /// What kind of file it is.
    pub format: ImageFormat,
    /// `x86_64`, `i386`, `aarch64`, where its header says so.
    pub architecture: Option<String>,
    /// Whether the boot loader starts it when nobody chooses.
    pub default: bool,
    /// Whether it is there for rescue only.
    pub rescue: bool,
    /// The directory of its modules.
    pub modules: Option<ModuleDir>,
    /// Its configuration's file.
    pub config: Option<String>,
    /// What says that it runs under Xen alone, and not on KVM.
    pub xen_only: Option<Source>,
    /// The drivers that matter for moving between hypervisors.
    pub drivers: Vec<Driver>,
    /// What it is started with.
    pub initramfs: Vec<Initramfs>,
}

/// Where a kernel's modules are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleDir {
    /// The directory.
    pub path: String,
    /// How many modules it has.
    pub count: usize,
    /// How many more are built in.
    pub builtin: usize,
    /// Whether there is the index that tells which module serves a device; without it, none is loaded by itself.
    pub alias: bool,
}

impl Kernel {
    /// The driver of that name.
    #[must_use]
    pub fn driver(&self, name: &str) -> Option<&Driver> {
        self.drivers.iter().find(|d| d.name == name)
    }

    /// Its release, or its path where that is not known.
    #[must_use]
    pub fn name(&self) -> &str {
        self.release.as_ref().map_or(&self.path, |r| &r.value)
    }
}
