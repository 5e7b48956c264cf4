//! Security items: shared by the keys that have the same descriptor, counted, on a ring.

use super::Editor;
use crate::bytes::{array, field, index, le32};
use crate::descriptor;
use crate::layout::{NOWHERE, nk, sk};
use h2k_block::{Class, Error, Meter, Result};

/// The fields of an item.
struct Item {
    next: u32,
    before: u32,
    references: u32,
}

impl Editor<'_> {
    /// Gives a key a security descriptor, self-relative as Windows keeps it. Keys with the same one share it.
    ///
    /// # Errors
    /// `Corrupt` when the key or its security item is damaged; [`Class::Invalid`] for what is no such descriptor.
    pub fn set_security(&mut self, key: u32, descriptor: &[u8]) -> Result<()> {
        if let Some(problem) = descriptor::problem(descriptor) {
            let what = format!("this is no security descriptor: it has {problem}");
            return Err(Error::new(Class::Invalid, what));
        }
        self.whole(|edit| {
            let node = edit.hive.key(key)?;
            let old = node.word(nk::SECURITY);
            if node.security()? == Some(descriptor) {
                return Ok(());
            }
            let root = edit.hive.root()?.word(nk::SECURITY);
            let new = match edit.same(root, descriptor)? {
                Some(item) => {
                    edit.share(item)?;
                    item
                }
                None => edit.new_item(root, descriptor)?,
            };
            edit.poke32(key, nk::SECURITY, new);
            edit.touch(key);
            edit.release(old)
        })
    }

    fn item(&self, at: u32) -> Result<Item> {
        let cell = self.hive.cell(at, "key security")?;
        let signature: [u8; 2] = array(cell, 0).unwrap_or_default();
        if signature != sk::SIGNATURE || cell.len() < sk::DESCRIPTOR {
            return Err(self
                .hive
                .bad(at, "key security", format!("{signature:02x?}, expected \"sk\"")));
        }
        let word = |at| le32(cell, at).unwrap_or(NOWHERE);
        Ok(Item {
            next: word(sk::FLINK),
            before: word(sk::BLINK),
            references: word(sk::REFERENCES),
        })
    }

    /// The item on the ring of `start` that has this descriptor.
    fn same(&self, start: u32, descriptor: &[u8]) -> Result<Option<u32>> {
        let mut meter = Meter::new(self.hive.limits);
        let mut at = start;
        while at != NOWHERE {
            meter.step("security item")?;
            let item = self.item(at)?;
            let cell = self.hive.cell(at, "key security")?;
            let len = index(le32(cell, sk::SIZE).unwrap_or(0));
            let end = sk::DESCRIPTOR.saturating_add(len);
            if cell.get(sk::DESCRIPTOR..end) == Some(descriptor) {
                return Ok(Some(at));
            }
            at = item.next;
            if at == start {
                break;
            }
        }
        Ok(None)
    }

    /// A new item behind `root` on its ring, or on a ring of its own.
    fn new_item(&mut self, root: u32, descriptor: &[u8]) -> Result<u32> {
        let mut content = vec![0; sk::DESCRIPTOR];
        super::write(&mut content, 0, &sk::SIGNATURE);
        super::write(&mut content, sk::REFERENCES, &1_u32.to_le_bytes());
        super::write(&mut content, sk::SIZE, &field(descriptor.len()).to_le_bytes());
        content.extend_from_slice(descriptor);
        let new = self.store(&content)?;
        let (before, next) = if root == NOWHERE {
            (new, new)
        } else {
            (root, self.item(root)?.next)
        };
        self.poke32(new, sk::FLINK, next);
        self.poke32(new, sk::BLINK, before);
        if root != NOWHERE {
            self.item(next)?;
            self.poke32(next, sk::BLINK, new);
            self.poke32(root, sk::FLINK, new);
        }
        Ok(new)
    }

    /// One more key points at the item at `at`.
    pub(super) fn share(&mut self, at: u32) -> Result<()> {
        if at == NOWHERE {
            return Ok(());
        }
        let item = self.item(at)?;
        self.poke32(at, sk::REFERENCES, item.references.saturating_add(1));
        Ok(())
    }

    /// One key less points at the item at `at`; without any it goes.
    pub(super) fn release(&mut self, at: u32) -> Result<()> {
        if at == NOWHERE {
            return Ok(());
        }
        let item = self.item(at)?;
        if item.references > 1 {
            self.poke32(at, sk::REFERENCES, item.references.saturating_sub(1));
            return Ok(());
        }
        if item.next != at {
            self.item(item.next)?;
            self.item(item.before)?;
            self.poke32(item.next, sk::BLINK, item.before);
            self.poke32(item.before, sk::FLINK, item.next);
        }
        self.give(at, "key security")
    }
}
