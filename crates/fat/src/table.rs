//! A file allocation table: for each cluster the one that follows it.

use h2k_block::{BlockRead, Cache, Error, Result};
use std::sync::Arc;

/// Width of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Fat12,
    Fat16,
    /// 32 bits, of which 28 count.
    Fat32,
    /// exFAT: all 32 bits.
    Exfat,
}

/// What an entry says of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Free,
    Next(u32),
    Bad,
    /// The last of its chain.
    End,
}

/// A multiple of what three bytes (two entries of FAT12) and of four need, so that no entry lies in two pages.
const PAGE: u64 = 12 << 10;
/// Bytes of the table kept in memory.
const BUDGET: u64 = 4 << 20;

/// One copy of the table.
pub(crate) struct Table {
    disk: Arc<dyn BlockRead>,
    at: u64,
    len: u64,
    width: Width,
    pages: Cache<[u8]>,
}

fn no_pages(len: u64) -> Cache<[u8]> {
    Cache::new(BUDGET.min(len.next_multiple_of(PAGE)), PAGE)
}

/// The page that was used last, for walks along the table.
pub(crate) type Held = Option<(u64, Arc<[u8]>)>;

impl Width {
    /// Bits of an entry.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 | Self::Exfat => 32,
        }
    }

    /// What the entry of the last cluster of a chain says.
    pub(crate) fn end(self) -> u32 {
        match self {
            Self::Fat12 => 0xfff,
            Self::Fat16 => 0xffff,
            Self::Fat32 => 0x0fff_ffff,
            Self::Exfat => u32::MAX,
        }
    }
}

impl Table {
    /// The table of `len` bytes at byte `at`.
    pub(crate) fn new(disk: Arc<dyn BlockRead>, at: u64, len: u64, width: Width) -> Self {
        let len = len.min(disk.len().saturating_sub(at));
        let pages = no_pages(len);
        Self {
            disk,
            at,
            len,
            width,
            pages,
        }
    }

    /// How many entries of `width` fit into `len` bytes.
    pub(crate) fn entries(width: Width, len: u64) -> u64 {
        len.saturating_mul(8).checked_div(width.bits()).unwrap_or(0)
    }

    fn page(&self, number: u64) -> Result<Arc<[u8]>> {
        self.pages.get(number, || {
            let from = number.saturating_mul(PAGE);
            let len = self.len.saturating_sub(from).min(PAGE);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            self.disk.read_at(self.at.saturating_add(from), &mut bytes)?;
            Ok(bytes.into())
        })
    }

    /// The entry of `cluster` as it is stored.
    pub(crate) fn raw(&self, cluster: u32, held: &mut Held) -> Result<u32> {
        let n = u64::from(cluster);
        let start = n.saturating_mul(self.width.bits()) / 8;
        let number = start / PAGE;
        if held.as_ref().is_none_or(|(at, _)| *at != number) {
            *held = Some((number, self.page(number)?));
        }
        let page = held.as_ref().map(|(_, page)| &**page).unwrap_or_default();
        let rest = usize::try_from(start % PAGE)
            .ok()
            .and_then(|from| page.get(from..));
        let pair = || {
            rest?
                .first_chunk::<2>()
                .map(|b| u32::from(u16::from_le_bytes(*b)))
        };
        let value = match self.width {
            Width::Fat12 => pair().map(|v| if n % 2 == 0 { v & 0xfff } else { v >> 4 }),
            Width::Fat16 => pair(),
            Width::Fat32 | Width::Exfat => rest
                .and_then(|r| r.first_chunk::<4>())
                .map(|b| u32::from_le_bytes(*b)),
        };
        value.ok_or_else(|| {
            let what = format!("the entry of cluster {cluster} lies behind the end of the table");
            Error::corrupt("FAT", self.at.saturating_add(start), what)
        })
    }

    /// What the entry of `cluster` says. The next cluster may be any number: the caller knows how many there are.
    pub(crate) fn link(&self, cluster: u32, held: &mut Held) -> Result<Link> {
        let raw = self.raw(cluster, held)?;
        let (value, bad) = match self.width {
            Width::Fat12 => (raw, 0xff7),
            Width::Fat16 => (raw, 0xfff7),
            Width::Fat32 => (raw & 0x0fff_ffff, 0x0fff_fff7),
            Width::Exfat => (raw, 0xffff_fff7),
        };
        Ok(match value {
            0 => Link::Free,
            v if v == bad => Link::Bad,
            v if v > bad => Link::End,
            v => Link::Next(v),
        })
    }

    /// Forgets what is kept of these bytes of the table: they have changed.
    pub(crate) fn forget(&self, bytes: std::ops::Range<u64>) {
        for page in bytes.start / PAGE..bytes.end.div_ceil(PAGE) {
            self.pages.forget(page);
        }
    }

    /// Forgets all that is kept of the table.
    pub(crate) fn forget_all(&mut self) {
        self.pages = no_pages(self.len);
    }

    /// Where the table lies, in bytes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::MemDisk;

    #[test]
    fn entries_of_every_width_are_found() {
        let bytes = vec![0xf8, 0xff, 0xff, 0x03, 0x40, 0x00, 0xf7, 0x8f, 0xff, 0, 0, 0];
        let table = |width| Table::new(Arc::new(MemDisk::new(bytes.clone())), 0, 12, width);
        let twelve = table(Width::Fat12);
        let link = |n| twelve.link(n, &mut None).unwrap();
        assert_eq!(
            [link(2), link(3), link(4), link(5), link(6)],
            [Link::Next(3), Link::Next(4), Link::Bad, Link::End, Link::Free]
        );
        assert!(twelve.link(8, &mut None).is_err());
        assert_eq!(table(Width::Fat16).raw(1, &mut None).unwrap(), 0x03ff);
        assert_eq!(
            table(Width::Fat32).link(1, &mut None).unwrap(),
            Link::Next(0x0ff7_0040 & 0x0fff_ffff)
        );
    }
}
