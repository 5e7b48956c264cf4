//! Files of sections with `Key=value` lines: desktop entries, keyfiles of NetworkManager, files of systemd.

use h2k_guest::{Fact, Source, Text};

/// What differs between those who read such files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// GLib's keyfiles: `#` begins a comment, `\s` `\n` `\t` `\\` are escapes.
    Keyfile,
    /// systemd.syntax(7): `#` and `;` begin comments, a backslash at the end of a line continues it.
    Systemd,
}

/// One section; a file may have several of one name.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Without its brackets.
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) source: Source,
    /// In order.
    pub(crate) entries: Vec<(String, Fact<String>)>,
}

/// The sections of a file, in order. Lines before the first are left out, as every reader does.
pub(crate) fn groups(text: &Text, dialect: Dialect) -> Vec<Group> {
    let mut all: Vec<Group> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let said = line.text.trim();
        let comment = said.starts_with('#') || dialect == Dialect::Systemd && said.starts_with(';');
        if said.is_empty() || comment {
            continue;
        }
        if let Some(name) = said.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
            all.push(Group {
                name: name.to_owned(),
                source: line.source(),
                entries: Vec::new(),
            });
            continue;
        }
        let mut whole = said.to_owned();
        while dialect == Dialect::Systemd && whole.ends_with('\\') {
            whole.pop();
            let Some(next) = lines.next() else { break };
            let next = next.text.trim();
            // A comment between continued lines is left out, and the line goes on behind it.
            if next.starts_with('#') || next.starts_with(';') {
                whole.push('\\');
                continue;
            }
            whole.push(' ');
            whole.push_str(next);
        }
        if let (Some((key, value)), Some(group)) = (whole.split_once('='), all.last_mut()) {
            let value = match dialect {
                Dialect::Keyfile => unescaped(value.trim()),
                Dialect::Systemd => value.trim().to_owned(),
            };
            group
                .entries
                .push((key.trim().to_owned(), Fact::new(value, line.source())));
        }
    }
    all
}

impl Group {
    /// The value of `key`; the last one counts.
    pub(crate) fn get(&self, key: &str) -> Option<&Fact<String>> {
        self.entries
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
    }

    /// As [`get`](Self::get), without what is empty.
    pub(crate) fn said(&self, key: &str) -> Option<Fact<String>> {
        self.get(key).filter(|f| !f.value.is_empty()).cloned()
    }

    /// All values of `key`, as systemd collects them: an empty one takes back those before it.
    pub(crate) fn all(&self, key: &str) -> Vec<&Fact<String>> {
        let mut found = Vec::new();
        for (k, value) in &self.entries {
            if k != key {
                continue;
            }
            if value.value.is_empty() {
                found.clear();
            } else {
                found.push(value);
            }
        }
        found
    }

    /// The words of all values of `key`, as systemd collects them.
    pub(crate) fn words(&self, key: &str) -> Vec<Fact<String>> {
        let all = self.all(key).into_iter();
        all.flat_map(|fact| words(fact, |c: char| c.is_whitespace()))
            .collect()
    }
}

/// The parts of a value between `separators`, each with the value's source.
pub(crate) fn words(fact: &Fact<String>, separator: impl Fn(char) -> bool) -> Vec<Fact<String>> {
    let parts = fact.value.split(separator).map(str::trim);
    parts
        .filter(|word| !word.is_empty())
        .map(|word| Fact::new(word.to_owned(), fact.source.clone()))
        .collect()
}

/// The first section of that name.
pub(crate) fn group<'g>(groups: &'g [Group], name: &str) -> Option<&'g Group> {
    groups.iter().find(|g| g.name == name)
}

/// What systemd and GLib take for a truth value; `None` for other words.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => out.push(' '),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyfiles_have_escapes_and_systemds_files_go_on_behind_a_backslash() {
        let text = Text::new(
            b"/f",
            b"lost=1\n[a]\nx=one\\stwo ; three\n# c\n[b]\nx=1\\\n# c\n  2\n; d\nx=\nx = 3 4\n",
        );
        let keyfile = groups(&text, Dialect::Keyfile);
        assert_eq!(
            group(&keyfile, "a").unwrap().said("x").unwrap().value,
            "one two ; three"
        );
        let systemd = groups(&text, Dialect::Systemd);
        let b = group(&systemd, "b").unwrap();
        assert_eq!(
            b.entries[0].1,
            Fact::new("1 2".to_owned(), Source::line(b"/f", 6))
        );
        let words: Vec<_> = b.words("x").into_iter().map(|f| f.value).collect();
        assert_eq!(words, ["3", "4"], "an empty value takes back");
    }
}
