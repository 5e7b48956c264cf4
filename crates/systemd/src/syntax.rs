//! The syntax of unit files.
//!
//! ```text
//! # a comment
//! [Section]
//! Key=value that goes on \
//!     in the next line
//! ```
//!
//! Source: systemd.syntax(7).

use h2k_guest::Source;

/// Largest unit file read, in bytes. Those of real systems have some KiB.
pub(crate) const LARGEST: u64 = 1 << 20;

/// `Key=value` in a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `Unit`, `Service`, `Install` …
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; lines that go on are joined with a blank.
    pub value: String,
    /// Where it begins.
    pub source: Source,
}

/// What a file says, and what in it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the file.
    pub settings: Vec<Setting>,
    /// Lines that mean nothing, and why.
    pub problems: Vec<(Source, String)>,
    /// Whether a line stops systemd from reading the rest of the file.
    pub broken: bool,
}

/// Reads the text of a unit file that lies at `path`.
#[must_use]
pub fn parse(path: &str, text: &str) -> Parsed {
    let mut out = Parsed::default();
    let mut section: Option<String> = None;
    let mut joined: Option<(usize, String)> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, number) in text.lines().zip(1_usize..) {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (begin, mut whole) = joined.take().unwrap_or((number, String::new()));
        whole.push_str(line);
        if goes_on(line) {
            whole.pop();
            whole.push(' ');
            joined = Some((begin, whole));
            continue;
        }
        if !one(path, begin, whole.trim(), &mut section, &mut out) {
            return out;
        }
    }
    // The last line may promise another that does not come.
    if let Some((begin, whole)) = joined {
        one(path, begin, whole.trim(), &mut section, &mut out);
    }
    out
}

/// Whether a line ends with a backslash that no other takes the meaning of.
fn goes_on(line: &str) -> bool {
    let mut escaped = false;
    for byte in line.bytes() {
        escaped = byte == b'\\' && !escaped;
    }
    escaped
}

/// One logical line; whether to go on.
fn one(path: &str, number: usize, line: &str, section: &mut Option<String>, out: &mut Parsed) -> bool {
    let source = || Source::line(path.as_bytes(), number);
    if line.is_empty() {
        return true;
    }
    if let Some(rest) = line.strip_prefix('[') {
        let Some(name) = rest.strip_suffix(']') else {
            out.problems
                .push((source(), "the section has no closing bracket".to_owned()));
            out.broken = true;
            return false;
        };
        *section = Some(name.to_owned());
        return true;
    }
    let Some(section) = section else {
        out.problems
            .push((source(), "a line before the first section".to_owned()));
        return true;
    };
    let Some((key, value)) = line.split_once('=') else {
        out.problems.push((source(), "a line without =".to_owned()));
        return true;
    };
    let key = key.trim();
    if key.is_empty() {
        out.problems.push((source(), "a line without a key".to_owned()));
        return true;
    }
    out.settings.push(Setting {
        section: section.clone(),
        key: key.to_owned(),
        value: value.trim().to_owned(),
        source: source(),
    });
    true
}

/// Whether backslashes are taken for escapes or kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// Kept: names of units have them.
    Keep,
    /// Taken, as in C.
    Take,
}

/// The words of a value; quotes are taken off. `None` where a quote is not closed or an escape means nothing.
#[must_use]
pub fn words(value: &str, escapes: Escapes) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut chars = value.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Some(all);
        }
        let mut word: Vec<u8> = Vec::new();
        let mut quote: Option<char> = None;
        loop {
            let Some(c) = chars.next() else {
                if quote.is_some() {
                    return None;
                }
                break;
            };
            match (c, quote) {
                (c, Some(q)) if c == q => quote = None,
                ('\'' | '"', None) => quote = Some(c),
                (c, None) if c.is_ascii_whitespace() => break,
                ('\\', _) if escapes == Escapes::Take => escaped(&mut chars, &mut word)?,
                (c, _) => word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        all.push(String::from_utf8_lossy(&word).into_owned());
    }
}

/// What stands after a backslash.
fn escaped(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut Vec<u8>) -> Option<()> {
    let c = chars.next()?;
    let mut number = |n: usize, radix: u32, first: Option<char>| -> Option<u32> {
        let text: String = first.into_iter().chain(chars.by_ref().take(n)).collect();
        let digits = text.chars().all(|c| c.is_digit(radix));
        u32::from_str_radix(&text, radix).ok().filter(|_| digits)
    };
    let byte = match c {
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        's' => b' ',
        '\\' | '"' | '\'' => u8::try_from(c).ok()?,
        'x' => u8::try_from(number(2, 16, None)?).ok()?,
        '0'..='7' => u8::try_from(number(2, 8, Some(c))?).ok()?,
        'u' | 'U' => {
            let c = char::from_u32(number(if c == 'u' { 4 } else { 8 }, 16, None)?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    out.push(byte);
    Some(())
}
