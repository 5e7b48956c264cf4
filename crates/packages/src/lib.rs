//! What is installed in a guest, as its package manager wrote it down.
//!
//! ```text
//! dpkg      /var/lib/dpkg/status, status.d/*           stanzas of fields
//! rpm       rpmdb.sqlite | Packages.db | Packages      a store of headers: SQLite, ndb, Berkeley DB
//! apk       /lib/apk/db/installed                      one letter a field
//! pacman    /var/lib/pacman/local/*/desc               sections
//! portage   /var/db/pkg/CATEGORY/NAME-VERSION/*        one file a field
//! xbps      /var/db/xbps/pkgdb-*.plist                a property list
//! opkg      /usr/lib/opkg/status                      stanzas of fields
//! ```
//!
//! * [`databases`] looks where each package manager keeps its database and reads all that are there.
//! * [`dpkg`], [`rpm`], [`apk`], [`pacman`], [`portage`], [`xbps`], [`opkg`] read one of them; [`dpkg::parse`], [`apk::parse`],
//!   [`rpm::read`] do so from bytes.
//! * [`version`] orders versions as dpkg, rpm and apk do.
//!
//! There is no limit on how many packages a database may hold; what a call may cost is [`Limits`](h2k_block::Limits).
//! A package that cannot be read is a warning, and does not hide its neighbours.
//!
//! Non-goals: writing, verifying signatures, the files that belong to a package.

pub mod apk;
mod bytes;
mod database;
pub mod dpkg;
pub mod opkg;
mod package;
pub mod pacman;
pub mod portage;
pub mod rpm;
pub mod version;
pub mod xbps;

pub use database::{Database, Format, databases};
pub use package::{ConfigFile, Package, State};
