//! The text: lines of `key = "value"`.

use h2k_block::{Class, Error, Limits, Meter, Result};
use std::collections::BTreeMap;

/// What a configuration may weigh: real ones have a few thousand bytes.
const LARGEST: usize = 1 << 20;
/// What `|xx` and encodings other than UTF-8 may make of a byte.
const LATIN: [&str; 6] = [
    "windows-1252",
    "iso-8859-1",
    "us-ascii",
    "ascii",
    "latin1",
    "cp1252",
];

/// Whether `text` begins like a configuration.
pub(crate) fn begins(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text.get(..4096).unwrap_or(text)).into_owned();
    let mut keys = text.lines().filter_map(|line| {
        let line = line.trim();
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        value
            .trim_start()
            .starts_with('"')
            .then(|| key.trim().to_ascii_lowercase())
    });
    keys.any(|key| {
        matches!(
            key.as_str(),
            ".encoding" | "config.version" | "virtualhw.version" | "displayname" | "guestos"
        )
    })
}

/// Keys in small letters, and what they say.
pub(super) struct Dictionary {
    /// Key, value, where its line begins.
    lines: BTreeMap<String, (String, u64)>,
}

impl Dictionary {
    pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Self> {
        if bytes.len() > LARGEST {
            return Err(Error::new(
                Class::Limit,
                format!(
                    "a VMware configuration of {} bytes; at most {LARGEST} are read",
                    bytes.len()
                ),
            ));
        }
        let mut meter = Meter::new(*limits);
        meter.bytes(count(bytes.len()).saturating_mul(2), "a VMware configuration")?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let latin = encoding(bytes)?;
        let mut lines = BTreeMap::new();
        let mut at = 0_u64;
        for line in bytes.split(|b| *b == b'\n') {
            meter.step("a VMware configuration")?;
            let begin = at;
            at = at.saturating_add(count(line.len())).saturating_add(1);
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (key, value) = pair(line, begin)?;
            let key = text(&key, latin, begin)?.to_ascii_lowercase();
            let value = text(&value, latin, begin)?;
            if let Some((other, _)) = lines.insert(key.clone(), (value.clone(), begin))
                && other != value
            {
                return Err(broken(begin, format!("{key} says {other:?} and {value:?}")));
            }
        }
        if lines.is_empty() {
            return Err(broken(0, "no line that says anything"));
        }
        Ok(Self { lines })
    }

    /// What `key`, in small letters, says.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.lines.get(key).map(|(value, _)| value.as_str())
    }

    /// Keys that begin with `prefix`, in small letters, in order.
    pub(super) fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines
            .range(prefix.to_owned()..)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, (value, _))| (key.as_str(), value.as_str()))
    }

    /// What `key` says is not what it has to be.
    pub(super) fn wrong(&self, key: &str, expected: &str) -> Error {
        let (found, at) = self.lines.get(key).cloned().unwrap_or_default();
        let found: String = found.chars().take(60).collect();
        broken(at, format!("{key} is {found:?}, expected {expected}"))
    }
}

/// Whether bytes are signs of an 8-bit alphabet, by the line that says the encoding.
fn encoding(bytes: &[u8]) -> Result<bool> {
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        let is_it = line
            .get(..9)
            .is_some_and(|key| key.eq_ignore_ascii_case(b".encoding"));
        if !is_it {
            continue;
        }
        let (_, name) = pair(line, 0)?;
        let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
        return match name.as_str() {
            "utf-8" | "utf8" => Ok(false),
            name if LATIN.contains(&name) => Ok(true),
            _ if bytes.is_ascii() => Ok(false),
            name => Err(Error::unsupported(format!("a VMware configuration in {name:?}"))
                .advise("save it as UTF-8, with .encoding = \"UTF-8\" in it")),
        };
    }
    Ok(std::str::from_utf8(bytes).is_err())
}

/// The key and the value of a line, the latter without quotes and escapes.
fn pair(line: &[u8], at: u64) -> Result<(Vec<u8>, Vec<u8>)> {
    let wrong = |why: &str| {
        let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
        broken(at, format!("{shown:?}: {why}"))
    };
    let split = line
        .iter()
        .position(|b| *b == b'=')
        .ok_or_else(|| wrong("no equals sign"))?;
    let (key, rest) = line.split_at(split);
    let key = key.trim_ascii();
    if key.is_empty() {
        return Err(wrong("no key"));
    }
    let rest = rest.get(1..).unwrap_or_default().trim_ascii();
    let value = match rest.strip_prefix(b"\"") {
        // VMware reads values without quotes too, up to a blank.
        None => rest.split(u8::is_ascii_whitespace).next().unwrap_or_default(),
        Some(quoted) => {
            let end = quoted
                .iter()
                .position(|b| *b == b'"')
                .ok_or_else(|| wrong("the quote does not end"))?;
            let (value, behind) = quoted.split_at(end);
            let behind = behind.get(1..).unwrap_or_default().trim_ascii();
            if !behind.is_empty() && !behind.starts_with(b"#") {
                return Err(wrong("something follows the quote"));
            }
            value
        }
    };
    Ok((key.to_vec(), unescape(value)))
}

/// Makes bytes of `|xx`; a bar that is followed by something else is a bar.
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'|' => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The signs that `bytes` are.
fn text(bytes: &[u8], latin: bool, at: u64) -> Result<String> {
    if latin {
        return Ok(bytes.iter().map(|b| sign(*b)).collect());
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| broken(at, "not the UTF-8 it is said to be"))
}

/// Windows-1252, of which ISO 8859-1 is the rest.
fn sign(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let high = byte
        .checked_sub(0x80)
        .and_then(|i| HIGH.get(usize::from(i)).copied());
    high.unwrap_or(char::from(byte))
}

fn broken(at: u64, why: impl Into<String>) -> Error {
    Error::corrupt("VMX line", at, why)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Dictionary> {
        Dictionary::read(text, &Limits::default())
    }

    #[test]
    fn keys_ignore_case_and_values_are_unescaped() {
        let keys = read(
            b"#!/usr/bin/vmware\n\r\n.ENCODING = \"UTF-8\"\nDisplayName = \"a |22b|22 |7c |zz caf\xc3\xa9 \"\r\nbare = TRUE\n# x\n\
              same = \"1\"\nSAME = \"1\" # again\n",
        )
        .unwrap();
        assert_eq!(keys.get("displayname"), Some("a \"b\" | |zz café "));
        assert_eq!(keys.get("bare"), Some("TRUE"));
        assert_eq!(keys.get("same"), Some("1"));
        assert_eq!(keys.keys("sa").count(), 1);
    }

    #[test]
    fn other_alphabets_are_read_or_named() {
        let keys = read(b".encoding = \"windows-1252\"\ndisplayName = \"caf\xe9 \x80\"\n").unwrap();
        assert_eq!(keys.get("displayname"), Some("café €"));
        let keys = read(b".encoding = \"Shift_JIS\"\ndisplayName = \"plain\"\n").unwrap();
        assert_eq!(keys.get("displayname"), Some("plain"));
        let error = read(b".encoding = \"Shift_JIS\"\ndisplayName = \"\x83\"\n")
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.class(), Class::Unsupported);
    }

    #[test]
    fn lines_that_are_none_are_named_with_their_offset() {
        for (text, at) in [
            (&b"a = \"1\"\nnothing\n"[..], 8),
            (b"a = \"1\"\nb = \"2\n", 8),
            (b"a = \"1\"\nA = \"2\"\n", 8),
            (b" = \"1\"\n", 0),
            (b"a = \"1\" b\n", 0),
            (b"# nothing\n", 0),
        ] {
            let error = read(text).map(|_| ()).unwrap_err();
            assert_eq!(
                (error.class(), error.place().unwrap().offset),
                (Class::Corrupt, at),
                "{error}"
            );
        }
    }
}
