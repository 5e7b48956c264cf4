//! Compressed grains: many read in one piece, each decoded straight into the caller's buffer.

use super::layout::{Marker, SECTOR};
use super::sparse::{Coding, Sparse, Table};
use crate::codec::{self, Decoder};
use h2k_block::{Buffer, Cache, Error, Pool, Result};
use std::sync::Arc;
use zerocopy::FromBytes;

/// Most bytes of the file read at once, rounded up to a grain.
const SPAN: u64 = 1 << 20;

/// Bytes of decoded grains kept for readers that want parts of them.
const GRAIN_CACHE: u64 = 1 << 20;

/// What readers of compressed grains share.
pub(super) struct Streams {
    decoder: Decoder,
    /// Compressed bytes on their way into the decoder.
    coded: Pool<Buffer>,
    /// Whole grains of which a reader wanted a part.
    grains: Cache<Vec<u8>>,
}

impl Streams {
    /// `grain` is the largest one of the disk, in bytes.
    pub(super) fn new(grain: u64) -> Self {
        Self {
            decoder: Decoder::default(),
            coded: Pool::default(),
            grains: Cache::new(GRAIN_CACHE, grain),
        }
    }

    /// Fills `buf` from byte `at` of `sparse`, all in grains of `table` that are stored, beginning with `index`.
    pub(super) fn read(
        &self,
        sparse: &Sparse,
        table: &Table,
        index: u64,
        at: u64,
        buf: &mut [u8],
    ) -> Result<()> {
        let grain = sparse.shape.grain;
        let size = usize::try_from(grain).unwrap_or(usize::MAX).max(1);
        let skip = usize::try_from(at.checked_rem(grain).unwrap_or(0)).unwrap_or(0);
        let head = if skip == 0 {
            0
        } else {
            size.saturating_sub(skip).min(buf.len())
        };
        let (head, rest) = buf.split_at_mut(head);
        let whole = rest.len().checked_div(size).unwrap_or(0);
        let (whole, tail) = rest.split_at_mut(whole.saturating_mul(size));
        let mut next = index;
        let mut start = at.saturating_sub(u64::try_from(skip).unwrap_or(0));
        if !head.is_empty() {
            self.part(sparse, table, next, start, skip, head)?;
            next = next.saturating_add(1);
            start = start.saturating_add(grain);
        }
        let mut left = whole;
        while !left.is_empty() {
            let count = left.len().checked_div(size).unwrap_or(1);
            let span = span(sparse, table, next, u64::try_from(count).unwrap_or(1))?;
            let n = usize::try_from(span.count)
                .unwrap_or(1)
                .saturating_mul(size)
                .min(left.len());
            let (now, later) = left.split_at_mut(n);
            self.coded.with(Buffer::default, |coded| {
                span.load(sparse, coded)?;
                for (piece, i) in now.chunks_mut(size).zip(0_u64..) {
                    let guest = start.saturating_add(i.saturating_mul(grain));
                    let from = stored(sparse, table, next.saturating_add(i))?;
                    self.decode(sparse, span.bytes(coded, from), from, guest, piece)?;
                }
                Ok::<(), Error>(())
            })?;
            next = next.saturating_add(span.count);
            start = start.saturating_add(span.count.saturating_mul(grain));
            left = later;
        }
        if !tail.is_empty() {
            self.part(sparse, table, next, start, 0, tail)?;
        }
        Ok(())
    }

    /// Fills `dst` from byte `skip` of the grain that begins at byte `start` of the extent.
    fn part(
        &self,
        sparse: &Sparse,
        table: &Table,
        index: u64,
        start: u64,
        skip: usize,
        dst: &mut [u8],
    ) -> Result<()> {
        let whole = self.grains.get(sparse.grain_key(start), || {
            let mut whole = vec![0_u8; usize::try_from(sparse.shape.grain).unwrap_or(0)];
            let span = span(sparse, table, index, 1)?;
            self.coded.with(Buffer::default, |coded| {
                span.load(sparse, coded)?;
                self.decode(
                    sparse,
                    span.bytes(coded, span.start),
                    span.start,
                    start,
                    &mut whole,
                )
            })?;
            Ok::<_, Error>(Arc::new(whole))
        })?;
        let src = whole.get(skip..).and_then(|w| w.get(..dst.len()));
        let src = src.ok_or_else(|| Error::corrupt("grain", start, "more was asked than a grain holds"))?;
        dst.copy_from_slice(src);
        Ok(())
    }

    /// Decodes the grain whose header is at the front of `coded` and at `from` in the file.
    fn decode(&self, sparse: &Sparse, coded: &[u8], from: u64, guest: u64, dst: &mut [u8]) -> Result<()> {
        let corrupt = |what: String| {
            Error::corrupt("compressed grain", from, what).through(sparse.file.name().display().to_string())
        };
        let cut = || corrupt("it runs past what is stored there".to_owned());
        let (lba, len, body) = if sparse.shape.coding == (Coding::Zlib { lba: true }) {
            let (marker, body) = Marker::read_from_prefix(coded).map_err(|_| cut())?;
            (Some(marker.val.get()), marker.size.get(), body)
        } else {
            let (len, body) = coded.split_first_chunk::<4>().ok_or_else(cut)?;
            (None, u32::from_le_bytes(*len), body)
        };
        let expected = guest / SECTOR;
        if lba.is_some_and(|lba| lba != expected) {
            return Err(corrupt(format!(
                "its marker is for sector {:#x} of the disk, the grain table put it at {expected:#x}",
                lba.unwrap_or(0)
            )));
        }
        let body = usize::try_from(len)
            .ok()
            .and_then(|len| body.get(..len))
            .ok_or_else(cut)?;
        let out = self
            .decoder
            .decode(codec::Coding::Zlib, body, dst)
            .map_err(|_| corrupt(format!("its {len} bytes are not a zlib stream of one grain")))?;
        // The last grain of a disk may have been cut to the capacity.
        let need = sparse
            .shape
            .capacity
            .saturating_sub(guest)
            .min(sparse.shape.grain);
        if u64::try_from(out).unwrap_or(0) < need {
            return Err(corrupt(format!("it decodes to {out} bytes instead of {need}")));
        }
        Ok(())
    }
}

/// A stretch of the file that holds `count` grains, one behind the other.
struct Span {
    start: u64,
    end: u64,
    count: u64,
}

impl Span {
    /// Where the read begins: at a page of the file, as the buffer does in memory. The kernel copies whole pages then.
    fn low(&self) -> u64 {
        self.start & !0xfff
    }

    fn load(&self, sparse: &Sparse, coded: &mut Buffer) -> Result<()> {
        let len = self.end.saturating_sub(self.low());
        coded.stretch(usize::try_from(len).unwrap_or(0));
        sparse.file.read_at(self.low(), coded)
    }

    /// What was fetched from file offset `from` on.
    fn bytes<'a>(&self, coded: &'a [u8], from: u64) -> &'a [u8] {
        let begin = usize::try_from(from.saturating_sub(self.low())).unwrap_or(usize::MAX);
        let end = usize::try_from(self.end.saturating_sub(self.low())).unwrap_or(0);
        coded.get(begin..end).unwrap_or_default()
    }
}

/// The longest span that begins with grain `index` of `table` and has at most `most` grains.
fn span(sparse: &Sparse, table: &Table, index: u64, most: u64) -> Result<Span> {
    // A stored block of deflate is a little longer than its content; twice the grain is generous.
    let longest = sparse.shape.grain.saturating_mul(2).saturating_add(2 * SECTOR);
    let start = stored(sparse, table, index)?;
    let mut last = start;
    let mut count = 1;
    while count < most {
        let next = stored(sparse, table, index.saturating_add(count))?;
        let near = next > last && next.saturating_sub(last) <= longest;
        if !near || next.saturating_sub(start) > SPAN {
            break;
        }
        last = next;
        count = count.saturating_add(1);
    }
    // Where the last one ends is in its header; the next grain begins behind it, if it is near.
    let next = table
        .stored(index.saturating_add(count))
        .filter(|next| *next > last);
    let end = next
        .unwrap_or(u64::MAX)
        .min(last.saturating_add(longest))
        .min(sparse.file.len());
    Ok(Span { start, end, count })
}

fn stored(sparse: &Sparse, table: &Table, index: u64) -> Result<u64> {
    table.stored(index).ok_or_else(|| {
        Error::corrupt("grain table", index, "a grain is not where its run said")
            .through(sparse.file.name().display().to_string())
    })
}
