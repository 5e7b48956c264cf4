//! Little-endian fields of a slice, and the few conversions between widths.

/// `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The 16-bit field at `at`.
pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The 32-bit field at `at`.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The 64-bit field at `at`.
pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// The UTF-16 units of `bytes`; half a unit at the end is left out.
pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone + '_ {
    let (pairs, _half) = bytes.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// A length or offset of the file as an index: saturates where memory could not hold it anyway.
pub(crate) fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length in memory as a field of the file: saturates, and a hive that large is refused before.
pub(crate) fn field(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A length in memory as a position for messages.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Up to the next multiple of `unit`, a power of two.
pub(crate) fn round_up(n: usize, unit: usize) -> usize {
    n.saturating_add(unit.saturating_sub(1)) & !unit.saturating_sub(1)
}
