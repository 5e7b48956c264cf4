//! Indexes to be changed: what one says in memory, and both forms written again.

use super::{CHILDREN, Index, KEY, MAGIC, OFFSET, PREFIX, VALUES, VERSION, Value};
use crate::bytes::wide;
use crate::kernel::module_name;
use h2k_block::{Class, Error, Meter, Result};
use std::collections::BTreeMap;

/// The keys and values of an index. Two are equal when a reader finds the same in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    all: BTreeMap<String, Vec<Value>>,
}

impl Entries {
    /// Everything that `index` has.
    ///
    /// # Errors
    /// As [`Index::all`].
    pub fn of(index: &Index, meter: &mut Meter) -> Result<Self> {
        let mut all = BTreeMap::new();
        index.all(meter, &mut |key, values| {
            all.insert(key.to_owned(), values.to_vec());
        })?;
        Ok(Self { all })
    }

    /// A text of the form `path: needed-path needed-path`, as `modules.dep`. Keys are names of modules.
    #[must_use]
    pub fn of_dependencies(text: &str) -> Self {
        let mut entries = Self::default();
        for line in spoken(text) {
            let path = line.split(':').next().unwrap_or_default();
            if let Some(name) = module_name(path).filter(|_| path.len() < line.len()) {
                entries.put(&name, line);
            }
        }
        entries
    }

    /// A text of the form `alias pattern module`, as `modules.alias`. Keys are patterns, as kmod asks for them.
    #[must_use]
    pub fn of_aliases(text: &str) -> Self {
        let mut entries = Self::default();
        for line in spoken(text) {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next()) {
                entries.add(&asked(pattern), 0, module);
            }
        }
        entries
    }

    /// The values of `key`, the first one first.
    #[must_use]
    pub fn get(&self, key: &str) -> &[Value] {
        self.all.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every key with its values, in the order of their bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.all.iter().map(|(k, v)| (k.as_str(), v.as_slice()))
    }

    /// Adds a value to those of `key`, unless it is there.
    pub fn add(&mut self, key: &str, priority: u32, text: &str) {
        let values = self.all.entry(key.to_owned()).or_default();
        if values.iter().all(|v| v.text != text) {
            values.push(Value {
                priority,
                text: text.to_owned(),
            });
            values.sort_by_key(|v| v.priority);
        }
    }

    /// Makes `text` the only value of `key`.
    pub fn put(&mut self, key: &str, text: &str) {
        let value = Value {
            priority: 0,
            text: text.to_owned(),
        };
        self.all.insert(key.to_owned(), vec![value]);
    }

    /// As `modules.dep` has it: a line a value.
    #[must_use]
    pub fn to_dependencies(&self) -> String {
        let lines = self.all.values().flatten();
        lines.map(|v| format!("{}\n", v.text)).collect()
    }

    /// As `modules.alias` has it.
    #[must_use]
    pub fn to_aliases(&self) -> String {
        let all = self.all.iter();
        let lines = all.flat_map(|(key, values)| values.iter().map(move |v| (key, &v.text)));
        let lines = lines.map(|(key, module)| format!("alias {key} {module}\n"));
        lines.collect()
    }

    /// As `depmod` writes it with `.bin` at the end of the name: children before their parents, the root last.
    ///
    /// # Errors
    /// [`Class::Unsupported`] for a key that is not ASCII or longer than kmod reads, and for a value with a NUL;
    /// [`Class::Limit`] when it would be longer than 256 MiB, which the form cannot say.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut entries: Vec<(&[u8], &[Value])> = Vec::with_capacity(self.all.len());
        for (key, values) in &self.all {
            let plain = key.bytes().all(|b| b.is_ascii() && b != 0) && key.len() <= KEY;
            if !plain || values.iter().any(|v| v.text.contains('\0')) {
                let what = format!("an index of modules cannot hold the key {}", key.escape_debug());
                return Err(Error::unsupported(what));
            }
            if !values.is_empty() {
                entries.push((key.as_bytes(), values));
            }
        }
        let mut out = Vec::new();
        for word in [MAGIC, VERSION, 0] {
            out.extend(word.to_be_bytes());
        }
        if !entries.is_empty() {
            let root = node(&entries, 0, &mut out)?;
            if let Some(to) = out.get_mut(8..12) {
                to.copy_from_slice(&root.to_be_bytes());
            }
        }
        Ok(out)
    }
}

/// Lines that are neither empty nor comments.
fn spoken(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A pattern as kmod asks for it: `_` for `-`, but not where `[a-z]` means a range.
fn asked(pattern: &str) -> String {
    let mut inside = false;
    let letter = |c: char| {
        inside = match c {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        if c == '-' && !inside { '_' } else { c }
    };
    pattern.chars().map(letter).collect()
}

/// Writes the node of `entries`, which are sorted and agree in their first `skip` characters; the reference to it.
/// Each level takes a character at least, so keys' length bounds the depth.
fn node(entries: &[(&[u8], &[Value])], skip: usize, out: &mut Vec<u8>) -> Result<u32> {
    let first = entries.first().and_then(|e| e.0.get(skip..)).unwrap_or_default();
    let last = entries.last().and_then(|e| e.0.get(skip..)).unwrap_or_default();
    // What the first and the last have in common, all between them have, too.
    let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let skip = skip.saturating_add(common);
    let (own, mut below) = match entries.split_first() {
        Some((one, below)) if one.0.len() == skip => (one.1, below),
        _ => (&[][..], entries),
    };
    let mut children: Vec<(u8, u32)> = Vec::new();
    while let Some(character) = below.first().and_then(|e| e.0.get(skip)).copied() {
        let many = below
            .iter()
            .take_while(|e| e.0.get(skip) == Some(&character))
            .count();
        let (group, after) = below.split_at(many);
        children.push((character, node(group, skip.saturating_add(1), out)?));
        below = after;
    }
    let mut reference = u32::try_from(out.len()).ok().filter(|at| at & !OFFSET == 0);
    let prefix = first.get(..common).unwrap_or_default();
    if !prefix.is_empty() {
        reference = reference.map(|r| r | PREFIX);
        out.extend(prefix);
        out.push(0);
    }
    if let (Some((low, _)), Some((high, _))) = (children.first(), children.last()) {
        reference = reference.map(|r| r | CHILDREN);
        out.extend([*low, *high]);
        for character in *low..=*high {
            let child = children.iter().find(|(c, _)| *c == character);
            out.extend(child.map_or(0, |(_, r)| *r).to_be_bytes());
        }
    }
    if !own.is_empty() {
        reference = reference.map(|r| r | VALUES);
        out.extend(u32::try_from(own.len()).unwrap_or(u32::MAX).to_be_bytes());
        for value in own {
            out.extend(value.priority.to_be_bytes());
            out.extend(value.text.bytes());
            out.push(0);
        }
    }
    reference.ok_or_else(|| {
        Error::new(
            Class::Limit,
            "an index of modules would be longer than it can say",
        )
        .at("kmod index", wide(out.len()))
    })
}
