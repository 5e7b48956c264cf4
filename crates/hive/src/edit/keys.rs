//! Keys: made, removed with everything below, given a class.

use super::Editor;
use crate::bytes::field;
use crate::hive::parts;
use crate::layout::{DEPTH, NOWHERE, nk};
use crate::subkeys::in_order;
use h2k_block::{Class, Error, Meter, Result};
use std::collections::BTreeSet;

impl Editor<'_> {
    /// The key at `path`; it and those above it are made where they are not there. New keys have the security of the
    /// key above them.
    ///
    /// # Errors
    /// [`Class::Invalid`] for names longer than 255 units and paths deeper than 512 keys; `Corrupt` when what is
    /// there is damaged; `Limit` when the hive may not grow any more.
    pub fn create(&mut self, path: &str) -> Result<u32> {
        if parts(path).count() >= DEPTH {
            return Err(Error::new(
                Class::Invalid,
                "keys cannot lie deeper than 512 levels",
            ));
        }
        self.whole(|edit| {
            let mut at = edit.hive.root()?.id();
            for name in parts(path) {
                at = match edit.child(at, name)? {
                    Some(there) => there,
                    None => edit.new_key(at, name)?,
                };
            }
            Ok(at)
        })
    }

    /// The key at `path`, as [`Hive::find`](crate::Hive::find) finds it, and sooner among many that are looked for.
    ///
    /// # Errors
    /// `Corrupt` when a key on the way is damaged.
    pub fn find(&mut self, path: &str) -> Result<Option<u32>> {
        let mut at = self.hive.root()?.id();
        for name in parts(path) {
            match self.child(at, name)? {
                Some(below) => at = below,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The subkey of that name. A name that is not there costs a look at every subkey, but only once for a key.
    fn child(&mut self, key: u32, name: &str) -> Result<Option<u32>> {
        let node = self.hive.key(key)?;
        if self.ordered.contains(&key) {
            return Ok(in_order(self.hive, node.list(), name).map(|found| found.id()));
        }
        let found = node.subkey(name)?.map(|found| found.id());
        if found.is_none() && node.is_ordered() {
            self.ordered.insert(key);
        }
        Ok(found)
    }

    /// Removes the key at `path` with everything below it. Says whether it was there.
    ///
    /// # Errors
    /// [`Class::Invalid`] for the root, and for keys marked as not to be deleted; `Corrupt` when something below is
    /// damaged: then nothing is removed.
    pub fn delete(&mut self, path: &str) -> Result<bool> {
        let Some(last) = parts(path).last() else {
            return Err(Error::new(Class::Invalid, "the root key cannot be deleted"));
        };
        let count = parts(path).count();
        let above: Vec<&str> = parts(path).take(count.saturating_sub(1)).collect();
        let Some(parent) = self.hive.find(&above.join("\\"))? else {
            return Ok(false);
        };
        let parent_id = parent.id();
        let Some(key) = parent.subkey(last)? else {
            return Ok(false);
        };
        let key = key.id();
        self.whole(|edit| {
            let doomed = edit.below(key)?;
            edit.unlink(parent_id, key)?;
            let left = edit.hive.key(parent_id)?.subkey_count().saturating_sub(1);
            edit.poke32(parent_id, nk::SUBKEYS, left);
            edit.touch(parent_id);
            for key in doomed {
                edit.free_key(key)?;
            }
            Ok(true)
        })
    }

    /// Gives a key a class name, or takes it away.
    ///
    /// # Errors
    /// [`Class::Invalid`] for names longer than 32,767 units; `Corrupt` when the key is damaged.
    pub fn set_class(&mut self, key: u32, class: Option<&str>) -> Result<()> {
        let bytes: Vec<u8> = class
            .unwrap_or_default()
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let Ok(len) = u16::try_from(bytes.len()) else {
            return Err(Error::new(
                Class::Invalid,
                "a class name has at most 32,767 units",
            ));
        };
        self.whole(|edit| {
            let node = edit.hive.key(key)?;
            let wanted = class.filter(|class| !class.is_empty());
            if node.class().ok().flatten().as_deref() == wanted {
                return Ok(());
            }
            let (old, parent) = (node.word(nk::CLASS), node.word(nk::PARENT));
            let root = edit.hive.root_offset() == key;
            if old != NOWHERE {
                edit.give(old, "class name")?;
            }
            let new = if len == 0 { NOWHERE } else { edit.store(&bytes)? };
            edit.poke32(key, nk::CLASS, new);
            edit.poke(key, nk::CLASS_LEN, &len.to_le_bytes());
            edit.touch(key);
            if !root {
                edit.raise(parent, nk::MAX_CLASS, u32::from(len))?;
            }
            Ok(())
        })
    }

    fn new_key(&mut self, parent: u32, name: &str) -> Result<u32> {
        let units: Vec<u16> = name.encode_utf16().collect();
        if units.len() > nk::NAME_MOST {
            let what = format!(
                "a key's name has at most {} units, this one {}",
                nk::NAME_MOST,
                units.len()
            );
            return Err(Error::new(Class::Invalid, what));
        }
        let (stored, latin) = stored_name(&units);
        let above = self.hive.key(parent)?;
        let (security, count) = (above.word(nk::SECURITY), above.subkey_count());
        let mut node = vec![0; nk::NAME];
        let mut set = |at: usize, bytes: &[u8]| super::write(&mut node, at, bytes);
        set(0, &nk::SIGNATURE);
        set(nk::FLAGS, &if latin { nk::LATIN } else { 0 }.to_le_bytes());
        set(nk::WRITTEN, &self.now.to_le_bytes());
        set(nk::PARENT, &parent.to_le_bytes());
        for nowhere in [nk::LIST, nk::VOLATILE_LIST, nk::VALUE_LIST, nk::CLASS] {
            set(nowhere, &NOWHERE.to_le_bytes());
        }
        set(nk::SECURITY, &security.to_le_bytes());
        let name_len = u16::try_from(stored.len()).unwrap_or(u16::MAX);
        set(nk::NAME_LEN, &name_len.to_le_bytes());
        node.extend_from_slice(&stored);
        let new = self.store(&node)?;
        self.share(security)?;
        self.link(parent, new)?;
        self.poke32(parent, nk::SUBKEYS, count.saturating_add(1));
        // The upper half of the field has flags of another kind.
        let most = self.hive.key(parent)?.word(nk::MAX_NAME);
        let len = field(units.len().saturating_mul(2));
        if most & 0xffff < len {
            self.poke32(parent, nk::MAX_NAME, most & !0xffff | len);
        }
        self.touch(parent);
        Ok(new)
    }

    /// A key and every key below it, each once.
    fn below(&self, key: u32) -> Result<Vec<u32>> {
        let mut meter = Meter::new(self.hive.limits);
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        let mut next = vec![key];
        while let Some(at) = next.pop() {
            meter.step("key")?;
            let key = self.hive.key(at)?;
            if key.flags() & nk::NO_DELETE != 0 {
                let what = format!("the key {} is marked as not to be deleted", key.name());
                return Err(Error::new(Class::Invalid, what));
            }
            if !seen.insert(at) || at == self.hive.root_offset() {
                return Err(self.hive.bad(at, "key node", "a key with two parents".to_owned()));
            }
            all.push(at);
            for subkey in key.subkeys() {
                next.push(subkey?.id());
            }
        }
        Ok(all)
    }

    /// Gives back every cell of a key; those of its subkeys are not among them.
    fn free_key(&mut self, key: u32) -> Result<()> {
        let node = self.hive.key(key)?;
        let (class, security) = (node.word(nk::CLASS), node.word(nk::SECURITY));
        let (values, list) = (node.value_count(), node.value_list());
        let all = node
            .values()
            .map(|value| value.map(|v| v.id()))
            .collect::<Result<Vec<_>>>()?;
        for value in all {
            self.free_value(value)?;
        }
        if values > 0 {
            self.give(list, "key values list")?;
        }
        for list in self.lists_of(key)? {
            self.give(list, "subkeys list")?;
        }
        if class != NOWHERE {
            self.give(class, "class name")?;
        }
        self.release(security)?;
        self.ordered.remove(&key);
        self.give(key, "key node")
    }

    /// Sets the time of a key.
    pub(super) fn touch(&mut self, key: u32) {
        self.poke(key, nk::WRITTEN, &self.now.to_le_bytes());
    }

    /// Makes a "largest" field of a key at least `len`.
    pub(super) fn raise(&mut self, key: u32, at: usize, len: u32) -> Result<()> {
        if self.hive.key(key)?.word(at) < len {
            self.poke32(key, at, len);
        }
        Ok(())
    }
}

/// A name as it is stored, and whether that is Latin-1.
pub(super) fn stored_name(units: &[u16]) -> (Vec<u8>, bool) {
    let latin: Option<Vec<u8>> = units.iter().map(|unit| u8::try_from(*unit).ok()).collect();
    match latin {
        Some(latin) => (latin, true),
        None => (units.iter().flat_map(|unit| unit.to_le_bytes()).collect(), false),
    }
}
