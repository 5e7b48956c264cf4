//! Fields out of byte slices, for structures too varied for a fixed layout, and reads that know their size.

use h2k_block::{BlockRead, Result};

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

/// Whether `bytes` hold `what` at `at`.
pub(crate) fn has(bytes: &[u8], at: usize, what: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|b| b.starts_with(what))
}

/// `usize` into `u64`: never loses anything on the machines this runs on.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// `u64` into `usize`, for indices that are range-checked where they are used.
pub(crate) fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The `N` bytes at `offset`, or `None` when the disk ends before.
pub(crate) fn peek<const N: usize>(disk: &dyn BlockRead, offset: u64) -> Result<Option<[u8; N]>> {
    let mut buf = [0; N];
    if offset.checked_add(wide(N)).is_none_or(|end| end > disk.len()) {
        return Ok(None);
    }
    disk.read_at(offset, &mut buf)?;
    Ok(Some(buf))
}

/// Up to `len` bytes at `offset`: fewer where the disk ends before. `len` must already be bounded.
pub(crate) fn clipped(disk: &dyn BlockRead, offset: u64, len: usize) -> Result<Vec<u8>> {
    let room = index(disk.len().saturating_sub(offset));
    let mut buf = vec![0; len.min(room)];
    if !buf.is_empty() {
        disk.read_at(offset, &mut buf)?;
    }
    Ok(buf)
}

/// Bytes up to the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// UTF-16LE up to the first NUL, unpaired surrogates replaced.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units
        .iter()
        .map(|u| u16::from_le_bytes(*u))
        .take_while(|u| *u != 0);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
