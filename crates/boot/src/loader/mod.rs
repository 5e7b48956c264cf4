//! Boot loaders, and what they would start.

mod bls;
mod esp;
mod grub;
mod grub_legacy;
mod grubenv;
mod images;
mod locate;
mod others;
mod script;
mod sdboot;
mod syslinux;
mod uki;
mod windows;

pub use esp::Esp;
pub(crate) use esp::{Mounted, alone, is_esp, mounted};
pub use grubenv::GrubEnv;
pub(crate) use images::Images;
pub use script::{MenuEntry, Script, read as grub_script};
pub use uki::{Section, Uki};
pub(crate) use windows::find as windows;

use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Which boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LoaderKind {
    /// GRUB 2.
    Grub,
    /// GRUB 0.97.
    GrubLegacy,
    /// systemd-boot.
    SystemdBoot,
    /// SYSLINUX and EXTLINUX.
    Syslinux,
    /// LILO.
    Lilo,
    /// zipl, of IBM Z.
    Zipl,
    /// The Windows Boot Manager.
    WindowsBootManager,
    /// NTLDR, of Windows before Vista.
    Ntldr,
}

impl LoaderKind {
    /// As people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Grub => "GRUB 2",
            Self::GrubLegacy => "GRUB legacy",
            Self::SystemdBoot => "systemd-boot",
            Self::Syslinux => "SYSLINUX",
            Self::Lilo => "LILO",
            Self::Zipl => "zipl",
            Self::WindowsBootManager => "Windows Boot Manager",
            Self::Ntldr => "NTLDR",
        }
    }
}

/// A boot loader's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Loader {
    /// Which boot loader.
    pub kind: LoaderKind,
    /// The file it reads.
    pub config: String,
    /// What it says to start when nobody chooses: a number, a title, an identifier.
    pub default: Option<Fact<String>>,
    /// How long it waits, as written.
    pub timeout: Option<Fact<String>>,
    /// Other files that make up its configuration: an environment block, a stub that leads here, a map of devices.
    pub files: Vec<String>,
}

/// Something a boot loader can start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Whose it is.
    pub loader: LoaderKind,
    /// What a person reads.
    pub title: String,
    /// What the loader knows it by.
    pub id: Option<String>,
    /// The titles of the menus it is in, the outermost first.
    pub menus: Vec<String>,
    /// Whether it is started when nobody chooses.
    pub default: bool,
    /// Whether it is for rescue only.
    pub rescue: bool,
    /// The kernel, as written.
    pub kernel: Option<String>,
    /// The kernel, as a path of the guest; absent where there is no such file.
    pub kernel_path: Option<String>,
    /// The initramfs images, as written.
    pub initramfs: Vec<String>,
    /// The initramfs images that are there, as paths of the guest.
    pub initramfs_paths: Vec<String>,
    /// What the kernel is told.
    pub command_line: Option<String>,
    /// The UUID of the filesystem that the loader looks for.
    pub search: Option<String>,
    /// The device that the loader reads from, as it calls it: `hd0,msdos1`.
    pub device: Option<String>,
    /// Where it is written.
    pub source: Source,
}

impl Entry {
    /// An entry of which nothing is known but its title.
    #[must_use]
    pub fn titled(loader: LoaderKind, title: impl Into<String>, source: Source) -> Self {
        Self {
            loader,
            title: title.into(),
            id: None,
            menus: Vec::new(),
            default: false,
            rescue: false,
            kernel: None,
            kernel_path: None,
            initramfs: Vec::new(),
            initramfs_paths: Vec::new(),
            command_line: None,
            search: None,
            device: None,
            source,
        }
    }

    /// The value of a parameter of the command line; of one that is given twice, the last counts.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        let words = self.command_line.as_deref()?.split_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        values.next_back().map(|value| value.trim_matches('"'))
    }

    /// Whether it is for rescue, by what people call such entries.
    fn marked(mut self) -> Self {
        let title = self.title.to_lowercase();
        let words = ["rescue", "recovery", "failsafe", "fallback initramfs"];
        let single = self
            .command_line
            .as_deref()
            .is_some_and(|c| c.split_whitespace().any(|w| w == "single"));
        self.rescue = single || words.iter().any(|w| title.contains(w));
        self
    }
}

/// What was found of boot loaders.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) loaders: Vec<Loader>,
    pub(crate) entries: Vec<Entry>,
}

/// The boot loaders of a system, the one that is most likely in use first.
pub(crate) fn find(look: &Look<'_>, esp: Option<&Mounted>, platform: &str) -> Found {
    let locate = locate::Locate::new(look, esp);
    let mut parts = [
        grub::find(look, &locate, esp, platform),
        sdboot::find(look, &locate, esp),
        syslinux::find(look, &locate),
        grub_legacy::find(look, &locate),
        others::find(look, &locate),
    ];
    // Where the EFI partition has systemd-boot in the place of the fallback loader, GRUB's files are leftovers.
    let systemd = esp.is_some_and(|e| e.facts.systemd_boot.is_some() && e.facts.grub.is_empty());
    if systemd {
        parts.swap(0, 1);
    }
    let mut found = Found::default();
    for part in parts {
        found.loaders.extend(part.loaders);
        found.entries.extend(part.entries);
    }
    // Only one of the loaders is started.
    if let Some(first) = found.entries.iter().find(|e| e.default).map(|e| e.loader) {
        for entry in found.entries.iter_mut().filter(|e| e.loader != first) {
            entry.default = false;
        }
    }
    found
}
