//! `localectl` offline: languages.
//!
//! Source of the archive's layout: the structures every program sees that maps it (`locarchive.h` of the GNU C
//! library): a head of fourteen numbers, then a hash table of names.

use super::keyboard::Keyboard;
use h2k_block::{BlockRead, Error, Meter, Result};
use h2k_fs::Files;
use h2k_guest::look::join;
use h2k_guest::{Fact, Look, Source};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// The language and the keyboard of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Locale {
    /// `LANG`, `LC_TIME` …, each with where it is set.
    pub variables: Vec<Variable>,
    /// The keyboard of the console and of the graphical environment.
    pub keyboard: Keyboard,
}

/// One variable of the locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What says so.
    pub source: Source,
}

/// The locales a guest has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Locales {
    /// Their names, sorted, each with where it is: in the archive, or in a directory of its own.
    pub locales: Vec<Fact<String>>,
}

const ARCHIVE: &str = "/usr/lib/locale/locale-archive";
const DIR: &str = "/usr/lib/locale";
const NAME: &str = "locale archive";
const MAGIC: u32 = 0xde02_0109;
/// A name in the archive is a few letters.
const LONG: usize = 256;

/// `localectl status` and `show`.
#[must_use]
pub fn locale(look: &Look<'_>) -> Locale {
    let text = look.first_text([
        "/etc/locale.conf",
        "/etc/default/locale",
        "/etc/sysconfig/i18n",
        "/etc/sysconfig/language",
    ]);
    let mut variables: Vec<Variable> = Vec::new();
    for (key, fact) in text.iter().flat_map(|text| text.assignments()) {
        let key = key.strip_prefix("RC_").unwrap_or(key);
        let counts = key == "LANG" || key == "LANGUAGE" || key.starts_with("LC_");
        if !counts || fact.value.is_empty() {
            continue;
        }
        variables.retain(|v| v.name != key);
        variables.push(Variable {
            name: key.to_owned(),
            value: fact.value,
            source: fact.source,
        });
    }
    Locale {
        variables,
        keyboard: Keyboard::of(look),
    }
}

/// `localectl list-locales`, those in other codings than UTF-8 as well. What cannot be read is remembered by `look`.
#[must_use]
pub fn locales(look: &Look<'_>) -> Locales {
    let mut all: BTreeSet<(String, Source)> = BTreeSet::new();
    let names = look.asked(ARCHIVE.as_bytes(), |meter| {
        let Some(file) = Files::open(look, ARCHIVE.as_bytes())? else {
            return Ok(None);
        };
        archive(&*file, meter).map(Some)
    });
    let source = Source::named(ARCHIVE);
    all.extend(names.unwrap_or_default().into_iter().map(|n| (n, source.clone())));
    for name in look.names(DIR) {
        let path = join(DIR.as_bytes(), &name);
        if look.is_file(join(&path, b"LC_CTYPE")) {
            all.insert((String::from_utf8_lossy(&name).into_owned(), Source::file(&path)));
        }
    }
    let facts = all.into_iter().map(|(name, source)| Fact::new(name, source));
    Locales {
        locales: facts.collect(),
    }
}

/// The names in a locale archive, sorted. Archives of either byte order are read.
///
/// # Errors
/// [`h2k_block::Class::Corrupt`] when it is damaged, [`h2k_block::Class::Limit`] when it is too large.
pub fn archive(disk: &dyn BlockRead, meter: &mut Meter) -> Result<Vec<String>> {
    let mut head = [0; 56];
    if disk.len() < 56 {
        let len = disk.len();
        return Err(Error::corrupt(NAME, 0, format!("the file has {len} bytes only")));
    }
    disk.read_at(0, &mut head)?;
    let little = word(&head, 0, true) == MAGIC;
    if !little && word(&head, 0, false) != MAGIC {
        let found = word(&head, 0, true);
        return Err(Error::corrupt(
            NAME,
            0,
            format!("magic is {found:#x}, expected {MAGIC:#x}"),
        ));
    }
    let field = |n: usize| u64::from(word(&head, n.saturating_mul(4), little));
    let (at, slots) = (field(2), field(4));
    let len = slots.saturating_mul(12);
    if at.saturating_add(len) > disk.len() {
        let end = disk.len();
        let what = format!("{slots} names at {at:#x} end behind the file, at {end:#x}");
        return Err(Error::corrupt(NAME, 8, what));
    }
    let mut table = meter.buffer(len, NAME)?;
    disk.read_at(at, &mut table)?;
    let mut names = BTreeSet::new();
    for slot in table.chunks_exact(12) {
        let (name, record) = (u64::from(word(slot, 4, little)), word(slot, 8, little));
        // A slot without a record was never used, or its locale was taken out again.
        if record == 0 || name == 0 {
            continue;
        }
        meter.step("name of a locale archive")?;
        let left = disk.len().saturating_sub(name);
        let mut text = vec![0; usize::try_from(left).unwrap_or(LONG).min(LONG)];
        disk.read_at(name, &mut text)?;
        let Some(end) = text.iter().position(|b| *b == 0) else {
            return Err(Error::corrupt(NAME, name, "a name has no end"));
        };
        text.truncate(end);
        names.insert(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(names.into_iter().collect())
}

fn word(bytes: &[u8], at: usize, little: bool) -> u32 {
    let raw = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    let raw = raw.copied().unwrap_or_default();
    if little {
        u32::from_le_bytes(raw)
    } else {
        u32::from_be_bytes(raw)
    }
}
