//! Fields and bits in byte buffers. Places come from layouts and checked counts; one that lies outside is left alone.

/// 16 bits, 0 where there are none.
pub(crate) fn get16(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk::<2>())
        .map_or(0, |b| u16::from_le_bytes(*b))
}

/// 32 bits, 0 where there are none.
pub(crate) fn get32(bytes: &[u8], at: usize) -> u32 {
    crate::bytes::le32(bytes, at).unwrap_or(0)
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let end = at.saturating_add(value.len());
    if let Some(to) = bytes.get_mut(at..end) {
        to.copy_from_slice(value);
    }
}

pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn fill(bytes: &mut [u8], at: usize, len: usize) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(len)) {
        to.fill(0);
    }
}

/// The lower half.
pub(crate) fn low16(value: u32) -> u16 {
    let [a, b, _, _] = value.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The upper half.
pub(crate) fn high16(value: u32) -> u16 {
    let [_, _, a, b] = value.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// The lower half.
pub(crate) fn low32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The upper half.
pub(crate) fn high32(value: u64) -> u32 {
    low32(value >> 32)
}

/// Lengths as offsets.
pub(crate) fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Offsets as lengths; what does not fit is too large for anything.
pub(crate) fn narrow(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn mask(n: u64) -> u8 {
    1_u8.rotate_left(u32::try_from(n & 7).unwrap_or(0))
}

/// Whether bit `n` is set; what lies outside counts as set.
pub(crate) fn bit(bits: &[u8], n: u64) -> bool {
    bits.get(narrow(n >> 3)).is_none_or(|byte| byte & mask(n) != 0)
}

pub(crate) fn set_bit(bits: &mut [u8], n: u64, to: bool) {
    if let Some(byte) = bits.get_mut(narrow(n >> 3)) {
        if to {
            *byte |= mask(n);
        } else {
            *byte &= !mask(n);
        }
    }
}

/// Bits below `end` that are not set.
pub(crate) fn count_free(bits: &[u8], end: u64) -> u64 {
    let whole = narrow(end >> 3);
    let (head, tail) = bits.split_at_checked(whole).unwrap_or((bits, &[]));
    let mut free: u64 = head.iter().map(|b| u64::from(b.count_zeros())).sum();
    if let Some(last) = tail.first() {
        let rest = u32::try_from(end & 7).unwrap_or(0);
        for n in 0..rest {
            free = free.saturating_add(u64::from(last.rotate_right(n) & 1 == 0));
        }
    }
    free
}

/// Sets every bit from `start` to the end of the block.
pub(crate) fn pad(bits: &mut [u8], start: u64) {
    let end = wide(bits.len()).saturating_mul(8);
    crate::used::mark(bits, start, end.saturating_sub(start));
}
