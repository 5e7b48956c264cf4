use super::cipher::SectorCipher;
use super::header::Header;
use crate::bytes::{index, wide};
use h2k_block::{BlockRead, BlockWrite, Result};
use std::sync::Arc;
use zeroize::Zeroizing;

/// An opened device without the device: the key and where the data lies. The key is wiped when this is dropped.
pub(crate) struct Keyed {
    cipher: SectorCipher,
    sector: usize,
    start: u64,
    len: u64,
    iv_tweak: u64,
}

impl Keyed {
    /// For a device of `room` bytes.
    pub(super) fn new(cipher: SectorCipher, header: &Header, room: u64) -> Self {
        let sector = u64::from(header.sector_size).max(512);
        let len = room.saturating_sub(header.data_start);
        let len = header.data_len.map_or(len, |says| says.min(len));
        Self {
            cipher,
            sector: index(sector),
            start: header.data_start,
            len: len.saturating_sub(len.checked_rem(sector).unwrap_or(0)),
            iv_tweak: header.iv_tweak,
        }
    }

    /// The first byte of the sector that holds `offset`.
    fn floor(&self, offset: u64) -> u64 {
        offset.saturating_sub(offset.checked_rem(wide(self.sector)).unwrap_or(0))
    }

    /// Numbers of sectors count 512 bytes, whatever size a sector has.
    fn number(&self, offset: u64) -> u64 {
        (offset / 512).wrapping_add(self.iv_tweak)
    }

    fn decrypt(&self, offset: u64, whole_sectors: &mut [u8]) {
        let mut at = offset;
        for sector in whole_sectors.chunks_exact_mut(self.sector) {
            self.cipher.decrypt(self.number(at), sector);
            at = at.saturating_add(wide(self.sector));
        }
    }

    fn encrypt(&self, offset: u64, whole_sectors: &mut [u8]) {
        let mut at = offset;
        for sector in whole_sectors.chunks_exact_mut(self.sector) {
            self.cipher.encrypt(self.number(at), sector);
            at = at.saturating_add(wide(self.sector));
        }
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The plain text of an encrypted device.
#[derive(Debug)]
pub(crate) struct Plain<D: ?Sized> {
    below: Arc<D>,
    keyed: Arc<Keyed>,
}

impl<D: BlockRead + ?Sized> Plain<D> {
    pub(crate) fn new(below: Arc<D>, keyed: Arc<Keyed>) -> Self {
        Self { below, keyed }
    }

    /// The sector that begins at `at`, decrypted.
    fn sector(&self, at: u64) -> Result<Zeroizing<Vec<u8>>> {
        let mut sector = Zeroizing::new(vec![0; self.keyed.sector]);
        self.below
            .read_at(self.keyed.start.saturating_add(at), &mut sector)?;
        self.keyed.decrypt(at, &mut sector);
        Ok(sector)
    }
}

/// How much of `len` bytes at `offset` lies in the sector that begins at `base`: bytes to skip there, and their count.
fn partial(offset: u64, base: u64, sector: usize, len: usize) -> (usize, usize) {
    let skip = index(offset.saturating_sub(base));
    (skip, sector.saturating_sub(skip).min(len))
}

impl<D: BlockRead + ?Sized> BlockRead for Plain<D> {
    fn len(&self) -> u64 {
        self.keyed.len
    }

    fn fetch(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        let sector = self.keyed.sector;
        while !buf.is_empty() {
            let base = self.keyed.floor(offset);
            let whole = buf
                .len()
                .saturating_sub(buf.len().checked_rem(sector).unwrap_or(0));
            let done = if base == offset && whole > 0 {
                let piece = buf.get_mut(..whole).unwrap_or_default();
                self.below
                    .read_at(self.keyed.start.saturating_add(offset), piece)?;
                self.keyed.decrypt(offset, piece);
                whole
            } else {
                let plain = self.sector(base)?;
                let (skip, n) = partial(offset, base, sector, buf.len());
                let from = plain.get(skip..).and_then(|p| p.get(..n)).unwrap_or_default();
                for (to, from) in buf.iter_mut().zip(from) {
                    *to = *from;
                }
                n
            };
            offset = offset.saturating_add(wide(done));
            buf = buf.get_mut(done..).unwrap_or_default();
        }
        Ok(())
    }

    fn grain(&self) -> u32 {
        self.below.grain()
    }
}

impl<D: BlockWrite + ?Sized> BlockWrite for Plain<D> {
    /// Sectors are read, changed and written: two threads must not write into one sector at the same time.
    fn store(&self, mut offset: u64, mut buf: &[u8]) -> Result<()> {
        let size = self.keyed.sector;
        while !buf.is_empty() {
            let base = self.keyed.floor(offset);
            let (skip, n) = partial(offset, base, size, buf.len());
            let (piece, rest) = buf.split_at_checked(n).unwrap_or((buf, &[]));
            let mut sector = if n == size {
                Zeroizing::new(vec![0; size])
            } else {
                self.sector(base)?
            };
            for (to, from) in sector.iter_mut().skip(skip).zip(piece) {
                *to = *from;
            }
            self.keyed.encrypt(base, &mut sector);
            self.below
                .write_at(self.keyed.start.saturating_add(base), &sector)?;
            offset = offset.saturating_add(wide(n));
            buf = rest;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.below.flush()
    }
}
