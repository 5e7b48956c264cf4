//! Initramfs images: what they hold, who made them, and what ties them to the machine they were made on.
//!
//! ```text
//!  cpio (microcode) │ zeros │ cpio packed with zstd, xz … │ more of either
//!       └ segment 0            └ segment 1
//! ```
//! Follows the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`: segments are unpacked one after
//! the other into one tree, later files replace earlier ones. Nothing is unpacked as a whole: entries pass by.

mod archive;
mod blocks;
mod codec;
mod collect;
pub mod cpio;
mod leftover;
mod listing;
pub mod segment;
mod source;
mod walk;

pub use codec::Compression;
pub use leftover::{Leftover, LeftoverKind};
pub use walk::{Content, Segment, Visitor, walk};

use collect::Contents;
use h2k_block::{BlockRead, Error, Limits, Meter};
use h2k_guest::{Fact, Source};
use schemars::JsonSchema;
use serde::Serialize;

/// Who made an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Generator {
    /// Debian's initramfs-tools.
    InitramfsTools,
    /// dracut.
    Dracut,
    /// Arch's mkinitcpio.
    Mkinitcpio,
    /// Arch's booster.
    Booster,
    /// Alpine's mkinitfs.
    Mkinitfs,
    /// Gentoo's genkernel.
    Genkernel,
    /// SUSE's mkinitrd, up to version 11.
    SuseMkinitrd,
    /// Red Hat's mkinitrd, up to version 5.
    RedHatMkinitrd,
}

impl Generator {
    /// As its users call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InitramfsTools => "initramfs-tools",
            Self::Dracut => "dracut",
            Self::Mkinitcpio => "mkinitcpio",
            Self::Booster => "booster",
            Self::Mkinitfs => "mkinitfs",
            Self::Genkernel => "genkernel",
            Self::SuseMkinitrd => "mkinitrd (SUSE)",
            Self::RedHatMkinitrd => "mkinitrd (Red Hat)",
        }
    }
}

/// An initramfs image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Initramfs {
    /// Its file.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Whether all of it could be read; what is said below is otherwise less than there is.
    pub complete: bool,
    /// What it is put together from.
    pub segments: Vec<Segment>,
    /// Who made it, and which file in it says so.
    pub generator: Option<Fact<Generator>>,
    /// What says that it was made for the machine it was made on, and has no drivers for another.
    pub host_only: Option<Source>,
    /// Whether its root lies in a filesystem image inside of it: modules that are added to it are not seen.
    pub nested_root: bool,
    /// The kernels it has modules for.
    pub releases: Vec<String>,
    /// The modules in it, by name.
    pub modules: Vec<String>,
    /// The indexes of modules in it.
    pub indexes: Vec<String>,
    /// Modules that no index names: nothing finds them for a device.
    pub unindexed: Vec<String>,
    /// Modules that are kept from being loaded, and what says so.
    pub blocked: Vec<Fact<String>>,
    /// Names of devices in it, of which some belong to the machine it was made on.
    pub leftovers: Vec<Leftover>,
}

impl Initramfs {
    /// Reads the image on `disk`, which is shown as `path`. Damage is an error beside what could be read before it.
    #[must_use]
    pub fn read(disk: &dyn BlockRead, path: &str, limits: &Limits) -> (Self, Vec<Error>) {
        let mut meter = Meter::new(*limits);
        let mut contents = Contents::default();
        let outcome = contents.read(disk, &mut meter);
        let mut errors: Vec<Error> = outcome.err().into_iter().collect();
        let image = Self::of(&contents, path, disk.len(), &mut errors);
        (image, errors)
    }

    fn of(contents: &Contents, path: &str, size: u64, errors: &mut Vec<Error>) -> Self {
        let (unindexed, indexes) = contents.unindexed(&mut |file, e| {
            errors.push(Error::new(e.class(), format!("{file}: {e}")));
        });
        Self {
            path: path.to_owned(),
            size,
            complete: errors.is_empty(),
            generator: generator(contents, path),
            host_only: leftover::host_only(contents, path),
            nested_root: contents.marks.iter().any(|m| m.ends_with("-root.img")),
            releases: contents.releases.iter().cloned().collect(),
            modules: contents.modules.keys().cloned().collect(),
            indexes,
            unindexed,
            blocked: leftover::blocked(contents, path),
            leftovers: leftover::find(contents, path),
            segments: contents.segments.clone(),
        }
    }

    /// Whether the module of that name is in it.
    #[must_use]
    pub fn has(&self, module: &str) -> bool {
        self.modules.binary_search_by(|m| m.as_str().cmp(module)).is_ok()
    }

    /// Whether [`segment::plan`] is likely to have something to put behind it: it can be read to its end, and it is known
    /// how images of its generator load modules.
    #[must_use]
    pub fn can_be_added_to(&self) -> bool {
        let known = self.generator.as_ref().map(|g| g.value);
        let ends = self.segments.last().is_some_and(|s| s.closed);
        self.complete && !self.nested_root && ends && segment::supported(known).is_ok()
    }

    /// Whether an index names that module, so that it is loaded for its device.
    #[must_use]
    pub fn finds(&self, module: &str) -> bool {
        self.has(module) && !self.unindexed.iter().any(|m| m == module)
    }
}

/// A file inside an image.
fn inside(image: &str, file: &str) -> Source {
    Source::named(format!("{image}:{file}"))
}

fn generator(contents: &Contents, image: &str) -> Option<Fact<Generator>> {
    let mark = |start: &str| contents.marks.iter().find(|m| m.starts_with(start)).cloned();
    let file = |name: &str| contents.file(name).map(|_| name.to_owned());
    let init = contents.file("init");
    let init_says = |text: &str| {
        let said = init.as_ref().is_some_and(|t| t.as_str().contains(text));
        said.then(|| "init".to_owned())
    };
    let found = [
        (
            Generator::InitramfsTools,
            mark("scripts/functions").or_else(|| mark("conf/initramfs.conf")),
        ),
        (
            Generator::Dracut,
            mark("lib/dracut").or_else(|| mark("bin/dracut-initqueue")),
        ),
        (Generator::Booster, mark("etc/booster.init.yaml")),
        (Generator::Mkinitcpio, mark("init_functions")),
        (
            Generator::Mkinitfs,
            mark("sbin/nlplug-findfs").or_else(|| mark("etc/mkinitfs")),
        ),
        (Generator::Genkernel, mark("etc/initrd.defaults")),
        (Generator::SuseMkinitrd, file("run_all.sh")),
        (Generator::RedHatMkinitrd, init_says("#!/bin/nash")),
    ];
    let found = found.into_iter().find_map(|(g, path)| Some((g, path?)));
    found.map(|(generator, path)| Fact::new(generator, inside(image, &path)))
}
