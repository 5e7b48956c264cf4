//! Tree blocks: checked once when they come in, so that nobody behind has to.

use crate::layout::{HEADER, Header, ItemHead, Key, KeyPtr};
use crate::superblock::{LEVELS, Super};
use crate::volume::Expected;
use h2k_block::{Error, Result};
use zerocopy::FromBytes;

const NAME: &str = "tree block";

/// A tree block whose checksum, address, keys and item bounds are right.
pub(crate) struct Block {
    bytes: Box<[u8]>,
    /// Its logical address.
    pub(crate) at: u64,
    pub(crate) level: u8,
    generation: u64,
    count: usize,
}

/// A child as its parent describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) key: Key,
    pub(crate) at: u64,
    pub(crate) generation: u64,
}

impl Block {
    /// Checks everything a block can be checked for without its parent.
    pub(crate) fn check(bytes: Box<[u8]>, at: u64, sb: &Super, ids: &[[u8; 16]]) -> Result<Self> {
        let bad = |what: String| Err(Error::corrupt(NAME, at, what));
        if !at.is_multiple_of(sb.sector.into()) {
            return bad(format!("does not begin at a sector of {}", sb.sector));
        }
        if !sb.checksum.agrees_with_head(&bytes) {
            return bad(format!(
                "its {} does not agree with the content",
                sb.checksum.name()
            ));
        }
        let Ok((header, body)) = Header::ref_from_prefix(&bytes) else {
            return bad("is too short".to_owned());
        };
        if header.bytenr.get() != at {
            return bad(format!("says that it lies at {:#x}", header.bytenr));
        }
        if !ids.contains(&header.fsid) {
            return bad("belongs to another filesystem".to_owned());
        }
        let (level, generation) = (header.level, header.generation.get());
        if level >= LEVELS {
            return bad(format!("level is {level}, below {LEVELS} was expected"));
        }
        let count = usize::try_from(header.nritems.get()).unwrap_or(usize::MAX);
        let ordered = if level > 0 {
            let Ok((children, _)) = <[KeyPtr]>::ref_from_prefix_with_elems(body, count) else {
                return bad(format!("{count} children do not fit"));
            };
            if children.is_empty() {
                return bad("an inner block has no children".to_owned());
            }
            children.is_sorted_by(|a, b| a.key.get() < b.key.get())
        } else {
            let Ok((items, _)) = <[ItemHead]>::ref_from_prefix_with_elems(body, count) else {
                return bad(format!("{count} items do not fit"));
            };
            let heads = u64::try_from(size_of_val(items)).unwrap_or(u64::MAX);
            let room = u64::try_from(body.len()).unwrap_or(0);
            for item in items {
                let (offset, size) = (u64::from(item.offset.get()), u64::from(item.size.get()));
                if offset < heads || offset.saturating_add(size) > room {
                    return bad(format!(
                        "item {} has its data at {offset}+{size}, outside of {heads}..{room}",
                        item.key.get()
                    ));
                }
            }
            items.is_sorted_by(|a, b| a.key.get() < b.key.get())
        };
        if !ordered {
            return bad("its keys do not ascend".to_owned());
        }
        Ok(Self {
            at,
            level,
            generation,
            count,
            bytes,
        })
    }

    /// Whether the block is what its parent says.
    pub(crate) fn is(&self, expected: &Expected) -> Result<()> {
        let bad = |what: String| Err(Error::corrupt(NAME, self.at, what));
        if self.level != expected.level {
            return bad(format!("level is {}, expected {}", self.level, expected.level));
        }
        if self.generation != expected.generation {
            return bad(format!(
                "generation is {}, expected {}",
                self.generation, expected.generation
            ));
        }
        if let Some(first) = expected.first
            && self.key(0) != Some(first)
        {
            let found = self.key(0).map_or("none".to_owned(), |k| k.to_string());
            return bad(format!("first key is {found}, expected {first}"));
        }
        Ok(())
    }

    /// How many children or items it has.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    fn items(&self) -> &[ItemHead] {
        let found = <[ItemHead]>::ref_from_prefix_with_elems(self.body(), self.count);
        found.map_or(&[], |(items, _)| items)
    }

    fn children(&self) -> &[KeyPtr] {
        let found = <[KeyPtr]>::ref_from_prefix_with_elems(self.body(), self.count);
        found.map_or(&[], |(children, _)| children)
    }

    pub(crate) fn key(&self, i: usize) -> Option<Key> {
        if self.level == 0 {
            self.items().get(i).map(|item| item.key.get())
        } else {
            self.children().get(i).map(|child| child.key.get())
        }
    }

    /// Child number `i` of an inner block.
    pub(crate) fn child(&self, i: usize) -> Option<Child> {
        self.children().get(i).map(|child| Child {
            key: child.key.get(),
            at: child.blockptr.get(),
            generation: child.generation.get(),
        })
    }

    /// Key and data of item number `i` of a leaf.
    pub(crate) fn item(&self, i: usize) -> Option<(Key, &[u8])> {
        let item = self.items().get(i)?;
        let from = usize::try_from(item.offset.get()).ok()?;
        let to = from.checked_add(usize::try_from(item.size.get()).ok()?)?;
        Some((item.key.get(), self.body().get(from..to)?))
    }

    /// How many keys are below `key`.
    pub(crate) fn below(&self, key: &Key) -> usize {
        if self.level == 0 {
            self.items().partition_point(|item| item.key.get() < *key)
        } else {
            self.children().partition_point(|child| child.key.get() < *key)
        }
    }
}
