use crate::{BlockRead, BlockWrite, Class, Error, Extent, HostFile, Kind, RawSpan, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const PAGE: u64 = 4096;
const PAGE_BYTES: usize = 4096;
static ZERO_PAGE: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Pages a spill file grows by.
const GROWTH: u64 = 256;

/// Where the bytes of an edited page are.
enum Page {
    Memory(Box<[u8; PAGE_BYTES]>),
    /// In the spill file, at this multiple of the page size.
    Spilled(u64),
}

/// What was edited, in pages. A page with bytes hides a range of zeros, and that hides the disk below.
#[derive(Default)]
struct Pages {
    bytes: BTreeMap<u64, Page>,
    /// How many of them are in memory.
    held: u64,
    /// Places in the spill file that were used and are free again.
    free: Vec<u64>,
    /// Places in the spill file that were ever used.
    spilled: u64,
    /// First page to first page after: apart from each other, never split, only joined.
    zeros: BTreeMap<u64, u64>,
}

/// One edit, as [`Overlay::edits`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// These bytes at this offset; at most a page.
    Bytes(u64, &'a [u8]),
    /// Zeros, any length.
    Zeros(Range<u64>),
}

impl Pages {
    /// The first page after the run of zeros that covers `page`, if one does.
    fn zeros_until(&self, page: u64) -> Option<u64> {
        let (_, end) = self.zeros.range(..=page).next_back()?;
        (*end > page).then_some(*end)
    }

    /// The first page with bytes at or after `page`.
    fn next_bytes(&self, page: u64) -> Option<u64> {
        self.bytes.range(page..).next().map(|(page, _)| *page)
    }

    /// The first page at or after `page` that hides the disk below.
    fn next_edit(&self, page: u64) -> Option<u64> {
        if self.zeros_until(page).is_some() {
            return Some(page);
        }
        let zeros = self.zeros.range(page..).next().map(|(start, _)| *start);
        match (self.next_bytes(page), zeros) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn zero(&mut self, mut first: u64, mut last: u64) {
        let gone: Vec<u64> = self.bytes.range(first..last).map(|(page, _)| *page).collect();
        for page in gone {
            match self.bytes.remove(&page) {
                Some(Page::Memory(_)) => self.held = self.held.saturating_sub(1),
                Some(Page::Spilled(slot)) => self.free.push(slot),
                None => {}
            }
        }
        // Join what overlaps or touches.
        while let Some((start, end)) = self.zeros.range(..=last).next_back()
            && *end >= first
        {
            let (start, end) = (*start, *end);
            first = first.min(start);
            last = last.max(end);
            self.zeros.remove(&start);
        }
        self.zeros.insert(first, last);
    }
}

/// Edits kept apart from the disk they edit. Fixes and replayed journals land here; the source stays as it was.
///
/// Kept in memory, 4 KiB a page: right for fixes and journals, wrong for rewriting a whole guest. What it may
/// take is bounded by [`Overlay::with_limit`]; [`Overlay::spilling`] goes on in a file of the host.
pub struct Overlay {
    below: Arc<dyn BlockRead>,
    pages: RwLock<Pages>,
    limit: u64,
    spill: Option<Arc<dyn HostFile>>,
}

impl Overlay {
    /// An overlay with no edits yet, and no bound but memory.
    #[must_use]
    pub fn new(below: Arc<dyn BlockRead>) -> Self {
        Self::with_limit(below, u64::MAX)
    }

    /// The same, for at most `bytes` of edited pages in memory; runs of zeros do not count. A write beyond that
    /// fails with [`Class::Limit`] and changes nothing.
    #[must_use]
    pub fn with_limit(below: Arc<dyn BlockRead>, bytes: u64) -> Self {
        Self {
            below,
            pages: RwLock::default(),
            limit: bytes / PAGE,
            spill: None,
        }
    }

    /// The same; edited pages beyond `bytes` go to `file`, whose content is lost. It holds nothing that means
    /// anything without this overlay, and is best one that nobody else can name.
    #[must_use]
    pub fn spilling(below: Arc<dyn BlockRead>, bytes: u64, file: Arc<dyn HostFile>) -> Self {
        Self {
            spill: Some(file),
            ..Self::with_limit(below, bytes)
        }
    }

    /// How many pages are in memory.
    #[must_use]
    pub fn held_pages(&self) -> u64 {
        self.read().held
    }

    /// How many 4 KiB pages were touched.
    #[must_use]
    pub fn dirty_pages(&self) -> usize {
        let pages = self.read();
        let mut count = pages.bytes.len();
        for (first, last) in &pages.zeros {
            let hidden = pages.bytes.range(first..last).count();
            let zeros = usize::try_from(last.saturating_sub(*first)).unwrap_or(usize::MAX);
            count = count.saturating_add(zeros).saturating_sub(hidden);
        }
        count
    }

    /// Shows every edited page in ascending order, clipped to the disk, until `show` fails.
    ///
    /// # Errors
    /// What `show` returns.
    pub fn each(&self, show: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        self.edits(&mut |edit| match edit {
            Edit::Bytes(at, bytes) => show(at, bytes),
            Edit::Zeros(range) => {
                let mut at = range.start;
                while at < range.end {
                    let n = range.end.saturating_sub(at).min(PAGE);
                    show(at, crate::zeros(n))?;
                    at = at.saturating_add(n);
                }
                Ok(())
            }
        })
    }

    /// Shows every edit in ascending order, clipped to the disk, until `show` fails. Edits do not overlap.
    ///
    /// # Errors
    /// What `show` returns.
    pub fn edits(&self, show: &mut dyn FnMut(Edit<'_>) -> Result<()>) -> Result<()> {
        let pages = self.read();
        let len = self.below.len();
        let mut page = 0;
        while let Some(next) = pages.next_edit(page) {
            let at = next.saturating_mul(PAGE);
            if let Some(edited) = pages.bytes.get(&next) {
                let room = usize::try_from(len.saturating_sub(at).min(PAGE)).unwrap_or(PAGE_BYTES);
                let mut copy = ZERO_PAGE;
                let bytes = match edited {
                    Page::Memory(bytes) => bytes,
                    Page::Spilled(slot) => {
                        self.fetch_spilled(*slot, 0, &mut copy)?;
                        &copy
                    }
                };
                show(Edit::Bytes(at, bytes.get(..room).unwrap_or_default()))?;
                page = next.saturating_add(1);
            } else {
                let end = pages.zeros_until(next).unwrap_or(next.saturating_add(1));
                page = pages.next_bytes(next).map_or(end, |bytes| bytes.min(end));
                show(Edit::Zeros(at..page.saturating_mul(PAGE).min(len)))?;
            }
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.pages.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> Result<&dyn HostFile> {
        self.spill
            .as_deref()
            .ok_or_else(|| Error::new(Class::Invalid, "a page was spilled without a file to spill to"))
    }

    fn fetch_spilled(&self, slot: u64, skip: usize, buf: &mut [u8]) -> Result<()> {
        let at = slot.saturating_mul(PAGE);
        let at = at.saturating_add(u64::try_from(skip).unwrap_or(u64::MAX));
        self.file()?
            .read_at(at, buf)
            .map_err(|e| e.through("overlay's spill file"))
    }

    fn store_spilled(&self, slot: u64, skip: usize, bytes: &[u8]) -> Result<()> {
        let file = self.file()?;
        let end = slot.saturating_add(1).saturating_mul(PAGE);
        let at = slot.saturating_mul(PAGE);
        let at = at.saturating_add(u64::try_from(skip).unwrap_or(u64::MAX));
        let stored = if file.len() < end {
            file.set_len(end.saturating_add(GROWTH.saturating_mul(PAGE)))
        } else {
            Ok(())
        };
        stored
            .and_then(|()| file.write_at(at, bytes))
            .map_err(|e| e.through("overlay's spill file"))
    }

    /// What lies below a page: the bytes a partial write leaves alone.
    fn base(&self, page: u64) -> Result<Box<[u8; PAGE_BYTES]>> {
        let base = page.saturating_mul(PAGE);
        let mut fresh = Box::new(ZERO_PAGE);
        let room = self.below.len().saturating_sub(base).min(PAGE);
        let room = usize::try_from(room).unwrap_or(PAGE_BYTES);
        if let Some(head) = fresh.get_mut(..room) {
            self.below.read_at(base, head)?;
        }
        Ok(fresh)
    }
}

/// The pages that `len` bytes at `offset` touch: page number, bytes to skip in it, range in the buffer.
fn touched(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
    let mut done = 0_usize;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        let skip = usize::try_from(at % PAGE).unwrap_or(0);
        let n = len.saturating_sub(done).min(PAGE_BYTES.saturating_sub(skip));
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
        // Below first: a page that appears in between is then seen whole. Pages never go away.
        self.below.read_at(offset, buf)?;
        let pages = self.read();
        if pages.bytes.is_empty() && pages.zeros.is_empty() {
            return Ok(());
        }
        for (page, skip, piece) in touched(offset, buf.len()) {
            let Some(dst) = buf.get_mut(piece) else {
                continue;
            };
            match pages.bytes.get(&page) {
                Some(Page::Memory(edited)) => {
                    if let Some(src) = edited.get(skip..).and_then(|s| s.get(..dst.len())) {
                        dst.copy_from_slice(src);
                    }
                }
                Some(Page::Spilled(slot)) => self.fetch_spilled(*slot, skip, dst)?,
                None if pages.zeros_until(page).is_some() => dst.fill(0),
                None => {}
            }
        }
        Ok(())
    }

    fn map(&self, offset: u64, end: u64) -> Result<Extent> {
        let pages = self.read();
        let first = offset / PAGE;
        let (kind, after) = if pages.bytes.contains_key(&first) {
            let mut after = first;
            for (page, _) in pages.bytes.range(first..) {
                if *page != after || after.saturating_mul(PAGE) >= end {
                    break;
                }
                after = after.saturating_add(1);
            }
            (Kind::Data, after)
        } else if let Some(until) = pages.zeros_until(first) {
            (
                Kind::Zero,
                pages.next_bytes(first).map_or(until, |bytes| bytes.min(until)),
            )
        } else {
            let next = pages.next_edit(first).unwrap_or(u64::MAX);
            drop(pages);
            return self.below.extent_at(offset, next.saturating_mul(PAGE).min(end));
        };
        let stop = after.saturating_mul(PAGE).min(end);
        Ok(Extent::new(offset, stop.saturating_sub(offset), kind))
    }

    fn raw_at(&self, offset: u64, end: u64) -> Result<Option<RawSpan>> {
        let next = self.read().next_edit(offset / PAGE).unwrap_or(u64::MAX);
        let end = next.saturating_mul(PAGE).min(end);
        if end <= offset {
            return Ok(None);
        }
        self.below.raw_at(offset, end)
    }

    fn grain(&self) -> u32 {
        self.below.grain()
    }
}

impl BlockWrite for Overlay {
    fn store(&self, offset: u64, buf: &[u8]) -> Result<()> {
        // What can fail happens before anything is changed, but for what the spill file's host does. Pages read below
        // while we hold the lock: two writers of one page must not both start from what lies there.
        let mut pages = self.write();
        let mut fresh = Vec::new();
        let (mut held, mut spilled, mut taken) = (pages.held, pages.spilled, 0_usize);
        for (page, skip, piece) in touched(offset, buf.len()) {
            if pages.bytes.contains_key(&page) {
                continue;
            }
            let whole = skip == 0 && piece.len() == PAGE_BYTES;
            let bytes = if whole || pages.zeros_until(page).is_some() {
                Box::new(ZERO_PAGE)
            } else {
                self.base(page)?
            };
            if held < self.limit {
                held = held.saturating_add(1);
                fresh.push((page, Page::Memory(bytes)));
                continue;
            }
            if self.spill.is_none() {
                return Err(Error::new(
                    Class::Limit,
                    format!("the edits need more than {} pages of memory", self.limit),
                )
                .at("overlay", offset));
            }
            let again = pages.free.iter().rev().nth(taken).copied();
            let slot = again.unwrap_or(spilled);
            if again.is_some() {
                taken = taken.saturating_add(1);
            } else {
                spilled = spilled.saturating_add(1);
            }
            self.store_spilled(slot, 0, bytes.as_slice())?;
            fresh.push((page, Page::Spilled(slot)));
        }
        let left = pages.free.len().saturating_sub(taken);
        pages.free.truncate(left);
        (pages.held, pages.spilled) = (held, spilled);
        pages.bytes.extend(fresh);
        for (page, skip, piece) in touched(offset, buf.len()) {
            let Some(src) = buf.get(piece) else {
                continue;
            };
            match pages.bytes.get_mut(&page) {
                Some(Page::Memory(edited)) => {
                    if let Some(dst) = edited.get_mut(skip..).and_then(|s| s.get_mut(..src.len())) {
                        dst.copy_from_slice(src);
                    }
                }
                Some(Page::Spilled(slot)) => self.store_spilled(*slot, skip, src)?,
                None => {}
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// Whole pages become a run that costs nothing; only the two ends cost memory.
    fn store_zeros(&self, range: Range<u64>) -> Result<()> {
        let len = self.len();
        if range.end > len || range.start > range.end {
            return Err(Error::new(
                Class::OutOfBounds,
                format!(
                    "{:#x}..{:#x} to be zeroed, disk has {len} bytes",
                    range.start, range.end
                ),
            ));
        }
        let first = range.start.div_ceil(PAGE);
        // The disk's last page may be a short one.
        let last = if range.end == len {
            range.end.div_ceil(PAGE)
        } else {
            range.end / PAGE
        };
        if first >= last {
            let n = range.end.saturating_sub(range.start);
            return self.write_at(range.start, crate::zeros(n));
        }
        let head = first.saturating_mul(PAGE).saturating_sub(range.start);
        self.write_at(range.start, crate::zeros(head))?;
        let tail_at = last.saturating_mul(PAGE);
        let tail = range.end.saturating_sub(tail_at);
        self.write_at(tail_at.min(range.end), crate::zeros(tail))?;
        self.write().zero(first, last);
        Ok(())
    }
}
