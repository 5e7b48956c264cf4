//! Is there an operating system on this filesystem? Decided by a few names, none of them followed.

use crate::look::Text;
use crate::system::SystemKind;
use crate::windows::windows_root;
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, Node, join, lookup_path, read_file, resolve, sorted_names};
use std::ops::ControlFlow;

/// What an os-release may weigh.
const SMALL: Limits = Limits {
    bytes: 1 << 20,
    steps: 100_000,
    depth: 64,
};

/// How many directories of OSTree are looked into; two deployments are usual.
const DEPLOYMENTS: usize = 64;

/// A system that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: SystemKind,
    /// The directory that is the system's root, where that is not the filesystem's.
    pub(crate) deployment: Option<Vec<u8>>,
    /// What it calls itself.
    pub(crate) name: Option<String>,
}

fn kind_of(fs: &dyn FsRead, path: &[u8], meter: &mut Meter) -> Result<Option<FileKind>> {
    match lookup_path(fs, path, false, meter)? {
        Some(node) => Ok(Some(fs.stat(node)?.kind)),
        None => Ok(None),
    }
}

fn is_dir(fs: &dyn FsRead, path: &str, meter: &mut Meter) -> Result<bool> {
    Ok(kind_of(fs, path.as_bytes(), meter)? == Some(FileKind::Dir))
}

fn any(fs: &dyn FsRead, paths: &[&str], meter: &mut Meter) -> Result<bool> {
    for path in paths {
        if kind_of(fs, path.as_bytes(), meter)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all(fs: &dyn FsRead, paths: &[&str], meter: &mut Meter) -> Result<bool> {
    for path in paths {
        if kind_of(fs, path.as_bytes(), meter)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Which system has its root here, if one has.
pub(crate) fn look(fs: &dyn FsRead) -> Result<Option<Found>> {
    let meter = &mut Meter::new(SMALL);
    if let Some(deployment) = deployment(fs, meter)? {
        return Ok(Some(Found {
            kind: SystemKind::Linux,
            name: pretty_name(fs, &deployment),
            deployment: Some(deployment),
        }));
    }
    let kind = system(fs, meter)?;
    Ok(kind.map(|kind| Found {
        kind,
        deployment: None,
        name: pretty_name(fs, b""),
    }))
}

fn system(fs: &dyn FsRead, meter: &mut Meter) -> Result<Option<SystemKind>> {
    if windows_root(fs, meter)?.is_some() {
        return Ok(Some(SystemKind::Windows));
    }
    // Windows from NT on has no COMMAND.COM at its root.
    if any(fs, &["command.com", "COMMAND.COM"], meter)?
        && any(fs, &["kernel.sys", "KERNEL.SYS", "io.sys", "IO.SYS"], meter)?
    {
        return Ok(Some(SystemKind::Dos));
    }
    if !is_dir(fs, "etc", meter)? {
        return Ok(None);
    }
    if all(fs, &["service/vm", "etc/version"], meter)? {
        return Ok(Some(SystemKind::Minix));
    }
    // On a system with /usr on its own, /bin may be a link that leads nowhere yet; NixOS makes all but /nix when it
    // starts.
    if !any(fs, &["bin", "usr", "sbin", "nix/store"], meter)? {
        return Ok(None);
    }
    if all(fs, &["hurd/console", "hurd/hello", "hurd/null"], meter)? {
        return Ok(Some(SystemKind::Hurd));
    }
    if any(fs, &["etc/master.passwd"], meter)? {
        let kind = if any(fs, &["bin/freebsd-version", "etc/freebsd-update.conf"], meter)? {
            SystemKind::FreeBsd
        } else if any(fs, &["netbsd"], meter)? {
            SystemKind::NetBsd
        } else if any(fs, &["bsd"], meter)? {
            SystemKind::OpenBsd
        } else {
            return Ok(None);
        };
        return Ok(Some(kind));
    }
    let linux = any(
        fs,
        &[
            "etc/fstab",
            "etc/os-release",
            "usr/lib/os-release",
            "etc/debian_version",
            "etc/redhat-release",
            "etc/alpine-release",
            "etc/SuSE-release",
            "etc/lsb-release",
            "etc/arch-release",
            "etc/gentoo-release",
            "etc/slackware-version",
            "etc/photon-release",
            "etc/NIXOS",
            "etc/hosts",
        ],
        meter,
    )?;
    Ok(linux.then_some(SystemKind::Linux))
}

/// The deployment of OSTree that was made last: `ostree/deploy/fedora/deploy/HASH.0`. The boot loader could choose
/// another one, which the user can look into by its path below `/sysroot`.
fn deployment(fs: &dyn FsRead, meter: &mut Meter) -> Result<Option<Vec<u8>>> {
    let Some(home) = lookup_path(fs, b"ostree/deploy", false, meter)? else {
        return Ok(None);
    };
    let mut newest = None;
    for system in directories(fs, home, meter)? {
        let dir = [b"ostree/deploy/", system.as_slice(), b"/deploy"].concat();
        let Some(node) = lookup_path(fs, &dir, false, meter)? else {
            continue;
        };
        for name in directories(fs, node, meter)? {
            let path = join(&dir, &name);
            if kind_of(fs, &join(&path, b"usr"), meter)? != Some(FileKind::Dir) {
                continue;
            }
            // The directory itself has no time that means anything; what is written beside it has.
            let origin = lookup_path(fs, &[&path, b".origin".as_slice()].concat(), false, meter)?;
            let made = origin
                .map(|node| fs.stat(node))
                .transpose()?
                .map(|stat| stat.modified);
            if newest.as_ref().is_none_or(|(time, _)| made > *time) {
                newest = Some((made, path));
            }
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// The directories in a directory, in the order of their names.
fn directories(fs: &dyn FsRead, dir: Node, meter: &mut Meter) -> Result<Vec<Vec<u8>>> {
    if fs.stat(dir)?.kind != FileKind::Dir {
        return Ok(Vec::new());
    }
    let mut found = sorted_names(meter, |each| {
        fs.list(dir, &mut |entry| match entry.kind {
            None | Some(FileKind::Dir) => each(entry.name),
            Some(_) => ControlFlow::Continue(()),
        })
    })?;
    found.truncate(DEPLOYMENTS);
    Ok(found)
}

/// What a Linux below `root` calls itself: `PRETTY_NAME` of os-release, or the first line of an older file.
fn pretty_name(fs: &dyn FsRead, root: &[u8]) -> Option<String> {
    let meter = &mut Meter::new(SMALL);
    let read = |path: &str, meter: &mut Meter| -> Option<Text> {
        let path = join(root, path.as_bytes());
        let node = resolve(fs, &path, meter).ok()??;
        Some(Text::new(&path, &read_file(fs, node, meter).ok()?))
    };
    for path in ["etc/os-release", "usr/lib/os-release"] {
        if let Some(name) = read(path, meter).and_then(|text| text.assigned("PRETTY_NAME")) {
            return Some(name.value);
        }
    }
    for (path, prefix) in [
        ("etc/redhat-release", ""),
        ("etc/debian_version", "Debian "),
        ("etc/alpine-release", "Alpine Linux "),
    ] {
        if let Some(text) = read(path, meter)
            && let Some(line) = text.lines().next()
        {
            return Some(format!("{prefix}{}", line.text.trim()));
        }
    }
    None
}
