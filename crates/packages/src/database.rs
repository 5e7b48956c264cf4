//! Which databases a guest has.

use crate::{Package, apk, dpkg, opkg, pacman, portage, rpm, xbps};
use h2k_block::{Error, Limits};
use h2k_fs::Files;

/// Who wrote a database, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Debian's stanzas.
    Dpkg,
    /// rpm's, in a form that could not be told.
    Rpm,
    /// rpm's headers in an SQLite database.
    RpmSqlite,
    /// rpm's headers in rpm's own store (SUSE).
    RpmNdb,
    /// rpm's headers in a Berkeley DB hash (RHEL 8 and before).
    RpmBerkeley,
    /// Alpine's list.
    Apk,
    /// Arch's directories.
    Pacman,
    /// Gentoo's directories.
    Portage,
    /// Void's property list.
    Xbps,
    /// The stanzas of OpenWrt and Yocto.
    Opkg,
}

impl Format {
    /// The package format: `deb`, `rpm`, `apk`, `pacman`, `ebuild`, `xbps`, `ipk`.
    #[must_use]
    pub fn package_format(self) -> &'static str {
        match self {
            Self::Dpkg => "deb",
            Self::Rpm | Self::RpmSqlite | Self::RpmNdb | Self::RpmBerkeley => "rpm",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
            Self::Portage => "ebuild",
            Self::Xbps => "xbps",
            Self::Opkg => "ipk",
        }
    }
}

/// One database that was found.
#[derive(Debug)]
pub struct Database {
    /// Its form.
    pub format: Format,
    /// Its file or directory in the guest.
    pub path: String,
    /// What is installed, in the order of the database.
    pub packages: Vec<Package>,
    /// What was odd but did not stop us: a package that could not be read, a log that was cut short.
    pub warnings: Vec<String>,
    /// What stopped us before the end. The packages read so far are kept.
    pub error: Option<Error>,
}

impl Database {
    /// A database of which nothing was read yet, for the parsers that fill one.
    #[must_use]
    pub fn empty(format: Format, path: &str) -> Self {
        Self {
            format,
            path: path.to_owned(),
            packages: Vec::new(),
            warnings: Vec::new(),
            error: None,
        }
    }

    /// Adds a warning; after the first hundred they one line says that there are more.
    pub(crate) fn warn(&mut self, what: String) {
        match self.warnings.len() {
            0..100 => self.warnings.push(what),
            100 => self
                .warnings
                .push("there are more warnings like these".to_owned()),
            _ => {}
        }
    }
}

/// Reads every package database of `files`. Each may cost `limits`; damage to one does not hide another, and is told
/// in its [`Database::error`].
#[must_use]
pub fn databases(files: &dyn Files, limits: &Limits) -> Vec<Database> {
    let found = [
        (Format::Dpkg, "/var/lib/dpkg", dpkg::find(files, limits)),
        (Format::Rpm, "/var/lib/rpm", rpm::find(files, limits)),
        (Format::Apk, "/lib/apk/db", apk::find(files, limits)),
        (Format::Pacman, "/var/lib/pacman", pacman::find(files, limits)),
        (Format::Portage, "/var/db/pkg", portage::find(files, limits)),
        (Format::Xbps, "/var/db/xbps", xbps::find(files, limits)),
        (Format::Opkg, "/usr/lib/opkg", opkg::find(files, limits)),
    ];
    let each = found.into_iter().map(|(format, path, found)| match found {
        Ok(found) => found,
        Err(e) => {
            let mut database = Database::empty(format, path);
            database.error = Some(e);
            Some(database)
        }
    });
    each.flatten().collect()
}
