//! LZX as WIM files and compressed system files use it: chunks of 32 KiB, each on its own, with the translation of
//! x86 call targets always on.
//!
//! Sources: Microsoft's "LZX Compression Format" and the published description of the WIM variant (window of 2^15,
//! a bit instead of a size for blocks of 32 KiB, a file size of 12,000,000 for the translation).

use crate::lznt1::copy;
use crate::xpress::{Bits, Codes};

/// Largest chunk.
pub const CHUNK: usize = 32768;
const SLOTS: usize = 30;
const MAIN: usize = 256 + 8 * SLOTS;
const LENGTHS: usize = 249;
const FILE_SIZE: i32 = 12_000_000;

/// Decodes one chunk: fills all of `dst`, at most [`CHUNK`] bytes.
///
/// # Errors
/// A sentence that says what is damaged.
pub fn decode(src: &[u8], dst: &mut [u8]) -> Result<(), String> {
    if dst.len() > CHUNK {
        return Err(format!("a chunk of {} bytes is too large", dst.len()));
    }
    let mut main = vec![0_u8; MAIN];
    let mut lengths = vec![0_u8; LENGTHS];
    let mut recent = [1_usize; 3];
    let mut bits = Bits::new(src);
    let mut at = 0_usize;
    while at < dst.len() {
        let kind = bits.take(3);
        let size = if bits.take(1) == 1 {
            CHUNK
        } else {
            usize::try_from(bits.take(16)).unwrap_or(0)
        };
        let end = at.checked_add(size).filter(|e| *e <= dst.len() && size > 0);
        let end = end.ok_or_else(|| format!("a block of {size} bytes at {at} does not fit"))?;
        match kind {
            1 | 2 => {
                let aligned = if kind == 2 {
                    Some(aligned(&mut bits)?)
                } else {
                    None
                };
                let (low, high) = main.split_at_mut(256);
                code_lengths(&mut bits, low)?;
                code_lengths(&mut bits, high)?;
                code_lengths(&mut bits, &mut lengths)?;
                let codes = (Codes::new(&main, 16)?, Codes::new(&lengths, 16)?, aligned);
                block(&mut bits, &codes, &mut recent, dst, at, end)?;
            }
            3 => stored(
                src,
                &mut bits,
                &mut recent,
                dst.get_mut(at..end).unwrap_or_default(),
            )?,
            other => return Err(format!("a block has the unknown type {other}")),
        }
        at = end;
    }
    undo_calls(dst);
    Ok(())
}

fn aligned(bits: &mut Bits<'_>) -> Result<Codes, String> {
    let lengths: Vec<u8> = (0..8).map(|_| u8::try_from(bits.take(3)).unwrap_or(0)).collect();
    Codes::new(&lengths, 7)
}

/// Reads code lengths as differences from those of the block before, coded by a small code of their own.
fn code_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<(), String> {
    let small: Vec<u8> = (0..20).map(|_| u8::try_from(bits.take(4)).unwrap_or(0)).collect();
    let codes = Codes::new(&small, 15)?;
    let changed = |old: u8, symbol: u16| {
        u8::try_from((u16::from(old).saturating_add(17).saturating_sub(symbol)) % 17).unwrap_or(0)
    };
    let mut at = 0_usize;
    while at < lengths.len() {
        let symbol = codes.next(bits)?;
        let old = lengths.get(at).copied().unwrap_or(0);
        let (count, value) = match symbol {
            0..=16 => (1, changed(old, symbol)),
            17 => (bits.take(4).saturating_add(4), 0),
            18 => (bits.take(5).saturating_add(20), 0),
            _ => {
                let count = bits.take(1).saturating_add(4);
                match codes.next(bits)? {
                    symbol @ 0..=16 => (count, changed(old, symbol)),
                    other => return Err(format!("a repeated code length is {other}")),
                }
            }
        };
        let end = at.saturating_add(usize::try_from(count).unwrap_or(0));
        // A run may say more than is left.
        let end = end.min(lengths.len());
        lengths.get_mut(at..end).unwrap_or_default().fill(value);
        at = end;
    }
    Ok(())
}

/// Bits of an offset that follow its slot.
fn extra(slot: usize) -> u32 {
    u32::try_from((slot / 2).saturating_sub(1)).unwrap_or(0)
}

/// First formatted offset of a slot.
fn base(slot: usize) -> usize {
    (0..slot).map(|s| 1_usize << extra(s).min(20)).sum()
}

fn block(
    bits: &mut Bits<'_>,
    (main, lengths, aligned): &(Codes, Codes, Option<Codes>),
    recent: &mut [usize; 3],
    dst: &mut [u8],
    mut at: usize,
    end: usize,
) -> Result<(), String> {
    while at < end {
        let symbol = main.next(bits)?;
        let Some(matched) = symbol.checked_sub(256) else {
            if let Some(to) = dst.get_mut(at) {
                *to = u8::try_from(symbol).unwrap_or(0);
            }
            at = at.saturating_add(1);
            continue;
        };
        let mut len = usize::from(matched & 7).saturating_add(2);
        if matched & 7 == 7 {
            len = len.saturating_add(lengths.next(bits)?.into());
        }
        let [first, second, third] = *recent;
        let offset = match usize::from(matched >> 3) {
            0 => first,
            1 => {
                *recent = [second, first, third];
                second
            }
            2 => {
                *recent = [third, second, first];
                third
            }
            slot => {
                let wide = extra(slot);
                let low = match aligned {
                    Some(codes) if wide >= 3 => {
                        let high = bits.take(wide.saturating_sub(3)) << 3;
                        high.saturating_add(codes.next(bits)?.into())
                    }
                    _ => bits.take(wide),
                };
                let offset = base(slot)
                    .saturating_add(usize::try_from(low).unwrap_or(0))
                    .saturating_sub(2);
                *recent = [offset, first, second];
                offset
            }
        };
        if len > end.saturating_sub(at) {
            return Err(format!("a match at {at} runs past its block"));
        }
        copy(dst, at, offset, len)?;
        at = at.saturating_add(len);
    }
    Ok(())
}

/// A block of plain bytes: three recent offsets, the bytes, and one more if their number is odd.
fn stored<'a>(
    src: &'a [u8],
    bits: &mut Bits<'a>,
    recent: &mut [usize; 3],
    out: &mut [u8],
) -> Result<(), String> {
    let from = src.len().saturating_sub(bits.behind());
    let rest = src.get(from..).unwrap_or_default();
    let (head, rest) = rest
        .split_first_chunk::<12>()
        .ok_or("ends inside a plain block")?;
    let (words, _) = head.as_chunks::<4>();
    for (to, word) in recent.iter_mut().zip(words) {
        *to = usize::try_from(u32::from_le_bytes(*word)).unwrap_or(0);
    }
    let body = rest.get(..out.len()).ok_or("ends inside a plain block")?;
    out.copy_from_slice(body);
    let used = out.len().next_multiple_of(2);
    *bits = Bits::new(rest.get(used..).unwrap_or_default());
    Ok(())
}

/// Targets of x86 calls were made absolute before compression: makes them relative again.
fn undo_calls(bytes: &mut [u8]) {
    let Some(last) = bytes.len().checked_sub(10) else {
        return;
    };
    let mut at = 0_usize;
    while at < last {
        if bytes.get(at) != Some(&0xe8) {
            at = at.saturating_add(1);
            continue;
        }
        let position = i32::try_from(at).unwrap_or(i32::MAX);
        if let Some(target) = bytes
            .get_mut(at.saturating_add(1)..)
            .and_then(|b| b.first_chunk_mut::<4>())
        {
            let absolute = i32::from_le_bytes(*target);
            if absolute >= position.saturating_neg() && absolute < FILE_SIZE {
                let relative = if absolute >= 0 {
                    absolute.saturating_sub(position)
                } else {
                    absolute.saturating_add(FILE_SIZE)
                };
                *target = relative.to_le_bytes();
            }
        }
        at = at.saturating_add(5);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_cover_offsets_without_gaps() {
        assert_eq!([0, 3, 4, 5, 6, 7, 29].map(base), [0, 3, 4, 6, 8, 12, 24576]);
        assert_eq!(base(SLOTS) - 2, CHUNK - 2);
    }

    #[test]
    fn nonsense_is_refused() {
        for fill in [0, 0x55, 0xff] {
            assert!(decode(&[fill; 100], &mut [0; 4096]).is_err());
        }
        assert!(decode(&[], &mut [0; 1]).is_err());
    }
}
