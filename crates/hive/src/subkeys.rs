use crate::bytes::{array, le16, le32, wide};
use crate::hive::Hive;
use crate::key::Key;
use crate::layout::{NOWHERE, list};
use h2k_block::{Class, Error, Result};
use std::cmp::Ordering;

/// The subkeys of a key in the order of its lists. An error in one of them does not end the others; one in a list
/// ends that list.
#[derive(Clone, Debug)]
pub struct Subkeys<'h> {
    hive: &'h Hive,
    entries: Entries<'h>,
}

impl<'h> Subkeys<'h> {
    pub(crate) fn new(hive: &'h Hive, at: u32) -> Self {
        Self {
            hive,
            entries: Entries::new(hive, at),
        }
    }
}

impl<'h> Iterator for Subkeys<'h> {
    type Item = Result<Key<'h>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entries.next()?;
        Some(entry.and_then(|entry| self.hive.key(entry.key)))
    }
}

/// The kinds of leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// li: offsets alone.
    Index,
    /// lf: with the first four characters of each name.
    Fast,
    /// lh: with a hash of each name.
    Hash,
}

impl Leaf {
    pub(crate) fn of(signature: [u8; 2]) -> Option<Self> {
        match &signature {
            b"li" => Some(Self::Index),
            b"lf" => Some(Self::Fast),
            b"lh" => Some(Self::Hash),
            _ => None,
        }
    }

    pub(crate) fn signature(self) -> [u8; 2] {
        match self {
            Self::Index => *b"li",
            Self::Fast => *b"lf",
            Self::Hash => *b"lh",
        }
    }

    /// Elements that Windows keeps in one leaf.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Index => list::LEAF_OF_OFFSETS,
            Self::Fast | Self::Hash => list::LEAF_OF_PAIRS,
        }
    }

    /// Bytes of an element.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Index => 4,
            Self::Fast | Self::Hash => 8,
        }
    }
}

/// The index root's own signature.
pub(crate) const ROOT: [u8; 2] = *b"ri";

/// One list: what it says it is, and its elements as far as the cell holds them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'h> {
    /// `None` for an index root.
    pub(crate) leaf: Option<Leaf>,
    pub(crate) count: usize,
    pub(crate) elements: &'h [u8],
}

impl<'h> List<'h> {
    /// The list in the cell at `at`.
    pub(crate) fn at(hive: &'h Hive, at: u32) -> Result<Self> {
        let cell = hive.cell(at, "subkeys list")?;
        let signature: [u8; 2] = array(cell, 0).unwrap_or_default();
        let leaf = Leaf::of(signature);
        if leaf.is_none() && signature != ROOT {
            let found = format!("{signature:02x?}, expected \"lf\", \"lh\", \"li\" or \"ri\"");
            return Err(hive.bad(at, "subkeys list", found));
        }
        let count = usize::from(le16(cell, list::COUNT).unwrap_or(0));
        let room = cell.get(list::ELEMENTS..).unwrap_or_default();
        let len = count.saturating_mul(leaf.map_or(4, Leaf::width));
        Ok(Self {
            leaf,
            count,
            elements: room.get(..len).unwrap_or(room),
        })
    }

    /// How many elements lie before `name`, if they are in order; `None` where one of those looked at is damaged. For
    /// an index root the elements are its leaves, and their first keys count.
    pub(crate) fn before(&self, hive: &'h Hive, name: impl Iterator<Item = u16> + Clone) -> Option<usize> {
        let (mut low, mut high) = (0, self.present());
        while low < high {
            let middle = low.midpoint(high);
            let mut there = self.offset(middle)?;
            if self.leaf.is_none() {
                there = Self::at(hive, there)
                    .ok()
                    .filter(|list| list.leaf.is_some())?
                    .offset(0)?;
            }
            if hive.key(there).ok()?.name().against(name.clone()) == Ordering::Less {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// How many elements are there in fact.
    pub(crate) fn present(&self) -> usize {
        self.elements.chunks_exact(self.leaf.map_or(4, Leaf::width)).len()
    }

    /// The offset in element `i`.
    pub(crate) fn offset(&self, i: usize) -> Option<u32> {
        le32(self.elements, i.checked_mul(self.leaf.map_or(4, Leaf::width))?)
    }

    /// The hint or hash in element `i` of a leaf that has them.
    pub(crate) fn mark(&self, i: usize) -> Option<[u8; 4]> {
        let width = self.leaf.filter(|leaf| leaf.width() == 8)?.width();
        array(self.elements, i.checked_mul(width)?.checked_add(4)?)
    }
}

/// The key of that name in the lists at `at`, where they are in order as far as they are looked at: the first one
/// where several have it.
pub(crate) fn in_order<'h>(hive: &'h Hive, at: u32, name: &str) -> Option<Key<'h>> {
    let top = List::at(hive, at).ok()?;
    let units = name.encode_utf16();
    let mut found = None;
    if top.leaf.is_some() {
        found = top.offset(top.before(hive, units)?);
    } else {
        let slot = top.before(hive, units.clone())?;
        // Behind the first key of the leaf before, or the first key itself of this one.
        for leaf in [slot.checked_sub(1), Some(slot)].into_iter().flatten() {
            let Some(leaf) = top.offset(leaf) else { continue };
            let leaf = List::at(hive, leaf).ok()?;
            leaf.leaf?;
            found = leaf.offset(leaf.before(hive, units.clone())?);
            if found.is_some() {
                break;
            }
        }
    }
    hive.key(found?).ok().filter(|key| key.name().is(name))
}

/// One element of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: u32,
    pub(crate) leaf: Leaf,
    pub(crate) mark: Option<[u8; 4]>,
}

/// The elements of all leaves below a list, an index root or a single leaf.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'h> {
    hive: &'h Hive,
    /// Lists still to come: the one the key points at, then what its index root holds.
    first: Option<u32>,
    root: Option<(List<'h>, usize)>,
    current: Option<(List<'h>, usize, u32)>,
    /// Elements that may still be shown: lists can be named again and again.
    left: u64,
}

impl<'h> Entries<'h> {
    pub(crate) fn new(hive: &'h Hive, at: u32) -> Self {
        Self {
            hive,
            first: Some(at).filter(|at| *at != NOWHERE),
            root: None,
            current: None,
            left: hive.limits.steps.min(wide(hive.bytes.len())),
        }
    }

    /// Opens the next list.
    fn open(&mut self) -> Option<Result<()>> {
        let (at, nested) = match self.first.take() {
            Some(at) => (at, false),
            None => {
                let (root, i) = self.root.as_mut()?;
                let at = root.offset(*i)?;
                *i = i.saturating_add(1);
                (at, true)
            }
        };
        Some(List::at(self.hive, at).and_then(|list| {
            match list.leaf {
                Some(_) => self.current = Some((list, 0, at)),
                None if nested => {
                    let found = "an index root inside an index root, expected a leaf".to_owned();
                    return Err(self.hive.bad(at, "subkeys list", found));
                }
                None => {
                    self.root = Some((list, 0));
                    if list.present() < list.count {
                        return Err(short(self.hive, at, &list));
                    }
                }
            }
            Ok(())
        }))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None if self.first.is_none() && self.current.is_none() && self.root.is_none() => return None,
                None => {
                    (self.first, self.root, self.current) = (None, None, None);
                    let what = "the subkeys lists of one key have more elements than the hive has room for";
                    return Some(Err(Error::new(Class::Limit, what)));
                }
            }
            if let Some((list, i, at)) = &mut self.current {
                let (list, here, at) = (*list, *i, *at);
                if here < list.present() {
                    *i = here.saturating_add(1);
                    let key = list.offset(here)?;
                    let leaf = list.leaf?;
                    return Some(Ok(Entry {
                        key,
                        leaf,
                        mark: list.mark(here),
                    }));
                }
                self.current = None;
                if list.present() < list.count {
                    return Some(Err(short(self.hive, at, &list)));
                }
            }
            if let Err(e) = self.open()? {
                return Some(Err(e));
            }
        }
    }
}

/// A list that has fewer elements than it says.
fn short(hive: &Hive, at: u32, list: &List<'_>) -> Error {
    let found = format!(
        "{} elements, the cell has room for {}",
        list.count,
        list.present()
    );
    hive.bad(at, "subkeys list", found)
}
