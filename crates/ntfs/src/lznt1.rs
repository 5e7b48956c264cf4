//! LZNT1 (MS-XCA 2.5): chunks of 4096 bytes, each with a two-byte header, tokens of offset and length whose
//! widths change with the position.

use crate::layout::le16;

const CHUNK: usize = 4096;

/// Decodes `src` into `dst`. What `src` does not cover is zero.
///
/// # Errors
/// A sentence that says which chunk is damaged and how.
pub fn decode(src: &[u8], dst: &mut [u8]) -> Result<(), String> {
    let mut rest = src;
    for (number, out) in dst.chunks_mut(CHUNK).enumerate() {
        let head = le16(rest, 0).unwrap_or(0);
        if head == 0 {
            out.fill(0);
            rest = &[];
            continue;
        }
        let len = usize::from(head & 0xfff).saturating_add(1);
        let body = rest.get(2..).and_then(|b| b.get(..len));
        let body = body.ok_or_else(|| format!("chunk {number} has {len} bytes, {} are there", rest.len()))?;
        rest = rest.get(len.saturating_add(2)..).unwrap_or_default();
        let written = if head & 0x8000 == 0 {
            let n = body.len().min(out.len());
            for (to, from) in out.iter_mut().zip(body) {
                *to = *from;
            }
            n
        } else {
            chunk(body, out).map_err(|e| format!("chunk {number}: {e}"))?
        };
        out.get_mut(written..).unwrap_or_default().fill(0);
    }
    Ok(())
}

fn chunk(src: &[u8], out: &mut [u8]) -> Result<usize, String> {
    let mut at = 0_usize;
    let mut rest = src;
    while let Some((flags, mut tokens)) = rest.split_first() {
        for bit in 0..8 {
            if tokens.is_empty() {
                break;
            }
            if flags >> bit & 1 == 0 {
                let Some((byte, after)) = tokens.split_first() else {
                    break;
                };
                let Some(to) = out.get_mut(at) else { return Ok(at) };
                *to = *byte;
                at = at.saturating_add(1);
                tokens = after;
                continue;
            }
            let (pair, after) = tokens.split_first_chunk::<2>().ok_or("ends inside a token")?;
            let token = usize::from(u16::from_le_bytes(*pair));
            // The further into the chunk, the more bits for the offset and the fewer for the length.
            let wide = at
                .saturating_sub(1)
                .checked_ilog2()
                .unwrap_or(0)
                .saturating_add(1)
                .clamp(4, 12);
            let split = 16_u32.saturating_sub(wide);
            let offset = (token >> split).saturating_add(1);
            let mask = (1_usize << split.min(12)).saturating_sub(1);
            let len = (token & mask).saturating_add(3);
            copy(out, at, offset, len)?;
            at = at.saturating_add(len).min(out.len());
            tokens = after;
        }
        rest = tokens;
    }
    Ok(at)
}

/// Copies `len` bytes from `offset` before `at`; source and target may overlap. Stops at the end of `out`.
pub(crate) fn copy(out: &mut [u8], at: usize, offset: usize, len: usize) -> Result<(), String> {
    let from = at
        .checked_sub(offset)
        .ok_or_else(|| format!("a match at {at} reaches back {offset} bytes"))?;
    let len = len.min(out.len().saturating_sub(at));
    if offset >= len {
        out.copy_within(from..from.saturating_add(len), at);
        return Ok(());
    }
    for i in 0..len {
        let byte = out.get(from.saturating_add(i)).copied().unwrap_or(0);
        if let Some(to) = out.get_mut(at.saturating_add(i)) {
            *to = byte;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_decodes() {
        // MS-XCA 3.3
        let src = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01,
            0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24,
            0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48,
            0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
        ];
        let want = b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# \
                     G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let mut out = vec![0xff; want.len() + 3];
        decode(&src, &mut out).unwrap();
        assert_eq!(&out[..want.len()], want);
        assert_eq!(&out[want.len()..], [0; 3]);
    }

    #[test]
    fn matches_that_reach_before_the_chunk_are_refused() {
        let mut out = [0; 4096];
        assert!(decode(&[0x02, 0xb0, 0x01, 0x00, 0x00], &mut out).is_err());
        assert!(decode(&[0xff, 0xbf, 0x00], &mut out).is_err());
    }
}
