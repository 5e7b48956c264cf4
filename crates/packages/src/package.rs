//! One installed package, whichever manager installed it.

use std::sync::Arc;

/// How far a package got. Everything but dpkg knows [`State::Installed`] only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Installed and configured.
    #[default]
    Installed,
    /// Unpacked, or its configuration was begun: `unpacked`, `half-configured`, `triggers-awaited`,
    /// `triggers-pending`.
    Incomplete,
    /// Unpacking was begun and not finished: `half-installed`.
    Broken,
    /// Removed; its configuration files stay: `config-files`.
    ConfigFiles,
    /// Known and not there: `not-installed`.
    NotInstalled,
}

/// A file that the package manager does not overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path in the guest.
    pub path: String,
    /// MD5 of the content that was shipped, in hexadecimal; or the manager's word for "not there" (`newconffile`).
    pub shipped: String,
    /// Whether a newer version of the package no longer has it.
    pub obsolete: bool,
    /// Whether the next upgrade takes it away.
    pub remove_on_upgrade: bool,
}

/// What a package manager wrote down of one package. Text that is not UTF-8 has replacement characters in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Name; of portage with its category (`sys-apps/portage`).
    pub name: String,
    /// Epoch, where one is written.
    pub epoch: Option<u32>,
    /// Version without epoch and release.
    pub version: String,
    /// The distribution's part of the version: Debian's revision, rpm's release, `r1` of apk and portage.
    pub release: Option<String>,
    /// Architecture, in the manager's words. Missing from rpm's signing keys.
    pub arch: Option<String>,
    /// How far it got.
    pub state: State,
    /// Whether the administrator holds it at this version.
    pub hold: bool,
    /// The source it was built from: Debian's source package, rpm's source file, apk's origin, pacman's base.
    pub source: Option<String>,
    /// Who distributes it.
    pub vendor: Option<String>,
    /// Who packaged it.
    pub maintainer: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// The longer text of dpkg and rpm, as it is stored: of dpkg without the blank every line begins with, and with a
    /// dot where a line is empty.
    pub description: Option<String>,
    /// Licence, in the manager's words.
    pub license: Option<String>,
    /// Where it comes from.
    pub url: Option<String>,
    /// Section (dpkg) or group (rpm).
    pub group: Option<String>,
    /// Bytes its files take.
    pub size: Option<u64>,
    /// When it was installed, seconds since 1970 UTC.
    pub installed: Option<u64>,
    /// When it was built, seconds since 1970 UTC.
    pub built: Option<u64>,
    /// Its configuration files, as dpkg lists them.
    pub config_files: Vec<ConfigFile>,
    /// Whether this is one of the signing keys that rpm keeps among the packages (`gpg-pubkey`). `rpm -qa` shows
    /// them; nobody means them by "package".
    pub key: bool,
    /// The file it was read from.
    pub from: Arc<str>,
}

impl Package {
    /// Epoch, version and release, as the managers write them: `2:1.0-3`.
    #[must_use]
    pub fn full_version(&self) -> String {
        let epoch = self.epoch.map(|e| format!("{e}:")).unwrap_or_default();
        let release = self.release.as_ref().map(|r| format!("-{r}")).unwrap_or_default();
        format!("{epoch}{}{release}", self.version)
    }

    /// Takes `2:1.0-3` apart. Only digits are an epoch; the release begins at the last hyphen.
    pub(crate) fn set_version(&mut self, full: &str) {
        let (epoch, rest) = match full.split_once(':') {
            Some((e, rest)) if e.bytes().all(|b| b.is_ascii_digit()) => (e.parse().ok(), rest),
            _ => (None, full),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((v, r)) => (v, Some(r.to_owned())),
            None => (rest, None),
        };
        self.epoch = epoch;
        self.version = version.to_owned();
        self.release = release;
    }
}

/// `None` for what says nothing.
pub(crate) fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "(none)").then(|| text.to_owned())
}
