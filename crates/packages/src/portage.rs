//! portage: a directory a package below `/var/db/pkg/CATEGORY`, a file a fact.
//!
//! Source: the Package Manager Specification, chapters 3 (names and versions) and 7, and portage's own documentation of
//! the VDB.

use crate::bytes::text;
use crate::package::filled;
use crate::{Database, Format, Package};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, join, whole};

const VDB: &str = "/var/db/pkg";

/// Reads portage's database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    let mut meter = Meter::new(*limits);
    let Some(categories) = files.names(VDB.as_bytes(), &mut meter)? else {
        return Ok(None);
    };
    let mut database = Database::empty(Format::Portage, VDB);
    let read = || -> Result<()> {
        for category in categories {
            let dir = join(VDB.as_bytes(), &category);
            for name in files.names(&dir, &mut meter)?.unwrap_or_default() {
                // What is being merged or was interrupted begins with `-MERGING-`.
                if name.starts_with(b"-") || name.starts_with(b".") {
                    continue;
                }
                meter.step("portage package")?;
                match package(files, &dir, &category, &name, &mut meter)? {
                    Some(package) => database.packages.push(package),
                    None => database.warn(format!("{}/{} has no version", text(&dir), text(&name))),
                }
            }
        }
        Ok(())
    };
    database.error = read().err();
    Ok((!database.packages.is_empty() || database.error.is_some()).then_some(database))
}

fn package(
    files: &dyn Files,
    dir: &[u8],
    category: &[u8],
    pf: &[u8],
    meter: &mut Meter,
) -> Result<Option<Package>> {
    let pf_text = text(pf);
    let Some((name, version, revision)) = split(&pf_text) else {
        return Ok(None);
    };
    let home = join(dir, pf);
    let mut fact = |file: &str| -> Result<Option<String>> {
        let Some(file) = files.open(&join(&home, file.as_bytes()))? else {
            return Ok(None);
        };
        Ok(filled(&text(&whole(&*file, meter, "portage fact")?)))
    };
    let chost = fact("CHOST")?;
    Ok(Some(Package {
        name: format!("{}/{name}", text(category)),
        version: version.to_owned(),
        release: revision.map(str::to_owned),
        arch: chost.and_then(|host| host.split('-').next().map(str::to_owned)),
        vendor: fact("repository")?,
        summary: fact("DESCRIPTION")?,
        license: fact("LICENSE")?,
        url: fact("HOMEPAGE")?,
        size: fact("SIZE")?.and_then(|n| n.parse().ok()),
        built: fact("BUILD_TIME")?.and_then(|n| n.parse().ok()),
        from: text(&home).into(),
        ..Package::default()
    }))
}

/// `name-1.2.3_rc1-r4` into name, version and revision: the version is the last part that begins with a digit, the
/// revision is an `r` with digits behind it.
fn split(pf: &str) -> Option<(&str, &str, Option<&str>)> {
    let (front, revision) = match pf.rsplit_once('-') {
        Some((front, tail)) if is_revision(tail) => (front, Some(tail)),
        _ => (pf, None),
    };
    let (name, version) = front.rsplit_once('-')?;
    let digit = version.bytes().next().is_some_and(|b| b.is_ascii_digit());
    (digit && !name.is_empty()).then_some((name, version, revision))
}

fn is_revision(tail: &str) -> bool {
    tail.strip_prefix('r')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_versions_and_revisions_come_apart() {
        assert_eq!(split("bash-5.2_p37"), Some(("bash", "5.2_p37", None)));
        assert_eq!(split("gtk+-2.24.33-r3"), Some(("gtk+", "2.24.33", Some("r3"))));
        assert_eq!(
            split("font-adobe-100dpi-1.0.4"),
            Some(("font-adobe-100dpi", "1.0.4", None))
        );
        assert_eq!(split("nothing"), None);
        assert_eq!(split("x-r1"), None);
    }
}
