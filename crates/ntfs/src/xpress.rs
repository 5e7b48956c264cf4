//! XPRESS with Huffman codes (MS-XCA 2.2): one table of 512 code lengths, then symbols and matches.

use crate::layout::le16;
use crate::lznt1::copy;

const SYMBOLS: usize = 512;
const LONGEST: usize = 15;

/// Decodes one chunk: fills all of `dst`.
///
/// # Errors
/// A sentence that says what is damaged.
pub fn decode(src: &[u8], dst: &mut [u8]) -> Result<(), String> {
    let (table, stream) = src
        .split_at_checked(SYMBOLS / 2)
        .ok_or("has no table of code lengths")?;
    let lengths: Vec<u8> = table.iter().flat_map(|b| [b & 15, b >> 4]).collect();
    let codes = Codes::new(&lengths, LONGEST)?;
    let mut bits = Bits::new(stream);
    let mut at = 0_usize;
    while at < dst.len() {
        let symbol = codes.next(&mut bits)?;
        if symbol < 256 {
            if let Some(to) = dst.get_mut(at) {
                *to = u8::try_from(symbol).unwrap_or(0);
            }
            at = at.saturating_add(1);
            continue;
        }
        let symbol = symbol.saturating_sub(256);
        let mut len = usize::from(symbol & 15);
        let wide = u32::from(symbol >> 4);
        if len == 15 {
            len = match bits.byte()? {
                255 => match usize::from(bits.pair()?) {
                    0 => bits.quad()?,
                    n => n,
                },
                n => usize::from(n).saturating_add(15),
            };
            if len < 15 {
                return Err(format!("a match at {at} has a long length of {len}"));
            }
        }
        let low = bits.take(wide);
        let offset = (1_usize << wide.min(15)).saturating_add(usize::try_from(low).unwrap_or(0));
        let len = len.saturating_add(3);
        copy(dst, at, offset, len)?;
        at = at.saturating_add(len);
    }
    Ok(())
}

/// Bits from the high end of 16-bit words, with bytes taken between them (shared with LZX).
///
/// Two words are held at first and a new one is fetched as soon as fewer than 16 bits are left: where bytes lie
/// between the words depends on exactly that.
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    held: u32,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut bits = Self {
            rest: bytes,
            held: 0,
            count: 0,
        };
        bits.fetch();
        bits.fetch();
        bits
    }

    /// Behind the end are zeros: the last code may be shorter than what is looked at.
    fn fetch(&mut self) {
        let word = u32::from(le16(self.rest, 0).unwrap_or(0));
        self.rest = self.rest.get(2..).unwrap_or_default();
        self.held |= word.checked_shl(16_u32.saturating_sub(self.count)).unwrap_or(0);
        self.count = self.count.saturating_add(16);
    }

    /// The next `n` bits (0 to 16) without taking them.
    pub(crate) fn peek(&self, n: u32) -> u32 {
        self.held.checked_shr(32_u32.saturating_sub(n)).unwrap_or(0)
    }

    /// Takes `n` bits (0 to 16).
    pub(crate) fn take(&mut self, n: u32) -> u32 {
        let found = self.peek(n);
        self.skip(n);
        found
    }

    pub(crate) fn skip(&mut self, n: u32) {
        self.held = self.held.checked_shl(n).unwrap_or(0);
        self.count = self.count.saturating_sub(n);
        if self.count < 16 {
            self.fetch();
        }
    }

    /// A byte from where the next word would be fetched (XPRESS keeps long lengths there).
    fn byte(&mut self) -> Result<u8, String> {
        let (byte, rest) = self.rest.split_first().ok_or("ends inside a length")?;
        self.rest = rest;
        Ok(*byte)
    }

    fn pair(&mut self) -> Result<u16, String> {
        let (pair, rest) = self.rest.split_first_chunk::<2>().ok_or("ends inside a length")?;
        self.rest = rest;
        Ok(u16::from_le_bytes(*pair))
    }

    fn quad(&mut self) -> Result<usize, String> {
        let (four, rest) = self.rest.split_first_chunk::<4>().ok_or("ends inside a length")?;
        self.rest = rest;
        usize::try_from(u32::from_le_bytes(*four)).map_err(|_| "has an impossible length".to_owned())
    }

    /// How many bytes of the input lie behind the word that is being taken apart: what LZX reads as bytes next.
    pub(crate) fn behind(&self) -> usize {
        let whole = if self.count > 16 { 2 } else { 0 };
        self.rest.len().saturating_add(whole)
    }
}

/// Canonical Huffman codes: by length, then by symbol.
pub(crate) struct Codes {
    longest: u32,
    /// For every pattern of `longest` bits: symbol and length; length 0 for patterns without a code.
    table: Vec<(u16, u8)>,
}

impl Codes {
    /// Codes of at most `longest` bits; 0 means that a symbol has none.
    pub(crate) fn new(lengths: &[u8], longest: usize) -> Result<Self, String> {
        let size = 1_usize << longest.min(16);
        let mut table = vec![(0_u16, 0_u8); size];
        let mut at = 0_usize;
        for len in 1..=longest {
            let span = size >> len;
            for (symbol, _) in lengths
                .iter()
                .enumerate()
                .filter(|(_, l)| usize::from(**l) == len)
            {
                let end = at.saturating_add(span);
                let places = table.get_mut(at..end).ok_or("has more codes than there can be")?;
                places.fill((u16::try_from(symbol).unwrap_or(0), u8::try_from(len).unwrap_or(0)));
                at = end;
            }
        }
        Ok(Self {
            longest: u32::try_from(longest).unwrap_or(16),
            table,
        })
    }

    pub(crate) fn next(&self, bits: &mut Bits<'_>) -> Result<u16, String> {
        let pattern = usize::try_from(bits.peek(self.longest)).unwrap_or(0);
        match self.table.get(pattern) {
            Some((symbol, len)) if *len > 0 => {
                bits.skip((*len).into());
                Ok(*symbol)
            }
            _ => Err("has a code that its table does not know".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_decodes() {
        // MS-XCA 3.2: "abcdefghijklmnopqrstuvwxyz" as literals of five bits and an end symbol.
        let mut src = vec![0; 256];
        src[0x30] = 0x50;
        src[0x31..0x3b].fill(0x55);
        src[0x3b..0x3e].copy_from_slice(&[0x45, 0x44, 0x04]);
        src[0x80] = 0x04;
        src.extend_from_slice(&[
            0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b, 0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf, 0x8d, 0x04,
            0, 0, 0, 0,
        ]);
        let mut out = [0; 26];
        decode(&src, &mut out).unwrap();
        assert_eq!(&out, b"abcdefghijklmnopqrstuvwxyz");
    }

    #[test]
    fn too_many_codes_are_refused() {
        assert!(decode(&[0x11; 300], &mut [0; 64]).is_err());
        assert!(decode(&[0; 300], &mut [0; 64]).is_err());
    }
}
