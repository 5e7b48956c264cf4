//! Lists of subkeys: where a name belongs, leaves that become too long, leaves that become empty.

use super::Editor;
use crate::bytes::{field, le32};
use crate::layout::{NOWHERE, nk};
use crate::name::{hash, hint};
use crate::subkeys::{Leaf, List, ROOT};
use h2k_block::{Class, Error, Result};
use std::cmp::Ordering;

/// Cells of lists get room to grow up to this size: a bin of one page.
const PAGE: usize = 4096 - 32 - 4;

impl Editor<'_> {
    /// Puts the key at `child` into the list of the key at `parent`.
    pub(super) fn link(&mut self, parent: u32, child: u32) -> Result<()> {
        let list = self.hive.key(parent)?.list();
        if list == NOWHERE {
            let leaf = if self.hive.minor > 4 {
                Leaf::Hash
            } else {
                Leaf::Fast
            };
            let element = self.element(leaf, child)?;
            let new = self.store(&list_bytes(leaf.signature(), &element, leaf.width()))?;
            self.poke32(parent, nk::LIST, new);
            return Ok(());
        }
        let top = List::at(self.hive, list)?;
        if top.leaf.is_some() {
            let (at, second) = self.insert(list, child)?;
            let new = match second {
                None => at,
                Some(second) => {
                    let both: Vec<u8> = [at, second].iter().flat_map(|at| at.to_le_bytes()).collect();
                    self.store(&list_bytes(ROOT, &both, 4))?
                }
            };
            self.poke32(parent, nk::LIST, new);
            return Ok(());
        }
        let (slot, leaf) = self.leaf_for(&top, child)?;
        let mut leaves = top.elements.to_vec();
        let (at, second) = self.insert(leaf, child)?;
        let place = slot.saturating_mul(4);
        super::write(&mut leaves, place, &at.to_le_bytes());
        if let Some(second) = second {
            let behind = place.saturating_add(4);
            leaves.splice(behind..behind, second.to_le_bytes());
        }
        if leaves.len() / 4 > usize::from(u16::MAX) {
            let what = "an index root names 65,535 lists at most";
            return Err(Error::new(Class::Limit, what).at("subkeys list", u64::from(list)));
        }
        let content = list_bytes(ROOT, &leaves, 4);
        let new = self.restore(list, &content, 64, "subkeys list")?;
        self.poke32(parent, nk::LIST, new);
        Ok(())
    }

    /// Takes the key at `child` out of the list of the key at `parent`.
    pub(super) fn unlink(&mut self, parent: u32, child: u32) -> Result<()> {
        let list = self.hive.key(parent)?.list();
        let top = List::at(self.hive, list)?;
        let leaves: Vec<u32> = if top.leaf.is_some() {
            vec![list]
        } else {
            (0..top.present()).filter_map(|i| top.offset(i)).collect()
        };
        for (slot, leaf) in leaves.iter().enumerate() {
            let elements = List::at(self.hive, *leaf)?;
            let Some(i) = (0..elements.present()).find(|i| elements.offset(*i) == Some(child)) else {
                continue;
            };
            let Some(kind) = elements.leaf else { continue };
            if elements.present() > 1 {
                let content = without(&elements, i, kind.signature(), kind.width());
                let new = self.restore(*leaf, &content, 0, "subkeys list")?;
                self.relink(parent, list, slot, *leaf, new);
                return Ok(());
            }
            self.give(*leaf, "subkeys list")?;
            if *leaf == list {
                self.poke32(parent, nk::LIST, NOWHERE);
            } else if leaves.len() == 1 {
                self.give(list, "subkeys list")?;
                self.poke32(parent, nk::LIST, NOWHERE);
            } else {
                let top = List::at(self.hive, list)?;
                let content = without(&top, slot, ROOT, 4);
                let new = self.restore(list, &content, 0, "subkeys list")?;
                self.poke32(parent, nk::LIST, new);
            }
            return Ok(());
        }
        Err(self.hive.bad(
            list,
            "subkeys list",
            format!("no element for the key at {child:#x}"),
        ))
    }

    /// Writes down that a leaf moved.
    fn relink(&mut self, parent: u32, list: u32, slot: usize, old: u32, new: u32) {
        if old == new {
            return;
        }
        if old == list {
            self.poke32(parent, nk::LIST, new);
        } else {
            self.poke32(list, slot.saturating_mul(4).saturating_add(4), new);
        }
    }

    /// Which leaf of an index root a key belongs to: its place and its offset.
    fn leaf_for(&self, top: &List<'_>, child: u32) -> Result<(usize, u32)> {
        let name = self.hive.key(child)?.name();
        let mut best = (0, top.offset(0).unwrap_or(NOWHERE));
        for slot in 1..top.present() {
            let Some(leaf) = top.offset(slot) else { break };
            let first = List::at(self.hive, leaf)?.offset(0);
            let Some(first) = first else { continue };
            if self.hive.key(first)?.name().order(&name) == Ordering::Greater {
                break;
            }
            best = (slot, leaf);
        }
        Ok(best)
    }

    /// Puts a key into a leaf. Answers with the leaf, which may have moved, and a second one where it was too long.
    fn insert(&mut self, at: u32, child: u32) -> Result<(u32, Option<u32>)> {
        let list = List::at(self.hive, at)?;
        let Some(leaf) = list.leaf else {
            let found = "an index root inside an index root, expected a leaf".to_owned();
            return Err(self.hive.bad(at, "subkeys list", found));
        };
        let place = self.place(at, &list, child)?;
        let element = self.element(leaf, child)?;
        let mut elements = list.elements.to_vec();
        let byte = place.saturating_mul(leaf.width()).min(elements.len());
        elements.splice(byte..byte, element);
        let count = list.present().saturating_add(1);
        // Lists longer than Windows makes them exist (Windows NT 4 had no limit but 65,535); they are split too.
        if count <= leaf.most() {
            let content = list_bytes(leaf.signature(), &elements, leaf.width());
            let slack = (content.len() / 2).min(PAGE.saturating_sub(content.len()));
            return Ok((self.restore(at, &content, slack, "subkeys list")?, None));
        }
        let (low, high) = elements.split_at((count / 2).saturating_mul(leaf.width()));
        let low = list_bytes(leaf.signature(), low, leaf.width());
        let high = list_bytes(leaf.signature(), high, leaf.width());
        let second = self.store(&high)?;
        let first = self.restore(at, &low, 0, "subkeys list")?;
        Ok((first, Some(second)))
    }

    /// Before which element of the list at `at` a key belongs.
    fn place(&self, at: u32, list: &List<'_>, key: u32) -> Result<usize> {
        let name = self.hive.key(key)?.name();
        let place = list.before(self.hive, name.units());
        place.ok_or_else(|| {
            self.hive
                .bad(at, "subkeys list", "an element that is no key".to_owned())
        })
    }

    /// The element of a leaf for a key.
    fn element(&self, leaf: Leaf, child: u32) -> Result<Vec<u8>> {
        let name = self.hive.key(child)?.name();
        let mut element = child.to_le_bytes().to_vec();
        match leaf {
            Leaf::Index => {}
            Leaf::Fast => element.extend_from_slice(&hint(name.units())),
            Leaf::Hash => element.extend_from_slice(&hash(name.units()).to_le_bytes()),
        }
        Ok(element)
    }

    /// The lists below a key's node, leaves before roots.
    pub(super) fn lists_of(&self, key: u32) -> Result<Vec<u32>> {
        let list = self.hive.key(key)?.list();
        if list == NOWHERE {
            return Ok(Vec::new());
        }
        let top = List::at(self.hive, list)?;
        let mut all = Vec::new();
        if top.leaf.is_none() {
            let (offsets, _) = top.elements.as_chunks::<4>();
            all.extend(offsets.iter().filter_map(|raw| le32(raw, 0)));
        }
        all.push(list);
        Ok(all)
    }
}

/// A list: signature, number, elements.
fn list_bytes(signature: [u8; 2], elements: &[u8], width: usize) -> Vec<u8> {
    let count = field(elements.chunks(width.max(1)).len());
    let mut list = signature.to_vec();
    list.extend(count.to_le_bytes().iter().take(2));
    list.extend_from_slice(elements);
    list
}

/// The same list without element `i`.
fn without(list: &List<'_>, i: usize, signature: [u8; 2], width: usize) -> Vec<u8> {
    let rest = list
        .elements
        .chunks(width.max(1))
        .enumerate()
        .filter(|(n, _)| *n != i);
    let elements: Vec<u8> = rest.flat_map(|(_, element)| element.iter().copied()).collect();
    list_bytes(signature, &elements, width)
}
