//! GRUB's environment block: 1024 bytes of `name=value` lines.

use h2k_guest::{Fact, Look, Source, Text};
use std::collections::BTreeMap;

/// The variables of an environment block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrubEnv {
    /// The file.
    pub path: Option<String>,
    /// Variables, and where they are set.
    pub variables: BTreeMap<String, Fact<String>>,
}

impl GrubEnv {
    /// Reads a block. A text without the block's first line has no variables.
    #[must_use]
    pub fn read(text: &Text) -> Self {
        let mut env = Self {
            path: Some(text.source().to_string()),
            ..Self::default()
        };
        if !text.as_str().starts_with("# GRUB Environment Block") {
            return env;
        }
        for line in text.lines() {
            if line.text.starts_with('#') {
                continue;
            }
            if let Some((name, value)) = line.text.split_once('=') {
                env.variables.insert(name.to_owned(), line.fact(unescaped(value)));
            }
        }
        env
    }

    pub(super) fn find(look: &Look<'_>, dirs: &[String]) -> Self {
        let paths = dirs.iter().map(|dir| format!("{dir}/grubenv"));
        look.first_text(paths)
            .map(|text| Self::read(&text))
            .unwrap_or_default()
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fact(name).map(|f| f.value.as_str())
    }

    /// The same, with where it is set.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&Fact<String>> {
        self.variables.get(name).filter(|f| !f.value.is_empty())
    }

    /// Where it was read.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.path.as_ref().map(|p| Source::named(p.clone()))
    }
}

/// A backslash stands before a backslash and before a line's end.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}
