//! Reading fields out of slices without panics.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The structure at `at`, if it is all there.
pub(crate) fn at<T: FromBytes + KnownLayout + Immutable + Unaligned>(bytes: &[u8], at: usize) -> Option<&T> {
    T::ref_from_prefix(bytes.get(at..)?).ok().map(|(found, _)| found)
}

/// A little-endian word at `at`, if it is all there.
pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

/// 64 bits from two halves.
pub(crate) fn wide(lo: u32, hi: u32) -> u64 {
    u64::from(lo) | u64::from(hi).rotate_left(32)
}
