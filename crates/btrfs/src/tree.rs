//! B-trees: a root, and a cursor that walks their items in the order of keys.

use crate::block::Block;
use crate::layout::Key;
use crate::volume::{Expected, Volume};
use h2k_block::{Error, Result};
use std::sync::Arc;

/// Where a tree begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) at: u64,
    pub(crate) level: u8,
    pub(crate) generation: u64,
}

/// A place in a tree: a path of blocks from the root to a leaf.
///
/// A step down goes one level down and every block's keys lie between those of its neighbours, so no path is longer
/// than the root is high and no walk sees a key twice, whatever the pointers say.
pub(crate) struct Cursor<'a> {
    volume: &'a Volume,
    path: Vec<(Arc<Block>, usize)>,
}

impl Root {
    /// A cursor at the first item whose key is not below `key`.
    pub(crate) fn seek<'a>(&self, volume: &'a Volume, key: Key) -> Result<Cursor<'a>> {
        let mut cursor = self.descend(volume, key)?;
        cursor.settle()?;
        Ok(cursor)
    }

    /// A cursor at the last item whose key is not above `key`; `None` when there is none.
    pub(crate) fn seek_back<'a>(&self, volume: &'a Volume, key: Key) -> Result<Option<Cursor<'a>>> {
        let mut cursor = self.descend(volume, key)?;
        if cursor.item().is_some_and(|(k, _)| k == key) || cursor.back()? {
            return Ok(Some(cursor));
        }
        Ok(None)
    }

    /// A cursor at the item `key`; `None` when there is none.
    pub(crate) fn get<'a>(&self, volume: &'a Volume, key: Key) -> Result<Option<Cursor<'a>>> {
        let cursor = self.descend(volume, key)?;
        Ok(cursor.item().is_some_and(|(k, _)| k == key).then_some(cursor))
    }

    /// Goes to the leaf where `key` would be, to the first place that is not below it: perhaps behind the last item.
    fn descend<'a>(&self, volume: &'a Volume, key: Key) -> Result<Cursor<'a>> {
        let mut block = volume.block(
            self.at,
            Expected {
                level: self.level,
                generation: self.generation,
                first: None,
            },
        )?;
        let mut path = Vec::with_capacity(usize::from(self.level).saturating_add(1));
        while block.level > 0 {
            // The child whose first key is the last one not above the key; the first child for keys before all.
            let below = block.below(&key);
            let here = block.key(below).is_some_and(|k| k == key);
            let slot = if here { below } else { below.saturating_sub(1) };
            let next = down(volume, &block, slot)?;
            path.push((block, slot));
            block = next;
        }
        let slot = block.below(&key);
        path.push((block, slot));
        Ok(Cursor { volume, path })
    }
}

/// The child of `block` in `slot`.
fn down(volume: &Volume, block: &Block, slot: usize) -> Result<Arc<Block>> {
    let child = block
        .child(slot)
        .ok_or_else(|| Error::corrupt("tree block", block.at, "has fewer children than it had"))?;
    let expected = Expected {
        level: block.level.saturating_sub(1),
        generation: child.generation,
        first: Some(child.key),
    };
    let found = volume.block(child.at, expected)?;
    // Behind the next sibling's first key nothing of this child may lie.
    if let Some(next) = block.key(slot.saturating_add(1))
        && found
            .key(found.count().saturating_sub(1))
            .is_some_and(|last| last >= next)
    {
        return Err(Error::corrupt(
            "tree block",
            child.at,
            format!("has keys beyond {next}, where the next block begins"),
        ));
    }
    Ok(found)
}

impl Cursor<'_> {
    /// The item under the cursor; `None` behind the last one.
    pub(crate) fn item(&self) -> Option<(Key, &[u8])> {
        let (leaf, slot) = self.path.last()?;
        leaf.item(*slot)
    }

    /// The item under the cursor if it is of `object` and `kind`.
    pub(crate) fn item_of(&self, object: u64, kind: u8) -> Option<(Key, &[u8])> {
        self.item().filter(|(k, _)| k.object == object && k.kind == kind)
    }

    /// Logical address of the leaf, for errors.
    pub(crate) fn at(&self) -> u64 {
        self.path.last().map_or(0, |(leaf, _)| leaf.at)
    }

    /// Goes to the next item.
    pub(crate) fn next(&mut self) -> Result<()> {
        if let Some((_, slot)) = self.path.last_mut() {
            *slot = slot.saturating_add(1);
        }
        self.settle()
    }

    /// Behind the last item of a leaf, goes to the first item of the next leaf, if there is one.
    fn settle(&mut self) -> Result<()> {
        let Some((leaf, slot)) = self.path.last() else {
            return Ok(());
        };
        if *slot < leaf.count() {
            return Ok(());
        }
        // The deepest inner block that has a child further right.
        let inner = self.path.len().saturating_sub(1);
        let turn = (0..inner).rev().find(|i| {
            let step = self.path.get(*i);
            step.is_some_and(|(block, slot)| slot.saturating_add(1) < block.count())
        });
        let Some(turn) = turn else {
            return Ok(());
        };
        self.path.truncate(turn.saturating_add(1));
        if let Some((_, slot)) = self.path.last_mut() {
            *slot = slot.saturating_add(1);
        }
        self.finish(|_| 0)
    }

    /// Goes to the previous item; says whether there was one. If not, the cursor stays.
    pub(crate) fn back(&mut self) -> Result<bool> {
        let last = self.path.len().saturating_sub(1);
        let Some(turn) = (0..=last)
            .rev()
            .find(|i| self.path.get(*i).is_some_and(|(_, slot)| *slot > 0))
        else {
            return Ok(false);
        };
        self.path.truncate(turn.saturating_add(1));
        if let Some((_, slot)) = self.path.last_mut() {
            *slot = slot.saturating_sub(1);
        }
        self.finish(|block| block.count().saturating_sub(1))?;
        Ok(true)
    }

    /// Goes down from the end of the path, at each block to the place `choose` names.
    fn finish(&mut self, choose: impl Fn(&Block) -> usize) -> Result<()> {
        while let Some((block, slot)) = self.path.last()
            && block.level > 0
        {
            let next = down(self.volume, block, *slot)?;
            let slot = choose(&next);
            self.path.push((next, slot));
        }
        Ok(())
    }
}
