//! Reading `.reg` files, of version 5.00 (UTF-16) and REGEDIT4 (a code page: Windows-1252 is assumed).

use super::{Action, CODE_PAGE, Form, RegFile, Wish, is_text};
use crate::bytes::{units, wide};
use crate::value::Kind;
use h2k_block::{Error, Limits, Meter, Result};

impl RegFile {
    /// Reads a `.reg` file: UTF-16 or UTF-8, or a code page.
    ///
    /// # Errors
    /// `Corrupt` for what is no such file, with the line; `Limit` when it asks for more than `limits` allow.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let mut meter = Meter::new(*limits);
        meter.bytes(wide(bytes.len()), "registry text")?;
        let text = decoded(bytes);
        let mut reader = Reader {
            rest: &text,
            line: 1,
            form: Form::Version5,
        };
        reader.head()?;
        let mut file = Self::default();
        let mut key: Option<String> = None;
        while let Some(line) = reader.next_line() {
            meter.step("line of registry text")?;
            let rest = reader.rest;
            let wish = if rest.starts_with('[') {
                let (name, delete) = reader.key()?;
                key = Some(name.clone()).filter(|_| !delete);
                let action = if delete { Action::Delete } else { Action::Create };
                Wish {
                    line,
                    key: name,
                    action,
                }
            } else {
                let Some(key) = &key else {
                    return Err(reader.bad("a value before the first key"));
                };
                let action = reader.value()?;
                Wish {
                    line,
                    key: key.clone(),
                    action,
                }
            };
            file.wishes.push(wish);
        }
        Ok(file)
    }
}

/// The text, whatever it was encoded in.
fn decoded(bytes: &[u8]) -> String {
    let wide = |units: Vec<u16>| String::from_utf16_lossy(&units);
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(units(rest).collect()),
        [0xfe, 0xff, rest @ ..] => wide(units(rest).map(u16::swap_bytes).collect()),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [_, 0, ..] => wide(units(bytes).collect()),
        // Always in a code page, even where its bytes would be UTF-8 by chance.
        _ if bytes.starts_with(Form::Regedit4.head().as_bytes()) => code_page(bytes),
        _ => std::str::from_utf8(bytes).map_or_else(|_| code_page(bytes), str::to_owned),
    }
}

fn code_page(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        0x80..=0x9f => CODE_PAGE.get(usize::from(byte & 0x1f)).copied().unwrap_or('?'),
        byte => char::from(*byte),
    };
    bytes.iter().map(one).collect()
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    form: Form,
}

impl<'t> Reader<'t> {
    fn bad(&self, what: &str) -> Error {
        Error::corrupt("registry text", 0, format!("line {}: {what}", self.line))
    }

    /// Goes on by `n` bytes, counting lines.
    fn skip(&mut self, n: usize) -> &'t str {
        let (gone, rest) = self.rest.split_at_checked(n).unwrap_or((self.rest, ""));
        self.line = self.line.saturating_add(gone.matches('\n').count());
        self.rest = rest;
        gone
    }

    fn blanks(&mut self) {
        let left = self.rest.trim_start_matches([' ', '\t']);
        self.skip(self.rest.len().saturating_sub(left.len()));
    }

    /// The rest of the line has to be empty, or a comment.
    fn end(&mut self) -> Result<()> {
        let len = self
            .rest
            .find('\n')
            .map_or(self.rest.len(), |n| n.saturating_add(1));
        let tail = self.rest.get(..len).unwrap_or_default().trim();
        if !tail.is_empty() && !tail.starts_with(';') {
            return Err(self.bad(&format!("{tail:?} behind what was understood")));
        }
        self.skip(len);
        Ok(())
    }

    fn head(&mut self) -> Result<()> {
        self.next_line();
        let len = self.rest.find('\n').unwrap_or(self.rest.len());
        let head = self.skip(len).trim();
        let known = [Form::Version5, Form::Regedit4];
        match known.into_iter().find(|form| form.head() == head) {
            Some(form) => {
                self.form = form;
                Ok(())
            }
            None => {
                let other: String = head.chars().take(60).collect();
                Err(self.bad(&format!(
                    "{other:?}, expected \"Windows Registry Editor Version 5.00\" or \"REGEDIT4\""
                )))
            }
        }
    }

    /// Goes to the next line that says something; answers with its number.
    fn next_line(&mut self) -> Option<usize> {
        loop {
            let left = self.rest.trim_start();
            self.skip(self.rest.len().saturating_sub(left.len()));
            if self.rest.is_empty() {
                return None;
            }
            if !self.rest.starts_with(';') {
                return Some(self.line);
            }
            let len = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(len);
        }
    }

    /// `[KEY]` or `[-KEY]`.
    fn key(&mut self) -> Result<(String, bool)> {
        let len = self.rest.find('\n').unwrap_or(self.rest.len());
        let line = self.rest.get(..len).unwrap_or_default();
        // Names may hold brackets: the last one closes.
        let Some(close) = line.rfind(']') else {
            return Err(self.bad("a key without a closing bracket"));
        };
        let name = line.get(1..close).unwrap_or_default();
        let (name, delete) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        let name = name.trim_start_matches('\\').to_owned();
        self.skip(close.saturating_add(1));
        self.end()?;
        Ok((name, delete))
    }

    /// `"name"=data` or `@=data`.
    fn value(&mut self) -> Result<Action> {
        let name = if self.rest.starts_with('@') {
            self.skip(1);
            String::new()
        } else if self.rest.starts_with('"') {
            self.quoted()?
        } else {
            return Err(self.bad("neither a key in brackets nor a name in quotes"));
        };
        self.blanks();
        if !self.rest.starts_with('=') {
            return Err(self.bad("no = behind a name"));
        }
        self.skip(1);
        self.blanks();
        if self.rest.starts_with('-') {
            self.skip(1);
            self.end()?;
            return Ok(Action::Unset(name));
        }
        if self.rest.starts_with('"') {
            let text = self.quoted()?;
            self.end()?;
            return Ok(Action::Set(name, Kind::SZ, terminated(&text)));
        }
        let Some((word, _)) = self.rest.split_once(':') else {
            return Err(self.bad("data of no known form"));
        };
        let word = word.to_ascii_lowercase();
        self.skip(word.len().saturating_add(1));
        let (form, number) = word
            .split_once('(')
            .map_or((word.as_str(), None), |(form, n)| (form, Some(n)));
        let kind = match number.map(|n| n.strip_suffix(')').and_then(|n| u32::from_str_radix(n, 16).ok())) {
            None => None,
            Some(Some(n)) => Some(Kind(n)),
            Some(None) => return Err(self.bad("a kind that is no hexadecimal number in parentheses")),
        };
        match (form, kind) {
            ("dword", None) => {
                self.blanks();
                let len = self
                    .rest
                    .find(|c: char| !c.is_ascii_hexdigit())
                    .unwrap_or(self.rest.len());
                let digits = self.skip(len);
                let Ok(number) = u32::from_str_radix(digits, 16) else {
                    return Err(self.bad("dword: without one to eight hexadecimal digits"));
                };
                self.end()?;
                Ok(Action::Set(name, Kind::DWORD, number.to_le_bytes().to_vec()))
            }
            // The form some other tools write: text of a kind that regedit writes in hexadecimal.
            ("str", kind) => {
                self.blanks();
                let text = self.quoted()?;
                self.end()?;
                Ok(Action::Set(name, kind.unwrap_or(Kind::SZ), terminated(&text)))
            }
            ("hex", kind) => {
                let kind = kind.unwrap_or(Kind::BINARY);
                let mut data = self.hex()?;
                if self.form == Form::Regedit4 && is_text(kind) {
                    data = code_page(&data)
                        .encode_utf16()
                        .flat_map(u16::to_le_bytes)
                        .collect();
                }
                Ok(Action::Set(name, kind, data))
            }
            _ => Err(self.bad(&format!("data of the form {form:?}"))),
        }
    }

    /// Text in quotes; it may run over several lines.
    fn quoted(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.skip(at.saturating_add(1));
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, '0')) => text.push('\0'),
                    Some((_, c @ ('\\' | '"'))) => text.push(c),
                    // Not an escape: a path that somebody typed by hand.
                    Some((_, c)) => text.extend(['\\', c]),
                    None => {}
                },
                c => text.push(c),
            }
        }
        Err(self.bad("text without a closing quote"))
    }

    /// Bytes in hexadecimal, over lines that end with a backslash.
    fn hex(&mut self) -> Result<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            self.blanks();
            let digits = self
                .rest
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(self.rest.len());
            if digits > 0 {
                let pair = self.rest.get(..digits).unwrap_or_default();
                let byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits <= 2);
                let Some(byte) = byte else {
                    return Err(self.bad(&format!(
                        "{:?} is no byte",
                        pair.chars().take(20).collect::<String>()
                    )));
                };
                data.push(byte);
                self.skip(digits);
                self.blanks();
            }
            match self.rest.chars().next() {
                Some(',') => {
                    self.skip(1);
                }
                Some('\\') => {
                    self.skip(1);
                    self.end()?;
                }
                _ => {
                    self.end()?;
                    return Ok(data);
                }
            }
        }
    }
}

/// Text as a value holds it: UTF-16 with a zero at its end.
pub(crate) fn terminated(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}
