//! Fixtures, and packages as one line each.

use h2k_packages::{Database, Package};
use std::path::{Path, PathBuf};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/packages")
}

/// A file below `fixtures/packages`, unpacked.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = fixtures().join(name);
    match std::fs::read(path.with_file_name(format!("{}.zst", path.file_name().unwrap().display()))) {
        Ok(packed) => h2k_testkit::corpus::unzstd(&packed),
        Err(_) => std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
    }
}

/// The query format whose answers [`rpm_line`] writes.
pub const RPM_FORMAT: &str = "%{NAME}|%{EPOCH}|%{VERSION}|%{RELEASE}|%{ARCH}|%{VENDOR}|%{PACKAGER}|%{SUMMARY}|%{LICENSE}|%{URL}|%{GROUP}|%{SOURCERPM}|%{SIZE}|%{INSTALLTIME}|%{BUILDTIME}\n";

pub fn rpm_line(p: &Package) -> String {
    let none = |o: Option<String>| o.unwrap_or_else(|| "(none)".to_owned());
    [
        p.name.clone(),
        none(p.epoch.map(|n| n.to_string())),
        p.version.clone(),
        none(p.release.clone()),
        none(p.arch.clone()),
        none(p.vendor.clone()),
        none(p.maintainer.clone()),
        none(p.summary.clone()),
        none(p.license.clone()),
        none(p.url.clone()),
        none(p.group.clone()),
        none(p.source.clone()),
        none(p.size.map(|n| n.to_string())),
        none(p.installed.map(|n| n.to_string())),
        none(p.built.map(|n| n.to_string())),
    ]
    .join("|")
}

/// Every package as rpm would list it, sorted.
pub fn rpm_lines(database: &Database) -> Vec<String> {
    let mut lines: Vec<_> = database.packages.iter().map(rpm_line).collect();
    lines.sort();
    lines
}

/// Nothing was odd.
pub fn clean(database: &Database) {
    assert!(database.error.is_none(), "{}", database.error.as_ref().unwrap());
    assert!(database.warnings.is_empty(), "{:?}", database.warnings);
}
