//! The indexes that `depmod` writes beside modules: `modules.dep.bin`, `modules.alias.bin` and others of that form.
//!
//! ```text
//!  b0 07 f4 57 │ version 00 02 00 01 │ root │ nodes …                                   (big-endian)
//!  node: [prefix NUL] [first, last, one reference a character] [count, {priority, value NUL} …]
//! ```
//! A reference is an offset whose four highest bits say which of the three parts the node has.

mod entries;

pub use entries::Entries;

use crate::bytes::{be32, index, text};
use h2k_block::{Class, Error, Meter, Result};

const MAGIC: u32 = 0xb007_f457;
/// Version 2.1, which every `depmod` of the last fifteen years writes.
const VERSION: u32 = 0x0002_0001;
const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
const OFFSET: u32 = 0x0fff_ffff;

/// What a key or a value weighs in memory besides its text.
const VALUE: usize = 128;

/// Longer keys are no aliases.
const KEY: usize = 1024;

/// A value of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Which of several values comes first: the smallest.
    pub priority: u32,
    /// `kernel/a.ko: kernel/b.ko` in an index of modules, a module's name in one of aliases.
    pub text: String,
}

/// An index, whole in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    bytes: Vec<u8>,
    root: u32,
}

/// The parts of a node.
struct Node<'a> {
    prefix: &'a [u8],
    /// The first character that has a child, and the references from it on.
    first: u8,
    children: Vec<u32>,
    values: Vec<Value>,
}

impl Index {
    /// The index in `bytes`.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when it does not begin as one; [`Class::Unsupported`] for another major version.
    pub fn open(bytes: Vec<u8>) -> Result<Self> {
        let word = |at| be32(&bytes, at).ok_or_else(|| bad(0, "it is shorter than its head"));
        let magic = word(0)?;
        if magic != MAGIC {
            return Err(bad(
                0,
                &format!("it begins with {magic:#010x}, not {MAGIC:#010x}"),
            ));
        }
        let version = word(4)?;
        if version >> 16 != 2 {
            let what = format!("an index of modules of version {} is not read", version >> 16);
            return Err(Error::unsupported(what).at("kmod index", 4));
        }
        let root = word(8)?;
        Ok(Self { bytes, root })
    }

    /// The values of `key`, the first one first. Keys have `_` for `-`, as kmod asks.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when the way there leads outside the file.
    pub fn get(&self, key: &str) -> Result<Vec<Value>> {
        let mut rest = key.as_bytes();
        let mut reference = self.root;
        // Each step takes at least one character of the key.
        for _ in 0..=key.len() {
            if reference & OFFSET == 0 {
                return Ok(Vec::new());
            }
            let node = self.node(reference)?;
            let Some(after) = rest.strip_prefix(node.prefix) else {
                return Ok(Vec::new());
            };
            let Some((next, after)) = after.split_first() else {
                return Ok(node.values);
            };
            rest = after;
            let child = next.checked_sub(node.first);
            let child = child.and_then(|i| node.children.get(usize::from(i)));
            match child {
                Some(child) => reference = *child,
                None => return Ok(Vec::new()),
            }
        }
        Ok(Vec::new())
    }

    /// Every key with its values, in the order of their bytes.
    ///
    /// # Errors
    /// [`Class::Corrupt`] when a node lies outside the file or is its own ancestor; [`Class::Limit`] when `meter` does
    /// not cover them all.
    pub fn all(&self, meter: &mut Meter, each: &mut dyn FnMut(&str, &[Value])) -> Result<()> {
        let mut key = Vec::new();
        self.below(self.root, &mut key, meter, each)
    }

    fn below(
        &self,
        reference: u32,
        key: &mut Vec<u8>,
        meter: &mut Meter,
        each: &mut dyn FnMut(&str, &[Value]),
    ) -> Result<()> {
        if reference & OFFSET == 0 {
            return Ok(());
        }
        meter.step("nodes of a kmod index")?;
        let node = self.node(reference)?;
        let len = key.len();
        key.extend_from_slice(node.prefix);
        // Every level has a character of its own, so this bounds the depth, too.
        if key.len() > KEY {
            return Err(bad(reference & OFFSET, "its keys are longer than any alias"));
        }
        if !node.values.is_empty() {
            meter.steps(crate::bytes::wide(node.values.len()), "values of a kmod index")?;
            // Nodes may share others, and then a small file has many keys: what they weigh in memory counts.
            let texts = node.values.iter().map(|v| v.text.len().saturating_add(VALUE));
            let weight = texts.fold(key.len().saturating_add(VALUE), usize::saturating_add);
            meter.bytes(crate::bytes::wide(weight), "entries of a kmod index")?;
            each(&String::from_utf8_lossy(key), &node.values);
        }
        for (character, child) in (node.first..=u8::MAX).zip(&node.children) {
            key.push(character);
            self.below(*child, key, meter, each)?;
            key.pop();
        }
        key.truncate(len);
        Ok(())
    }

    fn node(&self, reference: u32) -> Result<Node<'_>> {
        let at = reference & OFFSET;
        let outside = || bad(at, "a node leads outside of the file");
        let mut rest = self.bytes.get(index(at)..).ok_or_else(outside)?;
        let mut node = Node {
            prefix: &[],
            first: 0,
            children: Vec::new(),
            values: Vec::new(),
        };
        if reference & PREFIX != 0 {
            let end = rest.iter().position(|b| *b == 0).ok_or_else(outside)?;
            let (prefix, after) = rest.split_at(end);
            node.prefix = prefix;
            rest = after.get(1..).ok_or_else(outside)?;
        }
        if reference & CHILDREN != 0 {
            let [first, last, after @ ..] = rest else {
                return Err(outside());
            };
            let count = last
                .checked_sub(*first)
                .ok_or_else(|| bad(at, "its last child comes before its first"))?;
            let count = usize::from(count).saturating_add(1);
            let (references, after) = after
                .split_at_checked(count.saturating_mul(4))
                .ok_or_else(outside)?;
            node.first = *first;
            node.children = references.chunks_exact(4).filter_map(|c| be32(c, 0)).collect();
            rest = after;
        }
        if reference & VALUES != 0 {
            let count = be32(rest, 0).ok_or_else(outside)?;
            rest = rest.get(4..).unwrap_or_default();
            for _ in 0..count {
                let priority = be32(rest, 0).ok_or_else(outside)?;
                rest = rest.get(4..).unwrap_or_default();
                let end = rest.iter().position(|b| *b == 0).ok_or_else(outside)?;
                let (value, after) = rest.split_at(end);
                rest = after.get(1..).unwrap_or_default();
                let text = text(value);
                node.values.push(Value { priority, text });
            }
            node.values.sort_by_key(|v| v.priority);
        }
        Ok(node)
    }
}

fn bad(at: u32, what: &str) -> Error {
    Error::new(Class::Corrupt, what).at("kmod index", u64::from(at))
}
