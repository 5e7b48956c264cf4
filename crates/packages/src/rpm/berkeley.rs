//! A hash database of Berkeley DB (`Packages`), in the byte order of the machine that made it.
//!
//! ```text
//! page 0   metadata: magic at 12, version 16, page size 20, encryption 24, type 25, flags 26, last page 32
//! page     log position 8 | number 4 | previous 4 | next 4 | items 2 | used 2 | level 1 | type 1 | …
//!   hash     2-byte offsets of the items, key and value in turn; the items fill the page from its end
//!   overflow bytes of one long item, "used" of them, continued on page "next"
//! item     type 1 (1 bytes follow; 3 lies on overflow pages: 3 unused, first page 4, length 4)
//! ```
//!
//! Every page is looked at once instead of following buckets: nothing is found twice, and a broken chain hides nothing.
//! Keys are the number of a header, in the byte order of the database; number 0 is a counter.

use super::EachHeader;
use crate::bytes::{index, take};
use h2k_block::{BlockRead, Error, Limits, Meter, Result};
use std::collections::HashSet;

const MAGIC: u32 = 0x0006_1561;
const HEADER: usize = 26;
const META: &str = "Berkeley DB metadata page";

mod page_type {
    pub(super) const HASH_UNSORTED: u8 = 2;
    pub(super) const OVERFLOW: u8 = 7;
    pub(super) const HASH_META: u8 = 8;
    pub(super) const HASH: u8 = 13;
}

mod item_type {
    pub(super) const BYTES: u8 = 1;
    pub(super) const OVERFLOW: u8 = 3;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = take(bytes, at)?;
        Some(match self {
            Self::Little => u32::from_le_bytes(raw),
            Self::Big => u32::from_be_bytes(raw),
        })
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = take(bytes, at)?;
        Some(match self {
            Self::Little => u16::from_le_bytes(raw),
            Self::Big => u16::from_be_bytes(raw),
        })
    }
}

/// The byte order of a hash database, by its magic number; `None` for anything else.
pub(super) fn order(head: &[u8]) -> Option<Order> {
    [Order::Little, Order::Big]
        .into_iter()
        .find(|order| order.u32(head, 12) == Some(MAGIC))
}

struct Hash<'a> {
    disk: &'a dyn BlockRead,
    order: Order,
    size: u64,
    /// Number of pages.
    pages: u64,
}

/// Shows every header of the store, in the order of its pages.
pub(super) fn headers(
    disk: &dyn BlockRead,
    limits: &Limits,
    each: &mut EachHeader<'_>,
    warn: &mut dyn FnMut(String),
) -> Result<()> {
    let hash = Hash::open(disk)?;
    let mut meter = Meter::new(*limits);
    let mut page = vec![0; index(hash.size)];
    for number in 1..hash.pages {
        meter.step("Berkeley DB page")?;
        hash.page(number, &mut page)?;
        let kind = page.get(25).copied().unwrap_or_default();
        if kind != page_type::HASH && kind != page_type::HASH_UNSORTED {
            continue;
        }
        let items = hash.order.u16(&page, 20).unwrap_or_default();
        for pair in 0..items.div_euclid(2) {
            meter.step("Berkeley DB pair")?;
            let first = pair.saturating_mul(2);
            let Some(key) = hash.item(&page, first).and_then(|item| hash.key(item)) else {
                warn(format!("page {number} has no key {first}"));
                continue;
            };
            if key == 0 {
                continue;
            }
            let Some(item) = hash.item(&page, first.saturating_add(1)) else {
                warn(format!("package {key}: page {number} does not hold its value"));
                continue;
            };
            match hash.value(item, limits) {
                Ok(value) => each(key, &value)?,
                Err(e) => warn(format!("package {key}: {e}")),
            }
        }
    }
    Ok(())
}

impl<'a> Hash<'a> {
    fn open(disk: &'a dyn BlockRead) -> Result<Self> {
        let mut meta = [0; 72];
        disk.read_at(0, &mut meta).map_err(|e| e.at(META, 0))?;
        let Some(order) = order(&meta) else {
            return Err(Error::corrupt(META, 12, "has no magic number of a hash"));
        };
        let field = |at| order.u32(&meta, at).unwrap_or_default();
        let byte = |at: usize| meta.get(at).copied().unwrap_or_default();
        let (version, size, last) = (field(16), field(20), field(32));
        if !(7..=10).contains(&version) {
            return Err(
                Error::unsupported(format!("hash version {version} is not read, 7 to 10 are")).at(META, 16),
            );
        }
        if !(512..=65536).contains(&size) || !size.is_power_of_two() {
            return Err(Error::corrupt(
                META,
                20,
                format!("page size is {size}, expected a power of two from 512 to 65536"),
            ));
        }
        if byte(24) != 0 {
            return Err(Error::unsupported("an encrypted Berkeley DB is not read").at(META, 24));
        }
        if byte(25) != page_type::HASH_META {
            return Err(Error::corrupt(
                META,
                25,
                format!("page type is {}, expected 8", byte(25)),
            ));
        }
        if byte(26) != 0 {
            return Err(
                Error::unsupported("a Berkeley DB with checksums or partitions is not read").at(META, 26),
            );
        }
        let size = u64::from(size);
        // A file that is cut short still has the pages before.
        let there = disk.len().div_euclid(size);
        Ok(Self {
            disk,
            order,
            size,
            pages: there.min(u64::from(last).saturating_add(1)),
        })
    }

    fn page(&self, number: u64, page: &mut [u8]) -> Result<()> {
        self.disk.read_at(number.saturating_mul(self.size), page)
    }

    /// The bytes of an item, from its type byte on.
    fn item<'p>(&self, page: &'p [u8], number: u16) -> Option<&'p [u8]> {
        let offset = |n: u16| {
            let at = HEADER.checked_add(usize::from(n).checked_mul(2)?)?;
            self.order.u16(page, at).map(usize::from)
        };
        let start = offset(number)?;
        let end = match number.checked_sub(1) {
            Some(before) => offset(before)?,
            None => page.len(),
        };
        page.get(start..end).filter(|item| !item.is_empty())
    }

    fn key(&self, item: &[u8]) -> Option<u32> {
        match item.split_first()? {
            (&item_type::BYTES, key) if key.len() == 4 => self.order.u32(key, 0),
            _ => None,
        }
    }

    fn value(&self, item: &[u8], limits: &Limits) -> Result<Vec<u8>> {
        match item.split_first() {
            Some((&item_type::BYTES, bytes)) => Ok(bytes.to_vec()),
            Some((&item_type::OVERFLOW, _)) => {
                let (first, len) = (self.order.u32(item, 4), self.order.u32(item, 8));
                let (Some(first), Some(len)) = (first, len) else {
                    return Err(Error::corrupt("Berkeley DB item", 0, "is cut short"));
                };
                self.long(first, len, limits)
            }
            Some((kind, _)) => Err(Error::unsupported(format!("item type {kind} is not read"))),
            None => Err(Error::corrupt("Berkeley DB item", 0, "is empty")),
        }
    }

    /// `len` bytes from the chain of overflow pages that begins at `number`.
    fn long(&self, mut number: u32, len: u32, limits: &Limits) -> Result<Vec<u8>> {
        const NAME: &str = "Berkeley DB overflow page";
        let mut meter = Meter::new(*limits);
        if u64::from(len) > self.disk.len() {
            return Err(Error::corrupt(
                NAME,
                0,
                format!("{len} bytes are more than the file has"),
            ));
        }
        meter.bytes(len.into(), NAME)?;
        let len = index(len);
        let mut all = Vec::new();
        let mut page = vec![0; index(self.size)];
        let mut seen = HashSet::new();
        while all.len() < len {
            let at = u64::from(number).saturating_mul(self.size);
            let bad = |what: String| Error::corrupt(NAME, at, what);
            if number == 0 || u64::from(number) >= self.pages {
                return Err(bad(format!(
                    "page {number} of {} after {} bytes",
                    self.pages,
                    all.len()
                )));
            }
            if !seen.insert(number) {
                return Err(bad(format!("page {number} is in the chain twice")));
            }
            meter.step(NAME)?;
            self.page(number.into(), &mut page)?;
            let kind = page.get(25).copied().unwrap_or_default();
            let used = usize::from(self.order.u16(&page, 22).unwrap_or_default());
            let end = HEADER.saturating_add(used);
            let Some(bytes) = page.get(HEADER..end).filter(|bytes| !bytes.is_empty()) else {
                return Err(bad(format!("{used} bytes used of a page of {}", self.size)));
            };
            if kind != page_type::OVERFLOW {
                return Err(bad(format!("page type is {kind}, expected 7")));
            }
            let room = len.saturating_sub(all.len());
            all.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            number = self.order.u32(&page, 16).unwrap_or_default();
        }
        Ok(all)
    }
}
