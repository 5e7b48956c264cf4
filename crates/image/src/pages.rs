//! Tables of a container (BAT, block map, sector bitmaps) read page by page, in bounded memory.

use h2k_block::{BlockRead, Cache, Error, Kind, Result};
use std::sync::Arc;

/// Bytes in one page.
pub(crate) const PAGE: u64 = 65536;
/// Bytes of pages kept, whatever the tables claim to be.
const KEPT: u64 = 64 * PAGE;

/// A page of a host file: empty where the host stores nothing and all of it reads as zero.
type Page = Arc<[u8]>;

/// Pages of a host file, shared by all threads that read an image.
pub(crate) struct Pages {
    file: Arc<dyn BlockRead>,
    recent: Cache<[u8]>,
}

impl Pages {
    /// Nothing is read before it is asked for.
    pub(crate) fn new(file: Arc<dyn BlockRead>) -> Self {
        Self {
            file,
            recent: Cache::new(KEPT, PAGE),
        }
    }

    /// The same with few pages kept, for one of many files that make up an image.
    pub(crate) fn few(file: Arc<dyn BlockRead>) -> Self {
        Self {
            file,
            recent: Cache::new(2 * PAGE, PAGE),
        }
    }

    /// A reader for entries of `structure` that lie near each other.
    pub(crate) fn cursor(&self, structure: &'static str) -> Cursor<'_> {
        Cursor {
            pages: self,
            structure,
            number: u64::MAX,
            page: Page::default(),
        }
    }

    fn page(&self, number: u64, structure: &'static str) -> Result<Page> {
        self.recent.get(number, || self.load(number, structure))
    }

    fn load(&self, number: u64, structure: &'static str) -> Result<Page> {
        let start = number.saturating_mul(PAGE);
        let end = start.saturating_add(PAGE).min(self.file.len());
        if start >= end {
            return Err(beyond(structure, start, self.file.len()));
        }
        let extent = self.file.extent_at(start, end)?;
        if extent.kind != Kind::Data && extent.end() == end && end.is_multiple_of(PAGE) {
            return Ok(Page::default());
        }
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        self.file
            .read_at(start, &mut bytes)
            .map_err(|e| e.at(structure, start))?;
        Ok(bytes.into())
    }
}

/// Reads entries one after another and asks the shared pages only when it leaves one.
pub(crate) struct Cursor<'a> {
    pages: &'a Pages,
    structure: &'static str,
    number: u64,
    page: Page,
}

impl Cursor<'_> {
    /// The `N` bytes at `offset` of the host file. They must not straddle a page: entries are aligned.
    pub(crate) fn word<const N: usize>(&mut self, offset: u64) -> Result<[u8; N]> {
        self.turn_to(offset)?;
        if self.page.is_empty() {
            return Ok([0; N]);
        }
        let at = usize::try_from(offset % PAGE).unwrap_or(usize::MAX);
        self.page
            .get(at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .copied()
            .ok_or_else(|| beyond(self.structure, offset, self.pages.file.len()))
    }

    /// The end of the stretch from `offset` in which the host stores nothing: all entries there are zero.
    /// `offset` itself when there is something.
    pub(crate) fn blank_until(&mut self, offset: u64) -> Result<u64> {
        self.turn_to(offset)?;
        Ok(if self.page.is_empty() {
            (offset / PAGE).saturating_add(1).saturating_mul(PAGE)
        } else {
            offset
        })
    }

    fn turn_to(&mut self, offset: u64) -> Result<()> {
        let number = offset / PAGE;
        if number != self.number {
            self.page = self.pages.page(number, self.structure)?;
            self.number = number;
        }
        Ok(())
    }
}

/// In which order a bitmap counts the bits of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitOrder {
    /// The first sector is the least significant bit (VHDX).
    Lsb,
    /// The first sector is the most significant bit (VHD).
    Msb,
}

/// The value of bit `from` of the bitmap at `base`, and how many bits up to `to` (not less than one) share it.
pub(crate) fn bit_run(
    cursor: &mut Cursor<'_>,
    base: u64,
    from: u64,
    to: u64,
    order: BitOrder,
) -> Result<(bool, u64)> {
    let mut at = from;
    let mut value = None;
    while at < to {
        let [byte] = cursor.word::<1>(base.saturating_add(at / 8))?;
        let byte = if order == BitOrder::Msb {
            byte.reverse_bits()
        } else {
            byte
        };
        let skip = u32::try_from(at % 8).unwrap_or(0);
        let rest = byte.checked_shr(skip).unwrap_or(0);
        let set = *value.get_or_insert(rest & 1 == 1);
        let same = if set {
            rest.trailing_ones()
        } else {
            rest.trailing_zeros()
        };
        let room = 8_u32.saturating_sub(skip);
        at = at.saturating_add(u64::from(same.min(room)));
        if same < room {
            break;
        }
    }
    Ok((value.unwrap_or(false), at.min(to).saturating_sub(from)))
}

fn beyond(structure: &'static str, offset: u64, len: u64) -> Error {
    Error::corrupt(
        structure,
        offset,
        format!("its entries lie past the end of the file, which has {len:#x} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::{Class, MemDisk};

    #[test]
    fn runs_of_bits_end_where_the_value_changes() {
        let pages = Pages::new(Arc::new(MemDisk::new(vec![0xff, 0x0f, 0x00, 0x80])));
        let lsb = |from, to| bit_run(&mut pages.cursor("bitmap"), 0, from, to, BitOrder::Lsb).unwrap();
        assert_eq!(lsb(0, 32), (true, 12));
        assert_eq!(lsb(3, 7), (true, 4));
        assert_eq!(lsb(12, 32), (false, 19));
        assert_eq!(lsb(31, 32), (true, 1));
        let msb = |from, to| bit_run(&mut pages.cursor("bitmap"), 0, from, to, BitOrder::Msb).unwrap();
        assert_eq!(msb(0, 32), (true, 8));
        assert_eq!(msb(8, 32), (false, 4));
        assert_eq!(msb(24, 32), (true, 1));
    }

    #[test]
    fn an_entry_past_the_end_names_its_table() {
        let pages = Pages::new(Arc::new(MemDisk::new(vec![7; 10])));
        let mut cursor = pages.cursor("BAT");
        assert_eq!(cursor.word::<2>(8).unwrap(), [7, 7]);
        let e = cursor.word::<4>(8).unwrap_err();
        assert_eq!((e.class(), e.place().unwrap().structure), (Class::Corrupt, "BAT"));
        assert_eq!(cursor.word::<4>(PAGE * 9).unwrap_err().class(), Class::Corrupt);
    }
}
