//! Is there an operating system on this filesystem? Decided by a few names, none of them followed.

use crate::system::SystemKind;
use crate::windows::windows_root;
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{FileKind, FsRead, lookup_path, read_file, resolve};

/// What an os-release may weigh.
const SMALL: Limits = Limits {
    bytes: 1 << 20,
    steps: 100_000,
    depth: 64,
};

fn kind_of(fs: &dyn FsRead, path: &str, meter: &mut Meter) -> Result<Option<FileKind>> {
    match lookup_path(fs, path.as_bytes(), false, meter)? {
        Some(node) => Ok(Some(fs.stat(node)?.kind)),
        None => Ok(None),
    }
}

fn is_dir(fs: &dyn FsRead, path: &str, meter: &mut Meter) -> Result<bool> {
    Ok(kind_of(fs, path, meter)? == Some(FileKind::Dir))
}

fn any(fs: &dyn FsRead, paths: &[&str], meter: &mut Meter) -> Result<bool> {
    for path in paths {
        if kind_of(fs, path, meter)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which system has its root here, if one has.
pub(crate) fn system(fs: &dyn FsRead) -> Result<Option<SystemKind>> {
    let meter = &mut Meter::new(SMALL);
    if windows_root(fs, meter)?.is_some() {
        return Ok(Some(SystemKind::Windows));
    }
    if !is_dir(fs, "etc", meter)? {
        return Ok(None);
    }
    // On a system with /usr on its own, /bin may be a link that leads nowhere yet.
    if !any(fs, &["bin", "usr", "sbin"], meter)? {
        return Ok(None);
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
        ],
        meter,
    )?;
    Ok(linux.then_some(SystemKind::Linux))
}

/// What a Linux calls itself: `PRETTY_NAME` of os-release, or the first line of an older file.
pub(crate) fn pretty_name(fs: &dyn FsRead) -> Option<String> {
    let meter = &mut Meter::new(SMALL);
    let read = |path: &str, meter: &mut Meter| -> Option<String> {
        let node = resolve(fs, path.as_bytes(), meter).ok()??;
        let bytes = read_file(fs, node, meter).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    for path in ["etc/os-release", "usr/lib/os-release"] {
        if let Some(text) = read(path, meter)
            && let Some(line) = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))
        {
            return Some(line.trim().trim_matches(['"', '\'']).to_owned());
        }
    }
    for (path, prefix) in [
        ("etc/redhat-release", ""),
        ("etc/debian_version", "Debian "),
        ("etc/alpine-release", "Alpine Linux "),
    ] {
        if let Some(line) = read(path, meter).and_then(|t| t.lines().next().map(str::to_owned)) {
            return Some(format!("{prefix}{}", line.trim()));
        }
    }
    None
}
