//! Writing `.reg` files as regedit does.

use super::{CODE_PAGE, Form, is_text};
use crate::bytes::units;
use crate::hive::Hive;
use crate::key::Key;
use crate::value::{Kind, Value};
use crate::walk::Visit;
use h2k_block::{Class, Error, Result};
use std::borrow::Cow;
use std::fmt::Write;
use std::ops::ControlFlow;

/// A line of hexadecimal is folded when it is longer than this; with the backslash it has 80 columns at most.
const FOLD: usize = 76;

/// A tree as registry text.
#[derive(Debug, Default)]
pub struct Export {
    /// The text, with lines that end as Windows' do.
    pub text: String,
    /// Which form it has.
    pub form: Form,
    /// Keys in it.
    pub keys: u64,
    /// Values in it.
    pub values: u64,
    /// What is damaged, or has a name that is no text, and is therefore missing.
    pub missing: Vec<Error>,
}

impl Export {
    /// The bytes of the file as regedit writes it: UTF-16, little-endian, with a byte order mark, or Windows-1252.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self.form {
            Form::Regedit4 => code_page(&self.text).unwrap_or_default(),
            Form::Version5 => {
                let text = self.text.encode_utf16();
                [0xfeff]
                    .into_iter()
                    .chain(text)
                    .flat_map(u16::to_le_bytes)
                    .collect()
            }
        }
    }
}

/// Text in Windows-1252, if it has all of its characters.
fn code_page(text: &str) -> Option<Vec<u8>> {
    let one = |c: char| match CODE_PAGE.iter().position(|known| *known == c) {
        Some(place) => u8::try_from(place).ok()?.checked_add(0x80),
        None => u8::try_from(c).ok().filter(|byte| !matches!(byte, 0x80..=0x9f)),
    };
    text.chars().map(one).collect()
}

impl Hive {
    /// `key` with everything below it as registry text. `name` is what the file calls that key, such as
    /// `HKEY_LOCAL_MACHINE\SYSTEM\Select`. Names and texts that `form` has no characters for are named as missing.
    ///
    /// # Errors
    /// `Limit` when there are more keys than the limits the hive was opened with allow.
    pub fn export(&self, key: Key<'_>, name: &str, form: Form) -> Result<Export> {
        let mut out = Export {
            text: format!("{}\r\n", form.head()),
            form,
            ..Export::default()
        };
        self.walk(key, &mut |visit| {
            match visit {
                Visit::Broken(_, e) => out.missing.push(e),
                Visit::Key(path, key) => {
                    let names = path.iter().skip(1).chain((!path.is_empty()).then_some(&key));
                    let names: Vec<String> = names.map(|key| key.name().to_string()).collect();
                    let full = joined(name, &names);
                    let mut all = path.iter().chain([&key]);
                    if full.contains(['\r', '\n']) || !all.all(|key| key.name().is_text()) {
                        out.missing.push(odd("key", &full));
                    } else if form == Form::Regedit4 && code_page(&full).is_none() {
                        out.missing.push(foreign("key", &full));
                    } else {
                        one(&mut out, &key, &full);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        out.text.push_str("\r\n");
        Ok(out)
    }
}

/// What the file calls a key.
fn joined(first: &str, names: &[String]) -> String {
    let mut all = first.trim_end_matches('\\').to_owned();
    if names.is_empty() && all.is_empty() {
        // The root of a hive that has no name here.
        return "\\".to_owned();
    }
    for name in names {
        all.push('\\');
        all.push_str(name);
    }
    all
}

fn one(out: &mut Export, key: &Key<'_>, name: &str) {
    out.keys = out.keys.saturating_add(1);
    out.text.push_str(&format!("\r\n[{name}]\r\n"));
    for value in key.values() {
        match value.and_then(|value| line(&value, out.form)) {
            Ok(line) => {
                out.values = out.values.saturating_add(1);
                out.text.push_str(&line);
                out.text.push_str("\r\n");
            }
            Err(e) => out.missing.push(e.through(name.to_owned())),
        }
    }
}

fn odd(what: &str, name: &str) -> Error {
    Error::new(
        Class::Unsupported,
        format!("the name of the {what} {name:?} is no line of text"),
    )
}

fn foreign(what: &str, name: &str) -> Error {
    let what = format!("the {what} {name:?} has characters that Windows-1252 does not have");
    Error::new(Class::Unsupported, what).advise("export it in version 5.00")
}

/// The line of a value.
fn line(value: &Value<'_>, form: Form) -> Result<String> {
    let name = value.name();
    if !name.is_text() || name.units().any(|unit| unit == 0x0d || unit == 0x0a) {
        return Err(odd("value", &name.to_string()));
    }
    let mut line = if name.is_empty() {
        "@=".to_owned()
    } else {
        format!("\"{}\"=", escaped(&name.to_string()))
    };
    let mut data = value.data()?;
    let quoted = plain(&data).filter(|_| value.kind() == Kind::SZ);
    if form == Form::Regedit4 {
        let told = || foreign("value", &name.to_string());
        code_page(&line).ok_or_else(told)?;
        if let Some(text) = &quoted {
            code_page(text).ok_or_else(told)?;
        } else if is_text(value.kind()) {
            let all: Vec<u16> = units(&data).collect();
            let text = String::from_utf16(&all)
                .ok()
                .filter(|_| data.len().is_multiple_of(2));
            data = Cow::Owned(text.and_then(|text| code_page(&text)).ok_or_else(told)?);
        }
    }
    if let Some(text) = quoted {
        line.push_str(&format!("\"{}\"", escaped(&text)));
        return Ok(line);
    }
    match (value.kind(), &*data) {
        (Kind::DWORD, [a, b, c, d]) => {
            let number = u32::from_le_bytes([*a, *b, *c, *d]);
            line.push_str(&format!("dword:{number:08x}"));
        }
        (kind, data) => {
            match kind {
                Kind::BINARY => line.push_str("hex:"),
                Kind(n) => line.push_str(&format!("hex({n:x}):")),
            }
            hex(&mut line, data);
        }
    }
    Ok(line)
}

/// The text of a value that is nothing but text with one zero at its end.
fn plain(data: &[u8]) -> Option<String> {
    if !data.len().is_multiple_of(2) {
        return None;
    }
    let mut all: Vec<u16> = units(data).collect();
    if all.pop()? != 0 {
        return None;
    }
    let text = String::from_utf16(&all).ok()?;
    (!text.contains(['\0', '\r', '\n'])).then_some(text)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Bytes in hexadecimal, folded.
fn hex(line: &mut String, data: &[u8]) {
    let mut column = line.encode_utf16().count();
    for (i, byte) in data.iter().enumerate() {
        // Writing to a string does not fail.
        let _done = write!(line, "{byte:02x}");
        if i.saturating_add(1) < data.len() {
            line.push(',');
            column = column.saturating_add(3);
            if column > FOLD {
                line.push_str("\\\r\n  ");
                column = 2;
            }
        }
    }
}
