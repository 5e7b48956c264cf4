//! Where kernels lie, and what belongs to each.

use super::config::Config;
use super::drivers;
use super::image::{HEAD, ImageFormat, KernelImage};
use super::modules::Modules;
use super::{Kernel, ModuleDir};
use crate::bytes::shown;
use crate::initramfs::Initramfs;
use crate::loader::{Entry, Images};
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Place, Source};
use h2k_packages::version;
use std::collections::BTreeMap;

/// How many kernels are looked at.
const KERNELS: usize = 64;

/// Beginnings of names of kernels, longest first.
const NAMES: [&str; 7] = [
    "vmlinuz-", "vmlinux-", "kernel-", "Image-", "bzImage-", "vmlinuz", "bzImage",
];

/// What package managers leave beside a file.
const LEFT: [&str; 9] = [
    ".rpmsave",
    ".rpmnew",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-tmp",
    ".bak",
    ".hmac",
    ".sig",
    ".map",
];

/// The kernels of a system, the default one first, then those with the highest release.
pub(crate) fn find(look: &Look<'_>, entries: &[Entry], images: &Images<'_>) -> Vec<Kernel> {
    let mut files: Vec<(Option<Place>, String)> = Vec::new();
    let mut add = |path: String, place: Option<Place>| {
        let known = files
            .iter()
            .any(|(p, f)| *f == path || (p.is_some() && *p == place));
        if !known && files.len() < KERNELS {
            files.push((place, path));
        }
    };
    // Names in /boot come before what links lead to it, and both before what only an entry knows.
    for path in listed(look) {
        add(path.clone(), look.place(&path));
    }
    for path in entries.iter().filter_map(|e| e.kernel_path.as_ref()) {
        let place = look.place(path);
        if place.is_some() || images.uki(path).is_some() {
            add(path.clone(), place);
        }
    }
    let mut ramdisks = BTreeMap::new();
    let mut kernels: Vec<Kernel> = files
        .into_iter()
        .map(|(place, path)| {
            let started: Vec<&Entry> = entries
                .iter()
                .filter(|e| {
                    let same = |p: &String| *p == path || (place.is_some() && look.place(p) == place);
                    e.kernel_path.as_ref().is_some_and(same)
                })
                .collect();
            one(look, path, &started, images, &mut ramdisks)
        })
        .collect();
    let release = |k: &Kernel| k.name().to_owned();
    kernels.sort_by(|a, b| {
        (b.default, !b.rescue)
            .cmp(&(a.default, !a.rescue))
            .then_with(|| version::rpm(&release(b), &release(a)))
    });
    // Where no entry says what is started, the newest is.
    if !kernels.iter().any(|k| k.default)
        && let Some(first) = kernels.iter_mut().find(|k| !k.rescue)
    {
        first.default = true;
    }
    kernels
}

/// Files in the places where kernels lie.
fn listed(look: &Look<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for dir in [&b"/boot"[..], b"/"] {
        for name in look.names(dir) {
            let text = shown(&name);
            let kernel = NAMES.iter().any(|n| text.starts_with(n)) && !LEFT.iter().any(|l| text.ends_with(l));
            let path = join(dir, &name);
            if kernel && look.is_file(&path) {
                all.push(shown(&path));
            }
        }
    }
    // Names with a release come before links without one.
    all.sort_by_key(|path| !path.contains('-'));
    for base in ["/usr/lib/modules", "/lib/modules"] {
        for release in look.names(base) {
            let path = format!("{base}/{}/vmlinuz", shown(&release));
            if look.is_file(&path) {
                all.push(path);
            }
        }
    }
    all
}

fn one(
    look: &Look<'_>,
    path: String,
    started: &[&Entry],
    images: &Images<'_>,
    ramdisks: &mut BTreeMap<String, Initramfs>,
) -> Kernel {
    let uki = images.uki(&path);
    let image = match &uki {
        Some(uki) => KernelImage {
            format: ImageFormat::Uki,
            banner: uki.uname.clone(),
            architecture: uki.architecture,
        },
        None => KernelImage::read(&look.head(&path, HEAD).unwrap_or_default()),
    };
    let suffix = suffix(&path);
    let from_header = image
        .release()
        .map(|r| Fact::new(r.to_owned(), Source::file(path.as_bytes())));
    let named = || {
        let digit = suffix
            .as_deref()
            .filter(|s| s.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(Fact::new(
            digit.to_owned(),
            Source::named(format!("the name of {path}")),
        ))
    };
    let release = from_header.or_else(named);
    let dir = release.as_ref().and_then(|r| module_dir(look, &r.value));
    let modules = dir.map(|dir| Modules::read(look, &dir));
    let config = release.as_ref().and_then(|r| {
        let places = ["/boot/config-", "/usr/lib/modules/", "/lib/modules/"].into_iter();
        let paths: Vec<String> = places
            .map(|p| match p.ends_with('-') {
                true => format!("{p}{}", r.value),
                false => format!("{p}{}/config", r.value),
            })
            .collect();
        Config::read(look, &paths)
    });
    let mut names: Vec<String> = Vec::new();
    for entry in started {
        for name in &entry.initramfs_paths {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    if names.is_empty() && uki.is_none() {
        names.extend(guessed(
            look,
            &path,
            release.as_ref().map(|r| r.value.as_str()),
            suffix.as_deref(),
        ));
    }
    let mut initramfs = Vec::new();
    if let Some(uki) = uki.as_ref() {
        initramfs.extend(images.embedded(look, &path, uki));
    }
    for name in names {
        if let Some(known) = ramdisks.get(&name) {
            initramfs.push(known.clone());
        } else if let Some(image) = ramdisk(look, &name) {
            ramdisks.insert(name, image.clone());
            initramfs.push(image);
        }
    }
    Kernel {
        default: started.iter().any(|e| e.default),
        rescue: path.contains("-rescue-") || (!started.is_empty() && started.iter().all(|e| e.rescue)),
        format: image.format,
        architecture: image.architecture.map(str::to_owned),
        banner: image.banner.clone(),
        drivers: drivers::find(look, modules.as_ref(), config.as_ref()),
        modules: modules.map(|m| ModuleDir {
            path: shown(&m.dir),
            count: m.files.len(),
            builtin: m.builtin.len(),
            alias: m.alias,
        }),
        xen_only: config.as_ref().and_then(Config::xen_only),
        config: config.map(|c| c.source.to_string()),
        release,
        initramfs,
        path,
    }
}

/// What follows the word `vmlinuz-` in the name.
fn suffix(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let rest = NAMES.iter().find_map(|n| file.strip_prefix(n))?;
    (!rest.is_empty()).then(|| rest.to_owned())
}

fn module_dir(look: &Look<'_>, release: &str) -> Option<Vec<u8>> {
    if release.contains('/') || release.starts_with('.') {
        return None;
    }
    let places = ["/usr/lib/modules/", "/lib/modules/"].into_iter();
    let mut dirs = places.map(|p| format!("{p}{release}").into_bytes());
    dirs.find(|dir| look.is_dir(dir))
}

/// The image that belongs to a kernel by its name, where no entry tells.
fn guessed(look: &Look<'_>, kernel: &str, release: Option<&str>, suffix: Option<&str>) -> Option<String> {
    let dir = kernel.rsplit_once('/').map_or("", |(dir, _)| dir);
    if kernel.ends_with("/linux") || dir.contains("/lib/modules/") {
        let beside = format!("{dir}/initrd");
        return look.is_file(&beside).then_some(beside);
    }
    let names: Vec<String> = look
        .names(format!("{dir}/").as_bytes())
        .iter()
        .map(|n| shown(n))
        .collect();
    let mut all: Vec<&String> = Vec::new();
    for tag in [release, suffix].into_iter().flatten() {
        all = names
            .iter()
            .filter(|n| n.starts_with("initr") && n.contains(tag) && !n.contains("kdump"))
            // `6.1.0-1` is no `6.1.0-18`.
            .filter(|n| {
                let rest = n.split_once(tag).map_or("", |(_, rest)| rest);
                !rest.starts_with(|c: char| c.is_ascii_digit()) && !LEFT.iter().any(|l| rest.ends_with(l))
            })
            .collect();
        if !all.is_empty() {
            break;
        }
    }
    let shortest = all.into_iter().min_by_key(|n| n.len())?;
    let path = format!("{dir}/{shortest}");
    look.is_file(&path).then_some(path)
}

fn ramdisk(look: &Look<'_>, path: &str) -> Option<Initramfs> {
    let file = look.file(path)?;
    let (image, errors) = Initramfs::read(&file, path, look.limits());
    for error in errors {
        look.failed(Source::file(path.as_bytes()), &error);
    }
    Some(image)
}
