//! dpkg: stanzas of fields in `/var/lib/dpkg/status`, what an interrupted run left in `updates`, and one file a package
//! in `status.d` (images without dpkg).
//!
//! Sources: deb-control(5), dpkg-query(1), Debian Policy chapter 5.

use crate::bytes::text;
use crate::package::filled;
use crate::{ConfigFile, Database, Format, Package, State};
use h2k_block::{Limits, Meter, Result};
use h2k_fs::{Files, join, whole};
use std::collections::HashMap;
use std::sync::Arc;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
const STATUS_D: &str = "/var/lib/dpkg/status.d";

/// Reads dpkg's database, if there is one.
///
/// # Errors
/// When the directories that lead there cannot be read.
pub fn find(files: &dyn Files, limits: &Limits) -> Result<Option<Database>> {
    let mut meter = Meter::new(*limits);
    let status = files.open(STATUS.as_bytes())?;
    let parts = files.names(STATUS_D.as_bytes(), &mut meter)?;
    if status.is_none() && parts.is_none() {
        return Ok(None);
    }
    let mut database = Database::empty(Format::Dpkg, if status.is_some() { STATUS } else { STATUS_D });
    let read = || -> Result<()> {
        if let Some(file) = status {
            let bytes = whole(&*file, &mut meter, "dpkg status")?;
            parse(&bytes, STATUS, &mut meter, &mut database)?;
            update(files, &mut meter, &mut database)?;
        }
        for name in parts.unwrap_or_default() {
            // Lists of checksums lie beside the stanzas.
            if name.ends_with(b".md5sums") {
                continue;
            }
            let path = join(STATUS_D.as_bytes(), &name);
            if let Some(file) = files.open(&path)? {
                let bytes = whole(&*file, &mut meter, "dpkg status")?;
                parse(&bytes, &text(&path), &mut meter, &mut database)?;
            }
        }
        Ok(())
    };
    database.error = read().err();
    Ok(Some(database))
}

/// Brings in what dpkg wrote down but did not merge into its status file: numbered files of stanzas, the later ones
/// newer, each in the place of what was known of the package.
fn update(files: &dyn Files, meter: &mut Meter, database: &mut Database) -> Result<()> {
    let mut newer = Database::empty(Format::Dpkg, UPDATES);
    for name in files.names(UPDATES.as_bytes(), meter)?.unwrap_or_default() {
        if !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = join(UPDATES.as_bytes(), &name);
        if let Some(file) = files.open(&path)? {
            let bytes = whole(&*file, meter, "dpkg update")?;
            parse(&bytes, &text(&path), meter, &mut newer)?;
        }
    }
    if newer.packages.is_empty() {
        return Ok(());
    }
    database.warn(format!(
        "dpkg was interrupted: {} changes were not in its status file yet",
        newer.packages.len()
    ));
    let key = |package: &Package| (package.name.clone(), package.arch.clone());
    let mut places: HashMap<_, _> = database
        .packages
        .iter()
        .enumerate()
        .map(|(i, p)| (key(p), i))
        .collect();
    for package in newer.packages {
        let key = key(&package);
        match places.get(&key).and_then(|i| database.packages.get_mut(*i)) {
            Some(known) => *known = package,
            None => {
                places.insert(key, database.packages.len());
                database.packages.push(package);
            }
        }
    }
    for what in newer.warnings {
        database.warn(what);
    }
    Ok(())
}

/// Reads the stanzas in `bytes` into `database`. `from` is the path they were read from.
///
/// # Errors
/// [`h2k_block::Class::Limit`] when the meter is empty.
pub fn parse(bytes: &[u8], from: &str, meter: &mut Meter, database: &mut Database) -> Result<()> {
    let from: Arc<str> = from.into();
    let mut stanza = Stanza::default();
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        meter.step("line of dpkg status")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            std::mem::take(&mut stanza).finish(&from, database);
        } else if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
            stanza.more(line);
        } else if let Some(colon) = line.iter().position(|b| *b == b':') {
            let (name, value) = line.split_at(colon);
            stanza.field(name, value.get(1..).unwrap_or_default());
        } else {
            let number = number.saturating_add(1);
            database.warn(format!(
                "{from}: line {number} is neither a field nor a continuation"
            ));
        }
    }
    stanza.finish(&from, database);
    Ok(())
}

#[derive(Clone, Copy)]
enum List {
    ConfigFiles,
    Description,
}

#[derive(Default)]
struct Stanza {
    package: Package,
    seen: bool,
    /// The field that the lines which follow belong to, where it is one of interest.
    list: Option<List>,
}

impl Stanza {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.seen = true;
        let name = name.to_ascii_lowercase();
        self.list = match name.as_slice() {
            b"conffiles" => Some(List::ConfigFiles),
            b"description" => Some(List::Description),
            _ => None,
        };
        let value = text(value);
        let value = value.trim();
        let package = &mut self.package;
        match name.as_slice() {
            b"package" => package.name = value.to_owned(),
            b"version" => package.set_version(value),
            b"architecture" => package.arch = filled(value),
            b"status" => {
                let mut words = value.split_ascii_whitespace();
                package.hold = words.next() == Some("hold");
                package.state = state(words.nth(1).unwrap_or_default());
            }
            b"source" => package.source = filled(value),
            b"origin" => package.vendor = filled(value),
            b"maintainer" => package.maintainer = filled(value),
            b"description" => package.summary = filled(value),
            b"homepage" => package.url = filled(value),
            b"section" => package.group = filled(value),
            b"installed-size" => {
                package.size = value.parse::<u64>().ok().and_then(|k| k.checked_mul(1024));
            }
            _ => {}
        }
    }

    fn more(&mut self, line: &[u8]) {
        let line = text(line);
        match self.list {
            Some(List::ConfigFiles) => self.config_file(&line),
            Some(List::Description) => {
                let all = self.package.description.get_or_insert_default();
                if !all.is_empty() {
                    all.push('\n');
                }
                all.push_str(line.get(1..).unwrap_or_default());
            }
            None => {}
        }
    }

    fn config_file(&mut self, line: &str) {
        let (line, remove_on_upgrade) = flag(line.trim(), " remove-on-upgrade");
        let (line, obsolete) = flag(line, " obsolete");
        // A path may hold spaces, a checksum does not.
        if let Some((path, shipped)) = line.rsplit_once(' ') {
            self.package.config_files.push(ConfigFile {
                path: path.to_owned(),
                shipped: shipped.to_owned(),
                obsolete,
                remove_on_upgrade,
            });
        }
    }

    fn finish(mut self, from: &Arc<str>, database: &mut Database) {
        if !self.seen {
            return;
        }
        if self.package.name.is_empty() {
            let n = database.packages.len();
            database.warn(format!("{from}: the stanza after {n} packages has no name"));
            return;
        }
        self.package.from = from.clone();
        database.packages.push(self.package);
    }
}

fn state(word: &str) -> State {
    match word {
        "unpacked" | "half-configured" | "triggers-awaited" | "triggers-pending" => State::Incomplete,
        "half-installed" => State::Broken,
        "config-files" => State::ConfigFiles,
        "not-installed" => State::NotInstalled,
        _ => State::Installed,
    }
}

fn flag<'a>(line: &'a str, word: &str) -> (&'a str, bool) {
    match line.strip_suffix(word) {
        Some(rest) => (rest, true),
        None => (line, false),
    }
}
