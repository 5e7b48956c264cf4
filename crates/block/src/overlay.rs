use crate::{BlockRead, BlockWrite, Extent, Kind, RawSpan, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

const PAGE: u64 = 4096;

type Pages = BTreeMap<u64, Box<[u8]>>;

/// Edits kept apart from the disk they edit. Fixes and replayed journals land here; the source stays as it was.
pub struct Overlay {
    below: Arc<dyn BlockRead>,
    pages: RwLock<Pages>,
}

impl Overlay {
    /// An overlay with no edits yet.
    #[must_use]
    pub fn new(below: Arc<dyn BlockRead>) -> Self {
        Self {
            below,
            pages: RwLock::default(),
        }
    }

    /// How many 4 KiB pages were touched.
    #[must_use]
    pub fn dirty_pages(&self) -> usize {
        self.read().len()
    }

    /// Shows every edited page in ascending order, clipped to the disk, until `show` fails.
    ///
    /// # Errors
    /// What `show` returns.
    pub fn each(&self, show: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        for (page, bytes) in self.read().iter() {
            let at = page.saturating_mul(PAGE);
            let room = usize::try_from(self.below.len().saturating_sub(at)).unwrap_or(usize::MAX);
            show(at, bytes.get(..room.min(bytes.len())).unwrap_or_default())?;
        }
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Pages> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages that `len` bytes at `offset` touch: page number, bytes to skip in it, range in the buffer.
fn touched(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0_usize;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        let skip = usize::try_from(at % PAGE).unwrap_or(0);
        let room = usize::try_from(PAGE).unwrap_or(4096).saturating_sub(skip);
        let n = len.saturating_sub(done).min(room);
        let piece = done..done.saturating_add(n);
        done = piece.end;
        Some((at / PAGE, skip, piece))
    })
}

impl BlockRead for Overlay {
    fn len(&self) -> u64 {
        self.below.len()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.below.read_at(offset, buf)?;
        let pages = self.read();
        if pages.is_empty() {
            return Ok(());
        }
        for (page, skip, piece) in touched(offset, buf.len()) {
            if let Some(edited) = pages.get(&page)
                && let Some(dst) = buf.get_mut(piece)
                && let Some(src) = edited.get(skip..).and_then(|s| s.get(..dst.len()))
            {
                dst.copy_from_slice(src);
            }
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let page = offset / PAGE;
        let pages = self.read();
        if pages.contains_key(&page) {
            let page_end = page.saturating_add(1).saturating_mul(PAGE).min(end);
            return Ok(Extent::new(offset, page_end.saturating_sub(offset), Kind::Data));
        }
        let next = pages
            .range(page..)
            .next()
            .map_or(end, |(p, _)| p.saturating_mul(PAGE))
            .min(end);
        self.below.extent_at(offset, next)
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let page = offset / PAGE;
        let pages = self.read();
        if pages.contains_key(&page) {
            return Ok(None);
        }
        let next = pages
            .range(page..)
            .next()
            .map_or(end, |(p, _)| p.saturating_mul(PAGE))
            .min(end);
        self.below.raw_at(offset, next)
    }

    fn grain(&self) -> u32 {
        self.below.grain()
    }
}

impl BlockWrite for Overlay {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        for (page, skip, piece) in touched(offset, buf.len()) {
            let edited = match pages.entry(page) {
                std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    let base = page.saturating_mul(PAGE);
                    let mut fresh = vec![0_u8; 4096].into_boxed_slice();
                    let room = usize::try_from(self.below.len().saturating_sub(base)).unwrap_or(4096);
                    if let Some(head) = fresh.get_mut(..room.min(4096)) {
                        self.below.read_at(base, head)?;
                    }
                    slot.insert(fresh)
                }
            };
            if let Some(src) = buf.get(piece)
                && let Some(dst) = edited.get_mut(skip..).and_then(|s| s.get_mut(..src.len()))
            {
                dst.copy_from_slice(src);
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}
