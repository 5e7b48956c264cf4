//! `packages`: what the package managers' databases say, and the managers that stand beside them.

mod flatpak;
mod nix;
mod snap;

use crate::packages::{InstalledPackage, PackageDatabase, Packages};
use crate::report::Asking;
use h2k_guest::{Look, Source};
use h2k_packages::{Database, Format, Package, State};

pub(crate) fn look(asking: &Asking<'_>, files: &Look<'_>) -> Packages {
    let mut all = Packages::default();
    for database in asking.databases(files) {
        take(database, files, &mut all);
    }
    for (kind, home, found) in [
        ("nix", "/nix/var/nix/profiles/system", nix::look(files)),
        ("snap", "/var/lib/snapd/state.json", snap::look(files)),
        ("flatpak", "/var/lib/flatpak", flatpak::look(files)),
    ] {
        if !found.is_empty() {
            all.databases.push(PackageDatabase {
                kind: kind.to_owned(),
                format: kind.to_owned(),
                packages: found.len(),
                warnings: Vec::new(),
                source: Source::file(home.as_bytes()),
            });
            all.packages.extend(found);
        }
    }
    all
}

fn take(database: &Database, files: &Look<'_>, all: &mut Packages) {
    let source = Source::file(database.path.as_bytes());
    if let Some(error) = &database.error {
        files.failed(source.clone(), error);
    }
    let format = database.format.package_format();
    let each = database.packages.iter().map(|package| item(package, format));
    all.packages.extend(each);
    all.databases.push(PackageDatabase {
        kind: kind(database.format).to_owned(),
        format: format.to_owned(),
        packages: database.packages.len(),
        warnings: database.warnings.clone(),
        source,
    });
}

fn kind(format: Format) -> &'static str {
    match format {
        Format::Dpkg => "dpkg",
        Format::RpmSqlite => "rpm (sqlite)",
        Format::RpmNdb => "rpm (ndb)",
        Format::RpmBerkeley => "rpm (bdb)",
        Format::Apk => "apk",
        Format::Pacman => "pacman",
        Format::Portage => "portage",
        Format::Xbps => "xbps",
        Format::Opkg => "opkg",
        _ => "rpm",
    }
}

fn item(package: &Package, format: &str) -> InstalledPackage {
    let state = match package.state {
        State::Incomplete => "incomplete",
        State::Broken => "broken",
        State::ConfigFiles => "config-files",
        State::NotInstalled => "not-installed",
        _ => "installed",
    };
    InstalledPackage {
        name: package.name.clone(),
        epoch: package.epoch,
        version: package.version.clone(),
        release: package.release.clone(),
        arch: package.arch.clone(),
        state: state.to_owned(),
        hold: package.hold,
        key: package.key,
        source_package: package.source.clone(),
        vendor: package.vendor.clone(),
        maintainer: package.maintainer.clone(),
        summary: package.summary.clone(),
        description: package.description.clone(),
        license: package.license.clone(),
        url: package.url.clone(),
        group: package.group.clone(),
        size: package.size,
        installed: package.installed,
        built: package.built,
        format: format.to_owned(),
        source: Source::file(package.from.as_bytes()),
    }
}

/// A package of a manager that writes down little.
fn plain(format: &str, name: &str, version: &str, source: &Source) -> InstalledPackage {
    let package = Package {
        name: name.to_owned(),
        version: version.to_owned(),
        from: source.as_str().into(),
        ..Package::default()
    };
    item(&package, format)
}
