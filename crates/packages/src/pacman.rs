//! pacman: a directory a package below `/var/lib/pacman/local`, its facts in `desc`.
//!
//! Source: alpm-lib-desc(5).

use crate::bytes::text;
use crate::package::filled;
use crate::{Database, Format, Package};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, join, whole};

const LOCAL: &str = "/var/lib/pacman/local";

/// Reads pacman's database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    let mut meter = Meter::new(*limits);
    let Some(names) = files.names(LOCAL.as_bytes(), &mut meter)? else {
        return Ok(None);
    };
    let mut database = Database::empty(Format::Pacman, LOCAL);
    let read = || -> Result<()> {
        for name in names {
            meter.step("pacman package")?;
            let path = join(&join(LOCAL.as_bytes(), &name), b"desc");
            let file = match files.open(&path) {
                Ok(Some(file)) => file,
                // `ALPM_DB_VERSION` is a file beside the directories.
                Ok(None) => continue,
                Err(e) => {
                    database.warn(format!("{}: {e}", text(&path)));
                    continue;
                }
            };
            let bytes = whole(&*file, &mut meter, "pacman desc")?;
            let mut package = parse(&bytes, &mut meter)?;
            if package.name.is_empty() {
                database.warn(format!("{} names no package", text(&path)));
                continue;
            }
            package.from = text(&path).into();
            database.packages.push(package);
        }
        Ok(())
    };
    database.error = read().err();
    Ok(Some(database))
}

/// Reads one `desc`.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the meter is empty.
pub fn parse(bytes: &[u8], meter: &mut Meter) -> Result<Package> {
    let mut package = Package::default();
    let mut section = Vec::new();
    for line in bytes.split(|b| *b == b'\n') {
        meter.step("line of a pacman desc")?;
        let mark = line.strip_prefix(b"%").and_then(|rest| rest.strip_suffix(b"%"));
        if let Some(name) = mark {
            section = name.to_vec();
            continue;
        }
        if line.is_empty() {
            section.clear();
            continue;
        }
        let value = text(line);
        match section.as_slice() {
            b"NAME" => package.name = value,
            b"VERSION" => package.set_version(&value),
            b"BASE" => package.source = filled(&value),
            b"DESC" => package.summary = filled(&value),
            b"ARCH" => package.arch = filled(&value),
            b"URL" => package.url = filled(&value),
            b"PACKAGER" => package.maintainer = filled(&value),
            b"SIZE" => package.size = value.trim().parse().ok(),
            b"BUILDDATE" => package.built = value.trim().parse().ok(),
            b"INSTALLDATE" => package.installed = value.trim().parse().ok(),
            b"LICENSE" => {
                package.license = match package.license.take() {
                    Some(first) => Some(format!("{first}, {value}")),
                    None => filled(&value),
                };
            }
            b"GROUPS" if package.group.is_none() => package.group = filled(&value),
            _ => {}
        }
    }
    Ok(package)
}
