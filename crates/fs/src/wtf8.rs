//! Names that are UTF-16 on the volume: bytes outside, without losing units that no text has.

/// UTF-16 units to WTF-8: as UTF-8, with unpaired surrogates encoded like other code points.
#[must_use]
pub fn encode(units: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let mut out = Vec::new();
    for c in char::decode_utf16(units) {
        match c {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let u = lone.unpaired_surrogate();
                let low = |n: u16| u8::try_from(n & 0x3f).unwrap_or(0) | 0x80;
                out.extend_from_slice(&[0xed, low(u >> 6), low(u)]);
            }
        }
    }
    out
}

/// WTF-8 to UTF-16 units; `None` for bytes that no name on the volume can be.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                units.extend(text.encode_utf16());
                break;
            }
            Err(e) => {
                let (good, bad) = rest.split_at_checked(e.valid_up_to())?;
                units.extend(std::str::from_utf8(good).ok()?.encode_utf16());
                // The only thing WTF-8 has beyond UTF-8: a surrogate in three bytes.
                let ([0xed, b @ 0xa0..=0xbf, c @ 0x80..=0xbf], after) = bad.split_first_chunk::<3>()? else {
                    return None;
                };
                units.push(0xd000 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f));
                rest = after;
            }
        }
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_survive_the_round_trip() {
        for name in [
            vec![0x61, 0xd800, 0x62],
            vec![0xdc00],
            vec![0xd83d, 0xde00],
            vec![0x416, 0x20ac],
            vec![0xd800, 0xd800],
        ] {
            assert_eq!(decode(&encode(name.iter().copied())), Some(name));
        }
        assert_eq!(decode(b"a\xff"), None);
        assert_eq!(decode(&[0xed, 0xa0]), None);
    }
}
