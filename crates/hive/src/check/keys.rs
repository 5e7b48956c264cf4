//! Keys, their values, and the lists of their subkeys.

use super::Check;
use crate::bytes::{array, index, le32};
use crate::key::Key;
use crate::layout::{NOWHERE, db, nk, vk};
use crate::name::{hash, hint};
use crate::subkeys::{Entry, Leaf, List};
use crate::value::{Value, segment_list};
use h2k_block::Result;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What was seen of a key's subkeys so far.
struct Order<'h> {
    count: u32,
    before: Option<Key<'h>>,
}

impl<'h> Check<'h> {
    /// Everything below the root.
    pub(super) fn tree(&mut self) -> Result<()> {
        let root = self.hive.root_offset();
        if !self.claim(root, "key node") {
            return Ok(());
        }
        let mut next = vec![(root, NOWHERE)];
        while let Some((at, parent)) = next.pop() {
            self.meter.step("key")?;
            match self.hive.key(at) {
                Err(e) => self.failed(&e),
                Ok(key) => {
                    self.out.keys = self.out.keys.saturating_add(1);
                    self.key(&key, parent)?;
                    self.subkeys(&key, &mut next)?;
                }
            }
        }
        Ok(())
    }

    fn key(&mut self, key: &Key<'h>, parent: u32) -> Result<()> {
        let at = key.id();
        let says = key.word(nk::PARENT);
        if parent == NOWHERE {
            if key.flags() & nk::IS_ROOT == 0 {
                self.odd(at, "key node", "the root key has no flag that says so".to_owned());
            }
        } else if says != parent {
            self.wrong(at, "key node", format!("parent {says:#x}, expected {parent:#x}"));
        }
        let name = key.name();
        if !name.is_text() {
            self.odd(at, "key node", "a name with half a surrogate pair".to_owned());
        }
        if name.units().any(|unit| unit == u16::from(b'\\')) {
            self.odd(
                at,
                "key node",
                "a name with a backslash, which no path can name".to_owned(),
            );
        }
        let len = name.units().count();
        if len == 0 && parent != NOWHERE {
            self.wrong(at, "key node", "a key without a name".to_owned());
        } else if len > nk::NAME_MOST {
            let message = format!("a name of {len} units, at most {} are possible", nk::NAME_MOST);
            self.wrong(at, "key node", message);
        }
        let class = key.word(nk::CLASS);
        if class != NOWHERE
            && self.claim(class, "class name")
            && let Err(e) = key.class()
        {
            self.failed(&e);
        }
        let security = key.word(nk::SECURITY);
        if security == NOWHERE {
            self.odd(at, "key node", "no security item".to_owned());
        } else {
            let count = self.references.entry(security).or_insert(0);
            *count = count.saturating_add(1);
        }
        let count = key.value_count();
        if count == 0 {
            return Ok(());
        }
        let list = key.value_list();
        if !self.claim(list, "key values list") {
            return Ok(());
        }
        let mut names: BTreeMap<Vec<u16>, u32> = BTreeMap::new();
        for value in key.values() {
            self.meter.step("value")?;
            match value {
                Err(e) => self.failed(&e),
                Ok(value) => {
                    self.value(&value, key)?;
                    let folded = value.name().units().map(crate::upcase).collect();
                    if names.insert(folded, value.id()).is_some() {
                        let message = format!("a second value called {}", value.name());
                        self.wrong(value.id(), "key value", message);
                    }
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Value<'h>, key: &Key<'h>) -> Result<()> {
        let at = value.id();
        if !self.claim(at, "key value") {
            return Ok(());
        }
        self.out.values = self.out.values.saturating_add(1);
        let name_len = value.name().units().count().saturating_mul(2);
        if index(key.word(nk::MAX_VALUE_NAME)) < name_len {
            let message = format!(
                "a value name of {name_len} bytes, the key says at most {}",
                key.word(nk::MAX_VALUE_NAME)
            );
            self.odd(at, "key value", message);
        }
        if key.word(nk::MAX_VALUE_DATA) < value.len() {
            let message = format!(
                "data of {} bytes, the key says at most {}",
                value.len(),
                key.word(nk::MAX_VALUE_DATA)
            );
            self.odd(at, "key value", message);
        }
        if value.size_field() & vk::RESIDENT == 0 && !value.is_empty() {
            let data = value.data_offset();
            if self.claim(data, "value data") {
                self.big(data, value.len())?;
            }
        }
        if let Err(e) = value.data() {
            self.failed(&e);
        }
        Ok(())
    }

    /// Claims the segments of big data.
    fn big(&mut self, at: u32, len: u32) -> Result<()> {
        let Ok(cell) = self.hive.cell(at, "big data") else {
            return Ok(());
        };
        if self.hive.minor < db::SINCE || index(len) <= db::SEGMENT || array(cell, 0) != Some(db::SIGNATURE) {
            return Ok(());
        }
        // What is wrong with the list is said where the data is read.
        let Ok((list, count)) = segment_list(self.hive, at, cell) else {
            return Ok(());
        };
        let expected = index(len).div_ceil(db::SEGMENT);
        if count != expected {
            self.wrong(at, "big data", format!("{count} segments, expected {expected}"));
        }
        self.claim(le32(cell, db::LIST).unwrap_or(NOWHERE), "list of segments");
        for i in 0..count {
            self.meter.step("data segment")?;
            self.claim(le32(list, i.saturating_mul(4)).unwrap_or(NOWHERE), "data segment");
        }
        Ok(())
    }

    /// Claims the lists of a key and the nodes they name, which are left in `next`.
    fn subkeys(&mut self, key: &Key<'h>, next: &mut Vec<(u32, u32)>) -> Result<()> {
        if key.list() == NOWHERE {
            if key.subkey_count() > 0 {
                let message = format!("{} subkeys, and no list of them", key.subkey_count());
                self.wrong(key.id(), "key node", message);
            }
            return Ok(());
        }
        let mut leaves = vec![key.list()];
        if !self.claim(key.list(), "subkeys list") {
            return Ok(());
        }
        match List::at(self.hive, key.list()) {
            Ok(root) if root.leaf.is_none() => {
                self.full(key.list(), &root);
                leaves = (0..root.present()).filter_map(|i| root.offset(i)).collect();
                leaves.retain(|leaf| self.claim(*leaf, "subkeys list"));
            }
            Ok(_) => {}
            Err(e) => {
                self.failed(&e);
                return Ok(());
            }
        }
        let mut order = Order {
            count: 0,
            before: None,
        };
        for at in leaves {
            match List::at(self.hive, at) {
                Ok(list) if list.leaf.is_some() => {
                    self.full(at, &list);
                    self.leaf(at, &list, key, &mut order, next)?;
                }
                Ok(_) => self.wrong(
                    at,
                    "subkeys list",
                    "an index root inside an index root".to_owned(),
                ),
                Err(e) => self.failed(&e),
            }
        }
        if order.count != key.subkey_count() {
            let message = format!("{} subkeys, its lists have {}", key.subkey_count(), order.count);
            self.wrong(key.id(), "key node", message);
        }
        Ok(())
    }

    fn full(&mut self, at: u32, list: &List<'_>) {
        if list.present() < list.count {
            let message = format!(
                "{} elements, the cell has room for {}",
                list.count,
                list.present()
            );
            self.wrong(at, "subkeys list", message);
        }
    }

    fn leaf(
        &mut self,
        at: u32,
        list: &List<'h>,
        parent: &Key<'h>,
        order: &mut Order<'h>,
        next: &mut Vec<(u32, u32)>,
    ) -> Result<()> {
        for i in 0..list.present() {
            self.meter.step("subkey")?;
            let (Some(offset), Some(leaf)) = (list.offset(i), list.leaf) else {
                break;
            };
            order.count = order.count.saturating_add(1);
            if !self.claim(offset, "key node") {
                continue;
            }
            next.push((offset, parent.id()));
            // A damaged node is reported when its turn comes.
            let Ok(key) = self.hive.key(offset) else { continue };
            let entry = Entry {
                key: offset,
                leaf,
                mark: list.mark(i),
            };
            self.mark(at, &entry, &key);
            if let Some(before) = order.before {
                match before.name().order(&key.name()) {
                    Ordering::Less => {}
                    Ordering::Equal => {
                        self.wrong(
                            offset,
                            "key node",
                            format!("a second subkey called {}", key.name()),
                        );
                    }
                    Ordering::Greater => {
                        let message = format!("{} comes behind {}", key.name(), before.name());
                        self.wrong(at, "subkeys list", message);
                    }
                }
            }
            order.before = Some(key);
            let len = key.name().units().count().saturating_mul(2);
            let most = parent.word(nk::MAX_NAME) & 0xffff;
            if index(most) < len {
                self.odd(
                    offset,
                    "key node",
                    format!("a name of {len} bytes, its parent says at most {most}"),
                );
            }
        }
        Ok(())
    }

    /// The hint or hash beside a name.
    fn mark(&mut self, list: u32, entry: &Entry, key: &Key<'h>) {
        let Some(found) = entry.mark else { return };
        let expected = match entry.leaf {
            Leaf::Hash => hash(key.name().units()).to_le_bytes(),
            _ => hint(key.name().units()),
        };
        if found == expected {
            return;
        }
        let message = format!(
            "{found:02x?} beside the name {}, expected {expected:02x?}",
            key.name()
        );
        // Windows makes hints through its code page: beyond ASCII they differ from one system to the next.
        if entry.leaf == Leaf::Fast && !key.name().units().take(4).all(|unit| unit < 0x80) {
            self.odd(list, "subkeys list", message);
        } else {
            self.wrong(list, "subkeys list", message);
        }
    }
}
