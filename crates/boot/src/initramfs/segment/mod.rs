//! What to put behind an initramfs image so that a kernel finds its root on virtio: modules from the guest's own files,
//! indexes that name them, and what else keeps the image from starting on another machine.
//!
//! ```text
//!  the image, byte for byte as it was │ cpio, packed with gzip: modules, modules.dep.bin, conf/modules …
//! ```
//! The kernel unpacks one archive after the other into one tree, so later files replace earlier ones and nothing in
//! front has to be touched: cutting the file back to its old length undoes it. Nothing is written here.

mod extras;
mod indexes;
mod need;
mod neutral;

pub(super) use extras::supported;

use super::archive::{Archive, pack};
use super::codec::Compression;
use super::collect::Contents;
use super::{Generator, Initramfs};
use crate::bytes::{shown, wide};
use crate::kernel::{ImageFormat, Kernel, Modules, Presence};
use crate::ladder::Bus;
use h2k_block::{Error, Meter};
use h2k_guest::Look;
use indexes::Indexes;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// A larger image is none.
const IMAGE: u64 = 512 << 20;

/// More modules, or larger ones, are not added: the largest guests need forty, of 3 MiB.
const MODULES: usize = 512;
const PLAIN: u64 = 256 << 20;

/// What files of ours are called inside the image.
const OURS: &str = "99-hyper2kvm.conf";

/// What is added, where a kernel has it, once something has to be added.
pub const ALSO: [&str; 3] = ["virtio_console", "bochs", "virtio_gpu"];

/// What is wanted of a plan.
pub struct Options<'a> {
    /// The buses that the image shall reach its root on. Of several, those that the kernel has no driver for are left
    /// out; one has to remain.
    pub buses: &'a [Bus],
    /// Modules that are added where the kernel has them, once something has to be added.
    pub also: &'a [&'a str],
    /// The command line the kernel is started with: it says whether the root is on the network.
    pub command_line: &'a str,
    /// What to add where the root is on the network: files that name interfaces, by their path.
    pub network_files: &'a [(String, Vec<u8>)],
    /// The name that a device keeps on every bus, as `UUID=…`.
    pub stable: &'a dyn Fn(&str) -> Option<String>,
    /// The time of the entries, in seconds since 1970.
    pub mtime: u32,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            buses: &[Bus::VirtioBlk, Bus::VirtioScsi],
            also: &ALSO,
            command_line: "",
            network_files: &[],
            stable: &|_| None,
            mtime: 0,
        }
    }
}

/// What a plan comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel has all it needs, built in or in the image: the image stays as it is, byte for byte.
    Capable,
    /// This has to be put behind the image.
    Append(Box<Addition>),
    /// Nothing can be put behind it that would help.
    Cannot(Refusal),
}

/// What is put behind an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Addition {
    /// The image's file.
    pub path: String,
    /// The image's length in bytes: where [`bytes`](Self::bytes) go, and what the file is cut back to for undoing it.
    pub old_length: u64,
    /// What is put there.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// How it is packed.
    pub compression: Compression,
    /// How long it is unpacked, in bytes.
    pub plain_length: u64,
    /// The modules that are added, each behind those it needs.
    pub modules: Vec<Added>,
    /// Files that are new or get another content.
    pub files: Vec<Changed>,
    /// What stands in the way of a boot elsewhere, and could not be helped.
    pub left: Vec<Left>,
}

/// A module that is added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Added {
    /// Its name.
    pub name: String,
    /// Where it lies in the image.
    pub path: String,
    /// Where it lies in the guest.
    pub from: String,
    /// Its length in bytes, unpacked.
    pub length: u64,
}

/// A file of an image that is new or gets another content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Where it lies in the image.
    pub path: String,
    /// What for.
    pub why: String,
}

/// What could not be helped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Left {
    /// What it is: `/boot/initrd.img:etc/crypttab`, and what it says.
    pub what: String,
    /// Why it stays.
    pub why: String,
}

/// Why nothing can be put behind an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The image is part of a unified kernel image, which may be signed as a whole.
    Unified,
    /// The kernel is started without an image, and what it needs is not built in.
    NoImage,
    /// The kernel's release is not known, and so not where its modules are.
    NoRelease,
    /// The guest has no modules, or no `modules.dep`, of this release.
    NoModules(String),
    /// The kernel has no driver for any of the buses; these are missing.
    NotInKernel(Vec<String>),
    /// The image's root lies in a filesystem image inside of it, which an addition does not reach.
    NestedRoot,
    /// It cannot be told who made the image, and so not how it loads modules.
    UnknownGenerator,
    /// It is not known how images of this generator are made to load another module.
    Generator(Generator),
    /// The image is for other releases than the kernel's.
    OtherRelease(Vec<String>),
    /// The image cannot be read to its end, or not as the kernel reads it.
    Image(String),
    /// A module of the guest cannot be read.
    Module(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unified => f.write_str("the initramfs is part of a unified kernel image"),
            Self::NoImage => {
                f.write_str("the kernel is started without an initramfs, and the drivers are modules")
            }
            Self::NoRelease => f.write_str("the release of the kernel is not known"),
            Self::NoModules(release) => write!(f, "the guest has no modules with a modules.dep of {release}"),
            Self::NotInKernel(names) => write!(f, "the kernel has no {}", names.join(", ")),
            Self::NestedRoot => {
                f.write_str("the root of the initramfs lies in a filesystem image inside of it")
            }
            Self::UnknownGenerator => f.write_str("it cannot be told who made the initramfs"),
            Self::Generator(generator) => write!(
                f,
                "how an initramfs of {} loads other modules is not known",
                generator.word()
            ),
            Self::OtherRelease(releases) => {
                write!(f, "the initramfs is one of {}", releases.join(", "))
            }
            Self::Image(why) => write!(f, "the initramfs cannot be added to: {why}"),
            Self::Module(why) => f.write_str(why),
        }
    }
}

/// What a step of planning says.
type Step<T> = Result<T, Refusal>;

fn image_error(error: &Error) -> Refusal {
    Refusal::Image(error.to_string())
}

/// Plans what to put behind the last of the initramfs images that `kernel` is started with, from the files that `look`
/// shows. Planned once more on the result, nothing is to be done.
#[must_use]
pub fn plan(look: &Look<'_>, kernel: &Kernel, options: &Options<'_>) -> Outcome {
    match planned(look, kernel, options) {
        Ok(Some(addition)) => Outcome::Append(Box::new(addition)),
        Ok(None) => Outcome::Capable,
        Err(refusal) => Outcome::Cannot(refusal),
    }
}

fn planned(look: &Look<'_>, kernel: &Kernel, options: &Options<'_>) -> Step<Option<Addition>> {
    let required = required(kernel, options.buses)?;
    let Some(last) = kernel.initramfs.last() else {
        return match required.is_empty() {
            true => Ok(None),
            false => Err(Refusal::NoImage),
        };
    };
    let release = kernel.release.as_ref().map(|r| r.value.as_str());
    if kernel.format == ImageFormat::Uki {
        return if required.iter().all(|name| last.finds(name)) {
            Ok(None)
        } else {
            Err(Refusal::Unified)
        };
    }
    let image = Image::read(look, kernel)?;
    if required.is_empty() {
        // Built in: only what ties the image to its old machine may be in the way.
        let neutral = neutral::find(&image, &BTreeSet::new(), options);
        return Plan::new(image).with(neutral).finish(options);
    }
    let release = release.ok_or(Refusal::NoRelease)?;
    if image.facts.nested_root {
        return Err(Refusal::NestedRoot);
    }
    if !image.facts.releases.is_empty() && !image.facts.releases.iter().any(|r| r == release) {
        return Err(Refusal::OtherRelease(image.facts.releases));
    }
    let dir = kernel.modules.as_ref().map(|m| m.path.as_bytes().to_vec());
    let absent = || Refusal::NoModules(release.to_owned());
    let modules = Modules::read(look, &dir.ok_or_else(absent)?);
    let source = need::Source::read(look, &modules).ok_or_else(absent)?;
    let nash = image.generator() == Some(Generator::RedHatMkinitrd);
    let indexes = Indexes::read(&image, release, nash)?;

    let wanted: Vec<&str> = required.iter().map(String::as_str).collect();
    let closure = source.closure(&wanted);
    let mut neutral = neutral::find(&image, &closure.iter().cloned().collect(), options);
    let missing: Vec<&String> = closure.iter().filter(|name| !indexes.has(name)).collect();
    if missing.is_empty() {
        return Plan::new(image).with(neutral).finish(options);
    }
    supported(image.generator())?;

    let mut all = wanted.clone();
    all.extend(options.also.iter().copied().filter(|name| source.is_there(name)));
    let network = extras::network_root(&image, options.command_line);
    if network && source.is_there("virtio_net") {
        all.push("virtio_net");
        for (path, content) in options.network_files {
            let content = content.clone();
            neutral.change(
                &image,
                path,
                content,
                "names of interfaces, for a root on the network",
            )?;
        }
    }
    let closure = source.closure(&all);
    let add: Vec<&String> = closure.iter().filter(|name| !indexes.has(name)).collect();
    let too_much = || Refusal::Module(format!("{} modules are needed, too many to add", add.len()));
    let mut plan = Plan::new(image);
    let mut left = PLAIN;
    for name in &add {
        let module = source.module(look, name).map_err(Refusal::Module)?;
        let rest = left.checked_sub(wide(module.content.len()));
        left = rest.filter(|_| add.len() <= MODULES).ok_or_else(too_much)?;
        plan.module(&indexes, module)?;
    }
    let names: Vec<&str> = plan.modules.iter().map(|m| m.0.name.as_str()).collect();
    if !nash {
        let merged = indexes.merged(look, &source, &names)?;
        for (path, content) in merged {
            neutral.change(
                &plan.image,
                &path,
                content,
                "an index that names the modules, too",
            )?;
        }
    }
    let explicit: Vec<&str> = closure
        .iter()
        .map(String::as_str)
        .filter(|n| wanted.contains(n))
        .collect();
    extras::find(&plan.image, &explicit, &plan.modules, &mut neutral)?;
    plan.with(neutral).finish(options)
}

/// The modules that the image has to have, so that the kernel reaches one of `buses`; none where all is built in.
fn required(kernel: &Kernel, buses: &[Bus]) -> Step<Vec<String>> {
    let presence = |name: &str| kernel.driver(name).map_or(Presence::Unknown, |d| d.presence);
    let there = |name: &&str| matches!(presence(name), Presence::Builtin | Presence::Module);
    let mut modules = Vec::new();
    let mut lacking: Vec<String> = Vec::new();
    let mut reached = false;
    for bus in buses {
        let drivers = bus.drivers();
        if drivers.iter().all(there) {
            reached = true;
            for name in drivers {
                // A driver may have another name in this kernel: the last of what it needs is itself.
                let own = kernel.driver(name).and_then(|d| d.needs.last());
                if let Some(own) = own.filter(|own| !modules.contains(*own)) {
                    modules.push(own.clone());
                }
            }
        } else {
            lacking.extend(drivers.iter().filter(|d| !there(d)).map(|d| (*d).to_owned()));
        }
    }
    match reached {
        true => Ok(modules),
        false => Err(Refusal::NotInKernel(lacking)),
    }
}

/// What the kernel unpacks, and what is known of it.
struct Image {
    contents: Contents,
    facts: Initramfs,
    /// Whether the kernel unpacks gzip.
    gzip: bool,
}

impl Image {
    fn read(look: &Look<'_>, kernel: &Kernel) -> Step<Self> {
        let mut contents = Contents::listing();
        let mut meter = Meter::new(*look.limits());
        let mut last = (String::new(), 0);
        for image in &kernel.initramfs {
            let missing = || Refusal::Image(format!("{} cannot be read", image.path));
            let file = look.file(&image.path).ok_or_else(missing)?;
            let len = h2k_block::BlockRead::len(&file);
            if len > IMAGE {
                return Err(Refusal::Image(format!("{} has {len} bytes", image.path)));
            }
            let outcome = contents.read(&file, &mut meter);
            outcome.map_err(|e| Refusal::Image(format!("{}: {e}", image.path)))?;
            last = (image.path.clone(), len);
        }
        let (path, size) = last;
        if contents.listing.as_ref().is_none_or(|l| l.cut) {
            let why = "it has more names, or deeper ones, than are looked at";
            return Err(Refusal::Image(why.to_owned()));
        }
        if contents.segments.last().is_none_or(|s| !s.closed) {
            let why = "its last archive does not end as archives do";
            return Err(Refusal::Image(why.to_owned()));
        }
        let mut errors = Vec::new();
        let facts = Initramfs::of(&contents, &path, size, &mut errors);
        match errors.first() {
            Some(error) => Err(image_error(error)),
            None => Ok(Self {
                contents,
                facts,
                gzip: gzip(look, kernel),
            }),
        }
    }

    fn generator(&self) -> Option<Generator> {
        self.facts.generator.as_ref().map(|g| g.value)
    }

    /// Where `path` leads, free of links.
    fn place(&self, path: &str) -> Step<Vec<u8>> {
        let listing = self.contents.listing.as_ref();
        let place = listing.and_then(|l| l.resolve(path.as_bytes()));
        place.ok_or_else(|| Refusal::Image(format!("the links at {path} lead nowhere")))
    }

    /// What the file that `path` leads to has; `None` where there is none.
    fn kept(&self, path: &str) -> Step<Option<&[u8]>> {
        let place = self.place(path)?;
        if self.contents.skipped.contains(&place) {
            return Err(Refusal::Image(format!(
                "its {path} is larger than such files are"
            )));
        }
        Ok(self.content(&place))
    }

    /// What the file at `place` has, if it is kept.
    fn content(&self, place: &[u8]) -> Option<&[u8]> {
        self.contents.files.get(place).map(Vec::as_slice)
    }

    fn permissions(&self, place: &[u8]) -> Option<u32> {
        let node = self.contents.listing.as_ref()?.get(place)?;
        (node.mode & 0o170_000 == 0o100_000).then_some(node.mode & 0o7777)
    }

    /// Whether systemd is its first process.
    fn systemd(&self) -> bool {
        let init = self.contents.listing.as_ref().and_then(|l| l.resolve(b"init"));
        init.is_some_and(|place| place.ends_with(b"/systemd"))
    }
}

/// An addition that grows.
struct Plan {
    image: Image,
    /// Modules with their content.
    modules: Vec<(Added, Vec<u8>)>,
    changes: neutral::Changes,
}

impl Plan {
    fn new(image: Image) -> Self {
        Self {
            image,
            modules: Vec::new(),
            changes: neutral::Changes::default(),
        }
    }

    fn with(mut self, changes: neutral::Changes) -> Self {
        self.changes = changes;
        self
    }

    fn module(&mut self, indexes: &Indexes, module: need::Module) -> Step<()> {
        let place = self.image.place(&indexes.path_of(&module))?;
        let added = Added {
            name: module.name,
            path: shown(&place),
            from: module.from,
            length: wide(module.content.len()),
        };
        self.modules.push((added, module.content));
        Ok(())
    }

    fn finish(self, options: &Options<'_>) -> Step<Option<Addition>> {
        if self.modules.is_empty() && self.changes.files.is_empty() {
            return Ok(None);
        }
        let listing = self.image.contents.listing.as_ref();
        let mut made: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut archive = Archive::new(options.mtime);
        let modules = self
            .modules
            .iter()
            .map(|(m, content)| (m.path.as_bytes(), content));
        let files = self
            .changes
            .files
            .iter()
            .map(|(place, (content, _))| (place.as_slice(), content));
        for (place, content) in modules.chain(files) {
            let missing = listing.and_then(|l| l.missing(place));
            let missing = missing
                .ok_or_else(|| Refusal::Image(format!("a directory above {} is none", shown(place))))?;
            for dir in missing {
                if made.insert(dir.clone()) {
                    archive.dir(&dir).map_err(|e| image_error(&e))?;
                }
            }
            let permissions = self.image.permissions(place).unwrap_or(0o644);
            archive
                .file(place, permissions, content)
                .map_err(|e| image_error(&e))?;
        }
        let plain = archive.finish().map_err(|e| image_error(&e))?;
        let facts = &self.image.facts;
        let (compression, zeros) = packing(&self.image)?;
        let mut bytes = vec![0; zeros];
        let plain_length = wide(plain.len());
        bytes.extend(pack(plain, compression).map_err(|e| image_error(&e))?);
        Ok(Some(Addition {
            path: facts.path.clone(),
            old_length: facts.size,
            bytes,
            compression,
            plain_length,
            modules: self.modules.into_iter().map(|(m, _)| m).collect(),
            files: self
                .changes
                .files
                .into_iter()
                .map(|(place, (_, why))| Changed {
                    path: shown(&place),
                    why,
                })
                .collect(),
            left: self.changes.left,
        }))
    }
}

/// Whether a kernel unpacks gzip: all do, unless their configuration says otherwise.
fn gzip(look: &Look<'_>, kernel: &Kernel) -> bool {
    let config = kernel.config.as_ref().and_then(|path| look.text(path));
    config.is_none_or(|text| {
        text.lines()
            .all(|line| line.text != "# CONFIG_RD_GZIP is not set")
    })
}

/// How the addition is packed, and how many zeros come in front of it.
fn packing(image: &Image) -> Step<(Compression, usize)> {
    let size = image.facts.size;
    let Some(last) = image.contents.segments.last() else {
        return Ok((Compression::Gzip, 0));
    };
    if last.compression != Compression::Lz4 {
        // A packed archive may begin anywhere, and gzip(1) and zstd(1), which tools list images with, stop at zeros.
        return Ok(match image.gzip {
            true => (Compression::Gzip, 0),
            false => (
                Compression::None,
                usize::try_from(size.wrapping_neg() & 3).unwrap_or(0),
            ),
        });
    }
    // lz4's frames have no end: the unpacker reads on until its input ends, and takes for the length of a block whatever
    // is there, unless it is the beginning of another frame.
    let end = last.offset.saturating_add(last.length);
    if end != size {
        let why = format!(
            "there are {} bytes of padding behind lz4",
            size.saturating_sub(end)
        );
        return Err(Refusal::Image(why));
    }
    Ok((Compression::Lz4, 0))
}
