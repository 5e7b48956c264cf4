//! What sinks of block-mapped containers have in common.

use crate::guid::{Guid, mix};
use h2k_block::{Batch, Body, HostFile, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table whose entries are set in ascending order: only the page that is being filled is in memory.
pub(crate) struct TableWriter {
    file: Arc<dyn HostFile>,
    offset: u64,
    fill: u8,
    page: Vec<u8>,
    number: u64,
    /// Bytes from the start of the page that were set.
    used: usize,
}

const PAGE: usize = 65536;

impl TableWriter {
    /// A table at `offset` of `file`. Entries that are not set are `fill` within the pages that are written; pages
    /// in which nothing is set are left as the file has them.
    pub(crate) fn new(file: Arc<dyn HostFile>, offset: u64, fill: u8) -> Self {
        Self {
            file,
            offset,
            fill,
            page: vec![fill; PAGE],
            number: 0,
            used: 0,
        }
    }

    /// Sets the entry at byte `at` of the table. Entries do not straddle pages, and `at` never falls.
    pub(crate) fn put(&mut self, at: u64, entry: &[u8]) -> Result<()> {
        let page_len = u64::try_from(PAGE).unwrap_or(1);
        let number = at.checked_div(page_len).unwrap_or(0);
        if number != self.number {
            self.flush()?;
            self.number = number;
        }
        let within = usize::try_from(at.checked_rem(page_len).unwrap_or(0)).unwrap_or(0);
        let end = within.saturating_add(entry.len());
        if let Some(slot) = self.page.get_mut(within..end) {
            slot.copy_from_slice(entry);
            self.used = self.used.max(end);
        }
        Ok(())
    }

    /// Writes what is in memory.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let used = self.page.get(..self.used).unwrap_or_default();
        if !used.is_empty() {
            let at = self.number.saturating_mul(u64::try_from(PAGE).unwrap_or(0));
            self.file.write_at(self.offset.saturating_add(at), used)?;
        }
        self.page.fill(self.fill);
        self.used = 0;
        Ok(())
    }
}

/// An identity that depends on what a disk holds, not on the order in which it was written.
///
/// Every plain piece adds a number made of its place and of the checksum of its first 4 KiB: cheap, and enough to
/// tell two disks of one size apart. It identifies; it does not prove anything about the content.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    sum: AtomicU64,
    other: AtomicU64,
}

impl Identity {
    /// Takes the plain pieces of a batch into account.
    pub(crate) fn add(&self, batch: &Batch) {
        let (mut sum, mut other) = (0_u64, 0_u64);
        for piece in batch.pieces.iter().filter(|p| p.body == Body::Plain) {
            let bytes = batch.bytes(piece);
            let crc = u64::from(crc32c::crc32c(bytes.get(..4096).unwrap_or(bytes)));
            let one = mix(piece.start ^ crc.rotate_left(32));
            sum = sum.wrapping_add(one);
            other = other.wrapping_add(mix(one));
        }
        self.sum.fetch_add(sum, Ordering::Relaxed);
        self.other.fetch_add(other, Ordering::Relaxed);
    }

    /// A GUID of this content, `salt` (size, options) and `tag` (which of several GUIDs).
    pub(crate) fn guid(&self, salt: u64, tag: u64) -> Guid {
        let high = self.sum.load(Ordering::Relaxed) ^ mix(salt);
        let low = self.other.load(Ordering::Relaxed) ^ mix(tag);
        Guid::from_seed(high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h2k_block::{MemDisk, Piece};

    #[test]
    fn a_table_is_written_page_by_page_and_untouched_pages_stay() {
        let file = Arc::new(MemDisk::new(vec![0; 4 * PAGE]));
        let mut table = TableWriter::new(file.clone(), 16, 0xff);
        table.put(8, &[1, 2, 3, 4]).unwrap();
        table.put(131_072, &[5, 6]).unwrap();
        table.flush().unwrap();
        let all = file.to_vec();
        assert_eq!(
            all[16..29],
            [255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4, 0]
        );
        assert!(h2k_block::is_zero(&all[29..2 * PAGE + 16]));
        assert_eq!(all[2 * PAGE + 16..2 * PAGE + 19], [5, 6, 0]);
    }

    #[test]
    fn identity_does_not_depend_on_order_but_on_place_and_bytes() {
        let piece = |start, byte| Batch {
            start,
            len: 1,
            guest: [byte].as_slice().into(),
            coded: Vec::new(),
            pieces: vec![Piece {
                start,
                len: 1,
                body: Body::Plain,
                host: 0,
            }],
        };
        let of = |batches: &[Batch]| {
            let identity = Identity::default();
            batches.iter().for_each(|b| identity.add(b));
            identity.guid(0, 0)
        };
        assert_eq!(of(&[piece(0, 1), piece(1, 2)]), of(&[piece(1, 2), piece(0, 1)]));
        assert_ne!(of(&[piece(0, 1), piece(1, 2)]), of(&[piece(0, 2), piece(1, 1)]));
    }
}
