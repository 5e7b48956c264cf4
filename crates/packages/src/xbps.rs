//! xbps (Void): a property list, a dictionary a package.
//!
//! ```text
//! <plist version="1.0"><dict>
//!   <key>bash</key>
//!   <dict><key>pkgver</key><string>bash-5.2.21_1</string> … </dict>
//! ```
//!
//! Sources: xbps-pkgdb(1), the XBPS manual's list of package properties; Apple's DTD for property lists.

use crate::package::filled;
use crate::{Database, Format, Package, State};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, whole};
use std::sync::Arc;

const HOME: &str = "/var/db/xbps";

/// Reads xbps' database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    let mut meter = Meter::new(*limits);
    let names = files.names(HOME.as_bytes(), &mut meter)?.unwrap_or_default();
    // The number is the version of the form; there is one file at a time.
    let wanted = |name: &&Vec<u8>| name.starts_with(b"pkgdb-") && name.ends_with(b".plist");
    let Some(name) = names.iter().rev().find(wanted) else {
        return Ok(None);
    };
    let path = format!("{HOME}/{}", String::from_utf8_lossy(name));
    let Some(file) = files.open(path.as_bytes())? else {
        return Ok(None);
    };
    let mut database = Database::empty(Format::Xbps, &path);
    let read = whole(&*file, &mut meter, "xbps database")
        .and_then(|bytes| parse(&bytes, &path, &mut meter, &mut database));
    database.error = read.err();
    Ok(Some(database))
}

/// Reads the packages in `bytes` into `database`. `from` is the path they were read from.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the meter is empty.
pub fn parse(bytes: &[u8], from: &str, meter: &mut Meter, database: &mut Database) -> Result<()> {
    let from: Arc<str> = from.into();
    let all = String::from_utf8_lossy(bytes);
    let mut depth = 0_usize;
    // The key before a value, of the outer dictionary and of the package.
    let (mut name, mut key) = (String::new(), String::new());
    let mut package = Package::default();
    for piece in all.split('<').skip(1) {
        meter.step("element of the xbps database")?;
        let Some((tag, content)) = piece.split_once('>') else {
            database.warn(format!("{from}: ends inside an element"));
            break;
        };
        match tag.split_ascii_whitespace().next().unwrap_or_default() {
            "dict" | "array" => {
                depth = depth.saturating_add(1);
                if depth == 2 {
                    package = Package::default();
                }
            }
            "/dict" | "/array" => {
                if depth == 2 {
                    finish(std::mem::take(&mut package), &name, &from, database);
                }
                depth = depth.saturating_sub(1);
            }
            "key" if depth == 1 => name = unescaped(content),
            "key" if depth == 2 => key = unescaped(content),
            "string" | "integer" if depth == 2 => set(&mut package, &key, &unescaped(content)),
            "true" | "true/" if depth == 2 && key == "hold" => package.hold = true,
            _ => {}
        }
    }
    Ok(())
}

fn set(package: &mut Package, key: &str, value: &str) {
    match key {
        // `name-version_revision`; the version has no hyphen.
        "pkgver" => {
            if let Some((name, version)) = value.rsplit_once('-') {
                name.clone_into(&mut package.name);
                let (version, revision) = match version.rsplit_once('_') {
                    Some((version, revision)) => (version, Some(revision.to_owned())),
                    None => (version, None),
                };
                version.clone_into(&mut package.version);
                package.release = revision;
            }
        }
        "architecture" => package.arch = filled(value),
        "short_desc" => package.summary = filled(value),
        "homepage" => package.url = filled(value),
        "license" => package.license = filled(value),
        "maintainer" => package.maintainer = filled(value),
        "repository" => package.vendor = filled(value),
        "installed_size" => package.size = number(value),
        "state" => {
            package.state = match value {
                "unpacked" | "half-removed" => State::Incomplete,
                "config-files" => State::ConfigFiles,
                "not-installed" => State::NotInstalled,
                _ => State::Installed,
            }
        }
        _ => {}
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn finish(mut package: Package, name: &str, from: &Arc<str>, database: &mut Database) {
    // What xbps remembers besides is called `_XBPS_ALTERNATIVES_`.
    if name.starts_with("_XBPS_") {
        return;
    }
    if package.name.is_empty() {
        database.warn(format!("{from}: {name} has no pkgver"));
        return;
    }
    package.from = from.clone();
    database.packages.push(package);
}

fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let text = text.trim();
    if !text.contains('&') {
        return text.to_owned();
    }
    pairs.iter().fold(text.to_owned(), |all, (escaped, plain)| {
        all.replace(escaped, plain)
    })
}
