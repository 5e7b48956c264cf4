//! A text file of a guest.

use super::fact::{Fact, Source};

/// A text file that was read whole. What is not UTF-8 is shown as U+FFFD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    path: Vec<u8>,
    text: String,
}

/// One line of a [`Text`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    path: &'a [u8],
    /// From 1.
    pub number: usize,
    /// Without its end.
    pub text: &'a str,
}

impl Text {
    /// The content of the file at `path`.
    #[must_use]
    pub fn new(path: &[u8], content: &[u8]) -> Self {
        Self {
            path: path.to_vec(),
            text: lossy(content),
        }
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The file as a source.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::file(&self.path)
    }

    /// Its lines, also empty ones.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.text.lines().zip(1..).map(|(text, number)| Line {
            path: &self.path,
            number,
            text,
        })
    }

    /// The lines that say something: trimmed, neither empty nor a comment after `#`. What follows a `#` inside a line
    /// stays: formats differ in that.
    pub fn spoken(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines().filter_map(|line| {
            let text = line.text.trim();
            (!text.is_empty() && !text.starts_with('#')).then_some(Line { text, ..line })
        })
    }

    /// `KEY=value` lines as shells read them (os-release, sysconfig, default): comments left out, one pair of quotes
    /// around the value taken off. In order; of a key that is set twice, the last counts.
    pub fn assignments(&self) -> impl Iterator<Item = (&str, Fact<String>)> {
        self.spoken().filter_map(|line| {
            let text = line.text.strip_prefix("export ").unwrap_or(line.text);
            let (key, value) = text.split_once('=')?;
            Some((key.trim(), Fact::new(unquoted(value.trim()), line.source())))
        })
    }

    /// The value of `key` in [`assignments`](Self::assignments).
    #[must_use]
    pub fn assigned(&self, key: &str) -> Option<Fact<String>> {
        self.assignments()
            .filter(|(k, _)| *k == key)
            .last()
            .map(|(_, value)| value)
    }
}

impl Line<'_> {
    /// The line as a source.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::line(self.path, self.number)
    }

    /// `value`, as this line has it.
    pub fn fact<T>(&self, value: T) -> Fact<T> {
        Fact::new(value, self.source())
    }
}

/// Bytes of a guest as text; what is not UTF-8 is shown as U+FFFD.
#[must_use]
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A shell word: quotes taken off, what is escaped between double quotes put back. What follows the closing quote (a
/// comment, most often) is left out.
fn unquoted(value: &str) -> String {
    let mut chars = value.chars();
    match chars.next() {
        Some('\'') => chars.take_while(|c| *c != '\'').collect(),
        Some('"') => {
            let mut out = String::new();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => match chars.next() {
                        Some(c @ ('"' | '\\' | '$' | '`')) => out.push(c),
                        Some(c) => out.extend(['\\', c]),
                        None => out.push('\\'),
                    },
                    c => out.push(c),
                }
            }
            out
        }
        _ => value.split([' ', '\t']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_a_shell_would() {
        let text = Text::new(
            b"/etc/x",
            b"# A=0\nA=plain # said\n\nexport B='one two'\nC=\"say \\\"hi\\\" \\n\" # c\nA = last\nD=\n",
        );
        let value = |key: &str| text.assigned(key).map(|f| (f.value, f.source.to_string()));
        assert_eq!(value("A"), Some(("last".into(), "/etc/x:6".into())));
        assert_eq!(value("B"), Some(("one two".into(), "/etc/x:4".into())));
        assert_eq!(value("C"), Some(("say \"hi\" \\n".into(), "/etc/x:5".into())));
        assert_eq!(value("D"), Some((String::new(), "/etc/x:7".into())));
        assert_eq!(value("E"), None);
    }
}
