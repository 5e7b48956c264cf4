//! Registry text: the `.reg` files of regedit, read and written.

mod read;
mod write;

use crate::edit::Editor;
use crate::hive::parts;
use crate::name::fold;
use crate::value::Kind;
use h2k_block::{Class, Error, Result};

pub use write::Export;

/// What Windows-1252 has where Latin-1 has control characters. It is the code page that is assumed of `REGEDIT4`.
const CODE_PAGE: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The two forms of registry text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `Windows Registry Editor Version 5.00`: in UTF-16, from Windows 2000 on.
    #[default]
    Version5,
    /// `REGEDIT4`, of Windows 9x and NT 4: in a code page, also the text that is written in hexadecimal.
    Regedit4,
}

impl Form {
    /// The first line of a file.
    const fn head(self) -> &'static str {
        match self {
            Self::Version5 => "Windows Registry Editor Version 5.00",
            Self::Regedit4 => "REGEDIT4",
        }
    }
}

/// Whether data of this kind is text, which is in the file's own encoding.
fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::SZ | Kind::EXPAND_SZ | Kind::MULTI_SZ | Kind::LINK)
}

/// A `.reg` file: what it asks for, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegFile {
    /// What it asks for.
    pub wishes: Vec<Wish>,
}

/// One line of a `.reg` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The line it begins in, counted from 1.
    pub line: usize,
    /// The key as the file names it, with its `HKEY_…` in front.
    pub key: String,
    /// What is to become of it.
    pub action: Action,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `[KEY]`: the key is to be there.
    Create,
    /// `[-KEY]`: it is not to be there, nor anything below it.
    Delete,
    /// `"name"=…`: a value with this name, kind and data.
    Set(String, Kind, Vec<u8>),
    /// `"name"=-`: no value of that name.
    Unset(String),
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Keys that were not there before.
    pub keys_created: u64,
    /// Keys that were removed; those below them are not counted.
    pub keys_deleted: u64,
    /// Values that were added or changed.
    pub values_set: u64,
    /// Values that were removed.
    pub values_deleted: u64,
    /// Lines that asked for what was so already.
    pub unchanged: u64,
}

impl RegFile {
    /// Does what the file asks for. `prefix` is what its keys have in front of the hive's own paths, such as
    /// `HKEY_LOCAL_MACHINE\SYSTEM`; `CurrentControlSet` is resolved as [`crate::Hive::resolve`] does.
    ///
    /// # Errors
    /// [`Class::Invalid`] when a key does not begin with `prefix`; else as [`Editor::create`], [`Editor::set`] and the
    /// others say. What was done before stays done: drop the session to take it back.
    pub fn apply(&self, edit: &mut Editor<'_>, prefix: &str) -> Result<Imported> {
        let mut done = Imported::default();
        for wish in &self.wishes {
            let here = |e: Error| e.through(format!("line {}", wish.line));
            let path = below(&wish.key, prefix).ok_or_else(|| here(foreign(&wish.key, prefix)))?;
            let path = edit.hive().resolve(&path).map_err(here)?;
            let changed = one(edit, &path, &wish.action, &mut done).map_err(here)?;
            if !changed {
                done.unchanged = done.unchanged.saturating_add(1);
            }
        }
        Ok(done)
    }
}

/// Does one line; says whether there was anything to do.
fn one(edit: &mut Editor<'_>, path: &str, action: &Action, done: &mut Imported) -> Result<bool> {
    let (count, changed) = match action {
        Action::Create => {
            let before = edit.find(path)?;
            edit.create(path)?;
            (&mut done.keys_created, before.is_none())
        }
        Action::Delete => (&mut done.keys_deleted, edit.delete(path)?),
        Action::Set(name, kind, data) => {
            let key = edit.create(path)?;
            let old = edit.hive().key(key)?.value(name)?;
            let same =
                old.is_some_and(|old| old.kind() == *kind && old.data().is_ok_and(|old| *old == **data));
            edit.set(key, name, *kind, data)?;
            (&mut done.values_set, !same)
        }
        Action::Unset(name) => {
            let removed = match edit.find(path)? {
                Some(key) => edit.unset(key, name)?,
                None => false,
            };
            (&mut done.values_deleted, removed)
        }
    };
    *count = count.saturating_add(u64::from(changed));
    Ok(changed)
}

/// The path below `prefix`, if `key` lies there.
fn below(key: &str, prefix: &str) -> Option<String> {
    let mut names = parts(key);
    for wanted in parts(prefix) {
        let name = names.next()?;
        if fold(long(name).encode_utf16(), long(wanted).encode_utf16()).is_ne() {
            return None;
        }
    }
    Some(names.collect::<Vec<_>>().join("\\"))
}

/// The long name of a registry root.
fn long(name: &str) -> &str {
    const ROOTS: [(&str, &str); 5] = [
        ("HKLM", "HKEY_LOCAL_MACHINE"),
        ("HKCU", "HKEY_CURRENT_USER"),
        ("HKCR", "HKEY_CLASSES_ROOT"),
        ("HKU", "HKEY_USERS"),
        ("HKCC", "HKEY_CURRENT_CONFIG"),
    ];
    let root = ROOTS.iter().find(|(short, _)| name.eq_ignore_ascii_case(short));
    root.map_or(name, |(_, long)| *long)
}

fn foreign(key: &str, prefix: &str) -> Error {
    Error::new(
        Class::Invalid,
        format!("the key {key} does not begin with {prefix}"),
    )
    .advise("say with --prefix what the file's keys have in front of the hive's own paths")
}
